//! A switch on Antelope: the actions it is made of, bit for bit where a vector has them; permissions that may sign it.

use serde_json::{Value, json};
use slotkeeper::chain::antelope::Transaction;
use slotkeeper::chain::antelope::permission::{
    Account, NEEDED, NEEDED_WITH_FINALIZERS, Verdict, setup_actions,
};
use slotkeeper::chain::{
    Anchor, BlockId, BlockRef, Chain, ChainSpec, Change, Draft, Memory, Method, Observation,
    ProducerState, ReadError, Reply,
};
use slotkeeper::hex;
use slotkeeper::keys::{PublicKey, SecretKey, Signer};

use crate::captures_antelope::{body, chain, key};
use crate::vectors_antelope::cases;

/// 2026-11-21T12:34:26, thirty seconds before the vectors expire.
const HEAD_TIME: i64 = 1_795_264_466_000;

const R1: &str = "PUB_R1_6FPFZqw5ahYrR9jD96yDbbDNTdKtNqRbze6oTDLntrsANgQKZu";

fn vector(name: &str) -> Value {
    let found = cases().into_iter().find(|case| case.name == name);
    found.expect(name).vector
}

/// A block id from which the vectors' reference follows.
fn irreversible() -> BlockRef {
    let mut id = [0u8; 32];
    id[2..4].copy_from_slice(&36_029u16.to_be_bytes());
    id[8..12].copy_from_slice(&1_164_960_351u32.to_le_bytes());
    BlockRef {
        num: 36_029,
        id: BlockId(hex::encode(&id)),
        time: HEAD_TIME - 165_000,
    }
}

fn authority(threshold: u64, keys: &[(&str, u64)]) -> Value {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(key, weight)| json!({"key": key, "weight": weight}))
        .collect();
    json!(["block_signing_authority_v0", {"threshold": threshold, "keys": keys}])
}

