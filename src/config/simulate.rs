//! What could no longer be done if one part died: each node that holds a signing key, each provider. Pure: figures of the
//! configuration only. Also the rule that refuses to arm a set-up whose own failure would prevent the rescue.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::model::{ChainConfig, Config, EndpointConfig, ProducerConfig, WhenExhausted};
use super::url;

/// What dies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Death {
    /// The machine a signing key's node runs on (host; on loopback host and port).
    Node(String),
    /// Everything one provider runs.
    Provider(String),
}

/// What the death of one part means for one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Name of the chain.
    pub chain: String,
    /// What dies.
    pub death: Death,
    /// Providers that could still answer.
    pub providers_left: usize,
    /// Providers that must agree.
    pub quorum: usize,
    /// What can then no longer be done, in plain words; empty when everything still can.
    pub lost: Vec<String>,
    /// What still happens, in plain words.
    pub kept: Vec<String>,
}

/// Why this configuration must not be armed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Path of the field that asks for arming.
    pub field: String,
    /// What would go wrong and what to change.
    pub message: String,
}

/// Simulates the death of each node and each provider of each chain, in configured order, nodes first.
#[must_use]
pub fn simulate(config: &Config) -> Vec<Loss> {
    let mut out = Vec::new();
    for chain in &config.chains {
        let producers: Vec<&ProducerConfig> = config
            .producers
            .iter()
            .filter(|p| p.chain == chain.spec.name && !p.keys.is_empty())
            .collect();
        for death in deaths(chain, &producers) {
            out.push(loss(chain, &producers, death));
        }
    }
    out
}

/// Whether the whole configuration may be armed: every producer that can be switched passes [`may_arm_producer`].
///
/// # Errors
/// The first refusal.
pub fn may_arm(config: &Config) -> Result<(), Refusal> {
    for producer in &config.producers {
        may_arm_producer(config, producer)?;
    }
    Ok(())
}

/// Whether one producer may be armed: one or two providers need an explicit `quorum: 1`, and the death of the primary's
/// own node must leave a quorum, for that death is what a switch is for.
///
/// # Errors
/// What would go wrong and what to change.
pub fn may_arm_producer(config: &Config, producer: &ProducerConfig) -> Result<(), Refusal> {
    let refuse = |message: String| {
        Err(Refusal {
            field: "actuator.armed".to_owned(),
            message,
        })
    };
    let Some(chain) = config.chain(&producer.chain) else {
        return Ok(());
    };
    if producer.keys.is_empty() || producer.authority.is_empty() {
        return Ok(());
    }
    let name = &chain.spec.name;
    let providers = providers(chain.endpoints.iter());
    if providers.len() <= 2 && !(chain.quorum_explicit && chain.quorum == 1) {
        return refuse(format!(
            "cannot be armed: chain {name} has {} of the three providers that a safe majority needs; add endpoints of other providers, or write `quorum: 1` there to act on a single answer that none contradicts",
            providers.len()
        ));
    }
    let Some(node) = producer.keys.first().and_then(|k| k.node.as_ref()) else {
        return Ok(());
    };
    let machine = machine(node);
    let left = providers_left(chain, &Death::Node(machine.clone()));
    if left < chain.quorum {
        return refuse(format!(
            "cannot be armed: when {machine}, the node of {name}/{}'s first key, dies, {left} of the {} providers that must agree would be left, so the very death that a switch is for prevents it; add endpoints of other providers or lower the quorum of chain {name}",
            producer.name, chain.quorum
        ));
    }
    Ok(())
}

// === the parts ===

/// What fails together: the host; on loopback every port is its own node.
fn machine(endpoint: &EndpointConfig) -> String {
    let bare = endpoint
        .label
        .split_once("://")
        .map_or(endpoint.label.as_str(), |(_, rest)| rest);
    let authority = bare.split('/').next().unwrap_or(bare);
    match url::check(&endpoint.url) {
        Ok(checked) if !checked.loopback => checked.host,
        _ => authority.to_owned(),
    }
}

fn providers<'a>(endpoints: impl Iterator<Item = &'a EndpointConfig>) -> BTreeSet<&'a str> {
    endpoints.map(|e| e.provider.as_str()).collect()
}

fn providers_left(chain: &ChainConfig, death: &Death) -> usize {
    providers(chain.endpoints.iter().filter(|e| !death.takes(e))).len()
}

