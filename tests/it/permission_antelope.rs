//! Permissions on Antelope: which keys may sign a switch, and the transaction that makes a permission for nothing else.

use serde_json::{Value, json};
use slotkeeper::chain::antelope::Transaction;
use slotkeeper::chain::antelope::permission::{
    Account, NEEDED, NEEDED_WITH_FINALIZERS, Verdict, setup_actions,
};
use slotkeeper::chain::{Chain, Memory, Observation, Reply};
use slotkeeper::keys::PublicKey;

use crate::captures_antelope::{body, chain, key};
use crate::switch_antelope::{HEAD_TIME, R1, authority, irreversible, text, vector};

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
            json!({"account_name": "gone"}),
            // Who stands for election matters to whoever may switch, and to nobody else.
            slotkeeper::chain::antelope::candidates_call().params,
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
