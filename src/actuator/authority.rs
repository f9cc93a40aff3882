//! Which method and which of our keys can authorize a transition. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chain::Method;
use crate::keys::{PublicKey, Signer};

/// Keys that alone suffice for a switch, per authority, as far as agreed.
pub type ActiveKeys = BTreeMap<String, Vec<PublicKey>>;

/// One configured way to authorize, with the keys that are loaded for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Operation and kind of key.
    pub method: Method,
    /// Public halves of the loaded keys.
    pub keys: Vec<PublicKey>,
    /// Key files that could not be loaded, and why.
    pub missing: Vec<String>,
    /// Antelope: the permission that signs, without the actor; `None` = `active`.
    pub permission: Option<String>,
    /// The authority to look up in [`super::facts::Facts::active_keys`]: `alice`, or `alice@failover`.
    pub of: String,
}

/// A usable authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// Operation.
    pub method: Method,
    /// Which of our keys signs.
    pub signer: PublicKey,
    /// Antelope: with which permission; `None` = `active`.
    pub permission: Option<String>,
}

/// Why none is usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// No secret at hand: `key_unavailable`.
    Unavailable(String),
    /// A key is at hand that the chain does not accept for this: `authority_invalid`.
    Invalid(String),
    /// Not known yet (the account's active authority has not been read): wait.
    Unknown(String),
}

/// The secrets of one producer, in the order of its authorities.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    /// Ways to authorize.
    pub authorities: Vec<Authority>,
    /// All loaded signers.
    pub signers: Vec<Arc<dyn Signer>>,
}

// === impl Keyring ===

impl Keyring {
    /// The signer with this public key.
    #[must_use]
    pub fn signer(&self, key: &PublicKey) -> Option<&Arc<dyn Signer>> {
        self.signers.iter().find(|s| s.public_key() == *key)
    }
}

/// The first authority, in configured order, that can sign a change away from `from`.
///
/// # Errors
/// Why there is none.
pub fn choose(
    authorities: &[Authority],
    from: PublicKey,
    active_keys: &ActiveKeys,
    show: &dyn Fn(&PublicKey) -> String,
) -> Result<Usable, Lack> {
    if authorities.is_empty() {
        return Err(Lack::Unavailable(
            "no authority is configured for this producer: add `authority:` with key files".into(),
        ));
    }
    let mut unknown = None;
    let mut invalid = None;
    let mut unavailable = Vec::new();
    for authority in authorities {
        match one(authority, from, active_keys, show) {
            Ok(usable) => return Ok(usable),
            Err(Lack::Unknown(why)) => unknown = unknown.or(Some(why)),
            Err(Lack::Invalid(why)) => invalid = invalid.or(Some(why)),
            Err(Lack::Unavailable(why)) => unavailable.push(why),
        }
    }
    Err(match (unknown, invalid) {
        (Some(why), _) => Lack::Unknown(why),
        (None, Some(why)) => Lack::Invalid(why),
        (None, None) => Lack::Unavailable(unavailable.join("; ")),
    })
}

fn one(
    authority: &Authority,
    from: PublicKey,
    active_keys: &ActiveKeys,
    show: &dyn Fn(&PublicKey) -> String,
) -> Result<Usable, Lack> {
    let method = authority.method;
    let missing = || {
        if authority.missing.is_empty() {
            String::new()
        } else {
            format!(" ({})", authority.missing.join("; "))
        }
    };
    if method == Method::WitnessSetProperties {
        if from.is_null() {
            return Err(Lack::Unavailable(
                "witness_set_properties cannot leave the null key: re-enabling needs witness_update with the active key"
                    .into(),
            ));
        }
        return if authority.keys.contains(&from) {
            Ok(Usable {
                method,
                signer: from,
                permission: None,
            })
        } else {
            Err(Lack::Unavailable(format!(
                "the secret of the registered key {} is not loaded for witness_set_properties{}",
                show(&from),
                missing()
            )))
        };
    }
    if authority.keys.is_empty() {
        return Err(Lack::Unavailable(format!(
            "no key is loaded for {} with {}{}",
            name(method),
            whose(authority),
            missing()
        )));
    }
    let Some(active) = active_keys.get(&authority.of) else {
        return Err(Lack::Unknown(format!(
            "{} has not been read yet",
            whose(authority)
        )));
    };
    match authority.keys.iter().find(|k| active.contains(k)) {
        Some(signer) => Ok(Usable {
            method,
            signer: *signer,
            permission: authority.permission.clone(),
        }),
        None => Err(Lack::Invalid(format!(
            "the key loaded for {} ({}) is not in {} on chain{}",
            name(method),
            authority
                .keys
                .iter()
                .map(show)
                .collect::<Vec<_>>()
                .join(", "),
            whose(authority),
            if authority.permission.is_some() {
                ", does not suffice alone, or the permission may not make the switch: see `slotkeeper check-config --online`"
            } else {
                ""
            }
        ))),
    }
}

/// Whether some configured authority could register a key again after a disable.
#[must_use]
pub fn can_reenable(authorities: &[Authority], active_keys: &ActiveKeys) -> bool {
    choose(authorities, PublicKey::NULL, active_keys, &|_| {
        String::new()
    })
    .is_ok()
}

fn whose(authority: &Authority) -> String {
    match &authority.permission {
        None => "the account's active authority".to_owned(),
        Some(_) => format!("the permission {}", authority.of),
    }
}

fn name(method: Method) -> &'static str {
    match method {
        Method::WitnessSetProperties => "witness_set_properties",
        Method::WitnessUpdate => "witness_update",
        Method::Regproducer => "regproducer",
    }
}
