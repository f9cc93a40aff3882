//! Amounts of money: text, NAI and both wire forms. Pure.

use std::fmt;
use std::str::FromStr;

use super::dialect::Dialect;
use super::{Serialization, TxError};
use crate::chain::Protocol;

/// An amount of one asset. `3.000 HIVE` is amount 3000, precision 3.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asset {
    /// In the smallest unit.
    pub amount: i64,
    /// Decimal places.
    pub precision: u8,
    /// `HIVE`, `SBD`, …
    pub symbol: String,
}

/// A text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an amount such as \"3.000 HIVE\"")]
pub struct BadAsset;

/// Hive's numeric asset identifiers and what they are on the wire in hf26 (`asset_symbol.hpp`).
const CORE_NAI: (&str, u32) = ("@@000000021", 0xbebc_2023);
const DEBT_NAI: (&str, u32) = ("@@000000013", 0xbebc_2003);

impl Asset {
    /// An amount with three decimals, as all core and debt assets of the Steem family have.
    #[must_use]
    pub fn new(amount: i64, symbol: &str) -> Self {
        Self {
            amount,
            precision: 3,
            symbol: symbol.into(),
        }
    }

    /// Reads Hive's `{"amount":"3000","precision":3,"nai":"@@000000021"}`, given apart.
    pub(super) fn from_nai(
        amount: i64,
        precision: u8,
        nai: &str,
        dialect: &Dialect,
    ) -> Option<Self> {
        let symbol = if nai == CORE_NAI.0 {
            &dialect.core_symbol
        } else if nai == DEBT_NAI.0 {
            &dialect.debt_symbol
        } else {
            return None;
        };
        (!symbol.is_empty()).then(|| Self {
            amount,
            precision,
            symbol: symbol.clone(),
        })
    }

    /// The numeric identifier, for appbase's JSON.
    pub(super) fn nai(&self, dialect: &Dialect) -> &'static str {
        self.number(dialect).0
    }

    fn number(&self, dialect: &Dialect) -> (&'static str, u32) {
        if self.symbol == dialect.core_symbol {
            CORE_NAI
        } else {
            DEBT_NAI
        }
    }

    /// Appends the wire form.
    ///
    /// # Errors
    /// An asset this chain does not have, or a serialization it does not know.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        dialect: &Dialect,
        form: Serialization,
    ) -> Result<(), TxError> {
        dialect.check_serialization(form)?;
        dialect.check_asset(self)?;
        out.extend(self.amount.to_le_bytes());
        match form {
            Serialization::Hf26 => out.extend(self.number(dialect).1.to_le_bytes()),
            Serialization::Legacy => {
                // Hive renamed its assets but not their legacy wire form.
                let symbol = match (dialect.protocol, self.symbol.as_str()) {
                    (Protocol::Hive, "HIVE") => "STEEM",
                    (Protocol::Hive, "HBD") => "SBD",
                    (_, other) => other,
                };
                if symbol.len() > 6 {
                    return Err(TxError::ForeignAsset {
                        asset: self.to_string(),
                        known: "symbols of at most six letters".into(),
                    });
                }
                let mut padded = [0u8; 7];
                padded[..symbol.len()].copy_from_slice(symbol.as_bytes());
                out.push(self.precision);
                out.extend(padded);
            }
        }
        Ok(())
    }
}

impl FromStr for Asset {
    type Err = BadAsset;

    fn from_str(text: &str) -> Result<Self, BadAsset> {
        let (number, symbol) = text.split_once(' ').ok_or(BadAsset)?;
        if symbol.is_empty() || !symbol.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(BadAsset);
        }
        let (negative, digits) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || !all_digits(whole)
            || !all_digits(fraction)
            || (digits.contains('.') && fraction.is_empty())
            || fraction.len() > 14
        {
            return Err(BadAsset);
        }
        let sign = if negative { "-" } else { "" };
        Ok(Self {
            amount: format!("{sign}{whole}{fraction}")
                .parse()
                .map_err(|_| BadAsset)?,
            precision: fraction.len() as u8,
            symbol: symbol.into(),
        })
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.amount < 0 { "-" } else { "" };
        let places = usize::from(self.precision);
        let digits = format!("{:0>1$}", self.amount.unsigned_abs(), places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let point = if places == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction} {}", self.symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in [
            "3.000 HIVE",
            "0.001 SBD",
            "-1.500 BLURT",
            "7 X",
            "9223372036854775.807 STEEM",
            "-9223372036854775.808 STEEM",
        ] {
            let asset: Asset = text.parse().expect(text);
            assert_eq!(asset.to_string(), text);
        }
        for text in [
            "",
            "3.000",
            "3.000 ",
            " HIVE",
            "3. HIVE",
            ".5 HIVE",
            "3,000 HIVE",
            "1e3 HIVE",
            "3.000 hive",
            "+3.000 HIVE",
            "--3 HIVE",
            "9223372036854775.808 HIVE",
            "3.000  HIVE",
        ] {
            assert_eq!(text.parse::<Asset>(), Err(BadAsset), "{text:?}");
        }
    }

    #[test]
    fn foreign_assets_are_refused() {
        let dialect = Dialect::mainnet(Protocol::Hive);
        for text in ["3.000 STEEM", "3.00 HIVE", "1.000000 VESTS"] {
            let asset: Asset = text.parse().expect(text);
            assert!(
                asset
                    .write(&mut vec![], &dialect, Serialization::Legacy)
                    .is_err()
            );
        }
        let blurt = Dialect::mainnet(Protocol::Blurt);
        assert_eq!(
            Asset::new(1, "BLURT").write(&mut vec![], &blurt, Serialization::Hf26),
            Err(TxError::NoHf26(Protocol::Blurt))
        );
    }
}
