//! What differs between the chains of the family: one table of constants. Pure.
//!
//! Sources of the table: each chain's `config.hpp` and `operations.hpp`. A chain id is `sha256` of a *packed*
//! string (length byte first), so ids are kept as constants and compared with what the node says.

use super::Serialization;
use super::TxError;
use super::asset::Asset;
use crate::chain::Protocol;

/// How one chain writes transactions. [`Dialect::mainnet`] for the main nets; the text fields may be changed for test nets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// The protocol: operation numbers and layouts follow from it.
    pub protocol: Protocol,
    /// What public keys begin with: `STM`, `BLT`, `TST` on test nets.
    pub address_prefix: String,
    /// Symbol of the core asset: `STEEM`, `HIVE`, `BLURT`, `TESTS` on test nets.
    pub core_symbol: String,
    /// Symbol of the debt asset: `SBD`, `HBD`, `TBD` on test nets; empty where there is none.
    pub debt_symbol: String,
}

/// The operations slotkeeper writes, apart from their contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// `witness_update`
    WitnessUpdate,
    /// `witness_set_properties`
    WitnessSetProperties,
    /// `feed_publish`
    FeedPublish,
    /// `chain_properties_update`
    ChainPropertiesUpdate,
}

/// Chain id of the Steem, Hive and Blurt test nets: `sha256(0x07 ‖ "testnet")`. Observed on a real steemd and hived.
pub const TESTNET_CHAIN_ID: [u8; 32] = [
    0x18, 0xdc, 0xf0, 0xa2, 0x85, 0x36, 0x5f, 0xc5, 0x8b, 0x71, 0xf1, 0x8b, 0x3d, 0x3f, 0xec, 0x95,
    0x4a, 0xa0, 0xc1, 0x41, 0xc4, 0x4e, 0x4e, 0x5c, 0xb4, 0xcf, 0x77, 0x7b, 0x9e, 0xab, 0x27, 0x4e,
];

/// Chain id of a Golos test net, `sha256(0x09 ‖ "GOLOSTEST")`, by the rule that gives all other ids of the family.
const GOLOS_TESTNET_CHAIN_ID: [u8; 32] = [
    0x58, 0x76, 0x89, 0x4a, 0x41, 0xe6, 0x36, 0x1b, 0xde, 0x2e, 0x73, 0x27, 0x8f, 0x07, 0x34, 0x0f,
    0x2e, 0xb8, 0xb4, 0x1c, 0x2f, 0xac, 0xd2, 0x90, 0x99, 0xde, 0x9d, 0xee, 0xf6, 0xcd, 0xb6, 0x79,
];
/// Chain id of the public BitShares test net, as pybitshares names it.
const BITSHARES_TESTNET_CHAIN_ID: [u8; 32] = [
    0x39, 0xf5, 0xe2, 0xed, 0xe1, 0xf8, 0xbc, 0x1a, 0x3a, 0x54, 0xa7, 0x91, 0x44, 0x14, 0xe3, 0x77,
    0x9e, 0x33, 0x19, 0x3f, 0x1f, 0x56, 0x93, 0x51, 0x0e, 0x73, 0xcb, 0x7a, 0x87, 0x61, 0x74, 0x47,
];

/// What test nets of one protocol are called.
struct TestNet {
    chain_id: [u8; 32],
    prefix: &'static str,
    core: &'static str,
    debt: &'static str,
}

/// One line of the table.
struct Row {
    protocol: Protocol,
    /// `None`: many chains share the protocol, so config must name the id.
    chain_id: Option<[u8; 32]>,
    prefix: &'static str,
    core: &'static str,
    debt: &'static str,
    test: TestNet,
    /// Accounts, witnesses and assets are object ids (`1.2.7`), operations go by number in JSON.
    objects: bool,
    /// The node refuses signatures that are not canonical in fc's sense; the others ask for a low `s` only.
    canonical: bool,
    witness_update: Option<u8>,
    witness_set_properties: Option<u8>,
    feed_publish: Option<u8>,
    chain_properties_update: Option<u8>,
    /// JSON name of the interest rate in `witness_update`'s props; `None` where the field does not exist.
    interest_rate: Option<&'static str>,
}

