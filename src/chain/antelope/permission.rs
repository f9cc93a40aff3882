//! Permissions: who may call what with which key, and the transaction that makes a permission for switching only. Pure.
//!
//! An action is called with the permission it is linked to (`active` when it is linked to none) or with any of that one's
//! ancestors (spring `authorization_manager.cpp`, `lookup_minimum_permission`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::name::Name;
use crate::chain::ReadError;
use crate::chain::graphene::fields::{bad, field, integer, text};
use crate::keys::{PublicKey, TypedKey};

/// The contract whose actions a switch calls.
const SYSTEM: &str = "eosio";

/// What a switching permission must be able to call: either form of registering, and unregistering.
pub const NEEDED: [&str; 3] = ["regproducer", "regproducer2", "unregprod"];

/// Also needed when a switch activates a finalizer key (Savanna).
pub const NEEDED_WITH_FINALIZERS: [&str; 4] =
    ["regproducer", "regproducer2", "unregprod", "actfinkey"];

/// An action that a permission is linked to: contract and action, `*` for all actions of the contract.
pub type Link = (String, String);

/// One permission of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Its name.
    pub name: String,
    /// The permission above it; empty for `owner`.
    pub parent: String,
    /// Weight that signatures must reach together.
    pub threshold: u64,
    /// Keys and weights. Keys of curves other than K1 stand as [`TypedKey::comparable`] gives them.
    pub keys: Vec<(PublicKey, u64)>,
    /// Other accounts' permissions may sign in its place. They are not followed.
    pub delegated: bool,
    /// Actions linked to it; `None` when the node does not say (nodes before EOSIO 2.1 and Leap 3 do not).
    pub links: Option<Vec<Link>>,
}

impl Permission {
    /// The keys that alone reach the threshold.
    #[must_use]
    pub fn sufficient_keys(&self) -> Vec<PublicKey> {
        let enough = self.keys.iter().filter(|(_, w)| *w >= self.threshold);
        enough.map(|(key, _)| *key).collect()
    }
}

/// An account's permissions, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account.
    pub name: String,
    /// Its permissions.
    pub permissions: BTreeMap<String, Permission>,
    /// Actions linked to `eosio.any`: every permission may call them.
    pub any: Vec<Link>,
}

/// Whether a permission does for switching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The account has no such permission.
    Missing,
    /// It may call all that is needed, and nothing else as far as its links say.
    Suffices,
    /// It may not call these actions of `eosio`.
    Lacks(Vec<String>),
    /// It may call all that is needed, and more: these links (`*` = everything that is linked to nothing else).
    Excess(Vec<Link>),
    /// The node does not list links: what it may call cannot be told.
    Unknown,
}

impl Account {
    /// Reads `get_account`.
    ///
    /// # Errors
    /// A field that is missing or of another type.
    pub fn read(reply: &Value) -> Result<Self, ReadError> {
        let list = field(reply, "permissions")?
            .as_array()
            .ok_or_else(|| bad("permissions", "is not a list"))?;
        let permissions = list
            .iter()
            .map(|one| permission(one).map(|p| (p.name.clone(), p)))
            .collect::<Result<_, _>>()?;
        let any = reply.get("eosio_any_linked_actions");
        let any = any.and_then(Value::as_array).into_iter().flatten();
        Ok(Self {
            name: text(reply, "account_name")?.to_owned(),
            permissions,
            any: any.map(link).collect::<Result<_, _>>()?,
        })
    }

    /// Whether the node listed links at all.
    #[must_use]
    pub fn lists_links(&self) -> bool {
        self.permissions.values().any(|p| p.links.is_some())
    }

    /// Whether `permission` may call the action of `eosio`; `None` when the node does not list links.
    #[must_use]
    pub fn may(&self, permission: &str, action: &str) -> Option<bool> {
        if !self.lists_links() {
            return None;
        }
        // A link of the action itself goes before one of the whole contract.
        for wanted in [action, "*"] {
            let here = |(contract, linked): &Link| contract == SYSTEM && linked == wanted;
            if self.any.iter().any(here) {
                return Some(true);
            }
            let mut permissions = self.permissions.values();
            if let Some(least) = permissions.find(|p| p.links.iter().flatten().any(here)) {
                return Some(self.is_at_or_above(permission, &least.name));
            }
        }
        Some(self.is_at_or_above(permission, "active"))
    }

    /// Whether `upper` is `lower` or one of its ancestors.
    fn is_at_or_above(&self, upper: &str, lower: &str) -> bool {
        let mut at = lower;
        // Parents come from outside: no longer a walk than there are permissions.
        for _ in 0..=self.permissions.len() {
            if at == upper {
                return true;
            }
            match self.permissions.get(at) {
                Some(permission) if !permission.parent.is_empty() => at = &permission.parent,
                _ => return false,
            }
        }
        false
    }

