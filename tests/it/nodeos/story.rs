//! The whole path on a real chain, with real Prometheus and Alertmanager and the shipped rules: the primary dies,
//! production moves to the standby, and comes back as planned. Real activations, so it takes minutes; nothing is timed.

use serde_json::{Value, json};
use slotkeeper::chain::antelope::faults;
use slotkeeper::chain::{Accepted, Rejection};
use slotkeeper::demo::nodeos::{NodeosConfig, PERMISSION, PRODUCER};

use super::permission::it_is_made_by_our_own_commands;
use super::scene::{Scene, key, package};
use super::truth::{Slot, TURN};

/// Where the counting of slotkeeper began: somewhere between these two blocks.
struct Beginning {
    before: u64,
    after: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_dies_production_moves_and_comes_back_as_planned() {
    let Some(package) = package() else { return };
    let config = NodeosConfig {
        monitoring: true,
        watch_only: false,
        permission: false,
        port_base: 0,
    };
    let mut scene = Scene::start(package, &config).await;
    let before = scene.truth.head();
    scene.world.start_app().await.expect("slotkeeper starts");
    scene
        .until("slotkeeper sees the chain", async |s| {
            s.get("/api/v1/status").await["chains"][0]["agreeing"] == 3
        })
        .await;
    let beginning = Beginning {
        before,
        after: scene.truth.head(),
    };

    it_is_made_by_our_own_commands(&mut scene).await;
    scene
        .until("armed and able, both nodes ready", async |s| {
            let status = s.status().await;
            let keys = status["keys"].as_array().cloned().unwrap_or_default();
            status["armed"] == true
                && status["able"] == true
                && keys.len() == 2
                && keys.iter().all(|k| k["ready"] == true)
        })
        .await;
    nothing_changes_by_a_rehearsal(&mut scene).await;
    a_permission_without_the_link_is_refused(&mut scene).await;
    scene
        .until("a turn of key A is counted", async |s| {
            s.counted("A").await.1 >= TURN
        })
        .await;
    failover(&mut scene, &beginning).await;
    back(&mut scene).await;
    scene.world.stop().await;
}

/// B1 dies; what follows is held against the blocks.
async fn failover(scene: &mut Scene, beginning: &Beginning) {
    let registered = scene.truth.registrations_after(0).len();
    let row = scene.row("H").await;
    scene.world.network.crash("B1").await.expect("crash");
    scene.note("B1 is dead");
    for stage in ["sent", "included", "proposed", "pending"] {
        scene
            .until(&format!("the journal says {stage}"), async |s| {
                s.journal().iter().any(|kind| kind == stage)
            })
            .await;
    }
    slotkeeper_is_away_for_a_turn(scene).await;
    scene
        .until("B2 has produced with key B", async |s| {
            s.truth.last_block(PRODUCER, &key("B")).is_some()
        })
        .await;
    assert_eq!(scene.truth.effective_key(PRODUCER), Some(&*key("B")));

    // A turn of B is judged, so every slot of A is.
    scene
        .until("a turn of key B is counted", async |s| {
            s.counted("B").await.1 >= TURN
        })
        .await;
    let (missed, produced) = scene.counted("A").await;
    let (least, some) = scene.truth.figures(PRODUCER, &key("A"), beginning.after);
    let (most, all) = scene.truth.figures(PRODUCER, &key("A"), beginning.before);
    assert!(
        (least..=most).contains(&missed),
        "counted {missed} misses of A; the blocks say {least} to {most}"
    );
    assert!(
        (some..=all).contains(&produced),
        "counted {produced} blocks of A; there are {some} to {all}"
    );
    assert!(missed >= 2 * TURN, "several turns stayed empty: {missed}");
    let page = scene.metrics().await;
    assert!(
        !page.contains("signing_key=\"unknown\""),
        "nothing is unattributed"
    );

    // Exactly one registration: under the linked permission, with url and location as they were.
    let registrations = scene.truth.registrations_after(0);
    assert_eq!(registrations.len(), registered + 1, "{registrations:#?}");
    let switch = registrations[registered];
    assert_eq!(switch.action, "regproducer");
    assert_eq!(switch.by, [format!("{PRODUCER}@{PERMISSION}")]);
    assert_eq!(switch.data["producer_key"], *key("B"));
    assert_eq!(switch.data["url"], row["url"]);
    assert_eq!(switch.data["location"], row["location"]);
    let now = scene.row("H").await;
    assert_eq!(
        (&now["url"], &now["location"]),
        (&row["url"], &row["location"])
    );
    assert_eq!(now["producer_key"], *key("B"));

    // It was the webhook that did it, and the journal says each stage.
    let decisions = scene.get("/api/v1/decisions").await;
    let failovers: Vec<&Value> = decisions["decisions"]
        .as_array()
        .expect("list")
        .iter()
        .filter(|d| d["action"] == "failover")
        .collect();
    // The key on its way was never accused: it could not sign yet.
    assert!(
        failovers.iter().all(|d| d["fence"] == *key("A")),
        "{decisions}"
    );
    let acted: Vec<&&Value> = failovers.iter().filter(|d| d["verdict"] == "act").collect();
    assert_eq!(acted.len(), 1, "{decisions}");
    assert_eq!(acted[0]["cause"], "webhook");
    assert_eq!(acted[0]["attempt"]["txid"], *switch.txid);
    stages_were_journaled(scene);
    misses_were_until_the_schedule_changed(scene, switch_block(scene, registered));
}

/// slotkeeper stops and starts again while the key that must still sign does not: what it did not see, it reads after.
async fn slotkeeper_is_away_for_a_turn(scene: &mut Scene) {
    if let Some(app) = scene.world.app.take() {
        app.stop().await;
    }
    let gone = scene.truth.head();
    scene
        .until("a turn passed while slotkeeper was away", async |s| {
            let slots = s.truth.slots_after(gone);
            let ours = slots.iter().filter(|slot| slot.producer == PRODUCER);
            ours.count() as u64 >= TURN
        })
        .await;
    scene.world.start_app().await.expect("slotkeeper starts");
}

/// Block of the registration that came after the first `registered` ones.
fn switch_block(scene: &Scene, registered: usize) -> u64 {
    scene.truth.registrations_after(0)[registered].block
}

fn stages_were_journaled(scene: &Scene) {
    let journal = scene.journal();
    let mut rest = journal.iter();
    for kind in [
        "signed",
        "sent",
        "included",
        "proposed",
        "pending",
        "effective",
    ] {
        assert!(
            rest.any(|seen| seen == kind),
            "no {kind}, or not in order: {journal:?}"
        );
    }
}

/// The old key had to sign until the new schedule came: turns stayed empty after the switch was in a block.
fn misses_were_until_the_schedule_changed(scene: &Scene, switched: u64) {
    let after: Vec<Slot> = scene.truth.slots_after(switched);
    let of = |role: &str| {
        let key = key(role);
        after
            .iter()
            .filter(move |s| s.producer == PRODUCER && s.key == key)
            .cloned()
            .collect::<Vec<_>>()
    };
    let (a, b) = (of("A"), of("B"));
    assert!(
        !a.is_empty() && a.iter().all(|s| s.block.is_none()),
        "{a:?}"
    );
    assert!(b.iter().any(|s| s.block.is_some()), "{b:?}");
    let last = a.last().map(|s| (s.number, s.version));
    let first = b.first().map(|s| (s.number, s.version));
    assert!(last < first, "{last:?} {first:?}");
}

/// Everything but the sending: the table stands as it stood, and no transaction reaches a block.
async fn nothing_changes_by_a_rehearsal(scene: &mut Scene) {
    scene.read().await;
    let (from, row) = (scene.truth.head(), scene.row("H").await);
    let ran = scene
        .cli(&["producer", "rehearse", &format!("nodeos/{PRODUCER}")])
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.contains(&key("B")) && ran.out.contains("nothing was"),
        "{ran:?}"
    );
    let seen = scene.truth.head();
    scene
        .until("eight more blocks", async |s| s.truth.head() >= seen + 8)
        .await;
    assert_eq!(scene.row("H").await["producer_key"], row["producer_key"]);
    assert_eq!(scene.row("H").await["url"], row["url"]);
    assert_eq!(scene.truth.transactions_after(from), 0);
}

