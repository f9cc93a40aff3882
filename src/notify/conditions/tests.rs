use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::actuator::{ActuatorSnapshot, ProducerStanding};
use crate::alertmanager::Undelivered;
use crate::chain::{BlockId, BlockRef};
use crate::config::{self, Config};
use crate::metrics::{HeartbeatFigure, Stalled};
use crate::rpc::View;
use crate::watch::{FaultClause, ProducerSnapshot};

const T: Millis = 1_763_710_000_000;

const YAML: &str = "
chains: [{name: h, protocol: hive, endpoints: [{url: 'https://a.example'}, {url: 'https://b.example'}, {url: 'https://c.example'}]}]
producers: [{chain: h, name: alice, keys: [{signing_key: STM5YHnNgis74GWeARGtzkjYwfwLnvih4Y5fG5vHyPseKzomk9NSE, assume_ready: true}], authority: [{method: witness_update, key_files: [a]}]}]
heartbeats: [{source: a, max_silence: 20s}, {source: b, max_silence: 20s}]
actuator: {armed: true}
";

/// Everything that is looked at; all is well to begin with.
struct World {
    config: Config,
    started_at: Millis,
    snapshot: Snapshot,
    heartbeats: Vec<HeartbeatFigure>,
    actuator: ActuatorSnapshot,
    stalled: Vec<Stalled>,
    since_scrape: Duration,
    alertmanagers_silent: Option<Duration>,
    undelivered: Vec<Undelivered>,
    reload_ok: bool,
    starts: Vec<Millis>,
    deaf: Vec<(String, Duration)>,
}

fn figure(source: &str) -> HeartbeatFigure {
    HeartbeatFigure {
        source: source.into(),
        heard_at: Some(T - 1_000),
        evaluated_at: Some(T - 2_000),
        overdue: false,
    }
}

fn view(head_time: Millis) -> View {
    View {
        observed_at: T,
        head: BlockRef {
            num: 1_000,
            id: BlockId(String::new()),
            time: head_time,
        },
        head_slot: 0,
        irreversible: 980,
        participation: Some(1.0),
        schedules: Vec::new(),
        producers: BTreeMap::new(),
        blocks: Vec::new(),
        active_keys: BTreeMap::new(),
        aliases: None,
        finalizers: None,
        agreeing: 3,
        election: None,
        clock_offset: None,
    }
}

fn well() -> World {
    let agreed = Arc::new(view(T - 3_000));
    let mut snapshot = Snapshot {
        chain: "h".into(),
        tick: 9,
        tick_at: T,
        agreement: Ok(agreed.clone()),
        last_view: Some(agreed),
        ..Snapshot::empty()
    };
    snapshot
        .producers
        .insert("alice".into(), Arc::new(producer(Fault::No)));
    let standing = ProducerStanding {
        armed: Ok(()),
        able: Ok(()),
        pinned: false,
        maintenance_until: None,
        attempt: None,
        open_attempts: 0,
        waiting: None,
        last_switch: None,
        budget_remaining: 3,
    };
    World {
        config: config::parse(YAML, Path::new("")).unwrap(),
        started_at: T - 3_600_000,
        snapshot,
        heartbeats: vec![figure("a"), figure("b")],
        actuator: ActuatorSnapshot {
            armed: true,
            journal_writable: true,
            producers: BTreeMap::from([(("h".into(), "alice".into()), standing)]),
            ..ActuatorSnapshot::default()
        },
        stalled: Vec::new(),
        since_scrape: Duration::from_secs(1),
        alertmanagers_silent: Some(Duration::from_secs(5)),
        undelivered: Vec::new(),
        reload_ok: true,
        starts: vec![T - 3_600_000],
        deaf: Vec::new(),
    }
}

fn producer(fault: Fault) -> ProducerSnapshot {
    ProducerSnapshot {
        state: None,
        state_time: None,
        settling: false,
        keys: BTreeMap::new(),
        retracted: 0,
        consecutive_missed: 2,
        window_missed: 2,
        last_missed: None,
        tenure_since: None,
        last_block: None,
        next_slot: None,
        scheduled: true,
        fault,
        fault_since: None,
        others_participation: None,
        others_since_run: None,
        recent: vec![],
        nodes: BTreeMap::new(),
        ready: BTreeMap::new(),
        no_ready_standby_since: None,
        active_keys: BTreeMap::new(),
        conflicting_blocks: 0,
    }
}

