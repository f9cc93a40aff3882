//! The devnet's own paths: `GET /devnet/state`, `POST /devnet/faults`, `POST /devnet/control`. For tests and people, never for slotkeeper itself.
//!
//! - `/devnet/faults` `{"endpoint":"full1","fault":"black_hole"}`; without `endpoint` the one that is asked; `{"fault":null}` switches it off.
//! - `/devnet/control` `{"crash":"A"}` `{"freeze":"A"}` `{"lag":"A","blocks":5}` `{"restore":"A"}`
//!   `{"partial":"A","percent":30}` `{"handover_fork":2,"after":"alice"}` `{"claim":"alice"}` `{"unregister":"alice"}` (these four
//!   on Antelope only) `{"reorg":2,"drop":"alice","fill":false}` `{"set_key":"alice","node":"B"}` `{"set_key":"alice","key":"TST…"}`.
//! - `/devnet/state?slots=100` limits the list of slots to the latest.

use hyper::{Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::antelope::{self, HandoverFork};
use super::faults::Fault;
use super::nodes::NodeState;
use super::shared::{Endpoint, Shared};
use super::sim::Sim;
use super::truth;
use crate::chain::Protocol;
use crate::keys::PublicKey;

/// Answers one request.
pub(crate) fn handle(
    shared: &Shared,
    here: &Endpoint,
    method: &Method,
    uri: &Uri,
    body: &[u8],
) -> (StatusCode, Value) {
    let result = match (method, uri.path()) {
        (&Method::GET, "/devnet/state") => Ok(truth::state(shared, slots_wanted(uri))),
        (&Method::POST, "/devnet/faults") => read(body).and_then(|v| faults(shared, here, v)),
        (&Method::POST, "/devnet/control") => read(body).and_then(|v| control(shared, &v)),
        _ => {
            return (
                StatusCode::NOT_FOUND,
                json!({"error": "GET /devnet/state, POST /devnet/faults, POST /devnet/control"}),
            );
        }
    };
    match result {
        Ok(v) => (StatusCode::OK, v),
        Err(e) => (StatusCode::BAD_REQUEST, json!({"error": e})),
    }
}

fn slots_wanted(uri: &Uri) -> usize {
    let query = uri.query().unwrap_or_default();
    query
        .split('&')
        .find_map(|p| p.strip_prefix("slots=")?.parse().ok())
        .unwrap_or(usize::MAX)
}

fn read(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|e| format!("the body is no JSON: {e}"))
}

fn faults(shared: &Shared, here: &Endpoint, mut wanted: Value) -> Result<Value, String> {
    let named = wanted.as_object_mut().and_then(|m| m.remove("endpoint"));
    let endpoint = match named.as_ref().and_then(Value::as_str) {
        Some(name) => shared.endpoint(name)?,
        None => here,
    };
    let fault: Option<Fault> = match &wanted["fault"] {
        Value::Null => None,
        Value::String(s) if s == "none" => None,
        _ => Some(serde_json::from_value(wanted).map_err(|e| format!("no such fault: {e}"))?),
    };
    shared.set_fault(endpoint, fault.clone());
    Ok(json!({"endpoint": endpoint.name, "active": fault}))
}

fn control(shared: &Shared, wanted: &Value) -> Result<Value, String> {
    let text = |k: &str| wanted[k].as_str();
    if let Some(n) = text("crash") {
        shared.set_node(n, NodeState::Crashed)?;
    } else if let Some(n) = text("freeze") {
        shared.set_node(n, NodeState::Frozen)?;
    } else if let Some(n) = text("lag") {
        shared.set_node(
            n,
            NodeState::Lagging(wanted["blocks"].as_u64().unwrap_or(20)),
        )?;
    } else if let Some(n) = text("restore") {
        shared.set_node(n, NodeState::Healthy)?;
    } else if let Some(depth) = wanted["reorg"].as_u64() {
        let fill = wanted["fill"].as_bool().unwrap_or(false);
        shared.chain().reorg(depth, text("drop"), fill)?;
    } else if let Sim::Antelope(chain) = &mut *shared.chain()
        && let Some(result) = antelope(chain, wanted)
    {
        return result;
    } else if let Some(witness) = text("set_key") {
        let mut chain = shared.chain();
        let key = match (text("node"), text("key")) {
            (Some(node), _) => chain
                .node(node)
                .ok_or_else(|| format!("no node {node}"))?
                .public_key(),
            (None, Some(key)) if chain.protocol() == Protocol::Antelope => {
                PublicKey::parse_antelope(key).map_err(|e| e.to_string())?
            }
            (None, Some(key)) => {
                PublicKey::parse(key, chain.prefix()).map_err(|e| e.to_string())?
            }
            (None, None) => return Err("set_key needs node or key".to_owned()),
        };
        let txid = chain.operator_sets_key(witness, &key)?;
        return Ok(json!({"txid": txid}));
    } else {
        return Err(
            "one of crash, freeze, lag, restore, reorg, set_key; on Antelope also partial, handover_fork, claim, unregister"
                .to_owned(),
        );
    }
    Ok(json!({"done": true}))
}

/// What only an Antelope chain can be told; `None` when it is something else.
fn antelope(chain: &mut antelope::Chain, wanted: &Value) -> Option<Result<Value, String>> {
    let text = |k: &str| wanted[k].as_str();
    let done = |()| json!({"done": true});
    let sent = |txid| json!({"txid": txid});
    if let Some(node) = text("partial") {
        let percent = wanted["percent"].as_u64().unwrap_or(30).min(100);
        let percent = u8::try_from(percent).unwrap_or(100);
        return Some(chain.set_partial(node, percent).map(done));
    }
    if let Some(blocks) = wanted["handover_fork"].as_u64() {
        let after = text("after").map(str::to_owned);
        chain.set_handover_fork(Some(HandoverFork { blocks, after }));
        return Some(Ok(done(())));
    }
    if let Some(producer) = text("claim") {
        return Some(chain.operator_claims(producer).map(sent));
    }
    let producer = text("unregister")?;
    Some(chain.operator_unregisters(producer).map(sent))
}