fn deaths(chain: &ChainConfig, producers: &[&ProducerConfig]) -> Vec<Death> {
    let nodes = producers
        .iter()
        .flat_map(|p| &p.keys)
        .filter_map(|k| k.node.as_ref())
        .map(|n| Death::Node(machine(n)));
    let providers = chain
        .endpoints
        .iter()
        .map(|e| Death::Provider(e.provider.clone()));
    let mut seen = BTreeSet::new();
    nodes
        .chain(providers)
        .filter(|d| seen.insert(d.clone()))
        .collect()
}

fn loss(chain: &ChainConfig, producers: &[&ProducerConfig], death: Death) -> Loss {
    let left = providers_left(chain, &death);
    let mut lost = Vec::new();
    let mut kept = Vec::new();
    let agrees = left >= chain.quorum;
    if !agrees {
        lost.push(format!(
            "no quorum ({left} of {} needed): no fault can be judged and nothing switched on {}",
            chain.quorum, chain.spec.name
        ));
    }
    for producer in producers {
        let dead: BTreeMap<usize, bool> = producer
            .keys
            .iter()
            .enumerate()
            .map(|(i, k)| (i, k.node.as_ref().is_some_and(|n| death.takes(n))))
            .collect();
        let is_dead = |i: usize| dead.get(&i).copied().unwrap_or(false);
        if !dead.values().any(|d| *d) {
            continue;
        }
        let ready: Vec<usize> = producer
            .keys
            .iter()
            .enumerate()
            .filter(|(i, k)| (k.node.is_some() || k.assume_ready) && !is_dead(*i))
            .map(|(i, _)| i)
            .collect();
        let name = format!("{}/{}", producer.chain, producer.name);
        if !is_dead(0) {
            let standby = ready.iter().find(|i| **i != 0);
            match standby {
                Some(i) => kept.push(format!("{name} still has keys[{i}] as standby")),
                None => lost.push(format!("{name} has no ready standby left")),
            }
        } else if producer.authority.is_empty() {
            lost.push(format!(
                "{name} stops producing with its first key, and no authority is configured to switch it"
            ));
        } else if let (true, Some(i)) = (agrees, ready.first()) {
            kept.push(format!("{name} moves from keys[0] to keys[{i}]"));
        } else if ready.is_empty() {
            let then = match producer.when_exhausted {
                WhenExhausted::Hold => "it keeps its key and misses",
                WhenExhausted::Disable if agrees => "it is disabled once disable_when holds",
                WhenExhausted::Disable => "it cannot even be disabled",
            };
            lost.push(format!("{name} has no ready standby: {then}"));
        } else {
            lost.push(format!("{name} stays on its dead node"));
        }
    }
    Loss {
        chain: chain.spec.name.clone(),
        death,
        providers_left: left,
        quorum: chain.quorum,
        lost,
        kept,
    }
}

// === impl Death ===

impl Death {
    fn takes(&self, endpoint: &EndpointConfig) -> bool {
        match self {
            Self::Node(machine_name) => machine(endpoint) == *machine_name,
            Self::Provider(provider) => endpoint.provider == *provider,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node {name}"),
            Self::Provider(name) => write!(f, "provider {name}"),
        }
    }
}

