//! What a node checks before it takes a transaction, in the node's own order and with its own words.
//!
//! Order of a real node: signatures recovered, expired, duplicate, too far ahead, reference block, accounts and permissions,
//! authority, then the actions one by one. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::authority::{Level, suffices};
use super::errors::{
    ASSERT, At, DUPLICATE, EXPIRED, Failure, IRRELEVANT_AUTH, IRRELEVANT_SIG, NO_ACTIONS, REPEATED,
    TAPOS, TOO_FAR, TRANSACTION, UNSATISFIED,
};
use super::schedule::Finality;
use super::state::State;
use super::system;
use super::transaction::{Action, Call, Tx};
use crate::devnet::time::iso;
use crate::keys::PublicKey;

/// Longest life of a transaction, seconds.
const MAX_LIFETIME_S: u64 = 3600;

/// What the checks need of the chain.
pub(super) struct Context<'a> {
    /// Time of the block in the making, Unix milliseconds.
    pub(super) block_ms: u64,
    pub(super) finality: Finality,
    /// Whether a transaction of that id is in a block or pending.
    pub(super) known: &'a dyn Fn(&str) -> bool,
    /// Prefix of the id of the block that a reference number names.
    pub(super) tapos: &'a dyn Fn(u16) -> Option<u32>,
}

/// Why a transaction is not taken, and whether that comes as an error or within a trace.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) failure: Failure,
    /// The transaction was tried: `send_transaction2` then answers with a trace.
    pub(super) tried: bool,
}

fn early(failure: Failure) -> Refusal {
    Refusal {
        failure,
        tried: false,
    }
}

fn late(failure: Failure) -> Refusal {
    Refusal {
        failure,
        tried: true,
    }
}

/// Checks everything and carries it out on `state`, the block in the making. On refusal `state` is as before.
pub(super) fn execute(tx: &Tx, state: &mut State, cx: &Context<'_>) -> Result<(), Refusal> {
    let keys = recover(tx).map_err(early)?;
    if tx.expiration_ms < cx.block_ms {
        let message = format!(
            "expired transaction {}, expiration {}, block time {}",
            tx.id,
            iso(tx.expiration_ms, 1),
            iso(cx.block_ms, 1)
        );
        return Err(early(Failure::new(
            EXPIRED,
            At(
                "producer_plugin.cpp",
                905,
                "process_incoming_transaction_async",
            ),
            message,
        )));
    }
    if (cx.known)(&tx.id) {
        return Err(early(Failure::new(
            DUPLICATE,
            At(
                "producer_plugin.cpp",
                913,
                "process_incoming_transaction_async",
            ),
            format!("duplicate transaction {}", tx.id),
        )));
    }
    check(tx, &keys, state, cx).map_err(late)?;
    let mut tried = state.clone();
    for action in &tx.actions {
        system::execute(&mut tried, action, cx.finality).map_err(late)?;
    }
    *state = tried;
    Ok(())
}

/// The keys that signed, each once.
pub(super) fn recover(tx: &Tx) -> Result<BTreeSet<[u8; 33]>, Failure> {
    let mut keys = BTreeSet::new();
    for signature in &tx.signatures {
        let crypto = At("elliptic_secp256k1.cpp", 160, "public_key");
        if !signature.is_fc_canonical() {
            return Err(Failure::new(ASSERT, crypto, "signature is not canonical"));
        }
        let key = signature.recover(&tx.digest).map_err(|_| {
            Failure::new(
                ASSERT,
                crypto,
                "unable to reconstruct public key from signature",
            )
        })?;
        if !keys.insert(*key.as_bytes()) {
            let message = format!(
                "transaction includes more than one signature signed using the same key associated with public key: {}",
                key.to_text(super::PREFIX)
            );
            let at = At("transaction.cpp", 74, "get_signature_keys");
            return Err(Failure::new(REPEATED, at, message)
                .through(At("transaction.cpp", 81, "get_signature_keys"), ""));
        }
    }
    Ok(keys)
}

