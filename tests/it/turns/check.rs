//! The ledger against the devnet's own record, slot by slot, key by key.

use std::collections::{BTreeMap, BTreeSet};

use slotkeeper::devnet::antelope::Finality;
use slotkeeper::devnet::chain::SlotRecord;
use slotkeeper::keys::PublicKey;

use super::plan::Read;
use super::world::{ALICE, World};

/// What the comparison was about.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Turns of alice in the span compared.
    pub(super) turns: usize,
    /// Her missed slots.
    pub(super) missed: usize,
    /// Keys they belong to.
    pub(super) keys_missed: usize,
    /// Misses with an owner and without a key.
    pub(super) keyless: usize,
    /// Misses without an owner.
    pub(super) ownerless: usize,
    pub(super) ticks: usize,
    pub(super) blind: usize,
    pub(super) restarts: usize,
    pub(super) kills: usize,
    pub(super) reorgs: usize,
}

/// Counts of one producer: missed and produced by key.
#[derive(Debug, Default)]
struct Counts {
    missed: BTreeMap<PublicKey, u64>,
    produced: BTreeMap<PublicKey, u64>,
    keyless: u64,
    ownerless: u64,
}

pub(super) fn compare(world: &World) -> Found {
    let what = format!("{:?}, seed {}", world.plan.protocol, world.plan.seed);
    let truth = world.devnet.truth(usize::MAX);
    let prefix = world.devnet.prefix();
    let anchor = world.anchor.expect("a first view");
    let first = truth
        .slots
        .iter()
        .find(|s| s.block.as_ref().is_some_and(|(num, ..)| *num == anchor))
        .expect("the anchor's slot")
        .slot;
    let last = judged_to(world);
    let span: Vec<&SlotRecord> = truth
        .slots
        .iter()
        .filter(|s| s.slot > first && s.slot <= last)
        .collect();
    let slots = world.ledger.slots();
    assert_eq!(slots.slots, span.len() as u64, "{what}: slots of the chain");

    // Which block stands after each slot.
    let mut before = BTreeMap::new();
    let mut next = None;
    for slot in truth.slots.iter().rev() {
        if let Some((num, ..)) = &slot.block {
            next = Some(*num);
        }
        before.insert(slot.slot, next);
    }

    let blocks = || {
        truth
            .slots
            .iter()
            .filter_map(|s| s.block.as_ref().map(|(num, id, _)| (s.slot, *num, id)))
    };
    let standing = Standing {
        ids: blocks().map(|(_, num, id)| (num, id.as_str())).collect(),
        by_slot: blocks().map(|(slot, num, _)| (slot, num)).collect(),
    };

    let mut found = Found {
        ticks: world.done.ticks,
        blind: world.done.blind,
        restarts: world.done.restarts,
        kills: world.done.kills,
        reorgs: world.done.reorgs,
        ..Found::default()
    };
    let mut turns = BTreeSet::new();
    let mut all: BTreeMap<&str, Counts> = BTreeMap::new();
    for slot in &span {
        let key = PublicKey::parse(&slot.effective_key, prefix).expect("a key");
        let counts = all.entry(&slot.scheduled).or_default();
        if slot.scheduled == ALICE {
            turns.insert(slot.slot / world.plan.turn());
        }
        if let Some((_, _, signer)) = &slot.block {
            let key = PublicKey::parse(signer, prefix).expect("a key");
            *counts.produced.entry(key).or_default() += 1;
            continue;
        }
        *counts.missed.entry(key).or_default() += 1;
        let told = world.kept.misses.get(&slot.slot);
        let open = knowable(world, slot, before[&slot.slot], &standing);
        match told {
            Some((owner, Some(charged))) => {
                assert_eq!(
                    (owner, charged),
                    (&slot.scheduled, &key),
                    "{what}: {slot:?}"
                );
            }
            Some((owner, None)) => {
                assert_eq!(owner, &slot.scheduled, "{what}: {slot:?}");
                assert!(!open, "{what}: its key was there to be known: {slot:?}");
                counts.keyless += 1;
            }
            None => {
                assert!(!open, "{what}: its owner was there to be known: {slot:?}");
                counts.ownerless += 1;
            }
        }
    }
    untrue(world, &span, &what);

    let mut owned = 0;
    for (name, counts) in &all {
        let what = format!("{what}, {name}");
        let figures = world.ledger.figures(name);
        let of = |key: &Option<PublicKey>| figures.keys.get(key).copied().unwrap_or_default();
        let missed: u64 = figures.keys.values().map(|c| c.missed).sum();
        let true_missed: u64 = counts.missed.values().sum();
        // Every miss is counted once: under its key, as of no known key, or for the chain only.
        assert_eq!(
            missed - figures.retracted + counts.ownerless,
            true_missed,
            "{what}: {figures:?}, really {counts:?}"
        );
        for (key, misses) in &counts.missed {
            let counted = of(&Some(*key)).missed;
            let open = counts.keyless + counts.ownerless;
            assert!(
                counted + open >= *misses && counted <= *misses + figures.retracted,
                "{what}: {counted} misses under a key that had {misses}: {figures:?}"
            );
        }
        // Blocks name their key, or the schedule does where it was read.
        let unsigned = of(&None).produced;
        let known = world.plan.turn() == 1 || (by_header(world) && !world.plan.silences);
        assert!(
            unsigned == 0 || !known,
            "{what}: {unsigned} blocks without a key"
        );
        let undone = replaced(world, &span, name);
        for key in figures.keys.keys().flatten() {
            let produced = of(&Some(*key)).produced;
            let really = counts.produced.get(key).copied().unwrap_or(0);
            assert!(
                produced + unsigned >= really && produced <= really + undone,
                "{what}: {produced} blocks under a key that signed {really}, {undone} were undone"
            );
        }
        let produced: u64 = figures.keys.values().map(|c| c.produced).sum();
        let really: u64 = counts.produced.values().sum();
        assert!(
            produced >= really && produced <= really + undone,
            "{what}: {produced} blocks of {really}, {undone} were undone"
        );
        owned += true_missed;
        found.keyless += usize::try_from(counts.keyless).expect("small");
        found.ownerless += usize::try_from(counts.ownerless).expect("small");
        if *name == ALICE {
            found.missed = usize::try_from(true_missed).expect("small");
            found.keys_missed = counts.missed.len();
        }
    }
    let undone = world.undone.len() as u64;
    assert!(
        slots.missed >= owned && slots.missed <= owned + undone,
        "{what}: {} missed slots of the chain, really {owned}",
        slots.missed
    );
    found.turns = turns.len();
    found
}