impl World {
    fn readings(&self) -> BTreeMap<String, State> {
        let snapshots = [Arc::new(self.snapshot.clone())];
        let readings = judge(&Facts {
            now: T,
            started_at: self.started_at,
            config: &self.config,
            snapshots: &snapshots,
            heartbeats: &self.heartbeats,
            actuator: &self.actuator,
            stalled: &self.stalled,
            since_scrape: self.since_scrape,
            alertmanagers_silent: self.alertmanagers_silent,
            undelivered: &self.undelivered,
            reload_ok: self.reload_ok,
            starts: &self.starts,
            deaf: &self.deaf,
        });
        let count = readings.len();
        let by_key: BTreeMap<_, _> = readings.into_iter().map(|r| (r.key, r.state)).collect();
        assert_eq!(by_key.len(), count, "each key once");
        by_key
    }

    /// What stands, as `key severity hold-in-seconds`; and what is not known.
    fn stands(&self) -> (Vec<String>, Vec<String>) {
        let (mut stands, mut unknown) = (Vec::new(), Vec::new());
        for (key, state) in self.readings() {
            match state {
                State::Clear => {}
                State::Unknown => unknown.push(key),
                State::Stands(t) => stands.push(format!(
                    "{key} {} {}",
                    t.severity.as_str(),
                    t.hold.as_secs()
                )),
            }
        }
        (stands, unknown)
    }

    fn lose_quorum(&mut self) {
        self.snapshot.agreement = Snapshot::empty().agreement;
    }
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|i| (*i).to_owned()).collect()
}

#[test]
fn all_is_well_and_everything_is_looked_at() {
    let well = well();
    assert_eq!(well.stands(), (list(&[]), list(&[])));
    let keys: Vec<String> = well.readings().into_keys().collect();
    assert_eq!(
        keys,
        [
            "able/h/alice",
            "alertmanager",
            "disarmed",
            "fault/h/alice",
            "heartbeat/a",
            "heartbeat/b",
            "journal",
            "quorum/h",
            "reload",
            "restarts",
            "scrape",
            "standstill/h",
        ]
    );
}

#[test]
fn an_overdue_heartbeat_is_each_sources_own() {
    let mut world = well();
    world.heartbeats[0].overdue = true;
    assert_eq!(
        world.stands(),
        (list(&["heartbeat/a critical 0"]), list(&[]))
    );
    // Never heard, and the grace of the source is over.
    world.heartbeats[0].heard_at = None;
    world.heartbeats[0].evaluated_at = None;
    assert_eq!(world.stands().0, ["heartbeat/a critical 0"]);
}

#[test]
fn who_was_away_itself_gives_a_source_the_time_to_be_heard() {
    let mut world = well();
    world.heartbeats[0].overdue = true;
    world.heartbeats[0].heard_at = Some(T - 300_000);
    world.started_at = T - 20_000;
    assert_eq!(world.stands(), (list(&[]), list(&["heartbeat/a"])));
    world.started_at = T - 20_001;
    assert_eq!(world.stands().0, ["heartbeat/a critical 0"]);
    // Heard since, and silent again: no grace.
    world.started_at = T - 15_000;
    world.heartbeats[0].heard_at = Some(T - 10_000);
    assert_eq!(world.stands().0, ["heartbeat/a critical 0"]);
    // A clock that was set back is no reason to wait.
    world.heartbeats[0].heard_at = Some(T - 300_000);
    world.started_at = T + 60_000;
    assert_eq!(world.stands().0, ["heartbeat/a critical 0"]);
}

#[test]
fn what_alertmanager_cannot_deliver_rings_here() {
    let failing = |integration: &str| Undelivered {
        alertmanager: "http://am".into(),
        integration: integration.into(),
        ago: Duration::from_secs(3),
    };
    let mut world = well();
    world.undelivered = vec![failing("slack"), failing("webhook"), failing("slack")];
    let rings = ["delivery/slack critical 0", "delivery/webhook critical 60"];
    assert_eq!(world.stands(), (list(&rings), list(&[])));
    // When it is our own webhook that fails, the heartbeats ring for it.
    for heartbeat in &mut world.heartbeats {
        heartbeat.overdue = true;
    }
    let (stands, unknown) = world.stands();
    assert!(stands.contains(&rings[0].to_owned()), "{stands:?}");
    assert!(
        unknown.contains(&"delivery/webhook".to_owned()),
        "{unknown:?}"
    );
    // Without heartbeats nothing else would.
    world.config.heartbeats.clear();
    world.heartbeats.clear();
    let (stands, _) = world.stands();
    assert!(
        stands.contains(&"delivery/webhook critical 0".to_owned()),
        "{stands:?}"
    );
}

