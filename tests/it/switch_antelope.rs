//! A switch on Antelope: the actions it is made of, bit for bit where a vector has them.

use serde_json::{Value, json};
use slotkeeper::chain::{
    Anchor, BlockId, BlockRef, Chain, ChainSpec, Change, Draft, Method, ProducerState, ReadError,
};
use slotkeeper::hex;
use slotkeeper::keys::{PublicKey, SecretKey, Signer};

use crate::captures_antelope::{chain, key};
use crate::vectors_antelope::cases;

/// 2026-11-21T12:34:26, thirty seconds before the vectors expire.
pub(crate) const HEAD_TIME: i64 = 1_795_264_466_000;

pub(crate) const R1: &str = "PUB_R1_6FPFZqw5ahYrR9jD96yDbbDNTdKtNqRbze6oTDLntrsANgQKZu";

pub(crate) fn vector(name: &str) -> Value {
    let found = cases().into_iter().find(|case| case.name == name);
    found.expect(name).vector
}

/// A block id from which the vectors' reference follows.
pub(crate) fn irreversible() -> BlockRef {
    let mut id = [0u8; 32];
    id[2..4].copy_from_slice(&36_029u16.to_be_bytes());
    id[8..12].copy_from_slice(&1_164_960_351u32.to_le_bytes());
    BlockRef {
        num: 36_029,
        id: BlockId(hex::encode(&id)),
        time: HEAD_TIME - 165_000,
    }
}

pub(crate) fn authority(threshold: u64, keys: &[(&str, u64)]) -> Value {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(key, weight)| json!({"key": key, "weight": weight}))
        .collect();
    json!(["block_signing_authority_v0", {"threshold": threshold, "keys": keys}])
}

pub(crate) fn text(end: &str) -> String {
    key(end).to_text("EOS")
}

/// The state of `bpexampleorg` with this authority, location 124.
fn anchor(authority: Value) -> Anchor {
    let first = key("gPCqQ1");
    Anchor {
        head_time: HEAD_TIME,
        irreversible: irreversible(),
        state: ProducerState {
            registered_key: first,
            effective_key: first,
            enabled: true,
            url: "https://bp.example.org".into(),
            props: json!({"location": 124, "producer_authority": authority}),
            reported_missed: None,
            last_block: None,
            version: None,
            feed_time: None,
            unpaid_blocks: None,
            coming: None,
        },
    }
}

fn change(to: PublicKey) -> Change {
    Change {
        producer: "bpexampleorg".into(),
        from: key("gPCqQ1"),
        to,
        method: Method::Regproducer,
        permission: None,
        finalizer: None,
    }
}

fn mainnet() -> impl Chain {
    let case = vector("regproducer/switch-key");
    slotkeeper::chain::antelope::Antelope::new(ChainSpec {
        chain_id: hex::decode_array(case["chain_id"].as_str().unwrap()).unwrap(),
        ..chain().spec().clone()
    })
}

fn draft(change: &Change, anchor: &Anchor) -> Result<Draft, ReadError> {
    mainnet().draft(change, anchor)
}

/// The actions of a draft, without their authorization.
fn actions(draft: &Draft) -> Vec<(String, Value)> {
    let list = draft.transaction["actions"].as_array().unwrap();
    list.iter()
        .map(|a| {
            assert_eq!(a["account"], "eosio");
            (a["name"].as_str().unwrap().to_owned(), a["data"].clone())
        })
        .collect()
}

#[test]
fn a_switch_is_the_vector_bit_for_bit_and_sent_as_it_is() {
    let single = authority(1, &[(&text("gPCqQ1"), 1)]);
    let case = vector("regproducer/switch-key");
    let made = draft(&change(key("U36iFF")), &anchor(single)).unwrap();
    assert_eq!(hex::encode(&made.bytes), case["serialized"]);
    assert_eq!(hex::encode(&made.digest), case["digest"]);
    assert_eq!(made.id, case["txid"]);
    assert_eq!(made.transaction, case["tx_json"]);
    assert_eq!(made.expiry, HEAD_TIME + 30_000);
    let wif = cases().remove(0).wif;
    let chain = mainnet();
    let signer = SecretKey::from_wif(&wif).unwrap();
    let signature = signer.sign(&made.digest, chain.nonce()).unwrap();
    let sealed = chain.seal(made, &signature);
    assert_eq!(sealed.transaction, case["push_body_packed"]);
    let call = chain.broadcast(&sealed);
    assert_eq!(call.method, "/v1/chain/send_transaction2");
    assert_eq!(call.params["transaction"], sealed.transaction);
    assert_eq!(call.params["retry_trx"], false);
    assert!(!chain.compares_and_swaps(Method::Regproducer));
}

