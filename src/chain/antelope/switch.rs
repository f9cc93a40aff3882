//! The actions of a switch, as JSON. Pure.

use serde_json::{Value, json};

use super::name::Name;
use super::read::Authority;
use crate::chain::graphene::fields::{bad, integer};
use crate::chain::{Anchor, ChainSpec, Change, ReadError};
use crate::keys::TypedKey;

/// The permission that signs a change; `owner` is refused: it can take the whole account, and a switch never needs it.
///
/// # Errors
/// In words.
pub(super) fn permission(change: &Change) -> Result<&str, ReadError> {
    let permission = change.permission.as_deref().unwrap_or("active");
    if permission == "owner" {
        return Err(bad(
            "permission",
            "is owner, which can take the whole account; use active, or a permission of its own linked to regproducer",
        ));
    }
    if permission.is_empty() {
        return Err(bad("permission", "is empty"));
    }
    permission
        .parse::<Name>()
        .map_err(|e| bad("permission", e.to_string()))?;
    Ok(permission)
}

/// The actions that make `change`, in order.
pub(super) fn actions(
    spec: &ChainSpec,
    change: &Change,
    anchor: &Anchor,
) -> Result<Vec<Value>, ReadError> {
    let authorization = json!([{"actor": change.producer, "permission": permission(change)?}]);
    let action = |name: &str, data: Value| json!({"account": "eosio", "name": name, "authorization": authorization, "data": data});
    let mut actions = Vec::with_capacity(2);
    if change.to.is_null() {
        actions.push(action("unregprod", json!({"producer": change.producer})));
    } else {
        // Both overwrite url and location: echo what the agreed view says, never a file.
        let url = &anchor.state.url;
        let location = integer(&anchor.state.props, "location")?;
        let authority = match anchor.state.props.get("producer_authority") {
            None | Some(Value::Null) => None,
            Some(value) => Some(Authority::read(value)?).filter(|a| a.keys.len() > 1),
        };
        actions.push(match authority {
            None => action(
                "regproducer",
                json!({
                    "producer": change.producer,
                    "producer_key": change.to.to_text(&spec.address_prefix),
                    "url": url,
                    "location": location,
                }),
            ),
            Some(authority) => action(
                "regproducer2",
                json!({
                    "producer": change.producer,
                    "producer_authority": replaced(authority, change)?.to_json(&spec.address_prefix),
                    "url": url,
                    "location": location,
                }),
            ),
        });
    }
    if let Some(key) = &change.finalizer {
        actions.push(action(
            "actfinkey",
            json!({"finalizer_name": change.producer, "finalizer_key": key}),
        ));
    }
    Ok(actions)
}

/// The authority with the accused key replaced and everything else kept. A target that stands in it already changes places
/// with the accused one: the chain refuses a key twice.
fn replaced(mut authority: Authority, change: &Change) -> Result<Authority, ReadError> {
    let at = |authority: &Authority, key| {
        let mut keys = authority.keys.iter();
        keys.position(|(one, _)| one.comparable() == key)
    };
    let from = at(&authority, change.from)
        .ok_or_else(|| bad("producer_authority", "does not hold the key to replace"))?;
    match at(&authority, change.to) {
        Some(to) => authority.keys.swap(from, to),
        None => {
            if let Some((key, _)) = authority.keys.get_mut(from) {
                *key = TypedKey::K1(change.to);
            }
        }
    }
    Ok(authority)
}
