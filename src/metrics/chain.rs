//! One chain's snapshot as sample lines. Pure: the snapshot, the configured keys and the key texts come in, lines go out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::names::Name;
use super::page::Bodies;
use crate::chain::Finalizer;
use crate::clock::Millis;
use crate::config::Config;
use crate::keys::PublicKey;
use crate::rpc::{Disagreement, LATENCY_BUCKETS, RpcOutcome};
use crate::watch::{Fault, ProducerSnapshot, Readiness, Snapshot};

/// What of the configuration the lines of one chain need.
#[derive(Debug, Clone, Default)]
pub struct ChainKeys {
    /// Prefix of keys in text.
    prefix: String,
    /// Configured keys of each producer, in order of preference.
    producers: BTreeMap<String, Vec<PublicKey>>,
    /// Text forms: a checksum and base 58 for each key and scrape would cost more than all the rest of the page.
    texts: HashMap<PublicKey, Arc<str>>,
}

/// Seconds, as Prometheus wants times.
#[must_use]
pub fn seconds(ms: Millis) -> f64 {
    // Exact: chain times and clocks stay far below 2^53 ms.
    ms as f64 / 1000.0
}

// === impl ChainKeys ===

impl ChainKeys {
    /// The keys of chain `name` in `config`.
    #[must_use]
    pub fn new(config: &Config, name: &str) -> Self {
        Self {
            prefix: config
                .chain(name)
                .map(|c| c.spec.address_prefix.clone())
                .unwrap_or_default(),
            producers: config
                .producers
                .iter()
                .filter(|p| p.chain == name)
                .map(|p| {
                    (
                        p.name.clone(),
                        p.keys.iter().map(|k| k.signing_key).collect(),
                    )
                })
                .collect(),
            texts: HashMap::new(),
        }
    }

    /// Prefix of keys in text.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key in the chain's text form.
    fn text(&mut self, key: &PublicKey) -> Arc<str> {
        if let Some(text) = self.texts.get(key) {
            return Arc::clone(text);
        }
        let text: Arc<str> = key.to_text(&self.prefix).into();
        self.texts.insert(*key, Arc::clone(&text));
        text
    }

    /// `primary`, `standby`, `null` or `foreign`. A producer that is only watched has no list that a key could be
    /// foreign to: whatever it registers is its primary.
    #[must_use]
    pub fn role(&self, producer: &str, key: &PublicKey) -> &'static str {
        if key.is_null() {
            return "null";
        }
        match self.producers.get(producer).map(Vec::as_slice) {
            None | Some([]) => "primary",
            Some([first, ..]) if first == key => "primary",
            Some(keys) if keys.contains(key) => "standby",
            Some(_) => "foreign",
        }
    }

    /// Keeps the cache of texts from growing with keys long gone.
    fn prune(&mut self, snapshot: &Snapshot) {
        let live: usize = snapshot
            .producers
            .values()
            .map(|p| p.keys.len().saturating_add(4))
            .sum();
        if self.texts.len() > live.saturating_mul(2).saturating_add(64) {
            self.texts.clear();
        }
    }
}

/// Every line that depends on the snapshot alone, so that it can be kept until the next snapshot.
#[must_use]
pub(super) fn render(snapshot: &Snapshot, keys: &mut ChainKeys) -> Bodies {
    let mut out = Bodies::default();
    keys.prune(snapshot);
    chain_lines(&mut out, snapshot);
    endpoint_lines(&mut out, snapshot);
    let shared = shared_keys(snapshot);
    for (name, producer) in &snapshot.producers {
        producer_lines(&mut out, &snapshot.chain, name, producer, keys, &shared);
        if let Some(finalizer) = snapshot.finalizers.get(name) {
            finalizer_lines(&mut out, &[&snapshot.chain, name], finalizer);
        }
    }
    out
}

/// Lines that move with the clock: ages must grow even when the poll loop stands still.
pub(super) fn render_ages(out: &mut Bodies, snapshot: &Snapshot, now: Millis) {
    let mut seen = BTreeSet::new();
    for endpoint in &snapshot.endpoints {
        if !seen.insert(endpoint.label.as_str()) {
            continue;
        }
        if let Some(time) = endpoint.head_time {
            out.put(
                Name::RpcHeadAge,
                &[&snapshot.chain, &endpoint.label],
                seconds(now.saturating_sub(time)),
            );
        }
    }
}

