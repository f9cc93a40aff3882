//! The witness object and what operations change of it. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::keys::PublicKey;

/// One witness object.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Number of the object.
    pub id: usize,
    /// Account name.
    pub owner: String,
    /// When the witness was created, Unix milliseconds.
    pub created_ms: u64,
    /// Declared address.
    pub url: String,
    /// Votes, deciding who is scheduled.
    pub votes: u64,
    /// The registered key; all zero when disabled.
    pub signing_key: PublicKey,
    /// Core symbol text, such as `0.100 TESTS`.
    pub account_creation_fee: String,
    /// Bytes.
    pub maximum_block_size: u32,
    /// Hundredths of a percent.
    pub interest_rate: u16,
    /// Accounts per time unit.
    pub subsidy_budget: i64,
    /// Decay of the former.
    pub subsidy_decay: u64,
    /// Published price: base and quote.
    pub feed: (String, String),
    /// When the price was published, Unix milliseconds; 0 when never.
    pub feed_ms: u64,
    /// Slots missed, as the node counts them.
    pub total_missed: u64,
    /// Slot of the last block.
    pub last_aslot: u64,
    /// Number of the last block.
    pub last_confirmed: u64,
}

/// An operation in the terms in which it changes the state.
#[derive(Debug, Clone)]
pub enum Effect {
    /// `witness_update`: overwrites url, key and all properties, or makes a new witness.
    Update {
        /// The witness.
        owner: String,
        /// New url.
        url: String,
        /// New key.
        key: PublicKey,
        /// The `props` object as sent.
        props: Value,
    },
    /// `witness_set_properties`: changes what it names.
    Set {
        /// The witness.
        owner: String,
        /// Name to packed value, sorted by name.
        props: BTreeMap<String, Vec<u8>>,
    },
    /// `witness_update` of BitShares: changes what it carries.
    Change {
        /// The witness object's id, `1.6.x`.
        witness: String,
        /// The id of its account, `1.2.x`.
        account: String,
        /// New url.
        url: Option<String>,
        /// New key.
        key: Option<PublicKey>,
        /// What is paid: the asset's smallest units, and the asset's id.
        fee: (i64, String),
    },
    /// `feed_publish`.
    Feed {
        /// The witness.
        publisher: String,
        /// Base and quote of the price.
        price: (String, String),
    },
}

impl Witness {
    /// A fresh witness with the properties that a test net starts with.
    pub(crate) fn new(id: usize, owner: &str, signing_key: PublicKey, created_ms: u64) -> Witness {
        Witness {
            id,
            owner: owner.to_owned(),
            created_ms,
            url: format!("http://{owner}"),
            votes: 0,
            signing_key,
            account_creation_fee: "0.000 TESTS".to_owned(),
            maximum_block_size: 65536,
            interest_rate: 0,
            subsidy_budget: 797,
            subsidy_decay: 347_321,
            feed: ("0.000 TESTS".to_owned(), "0.000 TESTS".to_owned()),
            feed_ms: 0,
            total_missed: 0,
            last_aslot: 0,
            last_confirmed: 0,
        }
    }

    pub(super) fn set_property(&mut self, name: &str, value: &[u8], now_ms: u64) {
        match name {
            "new_signing_key" => {
                if let Ok(raw) = <[u8; 33]>::try_from(value) {
                    self.signing_key = PublicKey::from_bytes(raw);
                }
            }
            "url" => {
                if let Some(url) = packed_string(value) {
                    self.url = url;
                }
            }
            "account_creation_fee" => {
                if let Some((text, _)) = packed_asset(value) {
                    self.account_creation_fee = text;
                }
            }
            "maximum_block_size" => {
                if let Ok(raw) = <[u8; 4]>::try_from(value) {
                    self.maximum_block_size = u32::from_le_bytes(raw);
                }
            }
            "sbd_interest_rate" | "hbd_interest_rate" => {
                if let Ok(raw) = <[u8; 2]>::try_from(value) {
                    self.interest_rate = u16::from_le_bytes(raw);
                }
            }
            "sbd_exchange_rate" | "hbd_exchange_rate" => {
                if let Some((base, used)) = packed_asset(value)
                    && let Some((quote, _)) = value.get(used..).and_then(packed_asset)
                {
                    self.feed = (base, quote);
                    self.feed_ms = now_ms;
                }
            }
            "account_subsidy_budget" => {
                if let Ok(raw) = <[u8; 4]>::try_from(value) {
                    self.subsidy_budget = i64::from(i32::from_le_bytes(raw));
                }
            }
            "account_subsidy_decay" => {
                if let Ok(raw) = <[u8; 4]>::try_from(value) {
                    self.subsidy_decay = u64::from(u32::from_le_bytes(raw));
                }
            }
            _ => {}
        }
    }
}

/// A string in the packed form: length, then bytes.
pub(crate) fn packed_string(bytes: &[u8]) -> Option<String> {
    let (mut len, mut at) = (0usize, 0usize);
    loop {
        let b = *bytes.get(at)?;
        len |= usize::from(b & 0x7f).checked_shl(u32::try_from(at * 7).ok()?)?;
        at += 1;
        if b & 0x80 == 0 {
            break;
        }
        if at > 4 {
            return None;
        }
    }
    let body = bytes.get(at..)?;
    (body.len() == len)
        .then(|| String::from_utf8(body.to_vec()).ok())
        .flatten()
}

/// An asset at the start of `bytes`, in the 16-byte legacy or the 12-byte hf26 form, as text and with its length.
fn packed_asset(bytes: &[u8]) -> Option<(String, usize)> {
    let amount = i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let nai = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
    let (symbol, used) = match nai {
        0x2320_bcbe | 0xbebc_2023 => ("TESTS".to_owned(), 12),
        0x0320_bcbe | 0xbebc_2003 => ("TBD".to_owned(), 12),
        _ => {
            let raw = bytes.get(9..16)?;
            let text: String = raw
                .iter()
                .take_while(|b| **b != 0)
                .map(|b| char::from(*b))
                .collect();
            let own = match text.as_str() {
                "SBD" | "HBD" | "TBD" => "TBD",
                _ => "TESTS",
            };
            (own.to_owned(), 16)
        }
    };
    let digits = format!("{:04}", amount.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 3);
    Some((
        format!(
            "{}{whole}.{fraction} {symbol}",
            if amount < 0 { "-" } else { "" }
        ),
        used,
    ))
}
