//! Every reply of a real BitShares node (witness_node 7.0.2) is read or classified; none by its rendered message.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use slotkeeper::chain::graphene::bitshares::BitShares;
use slotkeeper::chain::graphene::faults::classify_bitshares;
use slotkeeper::chain::graphene::{Dialect, Serialization, Transaction, digest, txid};
use slotkeeper::chain::{
    Accepted, Anchor, BlockId, BlockRef, Chain, ChainSpec, Change, Memory, Method, Observation,
    Outcome, Protocol, ReadError, Rejection, Reply, RpcFault, Sealed,
};
use slotkeeper::hex;
use slotkeeper::keys::PublicKey;

use crate::vectors::load;

fn chain() -> BitShares {
    with_interval(3_000)
}

fn with_interval(block_interval: i64) -> BitShares {
    BitShares::new(ChainSpec {
        name: "bitshares".into(),
        protocol: Protocol::BitShares,
        chain_id: hex::decode_array(
            "75b53396123143a95c0416632f0d7ed7fa84a5468279a5727f1bb232f76dd9b3",
        )
        .unwrap(),
        address_prefix: "BTS".into(),
        core_symbol: "BTS".into(),
        block_interval,
    })
}

struct Captures(Value);

impl Captures {
    fn load() -> Self {
        Self(load("bitshares-rpc-captures")["captures"].clone())
    }

    fn body(&self, name: &str) -> &Value {
        let capture = &self.0[name]["body"];
        assert!(!capture.is_null(), "no capture {name}");
        capture
    }

    fn result(&self, name: &str) -> Value {
        self.body(name)["result"].clone()
    }

    fn reply(&self, name: &str) -> Reply {
        let body = self.body(name);
        match body.get("error") {
            Some(error) => Err(RpcFault {
                code: error["code"].as_i64().expect("a code"),
                message: "the message must not matter".into(),
                data: error.get("data").cloned().unwrap_or(Value::Null),
            }),
            None => Ok(body["result"].clone()),
        }
    }
}