const HIVE_CHAIN_ID: [u8; 32] = {
    let mut id = [0; 32];
    [id[0], id[1], id[2], id[3]] = [0xbe, 0xea, 0xb0, 0xde];
    id
};
const BLURT_CHAIN_ID: [u8; 32] = [
    0xcd, 0x8d, 0x90, 0xf2, 0x9a, 0xe2, 0x73, 0xab, 0xec, 0x3e, 0xaa, 0x77, 0x31, 0xe2, 0x59, 0x34,
    0xc6, 0x3e, 0xb6, 0x54, 0xd5, 0x50, 0x80, 0xca, 0xff, 0x2e, 0xbb, 0x7f, 0x5d, 0xf6, 0x38, 0x1f,
];
const GOLOS_CHAIN_ID: [u8; 32] = [
    0x78, 0x2a, 0x30, 0x39, 0xb4, 0x78, 0xc8, 0x39, 0xe4, 0xcb, 0x0c, 0x94, 0x1f, 0xf4, 0xea, 0xeb,
    0x7d, 0xf4, 0x0b, 0xdd, 0x68, 0xbd, 0x44, 0x1a, 0xfd, 0x44, 0x4b, 0x9d, 0xa7, 0x63, 0xde, 0x12,
];
const BITSHARES_CHAIN_ID: [u8; 32] = [
    0x40, 0x18, 0xd7, 0x84, 0x4c, 0x78, 0xf6, 0xa6, 0xc4, 0x1c, 0x6a, 0x55, 0x2b, 0x89, 0x80, 0x22,
    0x31, 0x0f, 0xc5, 0xde, 0xc0, 0x6d, 0xa4, 0x67, 0xee, 0x79, 0x05, 0xa8, 0xda, 0xd5, 0x12, 0xc8,
];

const STEEM: Row = Row {
    protocol: Protocol::Steem,
    chain_id: Some([0; 32]),
    prefix: "STM",
    core: "STEEM",
    debt: "SBD",
    test: TestNet {
        chain_id: TESTNET_CHAIN_ID,
        prefix: "TST",
        core: "TESTS",
        debt: "TBD",
    },
    objects: false,
    canonical: false,
    witness_update: Some(11),
    witness_set_properties: Some(42),
    feed_publish: Some(7),
    chain_properties_update: None,
    interest_rate: Some("sbd_interest_rate"),
};
/// A chain of which nothing is written.
const NONE: Row = Row {
    witness_update: None,
    witness_set_properties: None,
    feed_publish: None,
    chain_properties_update: None,
    interest_rate: None,
    ..STEEM
};
const TABLE: [Row; 6] = [
    STEEM,
    Row {
        protocol: Protocol::Hive,
        chain_id: Some(HIVE_CHAIN_ID),
        core: "HIVE",
        debt: "HBD",
        interest_rate: Some("hbd_interest_rate"),
        ..STEEM
    },
    Row {
        protocol: Protocol::Blurt,
        chain_id: Some(BLURT_CHAIN_ID),
        prefix: "BLT",
        core: "BLURT",
        debt: "",
        test: TestNet {
            debt: "",
            ..STEEM.test
        },
        witness_update: Some(7),
        witness_set_properties: Some(33),
        ..NONE
    },
    Row {
        protocol: Protocol::Golos,
        chain_id: Some(GOLOS_CHAIN_ID),
        prefix: "GLS",
        core: "GOLOS",
        debt: "GBG",
        test: TestNet {
            chain_id: GOLOS_TESTNET_CHAIN_ID,
            prefix: "GLS",
            core: "GOLOS",
            debt: "GBG",
        },
        canonical: true,
        witness_set_properties: None,
        chain_properties_update: Some(45),
        ..STEEM
    },
    Row {
        protocol: Protocol::BitShares,
        chain_id: Some(BITSHARES_CHAIN_ID),
        prefix: "BTS",
        core: "BTS",
        debt: "",
        test: TestNet {
            chain_id: BITSHARES_TESTNET_CHAIN_ID,
            prefix: "TEST",
            core: "TEST",
            debt: "",
        },
        objects: true,
        canonical: true,
        witness_update: Some(21),
        ..NONE
    },
    // Not of this family; here so that asking for any protocol has an answer. It has none of these operations.
    Row {
        protocol: Protocol::Antelope,
        chain_id: None,
        prefix: "EOS",
        core: "",
        debt: "",
        ..NONE
    },
];

fn row(protocol: Protocol) -> &'static Row {
    TABLE
        .iter()
        .find(|row| row.protocol == protocol)
        .expect("the table has a row for every protocol; a test counts them")
}

impl OperationKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::WitnessUpdate,
        Self::WitnessSetProperties,
        Self::FeedPublish,
        Self::ChainPropertiesUpdate,
    ];

    /// The name in JSON, without appbase's `_operation`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WitnessUpdate => "witness_update",
            Self::WitnessSetProperties => "witness_set_properties",
            Self::FeedPublish => "feed_publish",
            Self::ChainPropertiesUpdate => "chain_properties_update",
        }
    }
}

