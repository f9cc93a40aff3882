//! Every reply of real steemd and hived nodes is read or classified; none by its rendered message.

use serde_json::{Value, json};
use slotkeeper::chain::graphene::faults::classify;
use slotkeeper::chain::graphene::steem::Steem;
use slotkeeper::chain::graphene::{Dialect, Serialization, TESTNET_CHAIN_ID, Transaction, txid};
use slotkeeper::chain::{
    Accepted, Chain, ChainSpec, Change, Memory, Method, Outcome, Protocol, Rejection, Reply,
    RpcFault, Sealed,
};
use slotkeeper::keys::PublicKey;

use crate::vectors::load;

const NODES: [(&str, Protocol); 2] = [
    ("steem-rpc-captures", Protocol::Steem),
    ("hive-rpc-captures", Protocol::Hive),
];

pub(crate) fn testnet(protocol: Protocol) -> Steem {
    Steem::new(ChainSpec {
        name: protocol.to_string(),
        protocol,
        chain_id: TESTNET_CHAIN_ID,
        address_prefix: "TST".into(),
        core_symbol: "TESTS".into(),
        block_interval: 3000,
    })
}

/// The captures that hold a JSON-RPC reply, by name (a few note a bare value for the reader).
fn replies(file: &str) -> Vec<(String, Value, Value)> {
    let data = load(file);
    let captures = data["captures"].as_object().expect("captures").clone();
    captures
        .into_iter()
        .filter(|(_, capture)| capture.get("body").is_some_and(|body| !body.is_null()))
        .map(|(name, mut capture)| (name, capture["request"].take(), capture["body"].take()))
        .collect()
}

/// The result of the capture of that name.
fn result(all: &[(String, Value, Value)], wanted: &str) -> Value {
    let capture = all.iter().find(|(name, _, _)| name == wanted);
    let capture = capture.unwrap_or_else(|| panic!("no capture {wanted}"));
    capture.2["result"].clone()
}

fn reply(body: &Value) -> Reply {
    match body.get("error") {
        Some(error) => Err(RpcFault {
            code: error["code"].as_i64().expect("an outer code"),
            message: "the message must not matter".into(),
            data: error.get("data").cloned().unwrap_or(Value::Null),
        }),
        None => Ok(body["result"].clone()),
    }
}

fn expected_refusal(name: &str) -> Option<Accepted> {
    use Rejection as R;
    Some(match name {
        "duplicate" => Accepted::Already,
        "wsp_stale_key" => Accepted::Refused(R::FenceMismatch),
        "wsp_signed_by_active"
        | "wsp_from_null"
        | "wsp_unsorted"
        | "missing_active"
        | "no_signature"
        | "wrong_chain_id"
        | "wu_missing_active"
        | "wu_no_signature"
        | "verify_authority_bad" => Accepted::Refused(R::MissingAuthority),
        "irrelevant_sig" | "dup_sig" | "wu_extra_signature" | "wu_repeated_signature" => {
            Accepted::Refused(R::BadSignature)
        }
        "expired" => Accepted::Refused(R::Expired),
        "exp_too_far" | "expiry_too_far" => Accepted::Refused(R::ExpirationTooFar),
        "tapos" | "bad_tapos" => Accepted::Refused(R::ReferenceBlock),
        "wsp_no_key_prop" | "empty_url" | "long_url" | "feed_publish_inverted" => {
            Accepted::Refused(R::Invalid)
        }
        "unknown_account" => Accepted::Refused(R::UnknownAccount),
        "get_transaction"
        | "get_transaction_unknown"
        | "get_transaction_ah"
        | "get_transaction_indexing_disabled"
        | "get_transaction_unknown_indexing_disabled"
        | "get_transaction_ah_indexing_disabled"
        | "get_block_range"
        | "unknown_method"
        | "unknown_api"
        | "bad_method"
        | "bad_api" => Accepted::Refused(R::NoSuchMethod),
        "network_broadcast_legacy"
        | "network_broadcast_appbase"
        | "bad_params"
        | "no_params"
        | "call_style"
        | "call_network"
        | "garbage" => Accepted::Refused(R::BadRequest),
        _ => return None,
    })
}

#[test]
fn every_refusal_of_a_real_node_is_classified_by_code() {
    for (file, _) in NODES {
        let mut seen = 0;
        for (name, _, body) in replies(file) {
            let Err(fault) = reply(&body) else { continue };
            let expected = expected_refusal(&name)
                .unwrap_or_else(|| panic!("{file}: {name} has no expected class"));
            assert_eq!(classify(&fault), expected, "{file}: {name}");
            seen += 1;
        }
        assert!(seen >= 20, "{file}: only {seen} refusals");
    }
}

