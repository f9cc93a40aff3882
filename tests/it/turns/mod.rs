//! A thousand turns of a devnet with random faults, compared with the devnet's own record: who missed which slot, under
//! which key. What cannot be known must come out as unknown, never as somebody's miss.
//!
//! No clock and no HTTP: the devnet moves slot by slot, endpoints answer in process, and only the seed decides. A failure
//! names the seed.

mod check;
mod plan;
mod world;

use slotkeeper::chain::Protocol;
use slotkeeper::devnet::antelope::Finality;

use check::Found;
use plan::Plan;
use world::World;

fn play(plan: Plan) -> Found {
    let turns = plan.turns;
    let mut world = World::new(plan);
    while world.turns() < turns {
        world.slot();
    }
    world.settle();
    let found = check::compare(&world);
    eprintln!("{found:?}");
    found
}

fn savanna(seed: u64) -> Plan {
    Plan {
        finality: Finality::Savanna,
        ..Plan::of(Protocol::Antelope, seed)
    }
}

/// Short faults: a round's schedule is always read while it is in force, so that nothing may be unknown.
fn everything_is_known(plan: Plan) {
    let what = format!("{:?}, seed {}", plan.protocol, plan.seed);
    let found = play(plan);
    assert!(
        found.turns >= 1_000 && found.ticks > 1_000,
        "{what}: {found:?}"
    );
    assert_eq!((found.keyless, found.ownerless), (0, 0), "{what}");
    // The faults were there, else this shows nothing.
    assert!(
        found.missed > 50 && found.keys_missed > 1,
        "{what}: {found:?}"
    );
    assert!(found.restarts > 20 && found.kills > 5, "{what}: {found:?}");
    assert!(found.blind > 50 && found.reorgs > 5, "{what}: {found:?}");
}

/// Long silences: whole rounds pass unseen.
fn the_unknowable_is_never_guessed(plan: Plan) {
    let what = format!("{:?}, seed {}", plan.protocol, plan.seed);
    let found = play(Plan {
        silences: true,
        turns: 300,
        ..plan
    });
    assert!(found.turns >= 300, "{what}: {found:?}");
    assert!(
        found.keyless + found.ownerless > 0,
        "{what}: nothing was provoked: {found:?}"
    );
}

#[test]
fn a_thousand_turns_on_steem() {
    everything_is_known(Plan::of(Protocol::Steem, 1));
}

#[test]
fn a_thousand_turns_on_hive() {
    everything_is_known(Plan::of(Protocol::Hive, 2));
}

#[test]
fn a_thousand_turns_on_blurt() {
    everything_is_known(Plan::of(Protocol::Blurt, 3));
}

#[test]
fn a_thousand_turns_on_golos() {
    everything_is_known(Plan::of(Protocol::Golos, 4));
}

#[test]
fn a_thousand_turns_on_bitshares() {
    everything_is_known(Plan::of(Protocol::BitShares, 5));
}

#[test]
fn a_thousand_turns_on_antelope() {
    everything_is_known(Plan::of(Protocol::Antelope, 6));
}

#[test]
fn a_thousand_turns_on_savanna() {
    // Headers tell no version there: a turn that a new key came into force in, unseen, stays open.
    let found = play(savanna(7));
    assert!(found.turns >= 1_000 && found.ownerless == 0, "{found:?}");
    assert!(found.missed > 50 && found.keys_missed > 1, "{found:?}");
}

#[test]
fn long_silences_on_steem() {
    the_unknowable_is_never_guessed(Plan::of(Protocol::Steem, 11));
}

#[test]
fn long_silences_on_hive() {
    the_unknowable_is_never_guessed(Plan::of(Protocol::Hive, 12));
}

#[test]
fn long_silences_on_blurt() {
    the_unknowable_is_never_guessed(Plan::of(Protocol::Blurt, 13));
}

#[test]
fn long_silences_on_golos() {
    the_unknowable_is_never_guessed(Plan::of(Protocol::Golos, 14));
}

#[test]
fn long_silences_on_bitshares() {
    the_unknowable_is_never_guessed(Plan::of(Protocol::BitShares, 15));
}

#[test]
fn long_silences_on_antelope() {
    the_unknowable_is_never_guessed(Plan::of(Protocol::Antelope, 16));
}

#[test]
fn long_silences_on_savanna() {
    the_unknowable_is_never_guessed(savanna(17));
}
