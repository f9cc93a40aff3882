//! Every metric, once: name, kind, labels and a help text for a person at 3 a.m. Pages, docs/metrics.md and the
//! process's own counters are all made from this table; nothing else spells a metric name.

/// Kind of a metric, as in its `# TYPE` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Full name, prefix included.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it says and what to do about it.
    pub help: &'static str,
}

/// Writes the enum of names and the table from one list, so that they cannot part.
macro_rules! metrics {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// A metric: index into [`TABLE`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Name {
            $(#[doc = $help] $id),*
        }

        /// Every metric, in the order of the page.
        pub const TABLE: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help }),*
        ];
    };
}

metrics! {
    BuildInfo: Gauge "slotkeeper_build_info" ["version"]
        "Always 1; the label says which slotkeeper this is.";
    ProcessStart: Gauge "process_start_time_seconds" []
        "When this process started, Unix time. A recent value explains counters that begin at 0.";
    ConfigReload: Gauge "slotkeeper_config_last_reload_successful" []
        "1 when the last (re)load of the configuration worked. At 0 the previous configuration is still in force: run check-config.";
    ConfigReloadTime: Gauge "slotkeeper_config_last_reload_success_timestamp_seconds" []
        "When the configuration in force was loaded, Unix time.";
    TaskLastTick: Gauge "slotkeeper_task_last_tick_timestamp_seconds" ["task"]
        "When each loop of this process last went round, Unix time. One that stands still is stuck; /-/ready then says so.";

    ChainHead: Gauge "slotkeeper_chain_head_block_number" ["chain"]
        "Highest block that a quorum of providers has, on one fork. From the last poll, not from this scrape.";
    ChainHeadTime: Gauge "slotkeeper_chain_head_timestamp_seconds" ["chain"]
        "Slot time of that block, Unix time. When it stops moving, the chain or all endpoints have stopped.";
    ChainIrreversible: Gauge "slotkeeper_chain_irreversible_block_number" ["chain"]
        "Highest irreversible block that a quorum of providers names.";
    ChainParticipation: Gauge "slotkeeper_chain_participation_ratio" ["chain"]
        "Share of recent slots that were filled, by the nodes' own figure (median). Below 0.67 nothing is switched.";
    ChainObservation: Gauge "slotkeeper_chain_observation_timestamp_seconds" ["chain"]
        "When the providers last agreed on a view, Unix time, local clock. When it is old, nothing can be switched.";
    ChainAgreeing: Gauge "slotkeeper_chain_agreeing_providers" ["chain"]
        "Providers that share the view of the last poll; where there was no view, those with a fresh answer for the right chain.";
    ChainQuorum: Gauge "slotkeeper_chain_quorum_providers" ["chain"]
        "Providers that must agree before anything is believed.";
    ChainQuorumSlack: Gauge "slotkeeper_chain_quorum_slack" ["chain"]
        "Agreeing providers beyond the quorum. At 0 the next failure stops switching, below 0 it has stopped: look at rpc_up.";
    ChainSlots: Counter "slotkeeper_chain_slots_total" ["chain"]
        "Slots judged by the ledger.";
    ChainMissedSlots: Counter "slotkeeper_chain_missed_slots_total" ["chain"]
        "Slots judged missed, whoever had them.";
    ChainLedgerCaughtUp: Gauge "slotkeeper_chain_ledger_caught_up" ["chain"]
        "1 when every slot up to the agreed head is judged. At 0 faults are unknown and nothing acts on them.";

    ProducerMissed: Counter "slotkeeper_producer_missed_blocks_total" ["chain", "producer", "signing_key"]
        "Slots the producer missed while this key was in effect. signing_key unknown: the key could not be told; never acted on.";
    ProducerProduced: Counter "slotkeeper_producer_produced_blocks_total" ["chain", "producer", "signing_key"]
        "Blocks of the producer signed by this key.";
    ProducerRetracted: Counter "slotkeeper_producer_retracted_misses_total" ["chain", "producer"]
        "Misses that a reorganisation took back after they had been counted.";
    ProducerConsecutive: Gauge "slotkeeper_producer_consecutive_missed_blocks" ["chain", "producer"]
        "Misses in a row under the registered key, up to now; a block signed by it makes this 0. Where turns have several slots (Antelope): empty turns, counted when they are over.";
    ProducerReported: Gauge "slotkeeper_producer_reported_missed_blocks" ["chain", "producer"]
        "The chain's own count of misses for this producer. It may fall (forks, lagging nodes): never take increase() of it.";
    ProducerFault: Gauge "slotkeeper_producer_fault" ["chain", "producer", "signing_key"]
        "1 when the registered key is at fault by the configured definition, 0 when not; absent while that is not known.";
    ProducerLastBlock: Gauge "slotkeeper_producer_last_block_number" ["chain", "producer"]
        "Number of the last block seen of the producer.";
    ProducerLastBlockTime: Gauge "slotkeeper_producer_last_block_timestamp_seconds" ["chain", "producer"]
        "Slot time of that block, Unix time.";
    ProducerNextSlot: Gauge "slotkeeper_producer_next_slot_timestamp_seconds" ["chain", "producer"]
        "When the producer has its next slot, Unix time, where the schedule tells.";
    ProducerScheduled: Gauge "slotkeeper_producer_scheduled" ["chain", "producer"]
        "1 when the producer is in the schedule in force.";
    ProducerEnabled: Gauge "slotkeeper_producer_enabled" ["chain", "producer"]
        "0 when the chain has the producer disabled: null key, unregistered, or shut down by the chain itself.";
    ProducerKeyInfo: Gauge "slotkeeper_producer_signing_key_info" ["chain", "producer", "signing_key", "scope", "role"]
        "Always 1; which key is registered and which is in effect. Role: primary, standby, null (disabled) or foreign (not in the configuration: an operator's hand; left alone).";
    ProducerUnpaid: Gauge "slotkeeper_producer_unpaid_blocks" ["chain", "producer"]
        "The node's own count of blocks not yet paid for (Antelope). It falls to 0 when the producer claims: a fall is never a miss.";
    ProducerActivationSince: Gauge "slotkeeper_producer_activation_pending_since_timestamp_seconds" ["chain", "producer"]
        "Since when a registered key has been waiting to be in force, Unix time; absent when none waits. Until then the key before it signs and gets the misses.";
    ProducerActivationExpected: Gauge "slotkeeper_producer_activation_expected_seconds" ["chain", "producer"]
        "How long that usually takes from the registration on: the longest of the last ones seen, else an estimate; absent when none waits.";
    ProducerFinalizerInfo: Gauge "slotkeeper_producer_finalizer_key_info" ["chain", "producer", "finalizer_key", "scope"]
        "Always 1; the finalizer key of the producer in the active and in the pending finalizer policy (Savanna). It should be the one of the host that produces.";
    ProducerVoteBlock: Gauge "slotkeeper_producer_finalizer_last_vote_block_number" ["chain", "producer"]
        "Number of the last block that the producer's finalizer voted for, where endpoints track votes.";
    ProducerVoteTime: Gauge "slotkeeper_producer_finalizer_last_vote_timestamp_seconds" ["chain", "producer"]
        "Slot time of that block, Unix time. When it stands still while the chain goes on, the finalizer does not vote: look at its node and its key.";
    ProducerVersionInfo: Gauge "slotkeeper_producer_version_info" ["chain", "producer", "version"]
        "Always 1; the node software that the producer says it runs.";
    ProducerFeedTime: Gauge "slotkeeper_producer_feed_timestamp_seconds" ["chain", "producer"]
        "When the producer last published a price feed, Unix time.";
    ProducerConflicting: Counter "slotkeeper_producer_conflicting_blocks_total" ["chain", "producer"]
        "Slots at which two different blocks signed by the producer were seen. Above 0: two nodes may be running with one key; stop one.";
    ProducerDuplicateKey: Gauge "slotkeeper_producer_duplicate_signing_key" ["chain", "producer", "signing_key"]
        "1 when the registered key seems to be on two nodes: it was seen signing two blocks for one slot, or another producer has registered it too.";
    NodeUp: Gauge "slotkeeper_node_up" ["chain", "producer", "signing_key"]
        "1 when the node that holds this key answers its probe, 0 after three failures in a row; absent before its first answer.";
    NodeLag: Gauge "slotkeeper_node_head_lag_blocks" ["chain", "producer", "signing_key"]
        "Blocks that the node is behind the agreed head; absent while it does not answer.";
    StandbyReady: Gauge "slotkeeper_standby_ready" ["chain", "producer", "signing_key"]
        "1 when this key could take over now. At 0 for every key but the registered one, a failover has nowhere to go.";

    RpcUp: Gauge "slotkeeper_rpc_up" ["chain", "endpoint"]
        "1 when the endpoint answered the last poll properly and for the right chain.";
    RpcRequests: Counter "slotkeeper_rpc_requests_total" ["chain", "endpoint", "outcome"]
        "Requests to the endpoint by how they ended.";
    RpcDuration: Histogram "slotkeeper_rpc_request_duration_seconds" ["chain", "endpoint"]
        "Time to the endpoint's full answer.";
    RpcLag: Gauge "slotkeeper_rpc_head_lag_blocks" ["chain", "endpoint"]
        "Blocks that the endpoint is behind the agreed head.";
    RpcHeadAge: Gauge "slotkeeper_rpc_head_age_seconds" ["chain", "endpoint"]
        "Age of the endpoint's head block by the local clock. Large on one endpoint: it is stale; on all: the chain or our clock.";
    RpcChainId: Gauge "slotkeeper_rpc_chain_id_match" ["chain", "endpoint"]
        "0 when the endpoint serves another chain; absent until asked.";
    RpcSecure: Gauge "slotkeeper_rpc_secure" ["chain", "endpoint"]
        "1 for https or loopback.";
    RpcCertExpiry: Gauge "slotkeeper_rpc_certificate_expiry_timestamp_seconds" ["chain", "endpoint"]
        "When the endpoint's TLS certificate expires, Unix time.";

    ActuatorArmed: Gauge "slotkeeper_actuator_armed" ["chain", "producer"]
        "1 when a fault of this producer would be acted on (global and per-producer switch together). At 0 only people act.";
    ActuatorAble: Gauge "slotkeeper_actuator_able" ["chain", "producer"]
        "1 when a switch could be made now: quorum, authority for every listed key, a key at hand. At 0 with armed 1: look at /api/v1/status.";
    ActuatorDecisions: Counter "slotkeeper_actuator_decisions_total" ["chain", "producer", "action", "verdict", "reason"]
        "Decisions, counted when verdict or reason changes. The reasons are explained in the operator's handbook; details at /api/v1/decisions.";
    ActuatorSwitches: Counter "slotkeeper_actuator_switches_total" ["chain", "producer", "outcome"]
        "Switches sent to the chain, by how they ended.";
    ActuatorStage: Histogram "slotkeeper_actuator_stage_duration_seconds" ["chain", "stage"]
        "Time an attempt took to this stage from the one before: signed from the view decided on, effective from inclusion. Where a registered key has to wait, proposed and pending lie between.";
    ActuatorOpen: Gauge "slotkeeper_actuator_open_attempts" ["chain", "producer"]
        "Attempts that may still change the chain. At most 1 for each producer.";
    ActuatorLastSwitch: Gauge "slotkeeper_actuator_last_switch_timestamp_seconds" ["chain", "producer"]
        "When a switch of this producer last took effect, Unix time.";
    ActuatorBudget: Gauge "slotkeeper_actuator_budget_remaining" ["chain", "producer"]
        "Switches left in the budget. At 0 faults are not acted on until the window moves on.";
    ActuatorPinned: Gauge "slotkeeper_actuator_pinned" ["chain", "producer"]
        "1 when an operator has pinned the producer: hands off, whatever happens.";
    ActuatorPending: Gauge "slotkeeper_actuator_pending_requests" []
        "Requests that wait, decided again every tick; the reasons are at /api/v1/decisions.";
    JournalWritable: Gauge "slotkeeper_journal_writable" []
        "1 when the journal took its last write. At 0 nothing is switched: look at the disk that holds the state file.";
    JournalFailures: Counter "slotkeeper_journal_write_failures_total" []
        "Writes to the journal that failed. Nothing is sent that is not first durable, so while this rises nothing is switched: look at the disk.";

    WebhookRequests: Counter "slotkeeper_webhook_requests_total" ["code"]
        "Requests to the Alertmanager webhook by HTTP status. 401/403: wrong token; 429: flood; 503: could not journal.";
    WebhookAlerts: Counter "slotkeeper_webhook_alerts_total" ["action", "status", "reason"]
        "Alerts received by the webhook and what became of them.";
    WebhookTruncated: Counter "slotkeeper_webhook_truncated_alerts_total" []
        "Alerts that Alertmanager left out of its messages. Above 0: remove max_alerts from the webhook receiver.";
    HeartbeatTime: Gauge "slotkeeper_heartbeat_timestamp_seconds" ["source"]
        "When this heartbeat source was last heard, Unix time; absent when never.";
    HeartbeatEvaluated: Gauge "slotkeeper_heartbeat_evaluated_timestamp_seconds" ["source"]
        "The newest evaluated_at of this source, Unix time: when its Prometheus was last alive.";
    HeartbeatOverdue: Gauge "slotkeeper_heartbeat_overdue" ["source"]
        "1 when this source has been silent, or its evaluated_at old, for longer than configured. When all are, the guard's fallback acts by itself.";
    Notifications: Counter "slotkeeper_notifications_total" ["receiver", "outcome"]
        "Messages sent directly to people, by how it ended: delivered; retried (tried again later); refused (by the receiver, for good: look at the log); left_out (beyond the rate limit, or over before it could be told).";
    PingSuccess: Gauge "slotkeeper_ping_last_success_timestamp_seconds" ["ping"]
        "When this checker elsewhere last took a ping, Unix time; absent before the first. Pings stop while anything is not well: a stuck loop, no quorum, armed and not able, a heartbeat overdue.";
}

