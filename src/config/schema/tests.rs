//! The schema and the YAML reader know the same keys.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::json;

use super::super::raw;
use super::schema;

/// The keys that the reader itself accepts: it lists them when it meets an unknown one.
fn known_keys<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = serde_json::from_str::<T>(r#"{"\u0001": 0}"#)
        .err()
        .expect("an unknown key is refused")
        .to_string();
    let list = error.split("expected").nth(1).expect("the list of keys");
    list.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn properties(path: &[&str]) -> BTreeSet<String> {
    let mut at = schema();
    for step in path {
        at = match at.get("items") {
            Some(items) => items.clone(),
            None => at,
        };
        at = at["properties"][step].clone();
    }
    if let Some(items) = at.get("items") {
        at = items.clone();
    }
    assert_eq!(at["additionalProperties"], json!(false), "{path:?}");
    let keys: BTreeSet<String> = at["properties"]
        .as_object()
        .expect("properties")
        .keys()
        .cloned()
        .collect();
    for required in at["required"].as_array().expect("required") {
        assert!(
            keys.contains(required.as_str().expect("text")),
            "{path:?} {required}"
        );
    }
    keys
}

#[test]
fn schema_knows_exactly_the_keys_of_the_reader() {
    let same =
        |path: &[&str], keys: BTreeSet<String>| assert_eq!(properties(path), keys, "{path:?}");
    same(&[], known_keys::<raw::RawConfig>());
    same(&["web"], known_keys::<raw::RawWeb>());
    same(&["control"], known_keys::<raw::RawControl>());
    same(&["chains"], known_keys::<raw::RawChain>());
    same(&["chains", "endpoints"], known_keys::<raw::RawEndpoint>());
    same(&["producers"], known_keys::<raw::RawProducer>());
    same(&["producers", "keys"], known_keys::<raw::RawKey>());
    same(
        &["producers", "authority"],
        known_keys::<raw::RawAuthority>(),
    );
    same(
        &["producers", "disable_when"],
        known_keys::<raw::RawDisableWhen>(),
    );
    same(&["producers", "budget"], known_keys::<raw::RawBudget>());
    same(&["actuator"], known_keys::<raw::RawActuator>());
    same(
        &["actuator", "alertmanagers"],
        known_keys::<raw::RawAlertmanager>(),
    );
    same(&["fault"], known_keys::<raw::RawFault>());
    same(&["guard"], known_keys::<raw::RawGuard>());
    same(&["heartbeats"], known_keys::<raw::RawHeartbeat>());
    same(&["notify"], known_keys::<raw::RawNotify>());
    same(&["notify", "pagerduty"], known_keys::<raw::RawPagerduty>());
    same(&["notify", "slack"], known_keys::<raw::RawSlack>());
    same(&["notify", "webhook"], known_keys::<raw::RawHook>());
    same(&["notify", "mail"], known_keys::<raw::RawMail>());
    same(&["notify", "twilio"], known_keys::<raw::RawTwilio>());
    same(&["notify", "rate_limit"], known_keys::<raw::RawRate>());
    same(&["pings"], known_keys::<raw::RawPing>());
}