/// A permission of the same producer that is linked to nothing: slotkeeper refuses it before anything is sent, and says
/// why. Signed by hand all the same, the node answers 202 with the exception in the trace, and that is a failure.
async fn a_permission_without_the_link_is_refused(scene: &mut Scene) {
    scene.read().await;
    let (from, row) = (scene.truth.head(), scene.row("H").await);
    let directory = scene.world.directory.path().to_owned();
    let text = std::fs::read_to_string(scene.world.config_file()).expect("config");
    let text = text
        .replace(&format!("@{PERMISSION}"), "@unlinked")
        .replace(&format!("-{PERMISSION}.wif"), "-unlinked.wif")
        .replace("slotkeeper.db", "unlinked.db");
    let file = directory.join("unlinked.yml");
    std::fs::write(&file, text).expect("config");
    let producer = format!("nodeos/{PRODUCER}");
    let ran = scene
        .cli_with(
            &file,
            &[
                "producer",
                "failover",
                &producer,
                "--standalone",
                "--override",
                "to see it refused",
            ],
        )
        .await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("authority_invalid"), "{ran:?}");
    assert!(ran.err.contains("unlinked"), "{ran:?}");

    let data = json!({"producer": PRODUCER, "producer_key": key("B"), "url": row["url"],
                      "location": row["location"]});
    let pushed = scene.signed("regproducer", data, "unlinked").await;
    let answer = scene
        .world
        .network
        .ask("H", "send_transaction2", &json!({"transaction": pushed}))
        .await
        .expect("send_transaction2");
    assert_eq!(answer["processed"]["except"]["code"], 3_090_005, "{answer}");
    assert_eq!(
        faults::accepted(&Ok(answer)),
        Accepted::Refused(Rejection::MissingAuthority),
        "an exception in the trace is a failure whatever the status"
    );
    let ran = scene.broadcast(&pushed).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("missing_authority"), "{ran:?}");

    let seen = scene.truth.head();
    scene
        .until("four more blocks", async |s| s.truth.head() >= seen + 4)
        .await;
    assert_eq!(scene.row("H").await["producer_key"], row["producer_key"]);
    assert_eq!(scene.truth.transactions_after(from), 0);
}

