use serde_json::json;

use super::*;
use crate::actuator::{Check, InterlockVerdict, Reason};

const EVIL: &str = "<script>alert(1)</script>\"'";

fn decision() -> DecisionRecord {
    DecisionRecord {
        request_id: EVIL.into(),
        time: EVIL.into(),
        chain: EVIL.into(),
        producer: EVIL.into(),
        action: EVIL.into(),
        cause: EVIL.into(),
        fence: None,
        target: Some(EVIL.into()),
        verdict: EVIL.into(),
        reason: "no_quorum".into(),
        interlocks: vec![InterlockVerdict {
            name: Reason::NoQuorum,
            verdict: Check::Deny,
            detail: EVIL.into(),
        }],
        view: None,
        attempt: None,
        note: Some(EVIL.into()),
        unsigned: None,
    }
}

fn status(name: &str) -> Value {
    json!({
        "armed": true, "able": false, "not_ready": [EVIL], "version": EVIL, "armed_note": EVIL,
        "producers": [{"chain": name, "name": name, "registered_key": EVIL, "effective_key": EVIL, "role": "foreign",
            "fault": EVIL, "recent_slots": EVIL, "next_slot": EVIL, "maintenance_until": EVIL,
            "keys": [{"signing_key": EVIL, "ready": false, "detail": EVIL, "role": EVIL}], "able_note": EVIL,
            "attempt": {"stage": EVIL, "txid": EVIL, "note": EVIL, "from": EVIL, "to": EVIL}}],
        "chains": [{"name": EVIL, "disagreement": EVIL, "endpoints": [{"endpoint": EVIL, "error": EVIL, "provider": EVIL}]}],
        "heartbeats": [{"source": EVIL, "overdue": true}], "warnings": [EVIL],
    })
}

#[test]
fn names_from_far_away_cannot_write_html() {
    let controls = Some(Controls {
        csrf: EVIL,
        said: Some(EVIL),
    });
    let look = |controls, only| Look {
        now: 0,
        only,
        controls,
    };
    let mut many = status(EVIL);
    let one = many["producers"][0].clone();
    many["producers"] = vec![one; 20].into();
    let decided = || Ok(vec![decision()]);
    for page in [
        render(&status(EVIL), &decided(), &look(controls, None)),
        render(&status(EVIL), &decided(), &look(None, Some(EVIL))),
        render(&many, &decided(), &look(controls, None)),
        render(
            &status(EVIL),
            &Err(JournalError::Io(EVIL.into())),
            &look(None, None),
        ),
        request(EVIL, &decided(), 0, EVIL),
        confirm(
            &status(EVIL),
            "failover",
            Some(&format!("{EVIL}/{EVIL}")),
            EVIL,
        )
        .expect("a page"),
        login(Some(EVIL)),
        problem(EVIL),
    ] {
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(!page.contains("</script>\""), "{page}");
        assert!(page.matches("<script").count() <= 1);
    }
}

#[test]
fn what_nobody_has_is_not_asked() {
    let status = status("a");
    for (verb, producer) in [
        ("explode", None),
        ("failover", None),
        ("reload", Some("a/a")),
        ("failover", Some("a/b")),
    ] {
        assert_eq!(confirm(&status, verb, producer, ""), None, "{verb}");
    }
    for verb in ["arm", "disarm", "reload"] {
        assert!(confirm(&status, verb, None, "").is_some(), "{verb}");
    }
    for verb in [
        "arm",
        "disarm",
        "pin",
        "unpin",
        "maintenance",
        "rehearse",
        "switchover",
        "failover",
        "disable",
        "enable",
    ] {
        assert!(confirm(&status, verb, Some("a/a"), "").is_some(), "{verb}");
    }
}

#[test]
fn a_hundred_producers_with_standbys_are_small_enough() {
    let mut all = Vec::new();
    for n in 0..100 {
        let key = |c: &str| format!("STM{}{n:03}", c.repeat(47));
        all.push(json!({"chain": "steem", "name": format!("producer-{n:03}"), "fault": "no", "armed": true, "able": true,
            "consecutive_missed": 0, "role": "primary", "registered_key": key("A"), "effective_key": key("A"),
            "next_slot": "2026-11-21T17:00:00Z", "recent_slots": "ppppmpppp?".repeat(4),
            "keys": [{"signing_key": key("A"), "ready": true}, {"signing_key": key("B"), "ready": true}]}));
    }
    let status = json!({"armed": true, "producers": all});
    let full = Ok(vec![decision(); 10]);
    let page = render(
        &status,
        &full,
        &Look {
            now: 0,
            only: None,
            controls: None,
        },
    );
    assert!(page.len() < 150_000, "{} bytes", page.len());
    assert!(page.contains("100 producers produce"));

    // Ten thousand that are only watched do not make a page of megabytes, and the one that is kept comes first.
    let mut many = vec![
        json!({"chain": "steem", "name": "other", "fault": "no", "consecutive_missed": 0, "watched_only": true});
        10_000
    ];
    many.push(status["producers"][7].clone());
    let status = json!({"armed": true, "producers": many});
    let page = render(
        &status,
        &Ok(vec![]),
        &Look {
            now: 0,
            only: None,
            controls: None,
        },
    );
    assert!(page.len() < 200_000, "{} bytes", page.len());
    assert!(page.contains("And 9751 more"));
    let at = |part: &str| page.find(part).expect(part);
    assert!(at("steem/producer-007</a>") < at("steem/other</a>"));
}
