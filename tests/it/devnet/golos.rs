//! The Golos dialect: how calls are framed and refused, what blocks and schedules look like, what is taken, and the
//! chain's own shutdown of a witness. And the adapter against it, over real HTTP.

use serde_json::{Value, json};
use slotkeeper::chain::{
    Accepted, BlockId, Chain as _, Memory, Outcome, Protocol, Rejection, graphene,
};
use slotkeeper::devnet::Devnet;
use slotkeeper::devnet::chain::{active_key, node_key};
use slotkeeper::keys::{PublicKey, Signer};

use super::drafts::{answers, spec, submit, switch};
use super::{call, post, start};

async fn ask(url: &str, api: &str, method: &str, arguments: Value) -> Value {
    call(url, "call", json!([api, method, arguments])).await
}

fn adapter() -> graphene::golos::Golos {
    graphene::golos::Golos::new(spec(Protocol::Golos))
}

#[tokio::test]
async fn only_call_is_understood() {
    let devnet = start(Protocol::Golos).await;
    let url = devnet.endpoint(0).url();
    let refused = call(&url, "condenser_api.get_config", json!([])).await;
    assert_eq!(refused["error"]["code"], -32600);
    assert_eq!(
        refused["error"]["message"],
        "A member \"method\" is not \"call\""
    );
    for (body, code) in [
        (json!({"jsonrpc": "2.0", "id": 1, "method": "call"}), -32600),
        (
            json!({"id": 1, "method": "call", "params": ["database_api", "get_config"]}),
            -32600,
        ),
        (
            json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": ["nosuch", "x", []]}),
            -32601,
        ),
        (
            json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": ["database_api", "x", []]}),
            -32601,
        ),
        (
            json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": ["database_api", "get_block", {}]}),
            -32600,
        ),
        (
            json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": ["database_api", "get_block", ["x"]]}),
            -32002,
        ),
    ] {
        assert_eq!(post(&url, &body).await["error"]["code"], code, "{body}");
    }
    let one = json!({"jsonrpc": "2.0", "id": 7, "method": "call", "params": ["database_api", "get_config"]});
    let both = post(&url, &json!([one, one])).await;
    assert_eq!(both.as_array().expect("a batch").len(), 2);
    assert_eq!(
        both[1]["result"]["STEEMIT_CHAIN_ID"],
        graphene_chain_id().as_str()
    );
}

fn graphene_chain_id() -> String {
    slotkeeper::hex::encode(&graphene::TESTNET_CHAIN_ID)
}

#[tokio::test]
async fn the_adapter_reads_head_producer_schedule_and_blocks() {
    let devnet = start(Protocol::Golos).await;
    let url = devnet.endpoint(0).url();
    let head = devnet.with_chain(|chain| chain.head().head_num);
    let memory = Memory {
        identity: true,
        producers: vec!["alice".into(), "nosuch".into()],
        blocks: (head - 2..=head).collect(),
        authorities: vec!["alice".into()],
        ..Memory::default()
    };
    let plain = ask(&url, "database_api", "get_block", json!([head])).await;
    for absent in ["block_id", "signing_key", "transaction_ids"] {
        assert!(plain["result"].get(absent).is_none());
    }
    let chain = adapter();
    let seen = chain.read(&memory, &answers(&chain, &url, chain.survey(&memory)).await);
    let seen = seen.unwrap();
    assert_eq!(seen.chain_id, Some(graphene_chain_id()));
    assert_eq!(seen.producers["nosuch"], None);
    let alice = seen.producers["alice"].as_ref().unwrap();
    let key = node_key("alice", "A").unwrap().public_key();
    assert_eq!(alice.registered_key, key);
    let active = active_key("alice").unwrap().public_key();
    assert_eq!(seen.active_keys["alice"], [active]);
    // Ids and signing keys follow from the headers; each block's is the previous one of the next.
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
    });
    if let Some(schedule) = seen.schedule {
        assert_eq!(schedule.until % 21, 0);
        assert_eq!(schedule.order.len(), 21);
        assert!(schedule.governs(schedule.read_at + 1));
    }
}

