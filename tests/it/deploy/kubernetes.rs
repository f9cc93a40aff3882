//! The Kubernetes objects: each read strictly as what it is, held against each other, the configuration and the command
//! line. No cluster and no kubectl is needed.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

use super::bundle::{Bundle, at};
use super::image;
use super::objects::{Object, Spec, read};
use super::places::{accepted, hold, placed};

pub(crate) const FOLDER: &str = "deploy/kubernetes/";
const CONFIG: &str = "deploy/kubernetes/slotkeeper.yml";
type Labels = BTreeMap<String, String>;

/// All objects, by kind and name.
struct Objects(Vec<Object>);

impl Objects {
    fn of(bundle: &Bundle) -> Result<Self, String> {
        let mut all = Vec::new();
        for (name, text) in bundle.under(FOLDER) {
            if name == "slotkeeper.yml" || name == "kustomization.yaml" {
                continue;
            }
            for part in text.split("\n---\n") {
                let value: Value =
                    serde_yaml::from_str(part).map_err(|e| format!("{name}: {e}"))?;
                all.push(read(&value).map_err(|e| format!("{name}: {e}"))?);
            }
        }
        Ok(Self(all))
    }

    fn one(&self, kind: &str, name: &str) -> Result<&Object, String> {
        let mut found = self
            .0
            .iter()
            .filter(|o| o.kind == kind && o.metadata.name == name);
        found.next().ok_or_else(|| format!("no {kind} {name}"))
    }
}

macro_rules! spec {
    ($objects:expr, $kind:ident, $name:literal) => {
        match &$objects.one(stringify!($kind), $name)?.spec {
            Spec::$kind(spec) => spec,
            _ => return Err(format!("{} is something else", $name)),
        }
    };
}

fn within(some: &Labels, all: &Labels) -> bool {
    !some.is_empty() && some.iter().all(|(k, v)| all.get(k) == Some(v))
}

/// Every file is read, and kustomize takes all of them and nothing else.
pub(crate) fn complete(bundle: &Bundle) -> Result<(), String> {
    let objects = Objects::of(bundle)?;
    let kustomization = bundle.yaml("deploy/kubernetes/kustomization.yaml")?;
    let texts = |value: &Value| -> BTreeSet<String> {
        let list = value.as_sequence().into_iter().flatten();
        list.filter_map(|v| Some(v.as_str()?.to_owned())).collect()
    };
    let listed = texts(at(&kustomization, &["resources"])?);
    let there: BTreeSet<String> = bundle
        .under(FOLDER)
        .map(|(name, _)| name.to_owned())
        .filter(|n| {
            !["kustomization.yaml", "slotkeeper.yml", "secret.example.yml"].contains(&n.as_str())
        })
        .collect();
    hold(
        listed == there,
        format!("kustomization lists {listed:?}, there are {there:?}"),
    )?;
    let generated = at(&kustomization, &["configMapGenerator", "0"])?;
    hold(
        texts(at(generated, &["files"])?) == ["slotkeeper.yml".to_owned()].into(),
        "kustomization: the ConfigMap is not made of slotkeeper.yml",
    )?;
    let deployment = spec!(objects, Deployment, "slotkeeper");
    let pod = &deployment.template.spec;
    let map = pod
        .volumes
        .iter()
        .find_map(|v| v.config_map.as_ref())
        .ok_or("no ConfigMap is mounted")?;
    hold(
        at(generated, &["name"])?.as_str() == Some(&map.name),
        format!("the ConfigMap {} is not the generated one", map.name),
    )?;
    let image = at(&kustomization, &["images", "0", "name"])?;
    hold(
        image.as_str() == Some(&pod.container()?.image),
        "kustomization: another image",
    )?;
    let namespace = at(&kustomization, &["namespace"])?
        .as_str()
        .unwrap_or_default();
    let secured = &objects.one("Namespace", namespace)?.metadata.labels;
    hold(
        secured
            .get("pod-security.kubernetes.io/enforce")
            .is_some_and(|v| v == "restricted"),
        "the namespace admits pods that are not restricted",
    )?;
    let readme = bundle.text("deploy/README.md")?;
    let port = placed(bundle, CONFIG)?.control.1;
    let url = format!("http://slotkeeper-control.{namespace}.svc:{port}/api/v1/alertmanager");
    hold(readme.contains(&url), format!("deploy/README.md: no {url}"))
}