    /// Whether `permission` does for switching, when these actions are `needed` ([`NEEDED`]).
    #[must_use]
    pub fn verdict(&self, permission: &str, needed: &[&str]) -> Verdict {
        let Some(found) = self.permissions.get(permission) else {
            return Verdict::Missing;
        };
        let all = || vec![("*".to_owned(), "*".to_owned())];
        // These two may call everything that is not linked elsewhere, and `active` what is linked below it.
        let broad = matches!(permission, "active" | "owner");
        if !self.lists_links() {
            return if broad {
                Verdict::Excess(all())
            } else {
                Verdict::Unknown
            };
        }
        let lacks: Vec<String> = needed
            .iter()
            .filter(|action| self.may(permission, action) != Some(true))
            .map(|action| (*action).to_owned())
            .collect();
        if !lacks.is_empty() {
            return Verdict::Lacks(lacks);
        }
        if broad {
            return Verdict::Excess(all());
        }
        let below = self
            .permissions
            .values()
            .filter(|p| self.is_at_or_above(permission, &p.name));
        let excess: BTreeSet<Link> = below
            .chain([found])
            .flat_map(|p| p.links.iter().flatten())
            .filter(|(contract, action)| contract != SYSTEM || !needed.contains(&action.as_str()))
            .cloned()
            .collect();
        if excess.is_empty() {
            Verdict::Suffices
        } else {
            Verdict::Excess(excess.into_iter().collect())
        }
    }

    /// The keys that alone suffice for a switch with `permission`, which must be able to call `action` where links are
    /// listed. Empty when it may not, or does not exist.
    #[must_use]
    pub fn switching_keys(&self, permission: &str, action: &str) -> Vec<PublicKey> {
        match self.permissions.get(permission) {
            Some(found) if self.may(permission, action) != Some(false) => found.sufficient_keys(),
            _ => Vec::new(),
        }
    }
}

fn permission(value: &Value) -> Result<Permission, ReadError> {
    let auth = field(value, "required_auth")?;
    let keys = field(auth, "keys")?
        .as_array()
        .ok_or_else(|| bad("keys", "is not a list"))?
        .iter()
        .map(|one| {
            let key = TypedKey::parse(text(one, "key")?).map_err(|e| bad("key", e.to_string()))?;
            Ok((key.comparable(), integer(one, "weight")?))
        })
        .collect::<Result<_, ReadError>>()?;
    let links = match value.get("linked_actions").and_then(Value::as_array) {
        None => None,
        Some(list) => Some(list.iter().map(link).collect::<Result<_, _>>()?),
    };
    Ok(Permission {
        name: text(value, "perm_name")?.to_owned(),
        parent: text(value, "parent")?.to_owned(),
        threshold: integer(auth, "threshold")?,
        keys,
        delegated: auth
            .get("accounts")
            .and_then(Value::as_array)
            .is_some_and(|accounts| !accounts.is_empty()),
        links,
    })
}

fn link(value: &Value) -> Result<Link, ReadError> {
    let action = match value.get("action").and_then(Value::as_str) {
        None | Some("") => "*",
        Some(action) => action,
    };
    Ok((text(value, "account")?.to_owned(), action.to_owned()))
}

/// The actions that make (or change) a permission for switching only: `updateauth` under `active` with this one key, and a
/// `linkauth` for each action in `needed`. Signed with `active`.
///
/// `existing` is the account as it stands: links that are there already are left out, since the chain refuses a link that
/// changes nothing.
///
/// # Errors
/// A name that is none, `owner` or `active`, a key that is no key, or a permission that stands under another than `active`.
pub fn setup_actions(
    account: &str,
    permission: &str,
    key: &PublicKey,
    address_prefix: &str,
    needed: &[&str],
    existing: Option<&Account>,
) -> Result<Vec<Value>, ReadError> {
    for (what, name) in [("account", account), ("permission", permission)] {
        let parsed = name.parse::<Name>();
        if name.is_empty() || parsed.is_err() {
            return Err(bad(
                what,
                format!("{name:?} is no name: up to 12 characters of a-z, 1-5 and dots"),
            ));
        }
    }
    if matches!(permission, "owner" | "active") {
        return Err(bad(
            "permission",
            format!("{permission} can do far more than switch: name a new one, such as failover"),
        ));
    }
    if !key.is_point() {
        return Err(bad("key", "is no public key that anyone could sign with"));
    }
    let standing = existing.and_then(|a| a.permissions.get(permission));
    if let Some(standing) = standing.filter(|p| p.parent != "active") {
        return Err(bad(
            "permission",
            format!(
                "{permission} exists under {}; a parent cannot be changed, so name another",
                standing.parent
            ),
        ));
    }
    let linked = |action: &str| {
        let links = standing.and_then(|p| p.links.as_ref());
        links.is_some_and(|l| l.iter().any(|(c, a)| c == SYSTEM && a == action))
    };
    let authorization = json!([{"actor": account, "permission": "active"}]);
    let action = |name: &str, data: Value| json!({"account": SYSTEM, "name": name, "authorization": authorization, "data": data});
    let mut actions = vec![action(
        "updateauth",
        json!({
            "account": account,
            "permission": permission,
            "parent": "active",
            "auth": {
                "threshold": 1,
                "keys": [{"key": key.to_text(address_prefix), "weight": 1}],
                "accounts": [],
                "waits": [],
            },
        }),
    )];
    actions.extend(needed.iter().filter(|name| !linked(name)).map(|name| {
        action(
            "linkauth",
            json!({"account": account, "code": SYSTEM, "type": name, "requirement": permission}),
        )
    }));
    Ok(actions)
}