async fn sent(devnet: &Devnet, sealed: &Value) -> Accepted {
    adapter().accepted(&submit(&adapter(), devnet, sealed).await)
}

#[tokio::test]
async fn a_switch_is_taken_once_and_refused_for_the_right_reasons() {
    let chain = adapter();
    let devnet = start(Protocol::Golos).await;
    let active = active_key("alice").unwrap();
    let wrong = node_key("alice", "A").unwrap();
    let refused = |why| Accepted::Refused(why);
    let sealed = switch(&chain, &devnet, &wrong, |_| ()).await;
    assert_eq!(
        sent(&devnet, &sealed).await,
        refused(Rejection::MissingAuthority)
    );
    let sealed = switch(&chain, &devnet, &active, |a| a.head_time -= 120_000).await;
    assert_eq!(sent(&devnet, &sealed).await, refused(Rejection::Expired));
    let sealed = switch(&chain, &devnet, &active, |a| a.head_time += 7_200_000).await;
    assert_eq!(
        sent(&devnet, &sealed).await,
        refused(Rejection::ExpirationTooFar)
    );
    let sealed = switch(&chain, &devnet, &active, |a| {
        a.irreversible.id = BlockId(format!("{}{}", &a.irreversible.id.0[..8], "ab".repeat(16)));
    })
    .await;
    assert_eq!(
        sent(&devnet, &sealed).await,
        refused(Rejection::ReferenceBlock)
    );
    let mut twice = switch(&chain, &devnet, &active, |_| ()).await;
    let signature = twice["transaction"]["signatures"][0].clone();
    twice["transaction"]["signatures"] = json!([signature, signature]);
    assert_eq!(
        sent(&devnet, &twice).await,
        refused(Rejection::BadSignature)
    );

    let before = devnet.with_chain(|c| c.head().witness("alice").unwrap().url.clone());
    let sealed = switch(&chain, &devnet, &active, |a| {
        // The chain ignores the properties: only url and key change.
        a.state.props["maximum_block_size"] = json!(131_072);
    })
    .await;
    assert_eq!(sent(&devnet, &sealed).await, Accepted::Now);
    assert_eq!(sent(&devnet, &sealed).await, Accepted::Already);
    let mut slots = devnet.slots();
    let to = node_key("alice", "B").unwrap().public_key();
    while devnet.with_chain(|c| c.head().witness("alice").unwrap().signing_key) != to {
        slots.changed().await.unwrap();
    }
    devnet.with_chain(|c| {
        let head = c.head();
        let alice = head.witness("alice").unwrap();
        assert_eq!((&alice.url, alice.maximum_block_size), (&before, 65_536));
    });
    let sealed = serde_json::from_value(sealed).unwrap();
    let url = devnet.endpoint(0).url();
    let followed = answers(&chain, &url, chain.follow(&sealed)).await;
    let outcome = chain.outcome(&sealed, &followed);
    assert!(
        matches!(
            outcome,
            Outcome::Included { .. } | Outcome::Irreversible { .. }
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_witness_that_misses_too_long_is_shut_down_by_the_chain() {
    let devnet = start(Protocol::Golos).await;
    devnet.crash_node("A").unwrap();
    devnet.with_chain(|chain| {
        chain.shut_down_after(30);
        for _ in 0..200 {
            chain.step();
        }
        let head = chain.head();
        assert_eq!(head.witness("alice").unwrap().signing_key, PublicKey::NULL);
    });
    let memory = Memory {
        producers: vec!["alice".into()],
        ..Memory::default()
    };
    let url = devnet.endpoint(0).url();
    let chain = adapter();
    let seen = chain.read(&memory, &answers(&chain, &url, chain.survey(&memory)).await);
    let state = seen.unwrap().producers["alice"].clone().unwrap();
    assert!(!state.enabled && state.registered_key.is_null());
}