fn check(
    tx: &Tx,
    keys: &BTreeSet<[u8; 33]>,
    state: &State,
    cx: &Context<'_>,
) -> Result<(), Failure> {
    if tx.expiration_ms > cx.block_ms + MAX_LIFETIME_S * 1000 {
        let message = format!(
            "Transaction expiration is too far in the future relative to the reference time of {}, expiration is {} and the maximum transaction lifetime is {MAX_LIFETIME_S} seconds",
            iso(cx.block_ms, 1),
            iso(tx.expiration_ms, 1000)
        );
        return Err(Failure::new(
            TOO_FAR,
            At("controller.cpp", 3513, "validate_expiration"),
            message,
        )
        .through(At("controller.cpp", 3519, "validate_expiration"), ""));
    }
    if (cx.tapos)(tx.ref_num) != Some(tx.ref_prefix) {
        let message = "Transaction's reference block did not match. Is this transaction from a different fork?";
        return Err(
            Failure::new(TAPOS, At("controller.cpp", 3525, "validate_tapos"), message)
                .through(At("controller.cpp", 3528, "validate_tapos"), ""),
        );
    }
    let refuse = |line, message: String| {
        let at = At(
            "transaction_context.cpp",
            line,
            "validate_referenced_accounts",
        );
        Err(Failure::new(TRANSACTION, at, message))
    };
    let mut declared: Vec<&Level> = Vec::new();
    for action in &tx.actions {
        if action.account != "eosio" && !state.accounts.contains_key(&action.account) {
            return refuse(
                820,
                format!("action's code account '{}' does not exist", action.account),
            );
        }
        for level in &action.authorization {
            if !state.accounts.contains_key(&level.actor) {
                return refuse(
                    834,
                    format!(
                        "action's authorizing actor '{}' does not exist",
                        level.actor
                    ),
                );
            }
            if !state.has(level) {
                return refuse(
                    836,
                    format!(
                        "action's authorizations include a non-existent permission: {}",
                        level.text()
                    ),
                );
            }
            declared.push(level);
        }
    }
    if declared.is_empty() {
        return Err(Failure::new(
            NO_ACTIONS,
            At(
                "transaction_context.cpp",
                850,
                "validate_referenced_accounts",
            ),
            "transaction must have at least one authorization",
        ));
    }
    if tx.delay_sec != 0 {
        return refuse(700, "delayed transactions are disabled".to_owned());
    }
    authority(tx, keys, state)
}

fn authority(tx: &Tx, keys: &BTreeSet<[u8; 33]>, state: &State) -> Result<(), Failure> {
    for action in &tx.actions {
        for level in &action.authorization {
            may(action, level, state)?;
        }
    }
    let texts: Vec<String> = keys
        .iter()
        .map(|k| PublicKey::from_bytes(*k).to_text(super::PREFIX))
        .collect();
    let mut used = BTreeSet::new();
    for level in tx.actions.iter().flat_map(|a| &a.authorization) {
        if !suffices(&state.accounts, level, keys, &mut used) {
            let message = format!(
                "transaction declares authority '{}', but does not have signatures for it under a provided delay of 0 ms, provided permissions [], provided keys {}, and a delay max limit of 3888000000 ms",
                level.text(),
                Value::from(texts.clone())
            );
            let at = At("authorization_manager.cpp", 548, "check_authorization");
            return Err(Failure::new(UNSATISFIED, at, message).formatted(
                "transaction declares authority '${auth}', but does not have signatures for it under a provided delay of ${provided_delay} ms, provided permissions ${provided_permissions}, provided keys ${provided_keys}, and a delay max limit of ${delay_max_limit_ms} ms",
                json!({"auth": level.json(), "provided_delay": 0, "provided_permissions": [],
                    "provided_keys": texts, "delay_max_limit_ms": 3_888_000_000_u64}),
            ));
        }
    }
    let unused: Vec<String> = keys
        .difference(&used)
        .map(|k| PublicKey::from_bytes(*k).to_text(super::PREFIX))
        .collect();
    if unused.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        IRRELEVANT_SIG,
        At("authorization_manager.cpp", 563, "check_authorization"),
        format!(
            "transaction bears irrelevant signatures from these keys: {}",
            Value::from(unused)
        ),
    ))
}

/// Whether a permission is enough for an action, whoever holds its keys.
fn may(action: &Action, level: &Level, state: &State) -> Result<(), Failure> {
    let Some(account) = state.accounts.get(&level.actor) else {
        return Ok(());
    };
    let irrelevant = |what: &str, minimum: &str| {
        let message = format!(
            "{what} declares irrelevant authority '{}'; minimum authority is {}",
            level.text(),
            Level::new(&level.actor, minimum).text()
        );
        let at = At("authorization_manager.cpp", 522, "check_authorization");
        Failure::new(IRRELEVANT_AUTH, at, message)
    };
    let (owner, what, minimum) = match &action.call {
        Call::Updateauth {
            account: owner,
            permission,
            parent,
            ..
        } => {
            let there = account.permissions.contains_key(permission);
            (
                owner,
                "updateauth action",
                if there { permission.as_str() } else { parent },
            )
        }
        Call::Deleteauth {
            account: owner,
            permission,
        } => (owner, "deleteauth action", permission.as_str()),
        Call::Linkauth {
            account: owner,
            code,
            action,
            ..
        }
        | Call::Unlinkauth {
            account: owner,
            code,
            action,
        } => (owner, "link action", account.minimum(code, action)),
        _ => {
            let minimum = account.minimum(&action.account, &action.name);
            return if account.satisfies(&level.permission, minimum) {
                Ok(())
            } else {
                Err(irrelevant("action", minimum))
            };
        }
    };
    if *owner != level.actor {
        let message = "the owner of the affected permission needs to be the actor of the declared authorization";
        let at = At("authorization_manager.cpp", 250, "check_authorization");
        return Err(Failure::new(IRRELEVANT_AUTH, at, message));
    }
    if account.satisfies(&level.permission, minimum) {
        Ok(())
    } else {
        Err(irrelevant(what, minimum))
    }
}
