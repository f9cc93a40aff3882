//! Permissions: who may do what with which keys. Data and the questions that the rules put to it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::keys::PublicKey;

/// Deepest nesting of permissions within permissions.
const MAX_DEPTH: usize = 6;

/// An account's permission: `alice@active`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level {
    /// The account.
    pub actor: String,
    /// Its permission.
    pub permission: String,
}

/// A part of an authority with its weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighted<T> {
    /// What gives the weight.
    pub by: T,
    /// How much.
    pub weight: u16,
}

/// Who suffices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authority {
    /// Weight needed.
    pub threshold: u32,
    /// Keys.
    pub keys: Vec<Weighted<PublicKey>>,
    /// Permissions of accounts.
    pub accounts: Vec<Weighted<Level>>,
    /// Delays in seconds. Delayed transactions are not simulated: they give no weight.
    pub waits: Vec<(u32, u16)>,
}

/// One permission of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The one above it; empty for `owner`.
    pub parent: String,
    /// Who suffices.
    pub auth: Authority,
}

/// An account.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Permissions by name.
    pub permissions: BTreeMap<String, Permission>,
    /// Contract and action to permission; an empty action is the whole contract.
    pub links: BTreeMap<(String, String), String>,
}

/// All accounts.
pub(super) type Accounts = BTreeMap<String, Account>;

impl Level {
    pub(super) fn new(actor: &str, permission: &str) -> Level {
        Level {
            actor: actor.to_owned(),
            permission: permission.to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({"actor": self.actor, "permission": self.permission})
    }

    /// As messages have it: fields in this order, no blanks.
    pub(super) fn text(&self) -> String {
        format!(
            "{{\"actor\":\"{}\",\"permission\":\"{}\"}}",
            self.actor, self.permission
        )
    }
}

impl Authority {
    /// One key alone.
    pub(super) fn single(key: PublicKey) -> Authority {
        Authority {
            threshold: 1,
            keys: vec![Weighted { by: key, weight: 1 }],
            ..Authority::default()
        }
    }

    pub(super) fn json(&self) -> Value {
        let keys: Vec<Value> = self
            .keys
            .iter()
            .map(|k| json!({"key": k.by.to_text(super::PREFIX), "weight": k.weight}))
            .collect();
        let accounts: Vec<Value> = self
            .accounts
            .iter()
            .map(|a| json!({"permission": a.by.json(), "weight": a.weight}))
            .collect();
        let waits: Vec<Value> = self
            .waits
            .iter()
            .map(|(s, w)| json!({"wait_sec": s, "weight": w}))
            .collect();
        json!({"threshold": self.threshold, "keys": keys, "accounts": accounts, "waits": waits})
    }

    /// Whether it can ever be met, keys sorted and unlike, as a node demands of `updateauth`.
    pub(super) fn is_valid(&self) -> bool {
        let weights = self.keys.iter().map(|k| u64::from(k.weight));
        let weights = weights.chain(self.accounts.iter().map(|a| u64::from(a.weight)));
        let total: u64 = weights
            .chain(self.waits.iter().map(|(_, w)| u64::from(*w)))
            .sum();
        let keys: Vec<&[u8; 33]> = self.keys.iter().map(|k| k.by.as_bytes()).collect();
        let accounts: Vec<&Level> = self.accounts.iter().map(|a| &a.by).collect();
        self.threshold > 0
            && total >= u64::from(self.threshold)
            && keys.is_sorted_by(|a, b| a < b)
            && accounts.is_sorted_by(|a, b| a < b)
    }
}

impl Account {
    /// An account with owner and active.
    pub(super) fn new(owner: PublicKey, active: PublicKey) -> Account {
        let mut account = Account::default();
        account.set("owner", "", Authority::single(owner));
        account.set("active", "owner", Authority::single(active));
        account
    }

    pub(super) fn set(&mut self, name: &str, parent: &str, auth: Authority) {
        let parent = parent.to_owned();
        self.permissions
            .insert(name.to_owned(), Permission { parent, auth });
    }

    pub(super) fn link(&mut self, code: &str, action: &str, permission: &str) {
        self.links
            .insert((code.to_owned(), action.to_owned()), permission.to_owned());
    }

    /// The least permission that an action needs.
    pub(super) fn minimum(&self, code: &str, action: &str) -> &str {
        let link = |a: &str| self.links.get(&(code.to_owned(), a.to_owned()));
        link(action)
            .or_else(|| link(""))
            .map_or("active", String::as_str)
    }

    /// Whether `declared` is `minimum` or stands above it.
    pub(super) fn satisfies(&self, declared: &str, minimum: &str) -> bool {
        let mut at = minimum;
        // A chain of parents is no longer than there are permissions.
        for _ in 0..=self.permissions.len() {
            if at == declared {
                return true;
            }
            match self.permissions.get(at) {
                Some(p) if !p.parent.is_empty() => at = &p.parent,
                _ => return false,
            }
        }
        false
    }
}

/// Whether `keys` suffice for a permission; the keys that counted are added to `used`.
pub(super) fn suffices(
    accounts: &Accounts,
    level: &Level,
    keys: &BTreeSet<[u8; 33]>,
    used: &mut BTreeSet<[u8; 33]>,
) -> bool {
    at_depth(accounts, level, keys, used, 0)
}

fn at_depth(
    accounts: &Accounts,
    level: &Level,
    keys: &BTreeSet<[u8; 33]>,
    used: &mut BTreeSet<[u8; 33]>,
    depth: usize,
) -> bool {
    let permission = accounts
        .get(&level.actor)
        .and_then(|a| a.permissions.get(&level.permission));
    let Some(permission) = permission.filter(|_| depth < MAX_DEPTH) else {
        return false;
    };
    let auth = &permission.auth;
    let mut weight = 0_u64;
    let mut counted = Vec::new();
    for key in &auth.keys {
        if weight >= u64::from(auth.threshold) {
            break;
        }
        if keys.contains(key.by.as_bytes()) {
            weight += u64::from(key.weight);
            counted.push(*key.by.as_bytes());
        }
    }
    for account in &auth.accounts {
        if weight >= u64::from(auth.threshold) {
            break;
        }
        let mut below = BTreeSet::new();
        if at_depth(accounts, &account.by, keys, &mut below, depth + 1) {
            weight += u64::from(account.weight);
            counted.extend(below);
        }
    }
    let met = weight >= u64::from(auth.threshold);
    if met {
        used.extend(counted);
    }
    met
}
