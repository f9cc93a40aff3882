//! Kubernetes objects as types: only what ours use, and nothing that is not named here. A key with a slip of the pen is an
//! error, as it is for `kubectl apply --validate=strict`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::Value;

type Labels = BTreeMap<String, String>;

macro_rules! shapes {
    ($($name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        #[allow(dead_code, reason = "some fields are there to be read only")]
        pub(crate) struct $name { $($(#[$meta])* pub(crate) $field: $type,)* }
    )*};
}

shapes! {
    Metadata { name: String, #[serde(default)] labels: Labels, }
    Selector { match_labels: Labels, }
    Kind { #[serde(rename = "type")] kind: String, }
    Deployment { replicas: u32, strategy: Kind, selector: Selector, template: Template, }
    Template { metadata: PodMetadata, spec: Pod, }
    PodMetadata { labels: Labels, }
    Pod {
        automount_service_account_token: bool,
        enable_service_links: bool,
        termination_grace_period_seconds: u32,
        security_context: PodSecurity,
        containers: Vec<Container>,
        volumes: Vec<Volume>,
    }
    PodSecurity {
        run_as_non_root: bool,
        run_as_user: u32,
        run_as_group: u32,
        fs_group: u32,
        seccomp_profile: Kind,
    }
    Container {
        name: String,
        image: String,
        args: Vec<String>,
        env: Vec<Variable>,
        ports: Vec<ContainerPort>,
        liveness_probe: Probe,
        readiness_probe: Probe,
        resources: Resources,
        security_context: Security,
        volume_mounts: Vec<Mount>,
    }
    Variable { name: String, value: String, }
    ContainerPort { name: String, container_port: u16, }
    Probe {
        http_get: Get,
        period_seconds: u32,
        timeout_seconds: u32,
        #[serde(default)] failure_threshold: u32,
    }
    Get { path: String, port: String, }
    Resources { requests: Labels, limits: Labels, }
    Security {
        allow_privilege_escalation: bool,
        read_only_root_filesystem: bool,
        capabilities: Capabilities,
    }
    Capabilities { drop: Vec<String>, }
    Mount { name: String, mount_path: String, #[serde(default)] read_only: bool, }
    Volume {
        name: String,
        config_map: Option<Named>,
        secret: Option<SecretVolume>,
        persistent_volume_claim: Option<Claim>,
    }
    Named { name: String, }
    SecretVolume { secret_name: String, default_mode: u32, }
    Claim { claim_name: String, }
    PersistentVolumeClaim { access_modes: Vec<String>, resources: Requests, }
    Requests { requests: Labels, }
    Service { selector: Labels, publish_not_ready_addresses: bool, ports: Vec<ServicePort>, }
    ServicePort { name: String, port: u16, target_port: String, }
    ServiceMonitor { selector: Selector, endpoints: Vec<Endpoint>, }
    Endpoint { port: String, path: String, interval: String, scrape_timeout: String, }
    NetworkPolicy {
        pod_selector: Selector,
        policy_types: Vec<String>,
        ingress: Vec<Entry>,
        egress: Vec<Way>,
    }
    Entry { from: Vec<Peer>, ports: Vec<PolicyPort>, }
    Way { #[serde(default)] to: Vec<Peer>, ports: Vec<PolicyPort>, }
    Peer { namespace_selector: Option<Selector>, pod_selector: Option<Selector>, }
    PolicyPort { protocol: String, port: u16, }
    PrometheusRule { groups: Vec<Value>, }
}

/// One object.
pub(crate) struct Object {
    pub(crate) kind: String,
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
}

/// What it says.
pub(crate) enum Spec {
    Namespace,
    Deployment(Box<Deployment>),
    PersistentVolumeClaim,
    Service(Service),
    ServiceMonitor(ServiceMonitor),
    PrometheusRule,
    NetworkPolicy(NetworkPolicy),
    Secret(Labels),
}

impl Pod {
    /// The only one.
    pub(crate) fn container(&self) -> Result<&Container, String> {
        match self.containers.as_slice() {
            [one] => Ok(one),
            other => Err(format!("{} containers", other.len())),
        }
    }
}

/// Reads one object. The version must be the one that has this kind.
pub(crate) fn read(value: &Value) -> Result<Object, String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let keys: Vec<&str> = value
        .as_mapping()
        .into_iter()
        .flat_map(|map| map.keys())
        .filter_map(Value::as_str)
        .filter(|key| !["apiVersion", "kind", "metadata"].contains(key))
        .collect();
    let wanted: &[&str] = match kind {
        "Namespace" => &[],
        "Secret" => &["type", "stringData"],
        _ => &["spec"],
    };
    if keys != wanted {
        return Err(format!("{kind} has {keys:?}, not {wanted:?}"));
    }
    fn part<T: for<'a> Deserialize<'a>>(value: &Value, key: &str) -> Result<T, String> {
        let part = value.get(key).cloned().unwrap_or_default();
        serde_yaml::from_value(part).map_err(|e| format!("{key}: {e}"))
    }
    let spec = match (version, kind) {
        ("v1", "Namespace") => Spec::Namespace,
        ("apps/v1", "Deployment") => Spec::Deployment(part(value, "spec")?),
        ("v1", "PersistentVolumeClaim") => {
            part::<PersistentVolumeClaim>(value, "spec")?;
            Spec::PersistentVolumeClaim
        }
        ("v1", "Service") => Spec::Service(part(value, "spec")?),
        ("monitoring.coreos.com/v1", "ServiceMonitor") => {
            Spec::ServiceMonitor(part(value, "spec")?)
        }
        ("monitoring.coreos.com/v1", "PrometheusRule") => {
            part::<PrometheusRule>(value, "spec")?;
            Spec::PrometheusRule
        }
        ("networking.k8s.io/v1", "NetworkPolicy") => Spec::NetworkPolicy(part(value, "spec")?),
        ("v1", "Secret") => Spec::Secret(part(value, "stringData")?),
        other => return Err(format!("{other:?} is no kind we know")),
    };
    Ok(Object {
        kind: kind.to_owned(),
        metadata: part(value, "metadata")?,
        spec,
    })
}
