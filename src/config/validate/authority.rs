//! Rules for `authority`, and for what only Antelope has: permissions, account names, finalizer keys. Pure.

use std::collections::BTreeSet;

use crate::chain::{Method, Protocol};

use super::super::error::ConfigError;
use super::super::model::{AuthorityConfig, ChainConfig, KeyConfig};
use super::super::raw::RawAuthority;
use super::super::scalars::looks_secret;
use super::Checking;

pub(super) fn authority(
    cx: &mut Checking<'_>,
    at: &str,
    producer: &str,
    raw: Vec<RawAuthority>,
    chain: &ChainConfig,
) -> Result<Vec<AuthorityConfig>, ConfigError> {
    let protocol = chain.spec.protocol;
    let mut out: Vec<AuthorityConfig> = Vec::new();
    for (i, one) in raw.into_iter().enumerate() {
        let at = format!("{at}.authority[{i}]");
        let method = one.method.0;
        let fits = match method {
            Method::WitnessSetProperties => {
                matches!(protocol, Protocol::Steem | Protocol::Hive | Protocol::Blurt)
            }
            Method::WitnessUpdate => protocol != Protocol::Antelope,
            Method::Regproducer => protocol == Protocol::Antelope,
        };
        if !fits {
            let usable = match protocol {
                Protocol::Antelope => "regproducer",
                Protocol::Golos | Protocol::BitShares => "witness_update",
                _ => "witness_set_properties or witness_update",
            };
            return Err(ConfigError::rule(
                format!("{at}.method"),
                format!("does not exist on {protocol}: use {usable}"),
            ));
        }
        let permission = match &one.permission {
            None => None,
            Some(text) => permission(&format!("{at}.permission"), &text.0, producer, protocol)?,
        };
        if protocol == Protocol::Antelope && permission.is_none() {
            cx.warn(format!(
                "{at}: the active key can do everything the account can; a permission of its own for the switch is safer: slotkeeper producer permission {}/{producer} makes one",
                chain.spec.name
            ));
        }
        if one.key_files.is_empty() {
            return Err(ConfigError::rule(
                format!("{at}.key_files"),
                "the list is empty; name the files with the private keys (slotkeeper keys import makes one)",
            ));
        }
        if out.iter().any(|a| a.method == method) {
            return Err(ConfigError::rule(
                format!("{at}.method"),
                "stands in this authority list twice: put all its key_files into one entry",
            ));
        }
        let mut files = BTreeSet::new();
        for (j, file) in one.key_files.iter().enumerate() {
            if !files.insert(file.0.as_str()) {
                return Err(ConfigError::rule(
                    format!("{at}.key_files[{j}]"),
                    "is listed twice",
                ));
            }
        }
        out.push(AuthorityConfig {
            method,
            key_files: one.key_files.iter().map(|f| cx.path(f)).collect(),
            passphrase_file: cx.path_of(one.passphrase_file),
            permission,
        });
    }
    Ok(out)
}

/// `alice@failover` → `failover`; `alice@active` is what is used without a permission, so it is none.
fn permission(
    field: &str,
    text: &str,
    producer: &str,
    protocol: Protocol,
) -> Result<Option<String>, ConfigError> {
    let refuse = |why: String| Err(ConfigError::rule(field, why));
    if protocol != Protocol::Antelope {
        return refuse(format!(
            "is a thing of Antelope chains; {protocol} has none, remove it"
        ));
    }
    let Some((actor, permission)) = text.split_once('@') else {
        return refuse(format!(
            "is written actor@permission, such as {producer}@failover"
        ));
    };
    if actor != producer {
        return refuse(format!(
            "the actor must be the producer itself ({producer}@…): the chain takes a producer's registration from nobody else"
        ));
    }
    name(field, permission, "a permission name")?;
    match permission {
        "owner" => refuse(format!(
            "the owner key is never needed for a switch, and whoever has it has the account for good: keep it offline; slotkeeper producer permission makes {producer}@failover"
        )),
        "active" => Ok(None),
        _ => Ok(Some(permission.to_owned())),
    }
}

/// Names of Antelope: 1 to 12 of a-z, 1-5 and `.`, the last no dot.
pub(super) fn name(field: &str, text: &str, what: &str) -> Result<(), ConfigError> {
    let fits = |b: u8| b.is_ascii_lowercase() || matches!(b, b'1'..=b'5' | b'.');
    if (1..=12).contains(&text.len()) && text.bytes().all(fits) && !text.ends_with('.') {
        return Ok(());
    }
    Err(ConfigError::rule(
        field,
        format!("is not {what} of Antelope: 1 to 12 of a-z, 1-5 and `.`, not ending with a dot"),
    ))
}

/// Checks the form of a finalizer key, and that no two hosts share one.
pub(super) fn finalizer_key(
    at: &str,
    text: String,
    protocol: Protocol,
    before: &[KeyConfig],
) -> Result<String, ConfigError> {
    let refuse = |why: String| Err(ConfigError::rule(format!("{at}.finalizer_key"), why));
    if protocol != Protocol::Antelope {
        return refuse(format!(
            "is a thing of Antelope chains; {protocol} has none, remove it"
        ));
    }
    if looks_secret(&text) || text.starts_with("PVT_BLS_") {
        return refuse(
            "this looks like a private key (not shown here); the public one begins with PUB_BLS_. Treat the private key as exposed if this file was shared"
                .to_owned(),
        );
    }
    // 96 bytes of key and 4 of checksum in base64url without padding.
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    match text.strip_prefix("PUB_BLS_") {
        Some(body) if body.len() == 134 && body.bytes().all(fits) => {}
        Some(body) => {
            return refuse(format!(
                "{} characters behind PUB_BLS_ where 134 of a-z, A-Z, 0-9, `-` and `_` are needed; copy the key again",
                body.len()
            ));
        }
        None => {
            return refuse(
                "begins with PUB_BLS_: it is the public key that regfinkey registered".to_owned(),
            );
        }
    }
    if let Some(first) = before
        .iter()
        .position(|k| k.finalizer_key.as_deref() == Some(text.as_str()))
    {
        return refuse(format!(
            "is keys[{first}]'s already: two hosts that vote with one finalizer key can be caught in conflicting votes; register one per host (regfinkey)"
        ));
    }
    Ok(text)
}
