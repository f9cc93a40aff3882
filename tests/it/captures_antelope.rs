//! Every reply of a real nodeos is read or classified; none by its message. Savanna's and Telos' own fields, which that
//! node did not have, are written by hand after their sources.

use serde_json::{Value, json};
use slotkeeper::chain::antelope::Antelope;
use slotkeeper::chain::antelope::faults::{accepted, classify};
use slotkeeper::chain::{
    Accepted, Chain, ChainSpec, Change, Memory, Method, Observation, Outcome, Protocol, Rejection,
    Reply, RpcFault, Sealed,
};
use slotkeeper::keys::PublicKey;

use crate::vectors::load;

/// Keys of the captured node, by the ends that its timelines give.
pub(crate) const KEYS: [&str; 3] = [
    "EOS7aDRDWUTLHKKdmJQYmReMFSrFmMP4rW4h5Qyx9KXVZuqgPCqQ1",
    "EOS7NihpKCKvAfszJh4u2m93f29r95rCneHkNuJHTqSHeeQU36iFF",
    "EOS6MRyAjQq8ud7hVNYcfnVPJqcVpscN5So8BhtHuGYqET5GDW5CV",
];

pub(crate) fn key(end: &str) -> PublicKey {
    let text = KEYS.iter().find(|k| k.ends_with(end)).expect(end);
    PublicKey::parse(text, "EOS").unwrap()
}

pub(crate) fn chain() -> Antelope {
    Antelope::new(ChainSpec {
        name: "local".into(),
        protocol: Protocol::Antelope,
        chain_id: [7; 32],
        address_prefix: "EOS".into(),
        core_symbol: "SYS".into(),
        block_interval: 500,
    })
}

pub(crate) fn captures() -> serde_json::Map<String, Value> {
    load("antelope-rpc-captures")["captures"]
        .as_object()
        .unwrap()
        .clone()
}

pub(crate) fn body(name: &str) -> Value {
    let body = captures()[name]["body"].clone();
    assert!(body.is_object(), "{name}");
    body
}

/// As the transport gives it: nodeos' own code, or the status where it says 0.
pub(crate) fn reply(capture: &Value) -> Reply {
    let body = &capture["body"];
    let Some(error) = body.get("error") else {
        return Ok(body.clone());
    };
    let code = match error["code"].as_i64().expect("a code") {
        0 => capture["http"].as_i64().unwrap(),
        code => code,
    };
    Err(RpcFault {
        code,
        message: "the message must not matter".into(),
        data: error.clone(),
    })
}

fn expected(name: &str) -> Option<Accepted> {
    use Rejection as R;
    Some(match name {
        "push_ok"
        | "send_ok"
        | "send2_ok"
        | "updateauth_active"
        | "linkauth"
        | "failover_after_link"
        | "active_still_ok"
        | "dry_run"
        | "cpu_ms" => Accepted::Now,
        "push_duplicate" | "send2_duplicate" => Accepted::Already,
        "push_transaction_wrong_key"
        | "push_transaction_no_sig"
        | "send_transaction_wrong_key"
        | "send_transaction_no_sig"
        | "send2_wrong_key"
        | "wrong_chain_id"
        | "actor_mismatch"
        | "failover_before_link"
        | "failover_key_other_action" => Accepted::Refused(R::MissingAuthority),
        "extra_sig" | "dup_sig" => Accepted::Refused(R::BadSignature),
        "expired" => Accepted::Refused(R::Expired),
        "exp_too_far" => Accepted::Refused(R::ExpirationTooFar),
        "bad_tapos" => Accepted::Refused(R::ReferenceBlock),
        "url_too_long" | "send2_url_too_long" | "unregprod_not_found" => {
            Accepted::Refused(R::Invalid)
        }
        // "readonly" is the plain exception too; a switch is never sent that way.
        "unknown_permission" | "unknown_account" | "readonly" => {
            Accepted::Refused(R::UnknownAccount)
        }
        "bad_json" | "get_transaction_status_unknown" => Accepted::Refused(R::BadRequest),
        "send2_retry_disabled" | "get_raw_abi_404" | "get_finalizer_info" => {
            Accepted::Refused(R::NoSuchMethod)
        }
        // Reading a block that is not there says nothing of a transaction.
        "get_block_header_state_irrev" | "get_block_unknown" => Accepted::Unsure,
        _ => return None,
    })
}

