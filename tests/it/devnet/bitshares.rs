//! The BitShares dialect: framing and HTTP statuses, objects, what is taken and refused, the null key. And the adapter
//! against it, over real HTTP.

use serde_json::{Value, json};
use slotkeeper::chain::{
    Accepted, Anchor, BlockId, Chain as _, Memory, Outcome, Protocol, Rejection, graphene,
};
use slotkeeper::devnet::Devnet;
use slotkeeper::devnet::chain::{active_key, node_key};
use slotkeeper::keys::{Nonce, PublicKey, SecretKey, Signer};

use super::drafts::{answers, spec, submit, switch};
use super::{post_any, start};

async fn call(url: &str, params: Value) -> (u16, Value) {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": params});
    post_any(url, body.to_string()).await
}

fn adapter() -> graphene::bitshares::BitShares {
    graphene::bitshares::BitShares::new(spec(Protocol::BitShares))
}

#[tokio::test]
async fn calls_are_framed_and_refused_as_a_node_does() {
    let devnet = start(Protocol::BitShares).await;
    let url = devnet.endpoint(0).url();
    for (body, status, code) in [
        ("{not json".to_owned(), 400, -32700),
        (json!([{"jsonrpc": "2.0", "id": 1, "method": "get_chain_id", "params": []}]).to_string(), 400, -32600),
        (json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": {"api": 0}}).to_string(), 400, -32602),
        (json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": [0, "no_such", []]}).to_string(), 400, -32601),
        (json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": ["nosuch", "get_chain_id", []]}).to_string(), 400, -32601),
        (json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": [0, "get_block", ["x"]]}).to_string(), 200, 4),
        (json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": [0, "get_witness_by_account", ["nosuch"]]}).to_string(), 200, 10),
    ] {
        let (http, reply) = post_any(&url, body.clone()).await;
        assert_eq!((http, &reply["error"]["code"]), (status, &json!(code)), "{body}");
    }
    // Api 0 by number, by name, and as a bare method.
    let id = slotkeeper::hex::encode(&graphene::TESTNET_CHAIN_ID);
    for body in [
        json!({"id": 1, "method": "call", "params": [0, "get_chain_id", []]}),
        json!({"id": 1, "method": "call", "params": ["database", "get_chain_id", []]}),
        json!({"id": 1, "method": "get_chain_id", "params": []}),
    ] {
        let (http, reply) = post_any(&url, body.to_string()).await;
        assert_eq!((http, &reply["result"]), (200, &json!(id)));
    }
    // An account that is no witness, an object that is not there.
    let (_, bob) = call(&url, json!([0, "get_witness_by_account", ["bob"]])).await;
    assert_eq!(bob["result"], Value::Null);
    let ids = json!([0, "get_objects", [["2.12.7", "1.6.9999", "1.6.1"]]]);
    let (_, objects) = call(&url, ids).await;
    let objects = objects["result"].as_array().unwrap();
    assert!(objects[0].is_null() && objects[1].is_null());
    assert_eq!(objects[2]["witness_account"], "1.2.6");
    let named = json!([0, "get_witness_by_account", ["1.2.6"]]);
    assert_eq!(call(&url, named).await.1["result"]["id"], "1.6.1");
}

#[tokio::test]
async fn the_adapter_reads_head_producer_schedule_and_blocks() {
    let devnet = start(Protocol::BitShares).await;
    let url = devnet.endpoint(0).url();
    let head = devnet.with_chain(|chain| chain.head().head_num);
    let memory = Memory {
        identity: true,
        producers: vec!["alice".into(), "nosuch".into()],
        blocks: (head - 2..=head).collect(),
        authorities: vec!["alice".into(), "nosuch".into()],
        ..Memory::default()
    };
    let chain = adapter();
    let seen = chain.read(&memory, &answers(&chain, &url, chain.survey(&memory)).await);
    let seen = seen.unwrap();
    assert_eq!(seen.aliases.as_ref().unwrap()["1.6.1"], "alice");
    assert_eq!(seen.producers["nosuch"], None);
    let alice = seen.producers["alice"].as_ref().unwrap();
    let key = node_key("alice", "A").unwrap().public_key();
    assert_eq!(alice.registered_key, key);
    let active = active_key("alice").unwrap().public_key();
    assert_eq!(seen.active_keys["alice"], [active]);
    // Ids and signing keys follow from the headers; producers are named by account.
    assert_eq!(seen.blocks.len(), 3);
    for pair in seen.blocks.windows(2) {
        assert_eq!(pair[0].id, pair[1].previous);
    }
    devnet.with_chain(|chain| {
        let state = chain.head();
        for block in &seen.blocks {
            let of = state.witness(&block.producer).unwrap();
            assert_eq!(block.signing_key, Some(of.signing_key));
        }
        let slots: Vec<_> = chain.slots().cloned().collect();
        for block in &seen.blocks {
            let of = |s: &&slotkeeper::devnet::chain::SlotRecord| {
                s.block.as_ref().is_some_and(|b| b.0 == block.num)
            };
            assert_eq!(Some(slots.iter().find(of).unwrap().slot), block.slot);
        }
    });
    if let Some(schedule) = seen.schedule {
        assert_eq!(schedule.until % 21, 0);
        assert_eq!(schedule.order.len(), 21);
        assert!(schedule.order.contains(&"alice".to_owned()));
    }
}

type Spoil<'a> = &'a dyn Fn(&mut Anchor);

async fn refusal(devnet: &Devnet, sealed: &Value) -> (Accepted, i64) {
    let reply = submit(&adapter(), devnet, sealed).await;
    let code = reply.as_ref().err().map_or(0, |fault| fault.code);
    (adapter().accepted(&reply), code)
}

#[tokio::test]
async fn a_switch_is_taken_once_and_refused_for_the_right_reasons() {
    let chain = adapter();
    let devnet = start(Protocol::BitShares).await;
    let active = active_key("alice").unwrap();
    let wrong = node_key("alice", "A").unwrap();
    let refused = |why, code| (Accepted::Refused(why), code);
    let sealed = switch(&chain, &devnet, &wrong, |_| ()).await;
    let said = refusal(&devnet, &sealed).await;
    assert_eq!(said, refused(Rejection::MissingAuthority, 4_010_001));
    let cases: [(Spoil<'_>, Rejection, i64); 6] = [
        (&|a| a.head_time -= 120_000, Rejection::Expired, 10),
        (
            &|a| a.head_time += 90_000_000,
            Rejection::ExpirationTooFar,
            10,
        ),
        (
            &|a| {
                let number = a.irreversible.id.0[..8].to_owned();
                a.irreversible.id = BlockId(number + &"ab".repeat(16));
            },
            Rejection::ReferenceBlock,
            10,
        ),
        (
            &|a| a.state.props["witness"] = json!("1.6.9999"),
            Rejection::UnknownAccount,
            10,
        ),
        (
            &|a| a.state.props["witness"] = json!("1.6.2"),
            Rejection::Invalid,
            10,
        ),
        (
            &|a| a.state.props["fee"]["amount"] = json!(1),
            Rejection::Resources,
            4_010_007,
        ),
    ];
    for (change, why, code) in cases {
        let sealed = switch(&chain, &devnet, &active, change).await;
        assert_eq!(refusal(&devnet, &sealed).await, refused(why, code));
    }
    let mut spoilt = switch(&chain, &devnet, &active, |_| ()).await;
    let signature = spoilt["transaction"]["signatures"][0].clone();
    spoilt["transaction"]["signatures"] = json!([signature, signature]);
    let said = refusal(&devnet, &spoilt).await;
    assert_eq!(said, refused(Rejection::BadSignature, 4_010_005));

    let before = devnet.with_chain(|c| c.head().witness("alice").unwrap().url.clone());
    let sealed = switch(&chain, &devnet, &active, |_| ()).await;
    assert_eq!(refusal(&devnet, &sealed).await, (Accepted::Now, 0));
    assert_eq!(
        refusal(&devnet, &sealed).await,
        (Accepted::Already, 3_030_001)
    );
    let mut slots = devnet.slots();
    let to = node_key("alice", "B").unwrap().public_key();
    while devnet.with_chain(|c| c.head().witness("alice").unwrap().signing_key) != to {
        slots.changed().await.unwrap();
    }
    let after = devnet.with_chain(|c| c.head().witness("alice").unwrap().url.clone());
    assert_eq!(after, before);
    let sealed = serde_json::from_value(sealed).unwrap();
    let url = devnet.endpoint(0).url();
    let followed = answers(&chain, &url, chain.follow(&sealed)).await;
    let outcome = chain.outcome(&sealed, &followed);
    assert_eq!(outcome, Outcome::Pending);
}

/// A transaction of one operation, signed by each of `keys`, straight to the node.
async fn by_hand(devnet: &Devnet, change: Value, keys: &[&SecretKey]) -> Value {
    let mut body = json!({
        "fee": {"amount": 2_000_000, "asset_id": "1.3.0"}, "witness": "1.6.1", "witness_account": "1.2.6",
    });
    let fields = change.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    let (num, id, time) = devnet.with_chain(|c| {
        let head = c.head();
        (head.head_num, head.head_id.clone(), head.head_ms)
    });
    let id: [u8; 20] = slotkeeper::hex::decode_array(&id).unwrap();
    let (ref_num, prefix) = graphene::tapos(&id);
    assert_eq!(u64::from(ref_num), num & 0xffff);
    let expiration = u32::try_from(time / 1000 + 60).unwrap();
    let mut tx = json!({
        "ref_block_num": ref_num, "ref_block_prefix": prefix,
        "expiration": graphene::format_time(expiration), "operations": [[21, body]], "extensions": [],
        "signatures": [],
    });
    let dialect = graphene::Dialect::testnet(Protocol::BitShares).with_address_prefix("TST");
    let read = graphene::Transaction::from_json(&tx, &dialect).unwrap().tx;
    let bytes = read
        .serialize(&dialect, graphene::Serialization::Legacy)
        .unwrap();
    let digest = graphene::digest(&graphene::TESTNET_CHAIN_ID, &bytes);
    tx["signatures"] = keys
        .iter()
        .map(|key| json!(key.sign(&digest, Nonce::Graphene).unwrap().to_hex()))
        .collect();
    let url = devnet.endpoint(0).url();
    let params = json!(["network_broadcast", "broadcast_transaction", [tx]]);
    call(&url, params).await.1
}

#[tokio::test]
async fn urls_are_short_signatures_needed_and_the_null_key_keeps_its_slots() {
    let devnet = start(Protocol::BitShares).await;
    let (active, other) = (active_key("alice").unwrap(), active_key("bob").unwrap());
    let url = |n: usize| json!({"new_url": "u".repeat(n)});
    let long = by_hand(&devnet, url(127), &[&active]).await;
    assert_eq!(long["error"]["code"], 10);
    let format = &long["error"]["data"]["stack"][0]["format"];
    assert_eq!(format, "new_url->size() < GRAPHENE_MAX_URL_LENGTH: ");
    let extra = by_hand(&devnet, url(126), &[&active, &other]).await;
    assert_eq!(extra["error"]["code"], 4_010_004);
    let none = by_hand(&devnet, url(126), &[]).await;
    assert_eq!(none["error"]["code"], 4_010_001);
    let taken = by_hand(&devnet, url(126), &[&active]).await;
    assert_eq!(taken["result"], Value::Null, "{taken}");
    assert!(taken.get("error").is_none(), "{taken}");

    let null = json!({"new_signing_key": PublicKey::NULL.to_text("TST")});
    let taken = by_hand(&devnet, null, &[&active]).await;
    assert!(taken.get("error").is_none(), "{taken}");
    devnet.with_chain(|chain| {
        for _ in 0..100 {
            chain.step();
        }
        let head = chain.head();
        let alice = head.witness("alice").unwrap();
        assert_eq!(alice.url.len(), 126);
        assert!(alice.signing_key.is_null());
        assert!(alice.total_missed >= 3, "{}", alice.total_missed);
        assert!(head.shuffled.contains(&"alice".to_owned()));
    });
}
