//! The protocols slotkeeper knows, by the names used in config and on the command line. Pure.

use std::fmt;
use std::str::FromStr;

/// A chain's protocol: which adapter, bytes and rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Steem.
    Steem,
    /// Hive.
    Hive,
    /// Blurt.
    Blurt,
    /// Golos.
    Golos,
    /// BitShares.
    BitShares,
    /// EOS/Vaulta, WAX, Telos and kin.
    Antelope,
}

/// A name that is no protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown protocol {0:?}: one of steem, hive, blurt, golos, bitshares, antelope")]
pub struct UnknownProtocol(pub String);

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Steem,
        Self::Hive,
        Self::Blurt,
        Self::Golos,
        Self::BitShares,
        Self::Antelope,
    ];

    /// The lower-case name of config and command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steem => "steem",
            Self::Hive => "hive",
            Self::Blurt => "blurt",
            Self::Golos => "golos",
            Self::BitShares => "bitshares",
            Self::Antelope => "antelope",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|p| p.as_str() == text)
            .ok_or_else(|| UnknownProtocol(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for p in Protocol::ALL {
            assert_eq!(p.to_string().parse(), Ok(p));
        }
        assert!("Hive".parse::<Protocol>().is_err());
    }
}
