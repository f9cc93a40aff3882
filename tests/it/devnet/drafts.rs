//! An adapter against the devnet: its calls answered over real HTTP, and alice's switch as it drafts it.

use serde_json::{Value, json};
use slotkeeper::chain::{
    Anchor, BlockRef, Call, Chain, ChainSpec, Change, Framing, Memory, Method, Protocol, Reply,
    RpcFault, graphene,
};
use slotkeeper::devnet::Devnet;
use slotkeeper::devnet::chain::node_key;
use slotkeeper::keys::{Nonce, SecretKey, Signer};

use super::post_any;

/// The devnet's chain, as a configuration would name it.
pub(super) fn spec(protocol: Protocol) -> ChainSpec {
    ChainSpec {
        name: protocol.to_string(),
        protocol,
        chain_id: graphene::TESTNET_CHAIN_ID,
        address_prefix: "TST".into(),
        core_symbol: "TESTS".into(),
        block_interval: 1_000,
    }
}

/// The adapter's calls, each answered by the devnet.
pub(super) async fn answers(chain: &dyn Chain, url: &str, calls: Vec<Call>) -> Vec<Reply> {
    let mut replies = Vec::new();
    for one in calls {
        // Golos knows no other method, and BitShares' other forms are not for adapters.
        assert_eq!(one.method, "call");
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": one.params});
        let (status, body) = post_any(url, body.to_string()).await;
        assert!(status == 200 || chain.framing() == Framing::JsonRpcStatus);
        replies.push(match body.get("error") {
            Some(error) => Err(RpcFault {
                code: error["code"].as_i64().expect("code"),
                message: "must not matter".into(),
                data: error["data"].clone(),
            }),
            None => Ok(body["result"].clone()),
        });
    }
    replies
}

/// A switch of alice's key as the adapter drafts it on an anchor that `change` may spoil, signed by `key`.
pub(super) async fn switch(
    chain: &dyn Chain,
    devnet: &Devnet,
    key: &SecretKey,
    change: impl Fn(&mut Anchor),
) -> Value {
    let url = devnet.endpoint(0).url();
    let memory = Memory {
        producers: vec!["alice".into()],
        ..Memory::default()
    };
    let replies = answers(chain, &url, chain.survey(&memory)).await;
    let seen = chain.read(&memory, &replies).unwrap();
    let mut anchor = Anchor {
        head_time: seen.head.time,
        irreversible: BlockRef {
            num: seen.head.num,
            id: seen.head.id.clone(),
            time: seen.head.time,
        },
        state: seen.producers["alice"].clone().unwrap(),
    };
    change(&mut anchor);
    let draft = chain
        .draft(
            &Change {
                producer: "alice".into(),
                from: anchor.state.registered_key,
                to: node_key("alice", "B").unwrap().public_key(),
                method: Method::WitnessUpdate,
                permission: None,
                finalizer: None,
            },
            &anchor,
        )
        .unwrap();
    let signature = key.sign(&draft.digest, Nonce::Graphene).unwrap();
    serde_json::to_value(chain.seal(draft, &signature)).unwrap()
}

/// What the devnet says to it.
pub(super) async fn submit(chain: &dyn Chain, devnet: &Devnet, sealed: &Value) -> Reply {
    let url = devnet.endpoint(0).url();
    let call = chain.submit(&sealed["transaction"]);
    answers(chain, &url, vec![call]).await.remove(0)
}
