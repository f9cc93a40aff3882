//! The way out that no key here opens: where `enable` needs the active key and it is not configured, the transaction
//! that whoever has it would sign. Pure; unsigned, and never sent from here.

use serde_json::Value;

use super::types::{Action, Check, Decision, Reason, Request};
use crate::chain::{Anchor, Chain, Change, Method, Protocol};
use crate::clock::Millis;
use crate::config::ProducerConfig;
use crate::watch::Snapshot;

/// Time to carry it to another machine and back. The chains of the Steem family take an expiration at most an hour
/// ahead of their head.
const CARRY: Millis = 50 * 60 * 1000;

/// The unsigned transaction for a refused `enable`; `None` when a key was at hand, or the agreed view lacks what goes
/// into it.
pub(super) fn unsigned(
    chain: &dyn Chain,
    producer: &ProducerConfig,
    request: &Request,
    decision: &Decision,
    snapshot: &Snapshot,
) -> Option<Value> {
    let lacks_key = decision.interlocks.iter().any(|v| {
        v.verdict == Check::Deny
            && matches!(v.name, Reason::KeyUnavailable | Reason::AuthorityInvalid)
    });
    if request.action != Action::Enable || !lacks_key {
        return None;
    }
    let view = snapshot.agreement.as_ref().ok()?;
    let state = view.producers.get(&request.producer)?.state.clone()?;
    let to = request
        .to
        .or(decision.target)
        .or(producer.keys.first().map(|k| k.signing_key))?;
    if !state.registered_key.is_null() {
        return None;
    }
    let change = Change {
        producer: request.producer.clone(),
        from: state.registered_key,
        to,
        method: match chain.spec().protocol {
            Protocol::Antelope => Method::Regproducer,
            _ => Method::WitnessUpdate,
        },
        permission: None,
        finalizer: producer
            .keys
            .iter()
            .find(|k| k.signing_key == to)
            .and_then(|k| k.finalizer_key.clone()),
    };
    let anchor = Anchor {
        head_time: view.head.time.saturating_add(CARRY),
        irreversible: snapshot.irreversible.clone()?,
        state,
    };
    let draft = chain.draft(&change, &anchor).ok()?;
    Some(draft.transaction)
}