#[test]
fn every_answer_of_a_real_nodeos_to_a_transaction_is_classified_by_code() {
    let mut seen = 0;
    for (name, capture) in captures() {
        let reply = reply(&capture);
        let told = reply
            .as_ref()
            .map_or(true, |b| b.get("processed").is_some());
        match expected(&name) {
            Some(expected) => assert_eq!(accepted(&reply), expected, "{name}"),
            None => assert!(!told, "{name} has no expected class"),
        }
        seen += usize::from(told);
    }
    assert_eq!(seen, 38);
}

#[test]
fn a_failure_that_came_as_202_is_none_the_less_one() {
    let mut failed = body("send2_wrong_key");
    assert_eq!(failed["processed"]["receipt"], Value::Null);
    failed["processed"]["except"]["code"] = json!(3_040_005);
    assert_eq!(accepted(&Ok(failed)), Accepted::Refused(Rejection::Expired));
    let mut odd = body("send2_ok");
    odd["processed"]["receipt"]["status"] = json!("hard_fail");
    assert_eq!(accepted(&Ok(odd.clone())), Accepted::Unsure);
    odd["processed"]["receipt"] = Value::Null;
    assert_eq!(accepted(&Ok(odd)), Accepted::Unsure);
    for other in [json!({}), json!(null), json!({"transaction_id": "00"})] {
        assert_eq!(accepted(&Ok(other)), Accepted::Unsure);
    }
    for code in [0, 500, -1, 3_100_002, 3_000_000] {
        assert_eq!(classify(code), Accepted::Unsure, "{code}");
    }
}

/// Answers to a survey of `producers`, with these rows, between two equal heads.
pub(crate) fn world(rows: &[Value], schedule: Value) -> Vec<Reply> {
    let info = body("get_info");
    let mut replies: Vec<Reply> = vec![Ok(info.clone())];
    replies.extend(rows.iter().cloned().map(Ok));
    replies.push(Ok(schedule));
    replies.push(Ok(info));
    replies
}

pub(crate) fn memory(producers: &[&str]) -> Memory {
    Memory {
        producers: producers.iter().map(|p| (*p).to_owned()).collect(),
        ..Memory::default()
    }
}

pub(crate) fn read(memory: &Memory, replies: &[Reply]) -> Observation {
    assert_eq!(
        replies.len(),
        chain().survey(memory).len(),
        "one answer per question"
    );
    chain().read(memory, replies).unwrap()
}

#[test]
fn one_producer_is_read_from_its_row() {
    let memory = memory(&["bpa"]);
    let paths: Vec<String> = chain()
        .survey(&memory)
        .into_iter()
        .map(|c| c.method)
        .collect();
    let path = |name: &str| format!("/v1/chain/{name}");
    assert_eq!(
        paths,
        [
            "get_info",
            "get_table_rows",
            "get_producer_schedule",
            "get_info"
        ]
        .map(path)
    );
    let seen = read(
        &memory,
        &world(&[body("get_table_rows")], body("get_producer_schedule")),
    );
    assert_eq!(
        seen.chain_id.as_deref(),
        Some("4cc663db128b657d18dc1b87b42058ae55e105b8150b93f2695a66e49467c26f")
    );
    assert_eq!((seen.head.num, seen.irreversible), (1195, 1147));
    assert_eq!(
        (seen.settled, seen.slack, seen.head_slot),
        (true, 0, 1_697_093_147)
    );
    assert_eq!(seen.participation, None);
    let bpa = seen.producers["bpa"].as_ref().unwrap();
    assert_eq!(bpa.registered_key, key("U36iFF"));
    assert_eq!(bpa.effective_key, key("U36iFF"));
    assert!(bpa.enabled && bpa.coming.is_none());
    assert_eq!(
        (bpa.url.as_str(), bpa.unpaid_blocks),
        ("https://bpa.example", Some(212))
    );
    assert_eq!(bpa.props["location"], 100);
    assert_eq!(
        bpa.props["producer_authority"],
        body("get_table_rows")["rows"][0]["producer_authority"]
    );
    let schedule = seen.schedule.unwrap();
    assert_eq!(schedule.order, ["bpa", "bpb", "bpc"]);
    assert_eq!(
        (schedule.read_at, schedule.until, schedule.turn),
        (1195, u64::MAX, 12)
    );
    let version = schedule.version.clone().unwrap();
    assert_eq!((version.number, version.read_by), (2, 1196));
    assert_eq!(version.keys, [key("U36iFF"), key("GDW5CV"), key("GDW5CV")]);
    // The slot numbers fit the schedule: bpa made the head.
    assert_eq!(schedule.producer_of(seen.head_slot), Some("bpa"));
}

