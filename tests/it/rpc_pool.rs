//! The pool over real HTTP: three endpoints of which any one shows any fault, black holes, wrong chains, recovery.

use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::chain::{Call, ChainSpec, Protocol};
use slotkeeper::clock::now_ms;
use slotkeeper::rpc::{Disagreement, RpcOutcome};

use super::rpc_net::{self, Double, key, registered};
use super::rpc_server::{Act, Seen, Server, eventually};

const CHAIN_ID: &str = "18dcf0a285365fc58b71f18b3d3fec954aa0c141c44e4e5cb4cf777b9eab274e";
const HEAD: u64 = 100;

/// A Steem node as far as the survey sees it.
#[derive(Debug, Clone)]
struct Node {
    head: u64,
    /// From this block on it follows another branch.
    fork: Option<u64>,
    key: u8,
    missed: u32,
    chain_id: String,
    /// Wall-clock second of block 100.
    epoch: i64,
}

type Mood = rpc_net::Mood<Node>;
type Net = rpc_net::Net<Node>;

// === impl Node ===

impl Node {
    fn good() -> Self {
        Self {
            head: HEAD,
            fork: None,
            key: 1,
            missed: 100,
            chain_id: CHAIN_ID.to_owned(),
            epoch: now_ms() / 1000,
        }
    }

    fn id(&self, num: u64) -> String {
        let branch = self.fork.filter(|from| num >= *from).unwrap_or(0);
        format!("{num:08x}{branch:032x}")
    }

    fn time(&self, num: u64) -> String {
        let second = self.epoch + (i64::try_from(num).unwrap() - 100) * 3;
        jiff::Timestamp::from_second(second)
            .unwrap()
            .strftime("%Y-%m-%dT%H:%M:%S")
            .to_string()
    }

    fn result(&self, method: &str, params: &Value) -> Value {
        match method {
            "condenser_api.get_config" => json!({"STEEM_CHAIN_ID": self.chain_id}),
            "condenser_api.get_dynamic_global_properties" => json!({
                "head_block_number": self.head,
                "head_block_id": self.id(self.head),
                "time": self.time(self.head),
                "current_aslot": self.head + 1000,
                "last_irreversible_block_num": self.head - 15,
                "participation_count": 128,
            }),
            "condenser_api.get_witness_by_account" => json!({
                "owner": params[0],
                "signing_key": key(self.key).to_text("TST"),
                "url": "https://example.org",
                "total_missed": self.missed,
                "props": {
                    "account_creation_fee": "3.000 TESTS",
                    "maximum_block_size": 65536,
                    "sbd_interest_rate": 0,
                },
            }),
            "condenser_api.get_witness_schedule" => json!({
                "num_scheduled_witnesses": 2,
                "current_shuffled_witnesses": ["alice", "bob", ""],
                "next_shuffle_block_num": 120,
            }),
            "condenser_api.get_block" => {
                let num = params[0].as_u64().unwrap();
                if num > self.head {
                    return Value::Null;
                }
                json!({
                    "block_id": self.id(num),
                    "previous": self.id(num - 1),
                    "timestamp": self.time(num),
                    "witness": "bob",
                    "signing_key": key(9).to_text("TST"),
                    "transactions": [],
                })
            }
            "toy.broadcast" => json!({}),
            other => panic!("asked for {other}"),
        }
    }
}

impl Double for Node {
    const HEAD: u64 = HEAD;

    fn answer(&mut self, seen: &Seen) -> Act {
        let asked: Value = serde_json::from_slice(&seen.body).unwrap();
        let answer = |one: &Value| {
            let method = one["method"].as_str().unwrap();
            json!({"id": one["id"], "result": self.result(method, &one["params"])})
        };
        let body = match asked.as_array() {
            Some(list) => Value::Array(list.iter().map(answer).collect()),
            None => answer(&asked),
        };
        Act::json(&body.to_string())
    }
}

async fn start(quorum: usize, moods: Vec<Mood>) -> Net {
    start_with(quorum, moods, Duration::from_secs(20)).await
}

async fn start_with(quorum: usize, moods: Vec<Mood>, hard: Duration) -> Net {
    let spec = ChainSpec {
        name: "test".into(),
        protocol: Protocol::Steem,
        chain_id: slotkeeper::hex::decode_array(CHAIN_ID).unwrap(),
        address_prefix: "TST".into(),
        core_symbol: "TESTS".into(),
        block_interval: 3000,
    };
    Net::start(spec, quorum, moods, hard).await
}

fn good() -> Mood {
    Mood::Node(Node::good())
}