/// One pod, not root, that can write nothing but its state.
pub(crate) fn locked(bundle: &Bundle) -> Result<(), String> {
    let objects = Objects::of(bundle)?;
    let deployment = spec!(objects, Deployment, "slotkeeper");
    hold(
        deployment.replicas == 1,
        "replicas: there is one state file",
    )?;
    hold(
        deployment.strategy.kind == "Recreate",
        "strategy: two would meet at the state file",
    )?;
    hold(
        within(
            &deployment.selector.match_labels,
            &deployment.template.metadata.labels,
        ),
        "selector: not its own pods",
    )?;
    let pod = &deployment.template.spec;
    hold(
        !pod.automount_service_account_token,
        "a token of Kubernetes is mounted",
    )?;
    let user = format!(
        "{}:{}",
        pod.security_context.run_as_user, pod.security_context.run_as_group
    );
    hold(
        pod.security_context.run_as_non_root && user == image::USER,
        format!("runs as {user}"),
    )?;
    hold(
        pod.security_context.seccomp_profile.kind == "RuntimeDefault",
        "seccompProfile",
    )?;
    let container = pod.container()?;
    let context = &container.security_context;
    hold(
        context.read_only_root_filesystem
            && !context.allow_privilege_escalation
            && context.capabilities.drop == ["ALL"],
        "securityContext of the container",
    )?;
    for mount in &container.volume_mounts {
        hold(
            mount.read_only || mount.name == "state",
            format!("{} can be written", mount.name),
        )?;
    }
    let amounts = &container.resources;
    hold(
        amounts.limits.contains_key("memory") && amounts.requests.contains_key("memory"),
        "resources: no memory",
    )?;
    hold(
        !amounts.limits.contains_key("cpu"),
        "resources: throttled, it would switch late",
    )
}

/// What the configuration names is mounted where it says, and can be read.
pub(crate) fn files(bundle: &Bundle) -> Result<(), String> {
    let objects = Objects::of(bundle)?;
    let config = placed(bundle, CONFIG)?;
    let pod = &spec!(objects, Deployment, "slotkeeper").template.spec;
    let container = pod.container()?;
    accepted(container.args.iter().map(String::as_str))?;
    let place = |name: &str| {
        let mut mounts = container.volume_mounts.iter();
        let found = mounts
            .find(|m| m.name == name)
            .map(|m| m.mount_path.as_str());
        found.ok_or_else(|| format!("{name} is not mounted"))
    };
    for volume in &pod.volumes {
        place(&volume.name)?;
    }
    let given = format!("{}/slotkeeper.yml", place("config")?);
    hold(
        container.args.contains(&given),
        format!("args do not name {given}"),
    )?;
    let Spec::Secret(example) = &objects.one("Secret", "slotkeeper")?.spec else {
        return Err("the Secret is something else".into());
    };
    hold(
        example.values().all(|v| v == "PUT-YOURS-HERE"),
        "secret.example.yml: something that looks like a secret",
    )?;
    let (secrets, state) = (place("secrets")?, place("state")?);
    let mut named = BTreeSet::new();
    for path in &config.paths {
        match path.strip_prefix(&format!("{secrets}/")) {
            Some(name) => {
                named.insert(name.to_owned());
            }
            None => hold(
                path.starts_with(&format!("{state}/")),
                format!("slotkeeper.yml: {path} is not mounted"),
            )?,
        }
    }
    let keys: BTreeSet<String> = example.keys().cloned().collect();
    hold(
        named == keys,
        format!("slotkeeper.yml reads {named:?}, the Secret has {keys:?}"),
    )?;
    let volume = pod
        .volumes
        .iter()
        .find_map(|v| v.secret.as_ref())
        .ok_or("no Secret")?;
    objects.one("Secret", &volume.secret_name)?;
    // Group-readable is allowed among credentials only; the group is its own.
    hold(
        volume.default_mode & 0o037 == 0,
        format!("defaultMode {:o}", volume.default_mode),
    )?;
    hold(
        pod.security_context.fs_group == pod.security_context.run_as_group,
        "fsGroup",
    )?;
    let variable = container
        .env
        .iter()
        .find(|e| e.name == "CREDENTIALS_DIRECTORY");
    hold(
        variable.is_some_and(|e| e.value == secrets),
        format!("CREDENTIALS_DIRECTORY is not {secrets}"),
    )?;
    let claim = pod
        .volumes
        .iter()
        .find_map(|v| v.persistent_volume_claim.as_ref())
        .ok_or("no claim")?;
    objects
        .one("PersistentVolumeClaim", &claim.claim_name)
        .map(|_| ())
}