impl Dialect {
    /// The dialect of a protocol's main net.
    #[must_use]
    pub fn mainnet(protocol: Protocol) -> Self {
        let row = row(protocol);
        Self {
            protocol,
            address_prefix: row.prefix.into(),
            core_symbol: row.core.into(),
            debt_symbol: row.debt.into(),
        }
    }

    /// The dialect of a protocol's test nets: of the Steem family keys `TST…`, assets `TESTS` and `TBD` (where there is a
    /// debt asset); of the others as those chains' sources say.
    #[must_use]
    pub fn testnet(protocol: Protocol) -> Self {
        let test = &row(protocol).test;
        Self::mainnet(protocol)
            .with_address_prefix(test.prefix)
            .with_symbols(test.core, test.debt)
    }

    /// The chain id of a protocol's test nets.
    #[must_use]
    pub fn testnet_chain_id(protocol: Protocol) -> [u8; 32] {
        row(protocol).test.chain_id
    }

    /// The same with another key prefix.
    #[must_use]
    pub fn with_address_prefix(mut self, prefix: &str) -> Self {
        self.address_prefix = prefix.into();
        self
    }

    /// The same with other asset symbols.
    #[must_use]
    pub fn with_symbols(mut self, core: &str, debt: &str) -> Self {
        self.core_symbol = core.into();
        self.debt_symbol = debt.into();
        self
    }

    /// The chain id of a protocol's main net; `None` where many chains share the protocol.
    #[must_use]
    pub fn mainnet_chain_id(protocol: Protocol) -> Option<[u8; 32]> {
        row(protocol).chain_id
    }

    /// The number an operation has on this chain.
    ///
    /// # Errors
    /// [`TxError::NoSuchOperation`].
    pub fn operation_id(&self, kind: OperationKind) -> Result<u8, TxError> {
        let row = row(self.protocol);
        match kind {
            OperationKind::WitnessUpdate => row.witness_update,
            OperationKind::WitnessSetProperties => row.witness_set_properties,
            OperationKind::FeedPublish => row.feed_publish,
            OperationKind::ChainPropertiesUpdate => row.chain_properties_update,
        }
        .ok_or(TxError::NoSuchOperation {
            operation: kind.name(),
            protocol: self.protocol,
        })
    }

    /// JSON name of the interest rate in `witness_update`'s props; `None` where the chain has no such field.
    #[must_use]
    pub fn interest_rate_name(&self) -> Option<&'static str> {
        row(self.protocol).interest_rate
    }

    /// Whether accounts, witnesses and assets are object ids, and operations go by number in JSON (BitShares).
    #[must_use]
    pub fn names_objects(&self) -> bool {
        row(self.protocol).objects
    }

    /// Whether nodes refuse signatures that are not canonical in fc's sense.
    #[must_use]
    pub fn wants_canonical_signatures(&self) -> bool {
        row(self.protocol).canonical
    }

    /// Refuses a serialization the chain does not have.
    pub(super) fn check_serialization(&self, form: Serialization) -> Result<(), TxError> {
        match form {
            Serialization::Hf26 if self.protocol != Protocol::Hive => {
                Err(TxError::NoHf26(self.protocol))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an asset that is not the core or debt asset with three decimals.
    pub(super) fn check_asset(&self, asset: &Asset) -> Result<(), TxError> {
        let known = asset.symbol == self.core_symbol
            || (!self.debt_symbol.is_empty() && asset.symbol == self.debt_symbol);
        if known && asset.precision == 3 {
            return Ok(());
        }
        let known = if self.debt_symbol.is_empty() {
            format!("{} with three decimals", self.core_symbol)
        } else {
            format!(
                "{} and {} with three decimals",
                self.core_symbol, self.debt_symbol
            )
        };
        Err(TxError::ForeignAsset {
            asset: asset.to_string(),
            known,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_has_a_row() {
        for p in Protocol::ALL {
            assert_eq!(Dialect::mainnet(p).protocol, p);
        }
    }

    #[test]
    fn testnet_id_is_the_hash_of_the_packed_name() {
        use sha2::{Digest, Sha256};
        assert_eq!(
            <[u8; 32]>::from(Sha256::digest(b"\x07testnet")),
            TESTNET_CHAIN_ID
        );
        assert_eq!(
            Some(<[u8; 32]>::from(Sha256::digest(b"\x05GOLOS"))),
            Dialect::mainnet_chain_id(Protocol::Golos)
        );
        assert_eq!(
            <[u8; 32]>::from(Sha256::digest(b"\x09GOLOSTEST")),
            GOLOS_TESTNET_CHAIN_ID
        );
    }
}