#[tokio::test]
async fn any_fault_of_any_one_of_three_changes_nothing_and_shows() {
    let status = |text| Mood::Act(Act::status(text));
    let foreign = Node {
        chain_id: "00".repeat(32),
        ..Node::good()
    };
    let table: [(&str, Mood, RpcOutcome); 13] = [
        ("closed", Mood::Act(Act::Close), RpcOutcome::Refused),
        ("slow drip", Mood::Act(Act::Drip), RpcOutcome::Timeout),
        (
            "429",
            status("429 Too Many Requests"),
            RpcOutcome::RateLimited,
        ),
        ("5xx", status("502 Bad Gateway"), RpcOutcome::ServerError),
        ("html", status("200 OK"), RpcOutcome::Malformed),
        (
            "cut",
            Mood::Act(Act::json(r#"[{"id":1,"res"#)),
            RpcOutcome::Malformed,
        ),
        ("100 MB", Mood::Act(Act::Flood), RpcOutcome::TooLarge),
        ("wrong chain", Mood::Node(foreign), RpcOutcome::WrongChain),
        (
            "error",
            Mood::Act(Act::json(r#"{"id":1,"error":{"code":-32000}}"#)),
            RpcOutcome::RpcError,
        ),
        (
            "redirect to nowhere",
            Mood::Act(Act::redirect(
                "301 Moved Permanently",
                "http://node.example/",
            )),
            RpcOutcome::Redirect,
        ),
        (
            "stale",
            Mood::Node(Node {
                head: 90,
                ..Node::good()
            }),
            RpcOutcome::Ok,
        ),
        (
            "fork",
            Mood::Node(Node {
                fork: Some(95),
                ..Node::good()
            }),
            RpcOutcome::Ok,
        ),
        (
            "total_missed falls, other key",
            Mood::Node(Node {
                key: 2,
                missed: 95,
                ..Node::good()
            }),
            RpcOutcome::Ok,
        ),
    ];
    for (name, mood, outcome) in table {
        for place in [0, 2] {
            let hard = if name == "slow drip" { 300 } else { 20_000 };
            let mut moods = vec![good(), good(), good()];
            moods[place] = mood.clone();
            let net = start_with(2, moods, Duration::from_millis(hard)).await;
            for _ in 0..2 {
                let view = net.tick().await.unwrap_or_else(|e| panic!("{name}: {e}"));
                assert_eq!((view.head.num, registered(&view)), (HEAD, key(1)), "{name}");
            }
            eventually(name, || net.count(place, outcome) > 0).await;
            // Its answer may have come after the round: the next tick measures it.
            let view = net.tick().await.unwrap();
            assert_eq!(registered(&view), key(1), "{name}");
            let status = &net.pool.statuses()[place];
            match name {
                "stale" => assert_eq!(status.lag, Some(10)),
                _ => assert!(!status.up && status.error.is_some(), "{name}: {status:?}"),
            }
            assert_eq!(status.chain_id_match == Some(false), name == "wrong chain");
            for other in (0..3).filter(|other| *other != place) {
                assert!(net.pool.statuses()[other].up, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_black_hole_is_not_waited_for_and_not_asked_twice_at_once() {
    let net = start_with(
        2,
        vec![Mood::Act(Act::Hang), good(), good()],
        Duration::from_secs(4),
    )
    .await;
    // The round ends while the request to the black hole is still under way: soft limit 10 s, hard limit 4 s.
    let view = net.tick().await.unwrap();
    assert_eq!(view.agreeing, 2);
    assert_eq!(net.count(0, RpcOutcome::Timeout), 0);
    let reports = net.ask().await;
    match &reports[0].observation {
        Some(Err(error)) => assert_eq!(error.outcome, RpcOutcome::Skipped),
        other => panic!("{other:?}"),
    }
    assert_eq!(net.servers[0].requests().len(), 1);
    eventually("its hard limit", || net.count(0, RpcOutcome::Timeout) == 1).await;
    eventually("the connection is gone", || net.servers[0].hanging() == 0).await;
    assert!(!net.pool.statuses()[0].up);
    // It is asked again, but nobody waits for it any more, not even where the quorum is no majority.
    assert!(net.tick().await.is_ok());
    eventually("asked again", || net.servers[0].requests().len() == 2).await;
    assert_eq!(net.count(0, RpcOutcome::Timeout), 1);
}

#[tokio::test]
async fn without_a_majority_every_healthy_endpoint_is_heard_and_a_dead_one_is_not_waited_for() {
    let net = start(1, vec![good(), good()]).await;
    let reports = net.ask().await;
    assert!(reports.iter().all(|r| matches!(r.observation, Some(Ok(_)))));
    net.set(
        1,
        Mood::Node(Node {
            key: 2,
            ..Node::good()
        }),
    );
    let error = net.tick().await.unwrap_err();
    assert!(
        matches!(error, Disagreement::Contradicted { .. }),
        "{error}"
    );
    // It dies: the next tick finds out, the one after acts without it.
    net.set(1, Mood::Act(Act::Close));
    assert_eq!(registered(&net.tick().await.unwrap()), key(1));
    net.set(1, Mood::Act(Act::Hang));
    assert_eq!(registered(&net.tick().await.unwrap()), key(1));
    eventually("it was asked all the same", || {
        net.servers[1].hanging() == 1
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_names_its_chain_before_it_is_believed_and_again_after_it_was_wrong() {
    let net = start(2, vec![good(), good(), Mood::Act(Act::Close)]).await;
    net.tick().await.unwrap();
    assert_eq!(net.pool.statuses()[2].chain_id_match, None);
    // The watcher does not ask for the identity, but the pool does, of this endpoint alone.
    let foreign = Node {
        chain_id: "ab".repeat(32),
        ..Node::good()
    };
    net.set(2, Mood::Node(foreign));
    net.tick().await.unwrap();
    eventually("recognised", || {
        net.pool.statuses()[2].chain_id_match == Some(false)
    })
    .await;
    let status = net.pool.statuses().remove(2);
    assert!(status.error.unwrap().contains(&"ab".repeat(32)));
    assert_eq!(status.head, None);
    net.set(2, good());
    net.tick().await.unwrap();
    eventually("right again", || {
        net.pool.statuses()[2].chain_id_match == Some(true) && net.pool.statuses()[2].up
    })
    .await;
}

#[tokio::test]
async fn a_majority_at_fault_is_no_quorum_and_the_reason_names_them() {
    let net = start(
        2,
        vec![
            good(),
            Mood::Act(Act::Close),
            Mood::Act(Act::status("503 Busy")),
        ],
    )
    .await;
    let text = net.tick().await.unwrap_err().to_string();
    assert!(
        text.contains("p1: ") && text.contains("p2: HTTP status 503"),
        "{text}"
    );
    // All back: at most one tick later there is a view.
    net.set(1, good());
    net.set(2, good());
    assert_eq!(registered(&net.tick().await.unwrap()), key(1));
}

#[tokio::test]
async fn a_broadcast_goes_to_all_once_except_to_another_chain() {
    let foreign = Node {
        chain_id: "ab".repeat(32),
        ..Node::good()
    };
    let net = start(
        2,
        vec![good(), good(), Mood::Node(foreign), Mood::Act(Act::Close)],
    )
    .await;
    eventually_ticked(&net).await;
    net.set(3, Mood::Act(Act::Hang));
    let call = Call {
        method: "toy.broadcast".into(),
        params: json!([]),
    };
    let sent = net.pool.broadcast(&call).await;
    assert_eq!(sent[0], Ok(Ok(json!({}))));
    assert_eq!(sent[1], Ok(Ok(json!({}))));
    assert_eq!(
        sent[2].as_ref().unwrap_err().outcome,
        RpcOutcome::WrongChain
    );
    // It failed its last tick: sent to, but not waited for.
    assert_eq!(sent[3].as_ref().unwrap_err().outcome, RpcOutcome::Timeout);
    eventually("the black hole got it too", || {
        net.servers[3].hanging() == 1
    })
    .await;
    let broadcasts = |server: &Server| {
        let is_broadcast = |seen: &&Seen| String::from_utf8_lossy(&seen.body).contains("toy.");
        server.requests().iter().filter(is_broadcast).count()
    };
    let counts: Vec<usize> = net.servers.iter().map(broadcasts).collect();
    assert_eq!(counts, [1, 1, 0, 1]);
    let followed = net.pool.call_all(&[vec![call]]).await;
    assert_eq!(followed[0][0], Ok(vec![Ok(json!({}))]));
    let foreign = followed[0][2].as_ref().unwrap_err();
    assert_eq!(foreign.outcome, RpcOutcome::WrongChain);
}

/// Ticks until every endpoint's first answer is in.
async fn eventually_ticked(net: &Net) {
    net.tick().await.unwrap();
    eventually("all have answered", || {
        net.pool
            .statuses()
            .iter()
            .all(|status| status.latency_count > 0)
    })
    .await;
}
