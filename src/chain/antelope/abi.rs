//! The layout of transactions and of the actions slotkeeper writes, as a table. Pure.
//!
//! Field names and types are those of the system contract's ABI (`eosio.system`): one table serves packing, unpacking and
//! the refusal of what is not understood.

/// How a value is laid out.
pub(super) enum Type {
    /// 64 bits, base 32 as text.
    Name,
    /// A byte for the curve, then the key.
    Key,
    /// Counted UTF-8.
    Text,
    /// One byte.
    U8,
    /// Two bytes, little-endian.
    U16,
    /// Four bytes, little-endian.
    U32,
    /// LEB128 of 32 bits.
    Var,
    /// Seconds since 1970, as `2026-11-21T12:34:56`.
    Time,
    /// Counted items.
    List(&'static Type),
    /// A counted list that must be empty.
    Nothing,
    /// Fields in order.
    Object(&'static [(&'static str, Type)]),
    /// A variant of which one alternative (number 0) is known by this name: `[name, value]`, or `[0, value]`.
    Variant(&'static str, &'static Type),
    /// An action: account, name, authorization, counted data by the table [`action`].
    Action,
}

use Type::{Action, Key, List, Name, Nothing, Object, Text, Time, U8, U16, U32, Var, Variant};

/// A transaction without signatures.
pub(super) const TRANSACTION: &[(&str, Type)] = &[
    ("expiration", Time),
    ("ref_block_num", U16),
    ("ref_block_prefix", U32),
    ("max_net_usage_words", Var),
    ("max_cpu_usage_ms", U8),
    ("delay_sec", Var),
    ("context_free_actions", Nothing),
    ("actions", List(&Action)),
    ("transaction_extensions", Nothing),
];

/// An actor and the permission it acts with.
pub(super) const LEVEL: Type = Object(&[("actor", Name), ("permission", Name)]);

const KEY_WEIGHT: Type = Object(&[("key", Key), ("weight", U16)]);

const SIGNING_AUTHORITY: Type = Variant(
    "block_signing_authority_v0",
    &Object(&[("threshold", U32), ("keys", List(&KEY_WEIGHT))]),
);

const AUTHORITY: Type = Object(&[
    ("threshold", U32),
    ("keys", List(&KEY_WEIGHT)),
    (
        "accounts",
        List(&Object(&[("permission", LEVEL), ("weight", U16)])),
    ),
    (
        "waits",
        List(&Object(&[("wait_sec", U32), ("weight", U16)])),
    ),
]);

/// The data of `eosio::name`; `None` for an action that slotkeeper does not write.
pub(super) fn action(account: &str, name: &str) -> Option<&'static [(&'static str, Type)]> {
    if account != "eosio" {
        return None;
    }
    ACTIONS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, fields)| *fields)
}

/// Names and data of the actions, for messages and [`action`].
pub(super) const ACTIONS: &[(&str, &[(&str, Type)])] = &[
    (
        "regproducer",
        &[
            ("producer", Name),
            ("producer_key", Key),
            ("url", Text),
            ("location", U16),
        ],
    ),
    (
        "regproducer2",
        &[
            ("producer", Name),
            ("producer_authority", SIGNING_AUTHORITY),
            ("url", Text),
            ("location", U16),
        ],
    ),
    ("unregprod", &[("producer", Name)]),
    (
        "updateauth",
        &[
            ("account", Name),
            ("permission", Name),
            ("parent", Name),
            ("auth", AUTHORITY),
        ],
    ),
    (
        "linkauth",
        &[
            ("account", Name),
            ("code", Name),
            ("type", Name),
            ("requirement", Name),
        ],
    ),
    (
        "regfinkey",
        &[
            ("finalizer_name", Name),
            ("finalizer_key", Text),
            ("proof_of_possession", Text),
        ],
    ),
    (
        "actfinkey",
        &[("finalizer_name", Name), ("finalizer_key", Text)],
    ),
    (
        "delfinkey",
        &[("finalizer_name", Name), ("finalizer_key", Text)],
    ),
];