#[test]
fn a_dead_pipeline_rings_once_and_not_three_times() {
    let mut world = well();
    world.since_scrape = Duration::from_secs(61);
    world.alertmanagers_silent = Some(Duration::from_secs(61));
    assert_eq!(
        world.stands().0,
        ["alertmanager warning 0", "scrape critical 0"]
    );
    for heartbeat in &mut world.heartbeats {
        heartbeat.overdue = true;
    }
    assert_eq!(
        world.stands(),
        (
            list(&["heartbeat/a critical 0", "heartbeat/b critical 0"]),
            list(&["alertmanager", "scrape"])
        )
    );
    let State::Stands(trouble) = &world.readings()["heartbeat/a"] else {
        panic!("it stands");
    };
    assert!(trouble.detail.contains("No Alertmanager answers either."));
}

#[test]
fn without_heartbeats_a_silent_alertmanager_is_all_there_is_to_know() {
    let mut world = well();
    world.config.heartbeats.clear();
    world.heartbeats.clear();
    world.since_scrape = Duration::from_secs(9_999);
    assert_eq!(world.stands().0, list(&[]), "nobody said that one scrapes");
    world.alertmanagers_silent = Some(Duration::from_secs(61));
    assert_eq!(world.stands().0, ["alertmanager critical 0"]);
    world.alertmanagers_silent = None;
    assert_eq!(world.stands().0, list(&[]), "none is configured");
}

#[test]
fn no_quorum_rings_alone_for_what_follows_from_it() {
    let mut world = well();
    world.lose_quorum();
    let standing = world.actuator.producers.values_mut().next().unwrap();
    standing.able = Err("no agreed view".into());
    assert_eq!(
        world.stands(),
        (
            list(&["quorum/h critical 60"]),
            list(&["able/h/alice", "fault/h/alice", "standstill/h"])
        )
    );
    // Before the first poll nothing is known of it.
    world.snapshot.tick = 0;
    assert!(world.stands().0.is_empty());
}

#[test]
fn a_head_that_stands_still_and_a_loop_that_does() {
    let mut world = well();
    world.snapshot.last_view = Some(Arc::new(view(T - 30_000)));
    assert_eq!(world.stands().0, list(&[]), "ten blocks are allowed");
    world.snapshot.last_view = Some(Arc::new(view(T - 30_001)));
    assert_eq!(world.stands().0, ["standstill/h critical 60"]);
    world.stalled.push(Stalled {
        task: "watch/h".into(),
        silent_for: Duration::from_secs(61),
    });
    assert_eq!(
        world.stands(),
        (
            list(&["task/watch/h critical 0"]),
            list(&["quorum/h", "standstill/h"])
        )
    );
}

#[test]
fn armed_and_not_able_and_a_fault_that_stays() {
    let mut world = well();
    let alice = ("h".to_owned(), "alice".to_owned());
    world.actuator.producers.get_mut(&alice).unwrap().able = Err("no key".into());
    assert_eq!(world.stands().0, ["able/h/alice critical 60"]);
    // Whoever is disarmed need not be able, but a fault is told all the same.
    world.actuator.producers.get_mut(&alice).unwrap().armed = Err("disarmed".into());
    assert_eq!(world.stands().0, list(&[]));
    let fault = Fault::Yes(FaultClause::Consecutive);
    world
        .snapshot
        .producers
        .insert("alice".into(), Arc::new(producer(fault)));
    assert_eq!(world.stands().0, ["fault/h/alice critical 60"]);
    world
        .snapshot
        .producers
        .insert("alice".into(), Arc::new(producer(Fault::Unknown)));
    assert_eq!(world.stands(), (list(&[]), list(&["fault/h/alice"])));
}

#[test]
fn its_own_troubles() {
    let mut world = well();
    world.actuator.journal_writable = false;
    assert_eq!(
        world.stands(),
        (
            list(&["journal critical 10"]),
            list(&["able/h/alice", "fault/h/alice"])
        )
    );
    let mut world = well();
    world.reload_ok = false;
    world.actuator.armed = false;
    world.starts = vec![T - 900_001, T - 800_000, T - 60_000, T - 1];
    assert_eq!(
        world.stands().0,
        ["disarmed warning 900", "reload warning 0"]
    );
    world.starts.push(T);
    assert_eq!(
        world.stands().0,
        [
            "disarmed warning 900",
            "reload warning 0",
            "restarts warning 0"
        ]
    );
    world.config.actuator.armed = false;
    world.starts.clear();
    assert_eq!(world.stands().0, ["reload warning 0"], "meant to be so");
}

#[test]
fn a_receiver_that_takes_nothing_is_told_to_the_others() {
    let mut world = well();
    world.deaf.push(("ops".into(), DEAF));
    assert_eq!(world.stands().0, list(&[]));
    world.deaf[0].1 += Duration::from_secs(1);
    assert_eq!(world.stands().0, ["receiver/ops warning 0"]);
}