#[test]
fn disabling_unregisters_and_enabling_echoes_url_and_location() {
    let single = authority(1, &[(&text("gPCqQ1"), 1)]);
    let made = draft(&change(PublicKey::NULL), &anchor(single)).unwrap();
    assert_eq!(
        hex::encode(&made.bytes),
        vector("unregprod/basic")["serialized"]
    );
    let mut wax = change(PublicKey::NULL);
    wax.permission = Some("failover".into());
    let made = draft(&wax, &anchor(Value::Null)).unwrap();
    assert_eq!(
        hex::encode(&made.bytes),
        vector("unregprod/wax")["serialized"]
    );
    // Back again: the row has no authority then.
    let mut back = change(key("U36iFF"));
    back.from = PublicKey::NULL;
    let made = draft(&back, &anchor(Value::Null)).unwrap();
    assert_eq!(
        hex::encode(&made.bytes),
        vector("regproducer/switch-key")["serialized"]
    );
}

#[test]
fn of_an_authority_of_several_keys_only_the_accused_one_changes() {
    let (old, new) = (text("gPCqQ1"), text("U36iFF"));
    let third = text("GDW5CV");
    let case = |before: Value, after: Value| {
        let made = draft(&change(key("U36iFF")), &anchor(before)).unwrap();
        assert_eq!(
            actions(&made),
            [(
                "regproducer2".to_owned(),
                json!({
                    "producer": "bpexampleorg", "producer_authority": after,
                    "url": "https://bp.example.org", "location": 124,
                })
            )]
        );
        made
    };
    case(
        authority(2, &[(&old, 2), (&third, 1), (R1, 1)]),
        authority(2, &[(&new, 2), (&third, 1), (R1, 1)]),
    );
    // Not at the front: it stays at its place.
    case(
        authority(1, &[(R1, 1), (&old, 1)]),
        authority(1, &[(R1, 1), (&new, 1)]),
    );
    // The target stands in it already: the chain refuses a key twice, so they change places, each with its weight.
    let made = case(
        authority(1, &[(&old, 1), (&new, 1)]),
        authority(1, &[(&new, 1), (&old, 1)]),
    );
    assert_eq!(
        hex::encode(&made.bytes),
        vector("regproducer2/two-keys-threshold-1")["serialized"]
    );
    // As schedules and some nodes write it.
    case(
        json!([0, {"threshold": 1, "keys": [{"key": old, "weight": 1}, {"key": third, "weight": "1"}]}]),
        authority(1, &[(&new, 1), (&third, 1)]),
    );
    let foreign = authority(1, &[(R1, 1), (&third, 1)]);
    let error = draft(&change(key("U36iFF")), &anchor(foreign)).unwrap_err();
    assert!(
        error.to_string().contains("does not hold the key"),
        "{error}"
    );
}

#[test]
fn a_finalizer_key_is_activated_in_the_same_transaction() {
    let mut both = change(key("U36iFF"));
    both.finalizer = Some("PUB_BLS_example".into());
    both.permission = Some("failover".into());
    let made = draft(&both, &anchor(authority(1, &[(&text("gPCqQ1"), 1)]))).unwrap();
    let done = actions(&made);
    assert_eq!(done.len(), 2);
    assert_eq!(done[0].0, "regproducer");
    let expected = &vector("actfinkey/strings")["tx_json"]["actions"][0];
    assert_eq!(done[1], ("actfinkey".to_owned(), expected["data"].clone()));
    for action in made.transaction["actions"].as_array().unwrap() {
        assert_eq!(
            action["authorization"],
            json!([{"actor": "bpexampleorg", "permission": "failover"}])
        );
    }
}

#[test]
fn what_cannot_be_drafted_says_why() {
    let single = || anchor(authority(1, &[(&text("gPCqQ1"), 1)]));
    let refused = |change: &Change, anchor: &Anchor, says: &str| {
        let error = draft(change, anchor).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    };
    let good = change(key("U36iFF"));
    for (permission, says) in [
        ("owner", "can take the whole account"),
        ("", "is empty"),
        ("FAILOVER", "is no name"),
    ] {
        let mut odd = good.clone();
        odd.permission = Some(permission.into());
        refused(&odd, &single(), says);
    }
    let mut odd = good.clone();
    odd.method = Method::WitnessUpdate;
    refused(&odd, &single(), "use regproducer");
    let mut odd = good.clone();
    odd.producer = "Not A Name".into();
    refused(&odd, &single(), "is no name");
    let mut without = single();
    without.state.props = Value::Null;
    refused(&good, &without, "location");
    let mut without = single();
    without.irreversible.id = BlockId("00".into());
    refused(&good, &without, "irreversible block id");
    let mut late = single();
    late.head_time = i64::MAX;
    refused(&good, &late, "out of range");
}

#[test]
fn an_expiration_is_the_next_whole_second() {
    let at = |offset: i64| {
        let mut anchor = anchor(authority(1, &[(&text("gPCqQ1"), 1)]));
        anchor.head_time += offset;
        draft(&change(key("U36iFF")), &anchor).unwrap()
    };
    assert_eq!(at(1).expiry, HEAD_TIME + 31_000);
    assert_eq!(at(500).expiry, HEAD_TIME + 31_000);
    // The same switch within the same second is the same transaction: the chain takes it once.
    assert_eq!(at(500).id, at(1000).id);
    assert_ne!(at(1000).id, at(1500).id);
}