fn chain_lines(out: &mut Bodies, snapshot: &Snapshot) {
    let chain = &[snapshot.chain.as_str()];
    if let Some(view) = &snapshot.last_view {
        out.put(Name::ChainHead, chain, view.head.num);
        out.put(Name::ChainHeadTime, chain, seconds(view.head.time));
        out.put(Name::ChainIrreversible, chain, view.irreversible);
        if let Some(share) = view.participation {
            out.put(Name::ChainParticipation, chain, share);
        }
        out.put(Name::ChainObservation, chain, seconds(view.observed_at));
    }
    let agreeing = agreeing(snapshot);
    out.put(Name::ChainAgreeing, chain, agreeing as u64);
    out.put(Name::ChainQuorum, chain, snapshot.quorum as u64);
    out.put(
        Name::ChainQuorumSlack,
        chain,
        agreeing as f64 - snapshot.quorum as f64,
    );
    out.put(Name::ChainSlots, chain, snapshot.slots.slots);
    out.put(Name::ChainMissedSlots, chain, snapshot.slots.missed);
    out.put(Name::ChainLedgerCaughtUp, chain, snapshot.slots.caught_up);
}

/// Providers that stand behind the last poll's view. Without a view nobody is said to agree beyond what is known: a
/// fork or contradiction must never read as a quorum.
#[must_use]
pub fn agreeing(snapshot: &Snapshot) -> usize {
    match &snapshot.agreement {
        Ok(view) => view.agreeing,
        Err(Disagreement::TooFew { fresh, quorum, .. }) => (*fresh).min(quorum.saturating_sub(1)),
        Err(_) => 0,
    }
}

fn endpoint_lines(out: &mut Bodies, snapshot: &Snapshot) {
    let mut seen = BTreeSet::new();
    for endpoint in &snapshot.endpoints {
        // Two URLs that differ in credentials only have one label; a series given twice fails the whole scrape.
        if !seen.insert(endpoint.label.as_str()) {
            continue;
        }
        let labels = &[snapshot.chain.as_str(), endpoint.label.as_str()];
        out.put(Name::RpcUp, labels, endpoint.up);
        out.put(Name::RpcSecure, labels, endpoint.secure);
        for outcome in RpcOutcome::ALL {
            let count = endpoint.requests.get(&outcome).copied().unwrap_or(0);
            out.put(
                Name::RpcRequests,
                &[labels[0], labels[1], outcome.as_str()],
                count,
            );
        }
        out.histogram(
            Name::RpcDuration,
            labels,
            &LATENCY_BUCKETS,
            &endpoint.latency_buckets,
            endpoint.latency_sum,
            endpoint.latency_count,
        );
        if let Some(lag) = endpoint.lag {
            out.put(Name::RpcLag, labels, lag);
        }
        if let Some(matches) = endpoint.chain_id_match {
            out.put(Name::RpcChainId, labels, matches);
        }
        if let Some(expiry) = endpoint.certificate_expiry {
            out.put(Name::RpcCertExpiry, labels, expiry as f64);
        }
    }
}

/// Keys registered by more than one watched producer.
fn shared_keys(snapshot: &Snapshot) -> BTreeSet<PublicKey> {
    let mut seen = BTreeSet::new();
    let mut shared = BTreeSet::new();
    for state in snapshot.producers.values().filter_map(|p| p.state.as_ref()) {
        let key = &state.registered_key;
        if !key.is_null() && !seen.insert(*key) {
            shared.insert(*key);
        }
    }
    shared
}