#[test]
fn the_message_text_never_decides() {
    // An unknown code with a message that looks like a duplicate is in doubt, not a success.
    let fault = RpcFault {
        code: -32000,
        message: "Duplicate transaction check failed".into(),
        data: json!({"code": 10, "name": "assert_exception",
                     "stack": [{"format": "something else", "data": {}}]}),
    };
    assert_eq!(classify(&fault), Accepted::Unsure);
}

/// Answers one survey from captures of single calls.
fn survey_answers(chain: &Steem, memory: &Memory, find: &dyn Fn(&str) -> Value) -> Vec<Reply> {
    chain
        .survey(memory)
        .iter()
        .map(|call| Ok(find(&call.method)))
        .collect()
}

#[test]
fn every_read_of_a_real_node_is_understood() {
    for (file, protocol) in NODES {
        let chain = testnet(protocol);
        let all = replies(file);
        let result = |wanted: &str| result(&all, wanted);
        let hive = protocol == Protocol::Hive;
        let names: [(&str, Value); 5] = if hive {
            [
                ("get_config", result("config")),
                ("get_dynamic_global_properties", result("dgpo")),
                ("get_witness_by_account", result("witness_ok")),
                ("get_witness_schedule", result("schedule")),
                ("get_block", result("block")),
            ]
        } else {
            [
                ("get_config", result("get_config_pick")),
                ("get_dynamic_global_properties", result("dgpo_condenser")),
                ("get_witness_by_account", result("witness_after")),
                ("get_witness_schedule", result("witness_schedule")),
                ("get_block", result("get_block")),
            ]
        };
        let find = |method: &str| {
            names
                .iter()
                .find(|(name, _)| method.ends_with(name))
                .map_or(Value::Null, |(_, value)| value.clone())
        };
        let num = u64::from_str_radix(
            &find("get_block")["block_id"].as_str().expect("id")[..8],
            16,
        )
        .expect("hex");
        let owner = find("get_witness_by_account")["owner"]
            .as_str()
            .expect("owner")
            .to_owned();
        let memory = Memory {
            identity: true,
            producers: vec![owner.clone()],
            blocks: vec![num],
            authorities: Vec::new(),
            aliases: std::sync::Arc::default(),
        };
        let seen = chain
            .read(&memory, &survey_answers(&chain, &memory, &find))
            .unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(
            seen.chain_id.as_deref(),
            Some("18dcf0a285365fc58b71f18b3d3fec954aa0c141c44e4e5cb4cf777b9eab274e")
        );
        assert!(seen.settled && seen.head.num >= num && seen.head_slot > 0);
        assert_eq!(seen.blocks.len(), 1);
        assert!(seen.blocks[0].signing_key.is_some_and(|key| !key.is_null()));
        let state = seen.producers[&owner].clone().expect("a known witness");
        assert!(!state.registered_key.is_null() && state.enabled);

        // The appbase form of the same witness says the same about everything a switch depends on.
        let many = Memory {
            producers: vec![owner.clone(), "nosuchwit".into()],
            ..Memory::default()
        };
        let found = result("find_witnesses");
        let answers = survey_answers(&chain, &many, &|method| {
            if method.ends_with("find_witnesses") {
                found.clone()
            } else {
                find(method)
            }
        });
        let both = chain.read(&many, &answers).expect("readable");
        assert_eq!(both.producers["nosuchwit"], None);
        let appbase = both.producers[&owner].clone().expect("the same witness");
        assert_eq!(appbase.props, state.props, "{file}: echoed props");
        assert_eq!(appbase.url, state.url);

        // An unknown witness, a block that is not there yet, the other heads and schedules.
        assert_eq!(result("witness_unknown"), Value::Null);
        let probe = chain
            .read_probe(&[Ok(result("dgpo_database"))])
            .expect("a head");
        assert_eq!(probe.num, seen.head.num);
    }
}

#[test]
fn disabled_witness_reads_as_null_key() {
    let chain = testnet(Protocol::Hive);
    let all = replies("hive-rpc-captures");
    let get = |wanted: &str| result(&all, wanted);
    let memory = Memory {
        producers: vec!["wit02".into()],
        ..Memory::default()
    };
    let answers = survey_answers(&chain, &memory, &|method| match method {
        m if m.ends_with("get_witness_by_account") => get("witness_disabled"),
        m if m.ends_with("get_witness_schedule") => get("schedule"),
        _ => get("dgpo"),
    });
    let state = chain.read(&memory, &answers).expect("readable").producers["wit02"]
        .clone()
        .expect("known");
    assert_eq!(state.registered_key, PublicKey::NULL);
    assert!(!state.enabled);
}