// === impl Name ===

impl Name {
    /// Its row.
    #[must_use]
    pub fn metric(self) -> &'static Metric {
        &TABLE[self as usize]
    }
}

// === impl Kind ===

impl Kind {
    /// As in `# TYPE`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The reference page docs/metrics.md, made from the table.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Made from the table in `src/metrics/names.rs`; a test holds the two together (`UPDATE_GOLDEN=1 cargo test \
         metrics_reference` rewrites this file).\n\n\
         Chain figures come from the background poll, never from the scrape: \
         `slotkeeper_chain_observation_timestamp_seconds` says how old they are. Counters exist at 0 from the start, \
         except series of decisions and stages, which appear when they first happen. Series of things that are gone \
         (an endpoint taken out of the configuration, a key no longer registered) vanish.\n\n\
         | Metric | Kind | Labels | Meaning |\n|---|---|---|---|\n",
    );
    for metric in TABLE {
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        page.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            metric.name,
            metric.kind.as_str(),
            labels.join(", "),
            metric.help
        ));
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        let mut seen = BTreeSet::new();
        for metric in TABLE {
            assert!(seen.insert(metric.name), "{} twice", metric.name);
            assert!(
                metric.name.starts_with("slotkeeper_")
                    || metric.name == "process_start_time_seconds",
                "{}",
                metric.name
            );
            assert_eq!(
                metric.kind == Kind::Counter,
                metric.name.ends_with("_total"),
                "{}: counters, and only they, end in _total",
                metric.name
            );
            assert!(metric.help.len() > 20, "{} needs a real help", metric.name);
            assert!(!metric.help.contains('\n') && !metric.help.contains('|'));
        }
    }

    #[test]
    fn names_index_their_own_rows() {
        assert_eq!(Name::BuildInfo.metric().name, "slotkeeper_build_info");
        assert_eq!(
            Name::HeartbeatOverdue.metric().name,
            "slotkeeper_heartbeat_overdue"
        );
    }

    #[test]
    fn metrics_reference_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, reference()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), reference());
    }
}
