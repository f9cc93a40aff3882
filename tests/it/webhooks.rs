//! Alertmanager payloads, as version 0.25 to 0.33 send them.

use serde_json::{Value, json};
use slotkeeper::clock::now_ms;

/// One firing failover alert about `producer` and `key`, evaluated now.
pub(crate) fn failover(key: &str, producer: &str) -> Value {
    alert(key, producer, "failover", "firing", now_ms() / 1000)
}

/// One alert, evaluated at `evaluated_at` (Unix seconds).
pub(crate) fn alert(
    key: &str,
    producer: &str,
    action: &str,
    status: &str,
    evaluated_at: i64,
) -> Value {
    json!({
        "version": "4",
        "groupKey": "{}/{action=~\"failover|disable|drill\"}:{alertname=\"SlotkeeperProducerFault\"}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "slotkeeper",
        "groupLabels": {"alertname": "SlotkeeperProducerFault"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1:9093",
        "notification_reason": "first notification",
        "alerts": [{
            "status": status,
            "labels": {
                "alertname": "SlotkeeperProducerFault", "severity": "critical", "action": action,
                "chain": "devnet", "producer": producer, "signing_key": key,
            },
            "annotations": {"evaluated_at": evaluated_at.to_string(), "summary": "test"},
            "startsAt": "2026-11-21T03:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://127.0.0.1:9090/graph",
            "fingerprint": "0123456789abcdef",
        }],
    })
}