#[test]
fn transaction_statuses_of_real_nodes() {
    let sealed = Sealed {
        change: Change {
            producer: "wita".into(),
            from: PublicKey::NULL,
            to: PublicKey::NULL,
            method: Method::WitnessSetProperties,
            finalizer: None,
            permission: None,
        },
        id: "00".repeat(20),
        expiry: 0,
        transaction: Value::Null,
    };
    for (file, protocol) in NODES {
        let chain = testnet(protocol);
        for (name, _, body) in replies(file) {
            let expected = match name.as_str() {
                "find_transaction" => {
                    let block = body["result"]["block_num"].as_u64().expect("block");
                    Outcome::Included { block }
                }
                "find_transaction_unknown" | "find_transaction_expired" => Outcome::Unknown,
                _ => continue,
            };
            assert_eq!(
                chain.outcome(&sealed, &[reply(&body)]),
                expected,
                "{file}: {name}"
            );
        }
    }
}

#[test]
fn transactions_that_real_hived_took_have_the_ids_it_gave() {
    let dialect = Dialect::testnet(Protocol::Hive);
    let mut checked = 0;
    for (name, request, body) in replies("hive-rpc-captures") {
        let method = request["method"].as_str().unwrap_or_default();
        if !method.starts_with("condenser_api.broadcast_transaction")
            && method != "condenser_api.get_transaction_hex"
        {
            continue;
        }
        let signed = Transaction::from_json(&request["params"][0], &dialect)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let bytes = signed
            .tx
            .serialize(&dialect, Serialization::Legacy)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        if let Some(id) = body["result"]["id"].as_str() {
            assert_eq!(slotkeeper::hex::encode(&txid(&bytes)), id, "{name}");
            checked += 1;
        }
        if method == "condenser_api.get_transaction_hex" {
            let hex = body["result"].as_str().expect("hex");
            assert!(
                hex.starts_with(&slotkeeper::hex::encode(&bytes)),
                "{name}: bytes"
            );
            checked += 1;
        }
    }
    assert!(checked >= 3, "only {checked} ids compared");
}

#[test]
fn no_capture_is_left_over() {
    // Results that slotkeeper never asks for: kept so that a new capture cannot slip in unnoticed.
    let not_asked = [
        "active_witnesses",
        "db_active_witnesses",
        "version",
        "version_db",
        "version_database",
        "hardfork_version",
        "next_hf",
        "block_header",
        "block_header_api",
        "block_header_future",
        "block_api_get_block",
        "block_api_block",
        "block_api_header",
        "block_range",
        "get_block_future_api",
        "feed_history",
        "median",
        "key_refs",
        "witnesses_by_vote",
        "chain_props",
        "call_style",
        "call_style_condenser",
        "string_id",
        "batch",
        "verify_authority_ok",
        "transaction_hex",
        "schedule_database",
        "witness_schedule_db",
        "witness_schedule_two_witnesses",
    ];
    let read = [
        "config",
        "get_config_pick",
        "dgpo",
        "dgpo_condenser",
        "dgpo_database",
        "witness_ok",
        "witness_after",
        "witness_unknown",
        "witness_disabled",
        "find_witnesses",
        "schedule",
        "witness_schedule",
        "block",
        "get_block",
        "block_future",
        "get_block_future",
        "accounts",
        "find_transaction",
        "find_transaction_unknown",
        "find_transaction_expired",
    ];
    for (file, protocol) in NODES {
        let chain = testnet(protocol);
        for (name, _, body) in replies(file) {
            if expected_refusal(&name).is_some() && body.get("error").is_some() {
                continue;
            }
            if read.contains(&name.as_str()) || not_asked.contains(&name.as_str()) {
                continue;
            }
            // What remains are accepted broadcasts.
            assert_eq!(
                chain.accepted(&reply(&body)),
                Accepted::Now,
                "{file}: {name}"
            );
            let result = &body["result"];
            let taken = result == &json!({}) || result["block_num"].is_u64() || result.is_null();
            assert!(taken, "{file}: {name} is no answer to a broadcast");
        }
    }
}

#[test]
fn the_keys_that_may_sign_for_an_account() {
    let chain = testnet(Protocol::Steem);
    let all = replies("steem-rpc-captures");
    let get = |wanted: &str| result(&all, wanted);
    let memory = Memory {
        authorities: vec!["wita".into()],
        ..Memory::default()
    };
    let answers = survey_answers(&chain, &memory, &|method| match method {
        m if m.ends_with("get_accounts") => get("accounts"),
        m if m.ends_with("get_witness_schedule") => get("witness_schedule"),
        _ => get("dgpo_condenser"),
    });
    let seen = chain.read(&memory, &answers).expect("readable");
    let named = get("accounts")[0]["active"]["key_auths"][0][0].clone();
    let expected = PublicKey::parse(named.as_str().expect("text"), "TST").expect("a key");
    assert_eq!(seen.active_keys["wita"], vec![expected]);
}