/// B1 is back in sync; production returns to it by an operator's command. The counters of key B, whose whole life
/// slotkeeper has seen, are then exactly the blocks'.
async fn back(scene: &mut Scene) {
    scene.world.network.restart("B1").await.expect("restart");
    scene
        .until("B1 is ready again, the attempt is over", async |s| {
            let status = s.status().await;
            status["keys"][0]["ready"] == true
                && status["fault"] == "no"
                && (status["attempt"].is_null() || status["attempt"]["stage"] == "irreversible")
        })
        .await;
    let registered = scene.truth.registrations_after(0).len();
    let row = scene.row("H").await;
    let producer = format!("nodeos/{PRODUCER}");
    let a = key("A");
    let command = ["producer", "switchover", &producer, "--to", &a];
    let mut ran = scene.cli(&command).await;
    if ran.code != Some(0) && ran.err.contains("cooldown") {
        let over = ["--override", "planned, and the cooldown is known"];
        ran = scene.cli(&[&command[..], &over[..]].concat()).await;
    }
    assert_eq!(ran.code, Some(0), "{ran:?}");
    scene.note(&format!("switched over: {}", ran.out.trim()));
    scene
        .until("B1 has produced with key A again", async |s| {
            let last = s.truth.last_block(PRODUCER, &a);
            last > s.truth.last_block(PRODUCER, &key("B"))
        })
        .await;
    let (_, produced) = scene.counted("A").await;
    scene
        .until("a turn of key A is counted again", async |s| {
            s.counted("A").await.1 >= produced + TURN
        })
        .await;
    let counted = scene.counted("B").await;
    assert_eq!(counted, scene.truth.figures(PRODUCER, &key("B"), 0));
    assert_eq!(scene.truth.effective_key(PRODUCER), Some(&*a));
    let registrations = scene.truth.registrations_after(0);
    assert_eq!(registrations.len(), registered + 1, "{registrations:#?}");
    let switch = registrations[registered];
    assert_eq!(switch.by, [format!("{PRODUCER}@{PERMISSION}")]);
    assert_eq!(switch.data["producer_key"], *a);
    let now = scene.row("H").await;
    assert_eq!(
        (&now["url"], &now["location"]),
        (&row["url"], &row["location"])
    );
}