fn text(end: &str) -> String {
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

// === permissions ===

fn account(permissions: &[Value]) -> Account {
    let reply = json!({"account_name": "alice", "permissions": permissions});
    Account::read(&reply).unwrap()
}

fn permission(name: &str, parent: &str, keys: &[(&str, u64)], links: &[(&str, Value)]) -> Value {
    let links: Vec<Value> = links
        .iter()
        .map(|(contract, action)| json!({"account": contract, "action": action}))
        .collect();
    json!({
        "perm_name": name, "parent": parent,
        "required_auth": {"threshold": 2, "keys": authority(2, keys)[1]["keys"], "accounts": [], "waits": []},
        "linked_actions": links,
    })
}

#[test]
fn the_captured_account() {
    let bpa = Account::read(&body("get_account")).unwrap();
    assert!(bpa.lists_links());
    let failover = &bpa.permissions["failover"];
    assert_eq!(
        (failover.parent.as_str(), failover.delegated),
        ("active", false)
    );
    assert_eq!(failover.sufficient_keys(), [key("gPCqQ1")]);
    assert_eq!(bpa.may("failover", "regproducer"), Some(true));
    assert_eq!(bpa.may("failover", "unregprod"), Some(false));
    // Seen live: active keeps working, and may all the rest.
    assert_eq!(bpa.may("active", "regproducer"), Some(true));
    assert_eq!(bpa.may("active", "unregprod"), Some(true));
    assert_eq!(bpa.verdict("failover", &["regproducer"]), Verdict::Suffices);
    assert_eq!(
        bpa.verdict("failover", &NEEDED),
        Verdict::Lacks(vec!["regproducer2".into(), "unregprod".into()])
    );
    assert!(matches!(bpa.verdict("active", &NEEDED), Verdict::Excess(_)));
    assert_eq!(bpa.verdict("nosuch", &NEEDED), Verdict::Missing);
}

#[test]
fn a_link_goes_up_never_down_and_the_narrow_one_first() {
    let keys = [(R1, 1), (&*text("gPCqQ1"), 2)];
    let owner = permission("owner", "", &keys, &[]);
    let active = permission("active", "owner", &keys, &[]);
    let all = |action: &str| ("eosio", json!(action));
    let alice = account(&[
        owner.clone(),
        active.clone(),
        permission("failover", "active", &keys, &[all("regproducer")]),
        permission(
            "below",
            "failover",
            &keys,
            &[all("regproducer2"), all("unregprod")],
        ),
        permission("aside", "owner", &keys, &[all("actfinkey")]),
    ]);
    assert_eq!(alice.verdict("failover", &NEEDED), Verdict::Suffices);
    assert_eq!(alice.may("below", "regproducer"), Some(false));
    assert_eq!(
        alice.may("active", "actfinkey"),
        Some(false),
        "linked beside it"
    );
    assert_eq!(alice.may("owner", "actfinkey"), Some(true));
    assert_eq!(alice.switching_keys("active", "actfinkey"), []);
    // Only the second key reaches the threshold alone.
    assert_eq!(
        alice.switching_keys("failover", "regproducer"),
        [key("gPCqQ1")]
    );
    // Linked to nobody in particular.
    let mut any = alice.clone();
    any.any = vec![("eosio".into(), "actfinkey".into())];
    assert_eq!(any.may("below", "actfinkey"), Some(true));
    // The whole contract, written with no action: more than needed.
    let alice = account(&[
        owner,
        active,
        permission(
            "wide",
            "active",
            &keys,
            &[("eosio", Value::Null), ("eosio.token", json!("transfer"))],
        ),
        permission("narrow", "active", &keys, &[all("regproducer")]),
    ]);
    assert_eq!(alice.may("wide", "unregprod"), Some(true));
    assert_eq!(
        alice.may("wide", "regproducer"),
        Some(false),
        "linked elsewhere"
    );
    let Verdict::Excess(links) = alice.verdict("wide", &["unregprod"]) else {
        panic!("{:?}", alice.verdict("wide", &["unregprod"]));
    };
    let link = |c: &str, a: &str| (c.to_owned(), a.to_owned());
    assert_eq!(links, [link("eosio", "*"), link("eosio.token", "transfer")]);
}

#[test]
fn old_nodes_do_not_list_links_and_odd_ones_do_not_hang() {
    let keys = [(&*text("gPCqQ1"), 2)];
    let mut old = [
        permission("active", "owner", &keys, &[]),
        permission("failover", "active", &keys, &[]),
    ];
    for one in &mut old {
        one.as_object_mut().unwrap().remove("linked_actions");
    }
    let alice = account(&old);
    assert!(!alice.lists_links());
    assert_eq!(alice.may("failover", "regproducer"), None);
    assert_eq!(alice.verdict("failover", &NEEDED), Verdict::Unknown);
    assert!(matches!(
        alice.verdict("active", &NEEDED),
        Verdict::Excess(_)
    ));
    assert_eq!(
        alice.switching_keys("failover", "regproducer"),
        [key("gPCqQ1")]
    );
    let circle = account(&[
        permission("active", "failover", &keys, &[]),
        permission("failover", "active", &keys, &[]),
    ]);
    assert_eq!(circle.may("other", "regproducer"), Some(false));
    for odd in [json!({}), json!({"account_name": "a", "permissions": [{}]})] {
        assert!(Account::read(&odd).is_err());
    }
}

#[test]
fn the_setup_is_the_vectors_and_leaves_out_what_stands() {
    let update = vector("least-privilege/updateauth")["tx_json"]["actions"][0].clone();
    let link = vector("least-privilege/linkauth-regproducer")["tx_json"]["actions"][0].clone();
    let public = update["data"]["auth"]["keys"][0]["key"].as_str().unwrap();
    let public = PublicKey::parse(public, "EOS").unwrap();
    let setup = |account: &str, permission: &str, existing: Option<&Account>| {
        setup_actions(
            account,
            permission,
            &public,
            "EOS",
            &NEEDED_WITH_FINALIZERS,
            existing,
        )
    };
    let made = setup("bpexampleorg", "failover", None).unwrap();
    assert_eq!(made.len(), 5);
    assert_eq!(made[..2], [update.clone(), link]);
    let linked: Vec<&Value> = made[1..].iter().map(|a| &a["data"]["type"]).collect();
    assert_eq!(
        linked,
        ["regproducer", "regproducer2", "unregprod", "actfinkey"]
    );
    // One transaction, for a person with the active key to sign.
    let (tx, expiry) = chain()
        .transaction(&made, HEAD_TIME, &irreversible())
        .unwrap();
    assert_eq!(expiry, HEAD_TIME + 30_000);
    assert_eq!(tx.to_json()["actions"], json!(made));
    assert_eq!(Transaction::from_json(tx.to_json()), Ok(tx));
    // The chain refuses a link that changes nothing.
    let bpa = Account::read(&body("get_account")).unwrap();
    let again = setup("bpa", "failover", Some(&bpa)).unwrap();
    let linked: Vec<&Value> = again[1..].iter().map(|a| &a["data"]["type"]).collect();
    assert_eq!(linked, ["regproducer2", "unregprod", "actfinkey"]);
    let elsewhere = account(&[permission("failover", "owner", &[], &[])]);
    for (name, permission, existing, says) in [
        ("bpa", "owner", None, "far more than switch"),
        ("bpa", "active", None, "far more than switch"),
        ("bpa", "", None, "is no name"),
        ("BPA", "failover", None, "is no name"),
        ("bpa", "failover", Some(&elsewhere), "exists under owner"),
    ] {
        let error = setup(name, permission, existing).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    assert!(setup_actions("bpa", "failover", &PublicKey::NULL, "EOS", &NEEDED, None).is_err());
}

#[test]
fn keys_are_listed_when_they_alone_suffice_for_this_producers_switch() {
    let memory = Memory {
        producers: vec!["bpa".into()],
        authorities: vec![
            "bpa@failover".into(),
            "bpa".into(),
            "bpa@nosuch".into(),
            "gone@x".into(),
        ],
        ..Memory::default()
    };
    let paths: Vec<Value> = chain()
        .survey(&memory)
        .into_iter()
        .skip(4)
        .map(|c| c.params)
        .collect();
    assert_eq!(
        paths,
        [
            json!({"account_name": "bpa"}),
            json!({"account_name": "gone"})
        ]
    );
    let read = |row: Value| -> Observation {
        let gone: Reply = Err(slotkeeper::chain::RpcFault {
            code: 500,
            message: String::new(),
            data: Value::Null,
        });
        let replies = [
            Ok(body("get_info")),
            Ok(row),
            Ok(body("get_producer_schedule")),
            Ok(body("get_info")),
            Ok(body("get_account")),
            gone,
        ];
        chain().read(&memory, &replies).unwrap()
    };
    let seen = read(body("get_table_rows"));
    let active = PublicKey::parse(
        "EOS5YHnNgis74GWeARGtzkjYwfwLnvih4Y5fG5vHyPseKzomk9NSE",
        "EOS",
    );
    assert_eq!(
        seen.active_keys.len(),
        3,
        "the account that did not answer is not there"
    );
    assert_eq!(seen.active_keys["bpa@failover"], [key("gPCqQ1")]);
    assert_eq!(seen.active_keys["bpa"], [active.unwrap()]);
    assert_eq!(seen.active_keys["bpa@nosuch"], []);
    // With an authority of two keys the switch is regproducer2, which this permission may not call.
    let mut row = body("get_table_rows");
    row["rows"][0]["producer_authority"] = authority(1, &[(&text("U36iFF"), 1), (R1, 1)]);
    let seen = read(row);
    assert_eq!(seen.active_keys["bpa@failover"], []);
    assert_eq!(seen.active_keys["bpa"].len(), 1);
}
