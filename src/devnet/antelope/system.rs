//! The system contract and the node's own actions: what they demand, in their words, and what they change. Pure.

use std::sync::Arc;

use super::authority::{Authority, Level};
use super::errors::{ACTION, At, Failure, MISSING, contract};
use super::schedule::{self, Finality};
use super::state::{Producer, State};
use super::transaction::{Action, Call, FinalizerVerb, SigningAuthority};

/// Longest web address of a producer.
const MAX_URL: usize = 511;

/// Carries out one action on the state of the block in the making.
pub(super) fn execute(
    state: &mut State,
    action: &Action,
    finality: Finality,
) -> Result<(), Failure> {
    match &action.call {
        Call::Regproducer {
            producer,
            authority,
            url,
            location,
            second,
        } => {
            require(action, producer)?;
            if url.len() > MAX_URL {
                return Err(contract("url too long"));
            }
            register(state, producer, authority, url, *location, *second)
        }
        Call::Unregprod { producer } => {
            require(action, producer)?;
            let row = Arc::make_mut(&mut state.producers)
                .get_mut(producer)
                .ok_or_else(|| contract("producer not found"))?;
            row.active = false;
            row.authority = None;
            Ok(())
        }
        Call::Claimrewards { owner } => {
            require(action, owner)?;
            match state.producers.get(owner) {
                None => return Err(contract("unable to find key")),
                Some(p) if !p.active => {
                    return Err(contract("producer does not have an active key"));
                }
                Some(_) => {}
            }
            state.unpaid.insert(owner.clone(), 0);
            state.claimed.insert(owner.clone(), state.head_ms);
            Ok(())
        }
        Call::Finalizer {
            verb,
            producer,
            key,
        } => {
            // Contracts before Savanna do not have these actions.
            if finality == Finality::Leap {
                return Err(contract("unknown action"));
            }
            require(action, producer)?;
            finalizer(state, *verb, producer, key)
        }
        Call::Updateauth {
            account,
            permission,
            parent,
            auth,
        } => update(state, account, permission, parent, auth),
        Call::Deleteauth {
            account,
            permission,
        } => delete(state, account, permission),
        Call::Linkauth {
            account,
            code,
            action,
            requirement,
        } => link(state, account, code, action, requirement),
        Call::Unlinkauth {
            account,
            code,
            action,
        } => {
            let account = Arc::make_mut(&mut state.accounts).get_mut(account);
            account
                .and_then(|a| a.links.remove(&(code.clone(), action.clone())))
                .map(|_| ())
                .ok_or_else(|| {
                    native(
                        "apply_eosio_unlinkauth",
                        "Attempting to unlink authority, but no link found",
                    )
                })
        }
        Call::Unknown => Err(contract("unknown action")),
        Call::Malformed(why) => Err(contract(why)),
    }
}

fn native(method: &'static str, message: &str) -> Failure {
    Failure::new(
        ACTION,
        At("eosio_contract.cpp", 220, method),
        message.to_owned(),
    )
}

/// The contract's `require_auth`.
fn require(action: &Action, account: &str) -> Result<(), Failure> {
    if action.authorization.iter().any(|l| l.actor == account) {
        return Ok(());
    }
    Err(Failure::new(
        MISSING,
        At("apply_context.cpp", 267, "require_authorization"),
        format!("missing authority of {account}"),
    )
    .through(
        At("apply_context.cpp", 135, "exec_one"),
        "pending console output: ",
    ))
}

fn register(
    state: &mut State,
    producer: &str,
    authority: &SigningAuthority,
    url: &str,
    location: u16,
    second: bool,
) -> Result<(), Failure> {
    let weight: u64 = authority.keys.iter().map(|(_, w)| u64::from(*w)).sum();
    let mut keys: Vec<&[u8; 33]> = authority.keys.iter().map(|(k, _)| k.as_bytes()).collect();
    keys.sort_unstable();
    let doubled = keys.windows(2).any(|w| w[0] == w[1]);
    let null = authority.keys.iter().any(|(k, _)| k.is_null());
    if null && !second {
        return Err(contract("public key should not be the default value"));
    }
    if null || doubled || authority.threshold == 0 || weight < u64::from(authority.threshold) {
        return Err(contract("invalid producer authority"));
    }
    let rows = Arc::make_mut(&mut state.producers);
    let row = rows.entry(producer.to_owned()).or_insert(Producer {
        votes: 0,
        active: true,
        authority: None,
        url: String::new(),
        location: 0,
    });
    row.active = true;
    row.authority = Some(authority.clone());
    url.clone_into(&mut row.url);
    row.location = location;
    Ok(())
}

