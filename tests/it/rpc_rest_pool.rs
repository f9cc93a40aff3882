//! Three nodeos doubles behind the real Antelope adapter: any fault of any one of them leaves the chain in view.

use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::chain::{ChainSpec, Protocol};
use slotkeeper::clock::now_ms;
use slotkeeper::rpc::RpcOutcome;

use super::rpc_net::{self, Double, key, registered};
use super::rpc_server::{Act, Seen, eventually};

const CHAIN_ID: &str = "8a34ec7df1b8cd06ff4a8abbaa7cc50300823350cadc59ab296cb00d104d2b8f";
const HEAD: u64 = 1_000;

/// A node's word, before it is asked.
#[derive(Debug, Clone)]
struct Node {
    head: u64,
    /// Its head moves by so many blocks with every reading of it.
    moves: u64,
    fork: Option<u64>,
    key: u8,
    chain_id: String,
    /// Time of block [`HEAD`], Unix milliseconds.
    epoch: i64,
}

type Mood = rpc_net::Mood<Node>;
type Net = rpc_net::Net<Node>;

impl Node {
    fn good() -> Self {
        Self {
            head: HEAD,
            moves: 0,
            fork: None,
            key: 1,
            chain_id: CHAIN_ID.to_owned(),
            epoch: now_ms() / 500 * 500,
        }
    }

    fn id(&self, num: u64) -> String {
        let branch = self.fork.filter(|from| num >= *from).unwrap_or(0);
        format!("{num:08x}{branch:056x}")
    }

    fn time(&self, num: u64) -> String {
        let behind = i64::try_from(num).unwrap() - i64::try_from(HEAD).unwrap();
        jiff::Timestamp::from_millisecond(self.epoch + behind * 500)
            .unwrap()
            .strftime("%Y-%m-%dT%H:%M:%S%.3f")
            .to_string()
    }

    fn result(&mut self, path: &str, body: &Value) -> Result<Value, u64> {
        let name = path.rsplit('/').next().unwrap();
        Ok(match name {
            "get_info" => {
                let info = json!({
                    "chain_id": self.chain_id,
                    "head_block_num": self.head,
                    "head_block_id": self.id(self.head),
                    "head_block_time": self.time(self.head),
                    "last_irreversible_block_num": self.head - 325,
                });
                self.head += self.moves;
                info
            }
            "get_table_rows" => json!({"more": false, "rows": [{
                "owner": "alice",
                "producer_key": key(self.key).to_text("EOS"),
                "is_active": 1,
                "url": "https://example.org",
                "location": 0,
            }]}),
            "get_producer_schedule" => json!({"active": {"version": 7, "producers": [
                {"producer_name": "alice", "block_signing_key": key(1).to_text("EOS")},
                {"producer_name": "bob", "block_signing_key": key(2).to_text("EOS")},
            ]}, "pending": null, "proposed": null}),
            "get_block_info" => {
                let num = body["block_num"].as_u64().unwrap();
                if num > self.head {
                    return Err(3_100_002);
                }
                json!({
                    "block_num": num,
                    "id": self.id(num),
                    "previous": self.id(num - 1),
                    "timestamp": self.time(num),
                    "producer": "bob",
                    "schedule_version": 7,
                })
            }
            // Not offered before Savanna.
            _ => return Err(0),
        })
    }
}

fn refused(status: &'static str, code: u64) -> Act {
    let body = json!({"code": 500, "message": "m", "error": {"code": code, "what": "w"}});
    Act::Keep(status, body.to_string().into_bytes())
}

impl Double for Node {
    const HEAD: u64 = HEAD;

    fn answer(&mut self, seen: &Seen) -> Act {
        let body = serde_json::from_slice(&seen.body).unwrap();
        match self.result(&seen.path, &body) {
            Ok(value) => Act::Keep("200 OK", value.to_string().into_bytes()),
            Err(code) => refused(
                if code == 0 {
                    "404 Not Found"
                } else {
                    "500 Oops"
                },
                code,
            ),
        }
    }
}

async fn start(moods: Vec<Mood>, hard: Duration) -> Net {
    let spec = ChainSpec {
        name: "test".into(),
        protocol: Protocol::Antelope,
        chain_id: slotkeeper::hex::decode_array(CHAIN_ID).unwrap(),
        address_prefix: "EOS".into(),
        core_symbol: "EOS".into(),
        block_interval: 500,
    };
    Net::start(spec, 2, moods, hard).await
}