#[test]
fn every_refusal_is_classified_by_code_and_assertion() {
    use Rejection as R;
    let captures = Captures::load();
    let mut seen = 0;
    for name in captures.0.as_object().unwrap().keys() {
        let Err(fault) = captures.reply(name) else {
            continue;
        };
        let expected = match name.as_str() {
            "duplicate_pending" | "duplicate_included" => Accepted::Already,
            "missing_active"
            | "no_signature"
            | "wrong_chain_id"
            | "wrong_account"
            | "verify_authority_bad" => Accepted::Refused(R::MissingAuthority),
            "extra_signature" | "repeated_signature" => Accepted::Refused(R::BadSignature),
            "expired" => Accepted::Refused(R::Expired),
            "expiry_too_far" => Accepted::Refused(R::ExpirationTooFar),
            "bad_tapos" => Accepted::Refused(R::ReferenceBlock),
            "long_url" => Accepted::Refused(R::Invalid),
            "unknown_witness" | "witness_unknown" => Accepted::Refused(R::UnknownAccount),
            "bad_method" | "bad_api" => Accepted::Refused(R::NoSuchMethod),
            "bad_params" | "batch" | "garbage" | "named_params" => Accepted::Refused(R::BadRequest),
            other => panic!("{other} has no expected class"),
        };
        assert_eq!(classify_bitshares(&fault), expected, "{name}");
        assert_eq!(chain().accepted(&Err(fault)), expected, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 21);
    for taken in ["ok_async", "url_ok", "null_key_ok", "key_back_ok"] {
        assert_eq!(chain().accepted(&captures.reply(taken)), Accepted::Now);
    }
    // Every plain assertion has code 10: one that is not known is in doubt, whatever its text says.
    let fault = RpcFault {
        code: 10,
        message: "Transaction is already in the database".into(),
        data: json!({"code": 10, "stack": [{"format": "something else", "data": {}}]}),
    };
    assert_eq!(classify_bitshares(&fault), Accepted::Unsure);
}

/// Answers a survey from the captures, `change` last.
fn read(
    chain: &BitShares,
    memory: &Memory,
    captures: &Captures,
    change: impl Fn(&str, &mut Reply),
) -> Result<Observation, ReadError> {
    let replies: Vec<Reply> = chain
        .survey(memory)
        .iter()
        .map(|call| {
            assert_eq!(call.method, "call");
            assert_eq!(call.params[0], 0);
            let method = call.params[1].as_str().unwrap();
            let arguments = call.params[2].to_string();
            let mut reply = match method {
                "get_chain_id" => captures.reply("chain_id"),
                "lookup_witness_accounts" => Ok(json!([["init0", "1.6.1"], ["init9", "1.6.10"]])),
                "get_dynamic_global_properties" => captures.reply("dgpo"),
                "get_witness_by_account" => match arguments.as_str() {
                    "[\"init0\"]" => captures.reply("witness"),
                    "[\"nosuch\"]" => captures.reply("witness_unknown"),
                    "[\"committee-account\"]" => captures.reply("witness_not_a_witness"),
                    other => panic!("{other}"),
                },
                "get_objects" if arguments == "[[\"2.12.0\"]]" => captures.reply("schedule"),
                "get_objects" => Ok(json!([captures.result("witness"), null])),
                "get_global_properties" => captures.reply("global_properties"),
                "get_required_fees" => captures.reply("required_fees"),
                "get_block" if arguments == "[707]" => captures.reply("block"),
                "get_block" => captures.reply("block_future"),
                other => panic!("{other} {arguments}"),
            };
            change(method, &mut reply);
            reply
        })
        .collect();
    chain.read(memory, &replies)
}

fn memory(producers: &[&str]) -> Memory {
    Memory {
        identity: true,
        producers: producers.iter().map(|n| (*n).to_owned()).collect(),
        blocks: vec![707, 708],
        ..Memory::default()
    }
}

#[test]
fn every_read_is_understood() {
    let captures = Captures::load();
    let wanted = memory(&["init0", "nosuch", "committee-account"]);
    let seen = read(&chain(), &wanted, &captures, |_, _| ()).unwrap();
    assert_eq!(
        seen.chain_id.as_deref(),
        Some("75b53396123143a95c0416632f0d7ed7fa84a5468279a5727f1bb232f76dd9b3")
    );
    assert_eq!(seen.head.num, 707);
    assert_eq!(seen.head.id.0, "000002c3dcd81318f2f8bee7bfc63a895f4d512a");
    assert_eq!((seen.head_slot, seen.irreversible), (713, 699));
    assert!(seen.settled && seen.slack == 0);
    // Of the last 128 slots two were empty.
    assert_eq!(seen.participation, Some(126.0 / 128.0));
    assert_eq!(seen.producers["nosuch"], None);
    assert_eq!(seen.producers["committee-account"], None);
    let alice = seen.producers["init0"].as_ref().unwrap();
    let key = "BTS8DJpnkPJJLunWGCpdqFh6fDqgqj31uqTCGU4sUWcnYjEkBzQ5r";
    assert_eq!(alice.registered_key.to_text("BTS"), key);
    assert!(alice.enabled && alice.url.is_empty());
    assert_eq!(
        (alice.reported_missed, alice.last_block),
        (Some(2), Some(700))
    );
    assert_eq!(
        alice.props,
        json!({"witness": "1.6.1", "witness_account": "1.2.6",
               "fee": {"amount": 0, "asset_id": "1.3.0"}})
    );
    // Names where known, ids where not; 707 is within the round that ends at 11 × 65.
    let schedule = seen.schedule.unwrap();
    assert_eq!(
        (schedule.read_at, schedule.until, schedule.turn),
        (707, 715, 1)
    );
    assert_eq!(
        schedule.order,
        [
            "1.6.5", "1.6.6", "1.6.4", "init0", "1.6.7", "1.6.9", "1.6.2", "1.6.3", "1.6.11",
            "init9", "1.6.8"
        ]
    );
    assert_eq!(schedule.producer_of(713), Some("init9"));
    let [block] = seen.blocks.as_slice() else {
        panic!("{:?}", seen.blocks);
    };
    // Its id follows from header and signature, and is what the head says.
    assert_eq!((block.num, &block.id), (707, &seen.head.id));
    assert_eq!((block.producer.as_str(), block.slot), ("init9", Some(713)));
    assert!(block.signing_key.is_some());
    let null = [("1.6.2".to_owned(), PublicKey::NULL)];
    assert_eq!(block.key_changes, null);
    assert_eq!(
        seen.aliases.unwrap(),
        BTreeMap::from([
            ("1.6.1".to_owned(), "init0".to_owned()),
            ("1.6.10".to_owned(), "init9".to_owned())
        ])
    );
    // The probe of a node.
    let probe = chain().read_probe(&[captures.reply("dgpo_database_string")]);
    assert_eq!(probe.unwrap().num, 707);
    assert_eq!(
        chain()
            .read_probe(&[captures.reply("bare_method")])
            .unwrap()
            .num,
        707
    );
}

#[test]
fn a_null_key_is_a_disabled_producer() {
    let captures = Captures::load();
    let seen = read(&chain(), &memory(&["init0"]), &captures, |method, reply| {
        if method == "get_witness_by_account" {
            *reply = captures.reply("witness_null_key");
        }
    });
    let seen = seen.unwrap();
    let state = seen.producers["init0"].as_ref().unwrap();
    assert!(state.registered_key.is_null() && !state.enabled);
}

#[test]
fn many_producers_are_asked_for_by_id_in_one_call() {
    let captures = Captures::load();
    let aliases = BTreeMap::from([
        ("1.6.1".to_owned(), "init0".to_owned()),
        ("1.6.77".to_owned(), "gone".to_owned()),
    ]);
    let wanted = Memory {
        identity: false,
        aliases: Arc::new(aliases),
        ..memory(&["init0", "gone"])
    };
    let calls = chain().survey(&wanted);
    assert!(
        calls
            .iter()
            .any(|c| c.params == json!([0, "get_objects", [["1.6.1", "1.6.77"]]]))
    );
    let seen = read(&chain(), &wanted, &captures, |_, _| ()).unwrap();
    assert!(seen.producers["init0"].is_some());
    assert_eq!(seen.producers["gone"], None);
    assert!(seen.chain_id.is_none() && seen.aliases.is_none());
}

#[test]
fn a_chain_with_another_interval_is_told_apart() {
    let captures = Captures::load();
    let error = read(
        &with_interval(5_000),
        &memory(&["init0"]),
        &captures,
        |_, _| (),
    );
    let error = error.unwrap_err();
    assert_eq!(error.what, "block_interval");
    assert!(error.problem.contains("3 s") && error.problem.contains("5000 ms"));
}

#[test]
fn slots_left_out_after_a_maintenance_are_not_missed() {
    // The head stands 20 intervals after a block that came before the maintenance block at 05:05:00: three slots were
    // left out right after that one.
    let captures = Captures::load();
    let seen = read(&chain(), &memory(&["init0"]), &captures, |method, reply| {
        let Ok(value) = reply else { return };
        match method {
            "get_dynamic_global_properties" => {
                value["time"] = json!("2026-11-21T05:05:51");
                value["head_block_number"] = json!(724);
            }
            "get_block" if !value.is_null() => value["timestamp"] = json!("2026-11-21T05:04:51"),
            _ => {}
        }
    });
    let seen = seen.unwrap();
    assert_eq!(seen.head_slot, 713);
    assert_eq!(seen.blocks[0].slot, Some(713 - 20 + 3));
    // The maintenance block itself still counts among those before, the one after it does not.
    for (time, slot) in [
        ("2026-11-21T05:05:00", 713 - 17 + 3),
        ("2026-11-21T05:05:12", 713 - 13),
        // One maintenance earlier three more were left out.
        ("2026-11-21T04:59:57", 713 - 118 + 6),
    ] {
        let seen = read(&chain(), &memory(&["init0"]), &captures, |method, reply| {
            let Ok(value) = reply else { return };
            match method {
                "get_dynamic_global_properties" => {
                    value["time"] = json!("2026-11-21T05:05:51");
                    value["head_block_number"] = json!(724);
                }
                "get_block" if !value.is_null() => value["timestamp"] = json!(time),
                _ => {}
            }
        });
        assert_eq!(seen.unwrap().blocks[0].slot, Some(slot), "{time}");
    }
}

fn anchor(captures: &Captures) -> Anchor {
    let seen = read(&chain(), &memory(&["init0"]), captures, |_, _| ()).unwrap();
    Anchor {
        head_time: seen.head.time,
        irreversible: BlockRef {
            num: 699,
            id: BlockId("000002bb00000000000000000000000000000000".into()),
            time: seen.head.time,
        },
        state: seen.producers["init0"].clone().unwrap(),
    }
}

fn switch(to: PublicKey, method: Method) -> Change {
    Change {
        producer: "init0".into(),
        from: PublicKey::NULL,
        to,
        method,
        permission: None,
        finalizer: None,
    }
}

#[test]
fn a_switch_names_objects_carries_the_fee_and_leaves_the_url() {
    let captures = Captures::load();
    let mut anchor = anchor(&captures);
    anchor.state.props["fee"]["amount"] = json!(48_330);
    let key = anchor.state.registered_key;
    let change = switch(key, Method::WitnessUpdate);
    let draft = chain().draft(&change, &anchor).unwrap();
    assert_eq!(
        draft.transaction["operations"],
        json!([[21, {
            "fee": {"amount": 48_330, "asset_id": "1.3.0"}, "witness": "1.6.1",
            "witness_account": "1.2.6", "new_signing_key": key.to_text("BTS"),
        }]])
    );
    assert_eq!(draft.expiry, anchor.head_time + 30_000);
    assert_eq!(draft.transaction["ref_block_num"], 699);
    // Without a fee nothing is drafted, and the reason says so.
    let mut unpriced = anchor.clone();
    unpriced.state.props.as_object_mut().unwrap().remove("fee");
    let error = chain().draft(&change, &unpriced).unwrap_err();
    assert!(error.to_string().contains("get_required_fees"), "{error}");
    // Disabling and compare-and-swap do not exist here.
    let null = switch(PublicKey::NULL, Method::WitnessUpdate);
    let error = chain().draft(&null, &anchor).unwrap_err();
    assert!(error.to_string().contains("stays scheduled"), "{error}");
    assert_eq!(Err(&error.problem[..]), chain().can_disable());
    let swap = switch(key, Method::WitnessSetProperties);
    assert!(chain().draft(&swap, &anchor).is_err());
}

#[test]
fn bytes_and_id_are_the_node_s() {
    let captures = Captures::load();
    let dialect = Dialect::mainnet(Protocol::BitShares);
    let request = &captures.0["transaction_hex"]["request"]["params"][2][0];
    let signed = Transaction::from_json(request, &dialect).unwrap();
    let mut bytes = signed
        .tx
        .serialize(&dialect, Serialization::Legacy)
        .unwrap();
    let chain_id = chain().spec().chain_id;
    let signers = signed.signers(&digest(&chain_id, &bytes)).unwrap();
    assert_eq!(signers.len(), 1);
    bytes.push(1);
    bytes.extend(signed.signatures[0].as_bytes());
    assert_eq!(
        json!(hex::encode(&bytes)),
        captures.result("transaction_hex")
    );
    assert_eq!(&signed.to_json(&dialect), request);
    let sent = &captures.0["ok_sync"]["request"]["params"][2][0];
    let sent = Transaction::from_json(sent, &dialect).unwrap();
    let bytes = sent.tx.serialize(&dialect, Serialization::Legacy).unwrap();
    assert_eq!(
        json!(hex::encode(&txid(&bytes))),
        captures.result("ok_sync")["id"]
    );
}

#[test]
fn what_was_sent_is_followed_by_the_pool_s_memory() {
    let captures = Captures::load();
    let sealed = Sealed {
        change: switch(PublicKey::NULL, Method::WitnessUpdate),
        id: "6b22f0779d0c800eab54c7917b209da01ecc491a".into(),
        expiry: 0,
        transaction: json!({}),
    };
    let [call] = chain().follow(&sealed).try_into().unwrap();
    assert_eq!(
        call.params,
        captures.0["recent_transaction"]["request"]["params"]
    );
    for (name, outcome) in [
        ("recent_transaction", Outcome::Pending),
        ("recent_transaction_unknown", Outcome::Unknown),
        ("bad_method", Outcome::Unknown),
    ] {
        let replies = [captures.reply(name)];
        assert_eq!(chain().outcome(&sealed, &replies), outcome, "{name}");
    }
    let sent = chain().broadcast(&sealed);
    assert_eq!(sent.method, "call");
    assert_eq!(
        sent.params,
        json!(["network_broadcast", "broadcast_transaction", [{}]])
    );
}