#[test]
fn another_owner_in_the_row_is_not_the_producer_asked_for() {
    let memory = memory(&["bpb", "nosuch"]);
    // The bounds of an old node: the next one comes instead.
    let rows = [body("get_table_rows"), body("get_table_rows_missing")];
    let seen = read(&memory, &world(&rows, body("get_producer_schedule")));
    assert_eq!(seen.producers["bpb"], None);
    assert_eq!(seen.producers["nosuch"], None);
}

/// All three producers, active: the captured list was asked for two of them.
pub(crate) fn three() -> Value {
    let mut list = body("get_producers");
    let third = body("get_producers_after_unregprod")["rows"][1].clone();
    assert_eq!(third["owner"], "bpc");
    list["rows"].as_array_mut().unwrap().push(third);
    list["more"] = json!("");
    list
}

#[test]
fn many_producers_come_from_one_list() {
    let memory = memory(&["bpa", "bpb", "bpc", "nosuch"]);
    let calls = chain().survey(&memory);
    assert_eq!(calls.len(), 4);
    assert_eq!(calls[1].method, "/v1/chain/get_producers");
    let mut list = three();
    // A stranger's row that makes no sense does not matter.
    list["rows"].as_array_mut().unwrap().push(json!("0000"));
    let seen = read(
        &memory,
        &world(&[list.clone()], body("get_producer_schedule")),
    );
    assert_eq!(seen.producers.len(), 4);
    assert_eq!(seen.producers["nosuch"], None);
    let bpc = seen.producers["bpc"].as_ref().unwrap();
    assert_eq!(bpc.registered_key, key("GDW5CV"));
    // When the node cut the list, nothing is known of who is not in it.
    list["more"] = json!("zzz");
    let seen = read(&memory, &world(&[list], body("get_producer_schedule")));
    assert!(!seen.producers.contains_key("nosuch"));
    assert!(seen.producers["bpa"].is_some());
}

#[test]
fn a_moving_head_is_told_and_bounded() {
    let memory = memory(&["bpa"]);
    let mut replies = world(&[body("get_table_rows")], body("get_producer_schedule"));
    for (moved, settled, slack) in [(0i64, true, 0), (4, true, 4), (5, false, 5), (-1, false, 0)] {
        let mut info = body("get_info");
        info["head_block_num"] = json!(1195 + moved);
        *replies.last_mut().unwrap() = Ok(info);
        let seen = read(&memory, &replies);
        assert_eq!(
            (seen.settled, seen.slack, seen.head.num),
            (settled, slack, 1195)
        );
        let read_by = seen
            .schedule
            .map(|s| (s.read_at, s.version.unwrap().read_by));
        assert_eq!(read_by, settled.then_some((1195, 1195 + slack + 1)));
    }
    // The same height with another id is another fork.
    let mut info = body("get_info");
    info["head_block_id"] = json!("ff".repeat(32));
    *replies.last_mut().unwrap() = Ok(info.clone());
    assert!(!read(&memory, &replies).settled);
    // Another chain behind the same name.
    info["chain_id"] = json!("00".repeat(32));
    *replies.last_mut().unwrap() = Ok(info);
    assert!(chain().read(&memory, &replies).is_err());
}

#[test]
fn blocks_carry_the_version_they_were_scheduled_by() {
    let mut memory = memory(&["bpa"]);
    memory.blocks = vec![1193, 1194, 99_999];
    let mut replies = world(&[body("get_table_rows")], body("get_producer_schedule"));
    let mut savanna = body("get_block_info");
    savanna["block_num"] = json!(1194);
    savanna["schedule_version"] = json!(1u64 << 31);
    let unknown = reply(&captures()["get_block_unknown"]);
    replies.extend([Ok(body("get_block_info")), Ok(savanna), unknown]);
    let seen = read(&memory, &replies);
    let [first, second] = seen.blocks.as_slice() else {
        panic!("{:?}", seen.blocks);
    };
    assert_eq!((first.num, first.producer.as_str()), (1193, "bpa"));
    assert_eq!(first.schedule_version, Some(2));
    assert_eq!(first.signing_key, None);
    assert_eq!(
        second.schedule_version, None,
        "Savanna's constant says nothing"
    );
    // A block other than the one asked for is no answer.
    memory.blocks = vec![1192];
    let mut replies = world(&[body("get_table_rows")], body("get_producer_schedule"));
    replies.push(Ok(body("get_block_info")));
    assert!(chain().read(&memory, &replies).is_err());
}