fn finalizer(
    state: &mut State,
    verb: FinalizerVerb,
    producer: &str,
    key: &str,
) -> Result<(), Failure> {
    if !state.producers.contains_key(producer) {
        return Err(contract(&format!(
            "{producer} is not a registered producer"
        )));
    }
    let taken = state
        .finalizers
        .values()
        .any(|f| f.registered.iter().any(|k| k == key));
    let rows = Arc::make_mut(&mut state.finalizers);
    let row = rows.entry(producer.to_owned()).or_default();
    let known = row.registered.iter().any(|k| k == key);
    match verb {
        FinalizerVerb::Register => {
            if !key.starts_with("PUB_BLS_") {
                return Err(contract("finalizer key does not start with PUB_BLS"));
            }
            if taken {
                return Err(contract(&format!("duplicate finalizer key: {key}")));
            }
            row.registered.push(key.to_owned());
            if row.active.is_empty() {
                key.clone_into(&mut row.active);
            }
        }
        FinalizerVerb::Activate => {
            if !known {
                return Err(contract(&format!(
                    "finalizer key was not registered: {key}"
                )));
            }
            if row.active == key {
                return Err(contract(&format!(
                    "finalizer key was already active: {key}"
                )));
            }
            key.clone_into(&mut row.active);
            schedule::propose_policy(state, producer, key);
        }
        FinalizerVerb::Delete => {
            if !known {
                return Err(contract(&format!(
                    "finalizer key was not registered: {key}"
                )));
            }
            if row.active == key && row.registered.len() > 1 {
                return Err(contract(
                    "cannot delete an active key unless it is the last registered finalizer key",
                ));
            }
            row.registered.retain(|k| k != key);
            if row.active == key {
                row.active.clear();
            }
        }
    }
    Ok(())
}

fn update(
    state: &mut State,
    account: &str,
    permission: &str,
    parent: &str,
    auth: &Authority,
) -> Result<(), Failure> {
    let refuse = |message: &str| Err(native("apply_eosio_updateauth", message));
    if permission.is_empty() {
        return refuse("Cannot create authority with empty name");
    }
    if permission == parent {
        return refuse("Cannot set an authority as its own parent");
    }
    if !auth.is_valid() {
        return refuse("Invalid authority");
    }
    match (permission, parent) {
        ("owner", "") | ("active", "owner") => {}
        ("owner", _) => return refuse("Cannot change owner authority's parent"),
        ("active", _) => return refuse("Cannot change active authority's parent from owner"),
        (_, "") => return refuse("Only owner permission can have empty parent"),
        _ => {}
    }
    if !parent.is_empty() && !state.has(&Level::new(account, parent)) {
        return refuse(&format!(
            "Failed to retrieve permission: {}",
            Level::new(account, parent).text()
        ));
    }
    for other in &auth.accounts {
        if !state.has(&other.by) {
            return refuse(&format!("permission '{}' does not exist", other.by.text()));
        }
    }
    match Arc::make_mut(&mut state.accounts).get_mut(account) {
        Some(a) => a.set(permission, parent, auth.clone()),
        None => return refuse(&format!("account '{account}' does not exist")),
    }
    Ok(())
}

fn delete(state: &mut State, account: &str, permission: &str) -> Result<(), Failure> {
    let refuse = |message: &str| Err(native("apply_eosio_deleteauth", message));
    if permission == "active" || permission == "owner" {
        return refuse(&format!("Cannot delete {permission} authority"));
    }
    let Some(a) = Arc::make_mut(&mut state.accounts).get_mut(account) else {
        return refuse(&format!("account '{account}' does not exist"));
    };
    if a.links.values().any(|p| p == permission) {
        return refuse("Cannot delete a linked authority. Unlink the authority first.");
    }
    if a.permissions.values().any(|p| p.parent == permission) {
        return refuse("Cannot delete an authority that has children");
    }
    if a.permissions.remove(permission).is_none() {
        return refuse("Failed to retrieve permission");
    }
    Ok(())
}

fn link(
    state: &mut State,
    account: &str,
    code: &str,
    action: &str,
    requirement: &str,
) -> Result<(), Failure> {
    let refuse = |message: &str| Err(native("apply_eosio_linkauth", message));
    if requirement.is_empty() {
        return refuse("Required permission cannot be empty");
    }
    if !state.accounts.contains_key(code) && code != "eosio" {
        return refuse(&format!("Failed to retrieve code for account: {code}"));
    }
    if !state.has(&Level::new(account, requirement)) {
        return refuse(&format!("Failed to retrieve permission: {requirement}"));
    }
    let Some(a) = Arc::make_mut(&mut state.accounts).get_mut(account) else {
        return refuse(&format!("account '{account}' does not exist"));
    };
    if a.links
        .get(&(code.to_owned(), action.to_owned()))
        .map(String::as_str)
        == Some(requirement)
    {
        return refuse(
            "Attempting to update required authority, but new requirement is same as old",
        );
    }
    a.link(code, action, requirement);
    Ok(())
}