/// The last slot that the ledger must have judged by now.
fn judged_to(world: &World) -> u64 {
    let turn = world.plan.turn();
    if turn == 1 {
        return world.head_slot;
    }
    // Turns that are over for six slots.
    (world.head_slot - 5) / turn * turn - 1
}

/// The blocks that stand in the end.
struct Standing<'t> {
    ids: BTreeMap<u64, &'t str>,
    by_slot: BTreeMap<u64, u64>,
}

/// Whether the agreed views that were kept tell owner and key of a missed slot before block `next`.
fn knowable(world: &World, slot: &SlotRecord, next: Option<u64>, standing: &Standing<'_>) -> bool {
    let next = next.expect("a block after a judged slot");
    let mut owned = world
        .kept
        .read
        .iter()
        .filter(|r| r.schedule.producer_of(slot.slot) == Some(slot.scheduled.as_str()));
    let Some(version) = slot.schedule_version else {
        return owned.any(|Read { schedule: s, .. }| {
            let shuffled = s.until.saturating_sub(s.order.len() as u64);
            shuffled.min(s.read_at) < next && next <= s.until
        });
    };
    let numbered = |read: &&Read| {
        let of = read.schedule.version.as_ref();
        of.is_some_and(|of| of.number == version)
    };
    if by_header(world) {
        return owned.any(|read| numbered(&read));
    }
    // Headers name no version, which comes into force with a turn: it takes a reading at or before the last block up to the
    // turn's end, and one at or after the first from its beginning on; both on the fork that stands.
    let turn = world.plan.turn();
    let begin = slot.slot / turn * turn;
    let mut before = standing.by_slot.range(..begin + turn);
    let mut after = standing.by_slot.range(begin..);
    let (Some((_, last)), Some((_, first))) = (before.next_back(), after.next()) else {
        return false;
    };
    let read: Vec<&Read> = owned
        .filter(numbered)
        .filter(|read| {
            read.heads
                .iter()
                .all(|(num, id)| standing.ids.get(num).copied() == id.as_deref())
        })
        .collect();
    read.iter().any(|r| {
        r.schedule
            .version
            .as_ref()
            .is_some_and(|v| v.read_by <= *last)
    }) && read.iter().any(|r| r.schedule.read_at >= *first)
}

/// Whether headers name the version of their schedule.
fn by_header(world: &World) -> bool {
    world.plan.finality == Finality::Leap
}

/// Every miss that was told and is none now must have been one on a fork that was left.
fn untrue(world: &World, span: &[&SlotRecord], what: &str) {
    let missed: BTreeSet<u64> = span
        .iter()
        .filter(|s| s.block.is_none())
        .map(|s| s.slot)
        .collect();
    for (slot, told) in world
        .kept
        .misses
        .iter()
        .filter(|(s, _)| !missed.contains(s))
    {
        let was = world.undone.get(slot).is_some_and(|forks| {
            forks
                .iter()
                .any(|s| s.block.is_none() && s.scheduled == told.0)
        });
        assert!(was, "{what}: slot {slot} was never missed by {told:?}");
    }
}

/// Blocks of `name` on forks that were left, by now missed.
fn replaced(world: &World, span: &[&SlotRecord], name: &str) -> u64 {
    let gone = span.iter().filter(|s| {
        let forks = world.undone.get(&s.slot);
        forks.is_some_and(|forks| {
            forks
                .iter()
                .any(|old| old.scheduled == name && old.block.is_some())
        })
    });
    gone.count() as u64
}