#[test]
fn a_row_of_telos_and_a_key_of_another_curve() {
    let mut telos = body("get_table_rows");
    telos["rows"][0]["missed_blocks_per_rotation"] = json!(7);
    telos["rows"][0]["lifetime_missed_blocks"] = json!("1000");
    telos["rows"][0]["times_kicked"] = json!(2);
    let memory = memory(&["bpa"]);
    let seen = read(&memory, &world(&[telos], body("get_producer_schedule")));
    assert_eq!(
        seen.producers["bpa"].as_ref().unwrap().reported_missed,
        Some(1007)
    );
    let r1 = "PUB_R1_6FPFZqw5ahYrR9jD96yDbbDNTdKtNqRbze6oTDLntrsANgQKZu";
    let mut row = body("get_table_rows");
    row["rows"][0]["producer_authority"][1]["keys"][0]["key"] = json!(r1);
    let seen = read(&memory, &world(&[row], body("get_producer_schedule")));
    let bpa = seen.producers["bpa"].as_ref().unwrap();
    // Known to be another one, and echoed as it is.
    assert!(!bpa.registered_key.is_point() && !bpa.registered_key.is_null() && bpa.enabled);
    assert_eq!(bpa.props["producer_authority"][1]["keys"][0]["key"], r1);
}

#[test]
fn a_sent_transaction_is_followed_by_its_state() {
    let sealed = Sealed {
        change: Change {
            producer: "bpa".into(),
            from: key("gPCqQ1"),
            to: key("U36iFF"),
            method: Method::Regproducer,
            permission: None,
            finalizer: None,
        },
        id: "00".repeat(32),
        expiry: 0,
        transaction: Value::Null,
    };
    let calls = chain().follow(&sealed);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].method, "/v1/chain/get_transaction_status");
    assert_eq!(calls[0].params, json!({"id": sealed.id}));
    let mut status = body("get_transaction_status");
    let outcome = |reply: Reply| chain().outcome(&sealed, &[reply]);
    assert_eq!(
        outcome(Ok(status.clone())),
        Outcome::Included { block: 1190 }
    );
    for (state, expected) in [
        ("IRREVERSIBLE", Outcome::Irreversible { block: 1190 }),
        ("LOCALLY_APPLIED", Outcome::Pending),
        ("FORKED_OUT", Outcome::Pending),
        ("FAILED", Outcome::Expired),
        ("UNKNOWN", Outcome::Unknown),
        ("SOMETHING", Outcome::Unknown),
    ] {
        status["state"] = json!(state);
        assert_eq!(outcome(Ok(status.clone())), expected, "{state}");
    }
    for capture in ["get_transaction_status_unknown", "get_raw_abi_404"] {
        assert_eq!(outcome(reply(&captures()[capture])), Outcome::Unknown);
    }
    assert_eq!(chain().outcome(&sealed, &[]), Outcome::Unknown);
}

#[test]
fn any_answer_cut_or_changed_is_read_or_refused() {
    let mut memory = memory(&["bpa"]);
    memory.identity = true;
    memory.blocks = vec![1193];
    memory.authorities = vec!["bpa@failover".into()];
    let mut good = world(&[body("get_table_rows")], body("get_producer_schedule"));
    good.extend([
        Ok(body("get_block_info")),
        Ok(body("get_account")),
        reply(&captures()["get_finalizer_info"]),
    ]);
    assert!(chain().read(&memory, &good).is_ok());
    for i in 0..good.len() {
        for odd in [json!(null), json!([]), json!({}), json!("x"), json!(-1)] {
            let mut replies = good.clone();
            replies[i] = Ok(odd);
            let _ = chain().read(&memory, &replies);
        }
        // What cannot be done without is named.
        if i < 4 {
            assert!(chain().read(&memory, &good[..i]).is_err());
        }
    }
    assert!(chain().read_probe(&[]).is_err());
    assert_eq!(chain().probe().len(), 1);
    assert_eq!(
        chain().read_probe(&[Ok(body("get_info"))]).unwrap().num,
        1195
    );
}