// === impl Loss ===

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} dies: ", self.chain, self.death)?;
        if self.lost.is_empty() {
            write!(
                f,
                "all can still be done ({} providers left, {} needed)",
                self.providers_left, self.quorum
            )?;
        } else {
            f.write_str(&self.lost.join("; "))?;
        }
        if !self.kept.is_empty() {
            write!(f, "; {}", self.kept.join("; "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A chain with these endpoints (url, provider), and a producer with keys on these nodes.
    fn config(quorum: &str, endpoints: &[(&str, &str)], nodes: [&str; 2], more: &str) -> Config {
        let endpoints: Vec<String> = endpoints
            .iter()
            .map(|(url, provider)| format!("{{url: '{url}', provider: {provider}}}"))
            .collect();
        let text = format!(
            "chains: [{{name: hive, protocol: hive, {quorum} endpoints: [{}]}}]\n\
             producers:\n  - chain: hive\n    name: alice\n    keys:\n\
             \x20     - {{signing_key: STM5YHnNgis74GWeARGtzkjYwfwLnvih4Y5fG5vHyPseKzomk9NSE, node: '{}'}}\n\
             \x20     - {{signing_key: STM7aDRDWUTLHKKdmJQYmReMFSrFmMP4rW4h5Qyx9KXVZuqgPCqQ1, node: '{}'}}\n\
             \x20   authority: [{{method: witness_set_properties, key_files: [a, b]}}]\n{more}",
            endpoints.join(", "),
            nodes[0],
            nodes[1]
        );
        super::super::parse(&text, Path::new("")).unwrap_or_else(|e| panic!("{e}\n{text}"))
    }

    const THREE: [(&str, &str); 3] = [
        ("https://a.example", "a"),
        ("https://b.example", "b"),
        ("https://c.example", "c"),
    ];
    const APART: [&str; 2] = ["https://n1.example", "https://n2.example"];

    #[test]
    fn three_providers_and_two_nodes_apart_survive_any_one_death_of_a_provider() {
        let config = config("", &THREE, APART, "");
        let losses = simulate(&config);
        assert_eq!(losses.len(), 5);
        for loss in &losses {
            assert_eq!(loss.quorum, 2);
            match &loss.death {
                Death::Provider(_) => assert_eq!((loss.providers_left, loss.lost.len()), (2, 0)),
                Death::Node(_) => assert_eq!(loss.providers_left, 3),
            }
        }
        assert_eq!(losses[0].death, Death::Node("n1.example".to_owned()));
        assert_eq!(losses[0].kept, ["hive/alice moves from keys[0] to keys[1]"]);
        assert_eq!(losses[1].lost, ["hive/alice has no ready standby left"]);
        assert_eq!(may_arm(&config), Ok(()));
    }

    #[test]
    fn both_keys_on_one_machine_die_together() {
        let config = config(
            "",
            &THREE,
            ["https://n1.example:1", "https://n1.example:2"],
            "",
        );
        let losses = simulate(&config);
        assert_eq!(losses.len(), 4);
        assert_eq!(
            losses[0].lost,
            ["hive/alice has no ready standby: it keeps its key and misses"]
        );
    }

    #[test]
    fn on_loopback_each_port_is_its_own_node() {
        let config = config("", &THREE, ["http://127.0.0.1:1", "http://127.0.0.1:2"], "");
        assert_eq!(simulate(&config).len(), 5);
    }

    #[test]
    fn a_provider_with_two_endpoints_is_one_vote() {
        let endpoints = [
            ("https://a1.example", "a"),
            ("https://a2.example", "a"),
            ("https://b.example", "b"),
            ("https://c.example", "c"),
        ];
        let config = config("quorum: 3,", &endpoints, APART, "");
        let losses = simulate(&config);
        let of = |name: &str| {
            losses
                .iter()
                .find(|l| l.death == Death::Provider(name.to_owned()))
                .map(|l| (l.providers_left, l.lost.is_empty()))
        };
        assert_eq!(of("a"), Some((2, false)));
        assert_eq!(of("b"), Some((2, false)));
    }

    #[test]
    fn arming_is_refused_where_the_primary_takes_the_quorum_with_it() {
        let on_a = ["https://a.example:9000", "https://n2.example"];
        let on_second = ["https://n1.example", "https://a.example"];
        let two = &THREE[..2];
        let one = &THREE[..1];
        for (quorum, endpoints, nodes, allowed) in [
            ("", &THREE[..], APART, true),
            ("", &THREE[..], on_a, true),
            ("quorum: 3,", &THREE[..], APART, true),
            ("quorum: 3,", &THREE[..], on_a, false),
            ("quorum: 3,", &THREE[..], on_second, true),
            ("", two, APART, false),
            ("quorum: 2,", two, APART, false),
            ("quorum: 1,", two, on_a, true),
            ("", one, APART, false),
            ("quorum: 1,", one, APART, true),
            ("quorum: 1,", one, on_a, false),
        ] {
            let config = config(quorum, endpoints, nodes, "");
            assert_eq!(
                may_arm(&config).is_ok(),
                allowed,
                "{quorum:?} {} endpoints, nodes {nodes:?}",
                endpoints.len()
            );
        }
    }

    #[test]
    fn a_lost_quorum_leaves_the_producer_on_its_dead_node() {
        let config = config(
            "quorum: 3,",
            &THREE,
            ["https://a.example", "https://n2.example"],
            "",
        );
        let losses = simulate(&config);
        assert_eq!(
            losses[0].to_string(),
            "hive: node a.example dies: no quorum (2 of 3 needed): no fault can be judged and nothing switched on hive; \
             hive/alice stays on its dead node"
        );
    }
}