#[tokio::test]
async fn any_fault_of_any_one_of_three_nodes_leaves_the_chain_in_view_and_shows() {
    let good = Node::good();
    let act = |act| Mood::Act(act);
    let node = |node| Mood::Node(node);
    let stale = Node {
        head: HEAD - 10,
        ..good.clone()
    };
    let forked = Node {
        fork: Some(HEAD - 1),
        ..good.clone()
    };
    let other_key = Node {
        key: 2,
        ..good.clone()
    };
    let foreign = Node {
        chain_id: "00".repeat(32),
        ..good.clone()
    };
    let table: [(&str, Mood, RpcOutcome); 12] = [
        ("closed", act(Act::Close), RpcOutcome::Refused),
        ("black hole", act(Act::Hang), RpcOutcome::Timeout),
        ("slow drip", act(Act::Drip), RpcOutcome::Timeout),
        (
            "429",
            act(Act::status("429 Slow down")),
            RpcOutcome::RateLimited,
        ),
        (
            "502",
            act(Act::status("502 Bad Gateway")),
            RpcOutcome::ServerError,
        ),
        ("html", act(Act::status("200 OK")), RpcOutcome::Malformed),
        ("100 MB", act(Act::Flood), RpcOutcome::TooLarge),
        (
            "refuses",
            act(refused("500 Oops", 3_010_000)),
            RpcOutcome::RpcError,
        ),
        ("wrong chain", node(foreign), RpcOutcome::WrongChain),
        ("stale", node(stale), RpcOutcome::Ok),
        ("fork", node(forked), RpcOutcome::Ok),
        ("other key", node(other_key), RpcOutcome::Ok),
    ];
    for (name, mood, outcome) in table {
        for place in [0, 2] {
            let endless = outcome == RpcOutcome::Timeout;
            let hard = Duration::from_millis(if endless { 300 } else { 20_000 });
            let mut moods = vec![Mood::Node(good.clone()); 3];
            moods[place] = mood.clone();
            let net = start(moods, hard).await;
            for _ in 0..2 {
                let view = net.tick().await.unwrap_or_else(|e| panic!("{name}: {e}"));
                assert_eq!((view.head.num, registered(&view)), (HEAD, key(1)), "{name}");
                let version = view.schedules[0].version.as_ref().unwrap();
                assert_eq!((version.number, version.read_by), (7, HEAD + 1), "{name}");
                assert_eq!(
                    view.blocks.last().unwrap().schedule_version,
                    Some(7),
                    "{name}"
                );
            }
            let count = || net.pool.statuses()[place].requests[&outcome];
            eventually(name, || count() > 0).await;
            // Its answer may have come after the round: the next tick measures it.
            assert_eq!(registered(&net.tick().await.unwrap()), key(1), "{name}");
            let status = &net.pool.statuses()[place];
            match name {
                "stale" => assert_eq!(status.lag, Some(10)),
                _ => assert!(!status.up && status.error.is_some(), "{name}: {status:?}"),
            }
        }
    }
}

#[tokio::test]
async fn heads_that_move_while_they_are_read_make_one_view() {
    let good = Node::good();
    let moving = Node {
        moves: 1,
        // However fast the ticks come, no head is in the future.
        epoch: good.epoch - 120_000,
        ..good
    };
    let lag = Node {
        head: HEAD - 3,
        ..moving.clone()
    };
    let moods = vec![moving.clone(), lag, moving];
    let net = start(
        moods.into_iter().map(Mood::Node).collect(),
        Duration::from_secs(20),
    )
    .await;
    let view = net.tick().await.unwrap();
    assert_eq!(registered(&view), key(1));
    // Now one of them names another key: first it may be a change on its way, in the end it is outvoted and shown.
    if let Mood::Node(node) = &mut *net.moods[2].lock().unwrap() {
        node.key = 2;
    }
    for _ in 0..90 {
        let view = net.tick().await.unwrap();
        let alice = &view.producers["alice"];
        if !alice.settling && net.pool.statuses()[2].error.is_some() {
            assert_eq!(registered(&view), key(1));
            return;
        }
    }
    panic!("it settles for ever: {:?}", net.pool.statuses()[2]);
}
