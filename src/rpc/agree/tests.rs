//! What endpoints may say, and what becomes of it: the words for it, and the tables below.

mod content;
mod fast;
mod numbers;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::chain::{Block, BlockRef, Observation, ProducerState, Schedule};
use crate::keys::PublicKey;
use crate::rpc::types::{EndpointError, RpcOutcome};

/// Head time of block 100; blocks come every 3 s.
const T100: Millis = 1_795_244_400_000;
/// A moment after block 100.
const NOW: Millis = T100 + 500;

fn key(n: u8) -> PublicKey {
    PublicKey::from_bytes([n; 33])
}

/// The id of block `num`; from `fork` on it is another branch's.
fn id(num: u64, fork: Option<u64>) -> BlockId {
    let branch = fork.filter(|from| num >= *from).map_or(0, |from| from + 1);
    BlockId(format!("{num:08x}{branch:032x}"))
}

fn time(num: u64) -> Millis {
    T100 + (i64::try_from(num).unwrap() - 100) * 3000
}

fn block(num: u64, fork: Option<u64>) -> Block {
    Block {
        num,
        id: id(num, fork),
        previous: id(num - 1, fork),
        time: time(num),
        producer: format!("w{}", num % 3),
        signing_key: Some(key(9)),
        key_changes: Vec::new(),
        schedule_version: None,
        slot: None,
    }
}

fn alice(signing: PublicKey) -> ProducerState {
    ProducerState {
        registered_key: signing,
        effective_key: signing,
        enabled: true,
        url: "u".into(),
        props: json!({"fee": "3.000"}),
        reported_missed: Some(100),
        last_block: Some(7),
        version: None,
        feed_time: None,
        coming: None,
        unpaid_blocks: None,
    }
}

/// What an honest endpoint at head `num` says: it was asked for blocks 99..=101.
fn at(num: u64) -> Observation {
    on_fork(num, None)
}

fn on_fork(num: u64, fork: Option<u64>) -> Observation {
    Observation {
        chain_id: None,
        head: BlockRef {
            num,
            id: id(num, fork),
            time: time(num),
        },
        head_slot: num + 1000,
        irreversible: num - 15,
        settled: true,
        participation: Some(0.9),
        schedule: Some(schedule(num, "a b c")),
        producers: [("alice".to_owned(), Some(alice(key(1))))].into(),
        blocks: (99..=num.min(101)).map(|n| block(n, fork)).collect(),
        active_keys: BTreeMap::new(),
        aliases: None,
        finalizers: None,
        election: None,
        slack: 0,
    }
}

fn schedule(read_at: u64, order: &str) -> Schedule {
    Schedule {
        read_at,
        until: 120,
        order: order.split(' ').map(str::to_owned).collect(),
        turn: 1,
        version: None,
    }
}

fn with_key(mut seen: Observation, n: u8) -> Observation {
    seen.producers = [("alice".to_owned(), Some(alice(key(n))))].into();
    seen
}

fn unsettled(mut seen: Observation) -> Observation {
    seen.settled = false;
    seen.schedule = None;
    seen
}

fn without_blocks(mut seen: Observation) -> Observation {
    seen.blocks.clear();
    seen
}

fn for_chain(mut seen: Observation, chain: &str) -> Observation {
    seen.chain_id = Some(chain.into());
    seen
}

fn failed(outcome: RpcOutcome, detail: &str) -> Option<Result<Observation, EndpointError>> {
    Some(Err(EndpointError {
        outcome,
        detail: detail.into(),
    }))
}

/// One endpoint's part: `None` = silent.
type Said = Option<Result<Observation, EndpointError>>;

fn said(seen: Observation) -> Said {
    Some(Ok(seen))
}

fn rules(quorum: usize, providers: &[&str]) -> Rules {
    Rules {
        quorum,
        providers: providers.iter().map(|p| (*p).to_owned()).collect(),
        interval_ms: 3000,
        stale_ms: 2 * 3000,
        chain_id: Some("ours".into()),
        disputes: BTreeMap::new(),
    }
}

fn run(rules: &Rules, said: Vec<Said>) -> Result<View, Disagreement> {
    run_knowing(rules, said, &|_| None)
}

fn run_knowing(
    rules: &Rules,
    said: Vec<Said>,
    known: &(dyn Fn(u64) -> Option<BlockId> + Sync),
) -> Result<View, Disagreement> {
    let reports: Vec<EndpointReport> = said
        .into_iter()
        .enumerate()
        .map(|(index, observation)| EndpointReport {
            index,
            observation,
            latency: Duration::ZERO,
            clock_offset: None,
        })
        .collect();
    agree(rules, &reports, known, NOW)
}

/// A result in one line: `head/agreeing/key[~]` (`~` = settling) or the kind of disagreement.
fn line(result: &Result<View, Disagreement>) -> String {
    match result {
        Ok(view) => {
            let alice = &view.producers["alice"];
            let key = alice
                .state
                .as_ref()
                .map_or(0, |state| state.registered_key.as_bytes()[0]);
            let settling = if alice.settling { "~" } else { "" };
            format!("{}/{}/{key}{settling}", view.head.num, view.agreeing)
        }
        Err(Disagreement::TooFew { fresh, quorum, .. }) => format!("too few {fresh}/{quorum}"),
        Err(Disagreement::Fork { height, .. }) => format!("fork {height}"),
        Err(Disagreement::Contradicted { .. }) => "contradicted".into(),
        Err(Disagreement::State { producer, .. }) => format!("state {producer}"),
    }
}