/// Ports, names and labels lead from one object to the next.
pub(crate) fn wired(bundle: &Bundle) -> Result<(), String> {
    let objects = Objects::of(bundle)?;
    let config = placed(bundle, CONFIG)?;
    let deployment = spec!(objects, Deployment, "slotkeeper");
    let labels = &deployment.template.metadata.labels;
    let container = deployment.template.spec.container()?;
    let ports: BTreeMap<&str, u16> = container
        .ports
        .iter()
        .map(|p| (p.name.as_str(), p.container_port))
        .collect();
    let wanted = [("web", config.web.1), ("control", config.control.1)].into();
    hold(
        ports == wanted,
        format!("ports {ports:?}, the configuration says {wanted:?}"),
    )?;
    let table = include_str!("../../../src/web/routes.rs");
    for (probe, path) in [
        (&container.liveness_probe, "/-/healthy"),
        (&container.readiness_probe, "/-/ready"),
    ] {
        let get = &probe.http_get;
        hold(
            get.port == "web" && get.path == path && table.contains(&format!("\"{path}\"")),
            format!("a probe asks {} of {}, not {path}", get.path, get.port),
        )?;
    }
    let web = objects.one("Service", "slotkeeper")?;
    let control = objects.one("Service", "slotkeeper-control")?;
    for (object, port) in [(web, "web"), (control, "control")] {
        let Spec::Service(service) = &object.spec else {
            return Err("a Service is something else".into());
        };
        let name = &object.metadata.name;
        hold(
            within(&service.selector, labels),
            format!("{name}: selects other pods"),
        )?;
        hold(
            service.publish_not_ready_addresses,
            format!("{name}: a pod that does not see its chain could not be reached"),
        )?;
        let [only] = service.ports.as_slice() else {
            return Err(format!("{name}: {} ports", service.ports.len()));
        };
        hold(
            only.target_port == port && Some(&only.port) == ports.get(port) && only.name == port,
            format!("{name}: port {}", only.port),
        )?;
    }
    let prometheus = bundle.yaml("deploy/prometheus/prometheus.yml")?;
    let job = at(&prometheus, &["scrape_configs", "0"])?;
    hold(
        at(job, &["job_name"])?.as_str() == Some(&web.metadata.name),
        "the Service, and so the job, is not called as the rules expect",
    )?;
    let monitor = spec!(objects, ServiceMonitor, "slotkeeper");
    hold(
        within(&monitor.selector.match_labels, &web.metadata.labels)
            && !within(&monitor.selector.match_labels, &control.metadata.labels),
        "ServiceMonitor: selects another Service",
    )?;
    let [endpoint] = monitor.endpoints.as_slice() else {
        return Err("ServiceMonitor: not one endpoint".into());
    };
    hold(
        endpoint.port == "web" && endpoint.path == "/metrics",
        "ServiceMonitor: not the metrics",
    )?;
    hold(
        at(job, &["scrape_interval"])?.as_str() == Some(&endpoint.interval)
            && at(job, &["scrape_timeout"])?.as_str() == Some(&endpoint.scrape_timeout),
        "ServiceMonitor: another pace than prometheus.yml",
    )
}

/// Metrics for Prometheus, control for Alertmanager, the way out to RPC and names; nothing else.
pub(crate) fn fenced(bundle: &Bundle) -> Result<(), String> {
    let objects = Objects::of(bundle)?;
    let config = placed(bundle, CONFIG)?;
    let policy = spec!(objects, NetworkPolicy, "slotkeeper");
    let labels = &spec!(objects, Deployment, "slotkeeper")
        .template
        .metadata
        .labels;
    hold(
        within(&policy.pod_selector.match_labels, labels),
        "NetworkPolicy: for other pods",
    )?;
    hold(
        policy.policy_types == ["Ingress", "Egress"],
        "NetworkPolicy: not both ways",
    )?;
    let name = "app.kubernetes.io/name";
    let mut entries = BTreeMap::new();
    for rule in &policy.ingress {
        let [peer] = rule.from.as_slice() else {
            return Err("NetworkPolicy: a door without one name on it".into());
        };
        let whom = peer
            .pod_selector
            .as_ref()
            .and_then(|s| s.match_labels.get(name));
        let whom = whom.filter(|_| peer.namespace_selector.is_some());
        for port in &rule.ports {
            entries.insert(port.port, whom.cloned().unwrap_or_default());
        }
    }
    let wanted = [
        (config.web.1, "prometheus".to_owned()),
        (config.control.1, "alertmanager".to_owned()),
    ];
    hold(
        entries == wanted.into(),
        format!("NetworkPolicy: lets in {entries:?}"),
    )?;
    let port = config
        .alertmanager
        .rsplit(':')
        .next()
        .and_then(|p| p.parse().ok());
    let out: BTreeSet<u16> = policy
        .egress
        .iter()
        .flat_map(|r| &r.ports)
        .map(|p| p.port)
        .collect();
    let wanted: BTreeSet<u16> = [Some(53), Some(443), port].into_iter().flatten().collect();
    hold(
        out == wanted,
        format!("NetworkPolicy: lets out to {out:?}, not {wanted:?}"),
    )?;
    let open = policy
        .egress
        .iter()
        .filter(|r| r.to.is_empty())
        .flat_map(|r| &r.ports);
    hold(
        open.clone().all(|p| p.port == 443),
        "NetworkPolicy: more than 443 is open to everywhere",
    )
}

#[test]
fn kustomize_takes_every_object() {
    complete(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_pod_is_one_and_locked_down() {
    locked(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn what_the_pod_reads_is_mounted() {
    files(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn ports_names_and_labels_lead_to_each_other() {
    wired(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_policy_lets_in_and_out_what_is_needed() {
    fenced(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}