fn producer_lines(
    out: &mut Bodies,
    chain: &str,
    name: &str,
    producer: &ProducerSnapshot,
    keys: &mut ChainKeys,
    shared: &BTreeSet<PublicKey>,
) {
    let labels = &[chain, name];
    key_counts(out, labels, producer, keys);
    out.put(Name::ProducerRetracted, labels, producer.retracted);
    out.put(
        Name::ProducerConsecutive,
        labels,
        producer.consecutive_missed,
    );
    out.put(Name::ProducerScheduled, labels, producer.scheduled);
    out.put(
        Name::ProducerConflicting,
        labels,
        producer.conflicting_blocks,
    );
    if let Some((num, time)) = producer.last_block {
        out.put(Name::ProducerLastBlock, labels, num);
        out.put(Name::ProducerLastBlockTime, labels, seconds(time));
    }
    if let Some(slot) = producer.next_slot {
        out.put(Name::ProducerNextSlot, labels, seconds(slot));
    }
    if let Some(state) = &producer.state {
        let registered = keys.text(&state.registered_key);
        let effective = keys.text(&state.effective_key);
        for (scope, key, text) in [
            ("registered", &state.registered_key, &registered),
            ("effective", &state.effective_key, &effective),
        ] {
            let role = keys.role(name, key);
            out.put(
                Name::ProducerKeyInfo,
                &[chain, name, text, scope, role],
                true,
            );
        }
        out.put(Name::ProducerEnabled, labels, state.enabled);
        if let Some(missed) = state.reported_missed {
            out.put(Name::ProducerReported, labels, missed);
        }
        if let Some(version) = &state.version {
            out.put(Name::ProducerVersionInfo, &[chain, name, version], true);
        }
        if let Some(unpaid) = state.unpaid_blocks {
            out.put(Name::ProducerUnpaid, labels, unpaid);
        }
        if let Some(time) = state.feed_time {
            out.put(Name::ProducerFeedTime, labels, seconds(time));
        }
        if !state.registered_key.is_null() {
            let fault = match producer.fault {
                Fault::No => Some(false),
                Fault::Yes(_) => Some(true),
                Fault::Unknown => None,
            };
            if let Some(fault) = fault {
                out.put(Name::ProducerFault, &[chain, name, &registered], fault);
            }
            let duplicate =
                producer.conflicting_blocks > 0 || shared.contains(&state.registered_key);
            out.put(
                Name::ProducerDuplicateKey,
                &[chain, name, &registered],
                duplicate,
            );
        }
    }
    for (key, node) in &producer.nodes {
        let text = keys.text(key);
        let labels = &[chain, name, &*text];
        if let Some(up) = node.up {
            out.put(Name::NodeUp, labels, up);
        }
        if let Some(lag) = node.lag {
            out.put(Name::NodeLag, labels, lag);
        }
    }
    for (key, ready) in &producer.ready {
        let text = keys.text(key);
        out.put(
            Name::StandbyReady,
            &[chain, name, &*text],
            matches!(ready, Readiness::Ready),
        );
    }
}

fn finalizer_lines(out: &mut Bodies, labels: &[&str; 2], finalizer: &Finalizer) {
    let [chain, name] = *labels;
    for (scope, key) in [
        ("active", Some(finalizer.active_key.as_str())),
        ("pending", finalizer.pending_key.as_deref()),
    ] {
        if let Some(key) = key.filter(|key| !key.is_empty()) {
            let labels = &[chain, name, key, scope];
            out.put(Name::ProducerFinalizerInfo, labels, true);
        }
    }
    if let Some((num, time)) = finalizer.last_vote {
        out.put(Name::ProducerVoteBlock, labels, num);
        out.put(Name::ProducerVoteTime, labels, seconds(time));
    }
}

/// Misses and blocks of each key: those counted, and at 0 those configured or registered, so that the first miss is
/// an increase and not the birth of a series.
fn key_counts(
    out: &mut Bodies,
    labels: &[&str; 2],
    producer: &ProducerSnapshot,
    keys: &mut ChainKeys,
) {
    let mut counts: BTreeMap<Option<PublicKey>, crate::watch::KeyCounts> = producer.keys.clone();
    for key in keys.producers.get(labels[1]).into_iter().flatten() {
        counts.entry(Some(*key)).or_default();
    }
    if let Some(state) = &producer.state
        && !state.effective_key.is_null()
    {
        counts.entry(Some(state.effective_key)).or_default();
    }
    for (key, count) in counts {
        let text = match &key {
            Some(key) => keys.text(key),
            None => "unknown".into(),
        };
        let labels = &[labels[0], labels[1], &*text];
        out.put(Name::ProducerMissed, labels, count.missed);
        out.put(Name::ProducerProduced, labels, count.produced);
    }
}
