//! The replay: answers of a recording through `Chain::read`, agreement, the ledger and the fault's judgement, look by look.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use slotkeeper::chain::{self, Call, Memory, Reply};
use slotkeeper::clock::Millis;
use slotkeeper::config::FaultConfig;
use slotkeeper::keys::PublicKey;
use slotkeeper::rpc::agree::{Rules, agree};
use slotkeeper::rpc::{EndpointReport, View};
use slotkeeper::watch::fault::{self, Evidence};
use slotkeeper::watch::ledger::MissEvent;
use slotkeeper::watch::{Fault, Ledger, LedgerRules};

use super::tape::Recording;

const FAULT: FaultConfig = FaultConfig {
    consecutive_misses: 2,
    consecutive_misses_node_healthy: 3,
    allowed_misses: 5,
    miss_window: Duration::from_secs(86_400),
};

/// How a recording is looked at, in milliseconds.
pub(super) struct Pace {
    /// From look to look.
    pub(super) step: Millis,
    /// When in a step it is looked.
    pub(super) look: Millis,
    /// The chain's block interval.
    pub(super) interval: Millis,
    /// When a head is stale.
    pub(super) stale: Millis,
    /// The watched producer's keys.
    pub(super) keys: Vec<PublicKey>,
    /// Whether the recording reaches back to the irreversible block: otherwise only what has begun is restarted.
    pub(super) reaches_back: bool,
}

/// What one endpoint has answered so far.
pub(super) trait Endpoint: Default {
    /// A step begins.
    fn begin(&mut self) {}

    /// One recorded answer.
    fn take(&mut self, line: &Value);

    /// All that it answered in this step is taken; `coming` is what it will answer later.
    fn look_ahead<'a>(&mut self, _coming: impl Iterator<Item = &'a Value>) {}

    /// What it says when asked now.
    fn answer(&self, calls: &[Call]) -> Vec<Reply>;
}

/// One tick of a replay.
pub(super) struct Tick {
    pub(super) now: Millis,
    pub(super) view: View,
    pub(super) misses: Vec<MissEvent>,
    pub(super) caught_up: bool,
    pub(super) fault: Fault,
    pub(super) fault_since: Option<Millis>,
    pub(super) registered: Option<PublicKey>,
    /// The key in force.
    pub(super) effective: Option<PublicKey>,
    /// Misses (or empty turns) in a row, in the window, and unknown ones.
    pub(super) missed: (u32, usize, u32),
    pub(super) last_block: Option<(u64, Millis)>,
}

/// Replays a recording of endpoints `a` and `b`. The ledger comes back beside the ticks. `restart_every`: save and restore
/// so often.
pub(super) fn replay<E: Endpoint>(
    recording: &Recording,
    pace: &Pace,
    quorum: usize,
    restart_every: Option<usize>,
) -> (Ledger, Vec<Tick>) {
    let chain = chain::open(recording.spec.clone());
    let watched = recording.watched();
    let rules = LedgerRules {
        interval: pace.interval,
        turn: chain.turn(),
        miss_window: 86_400_000,
        watch_all: false,
        watched: [(watched.clone(), pace.keys.clone())].into(),
    };
    let names = ["a", "b"];
    let agreement = Rules {
        quorum,
        providers: names.map(str::to_owned).to_vec(),
        interval_ms: pace.interval,
        stale_ms: pace.stale,
        chain_id: None,
        disputes: BTreeMap::new(),
    };
    let mut ledger = Ledger::new(rules.clone());
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    let mut endpoints = names.map(|name| (name, E::default()));
    let mut ticks = Vec::new();
    let mut lines = recording.lines.iter().peekable();
    for step in 0_u32.. {
        if lines.peek().is_none() {
            break;
        }
        let look = Millis::from(step) * pace.step + pace.look;
        let now = recording.start + look;
        for (_, endpoint) in &mut endpoints {
            endpoint.begin();
        }
        while let Some(line) = lines.next_if(|line| Recording::at(line) < look) {
            for (name, endpoint) in &mut endpoints {
                if line["endpoint"] == *name {
                    endpoint.take(line);
                }
            }
        }
        for (name, endpoint) in &mut endpoints {
            endpoint.look_ahead(lines.clone().filter(|line| line["endpoint"] == *name));
        }
        let memory = Memory {
            identity: false,
            producers: vec![watched.clone()],
            blocks: ledger.wanted(now, true),
            authorities: vec![],
            aliases: std::sync::Arc::default(),
        };
        let reports: Vec<EndpointReport> = endpoints
            .iter()
            .enumerate()
            .map(|(index, (_, endpoint))| {
                let replies = endpoint.answer(&chain.survey(&memory));
                EndpointReport {
                    index,
                    observation: Some(Ok(chain.read(&memory, &replies).unwrap())),
                    latency: Duration::from_millis(2),
                    clock_offset: None,
                }
            })
            .collect();
        let view = agree(&agreement, &reports, &|n| ledger.known(n), now);
        let view = view.unwrap_or_else(|e| {
            panic!(
                "step {step}, quorum {quorum}, restart {restart_every:?}: {e}; wanted {:?}",
                memory.blocks
            )
        });
        let applied = ledger.apply(&view);
        assert_eq!(applied.odd, None);
        assert_eq!((applied.reorg, applied.skipped), (None, None));
        let figures = ledger.figures(&watched);
        let caught_up = ledger.slots().caught_up;
        let (fault, fault_since) = fault::judge(
            &FAULT,
            &Evidence {
                figures: &figures,
                caught_up,
                enabled: true,
                in_force: true,
                node_up: None,
            },
        );
        let state = view.producers[&watched].state.as_ref();
        ticks.push(Tick {
            now,
            misses: applied.misses,
            caught_up,
            fault,
            fault_since,
            registered: state.map(|state| state.registered_key),
            effective: figures.key,
            missed: (figures.consecutive, figures.window.len(), figures.unknown),
            last_block: figures.last_block,
            view,
        });
        let dirty = ledger.dirty_rows();
        for (row, json) in &dirty.rows {
            if json.is_empty() {
                rows.remove(row);
            } else {
                rows.insert(row.clone(), json.clone());
            }
        }
        ledger.saved(&dirty);
        let begun = pace.reaches_back || ledger.slots().judged > 0;
        if begun && restart_every.is_some_and(|n| (step as usize + 1).is_multiple_of(n)) {
            let saved: Vec<(String, String)> = rows.clone().into_iter().collect();
            ledger = Ledger::restore(rules.clone(), &saved).unwrap();
        }
    }
    (ledger, ticks)
}
