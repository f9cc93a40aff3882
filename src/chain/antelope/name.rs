//! Account, permission and action names: 64 bits, base 32. Pure.

use std::fmt;
use std::str::FromStr;

/// `.` first: trailing dots are what is not there.
const ALPHABET: &[u8; 32] = b".12345abcdefghijklmnopqrstuvwxyz";

/// A name as the chain stores it: up to twelve characters of five bits and a thirteenth of four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub u64);

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name: up to 12 characters of a-z, 1-5 and dots (a 13th may be a-j or 1-5), not ending in a dot"
)]
pub struct BadName(String);

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadName(text.chars().take(40).collect());
        let mut value = 0u64;
        for (place, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|c| *c == byte).ok_or_else(bad)?;
            let digit = u64::try_from(digit).map_err(|_| bad())?;
            match place {
                0..12 => value |= digit << (59 - 5 * place),
                12 if digit < 16 => value |= digit,
                _ => return Err(bad()),
            }
        }
        // Only what comes back unchanged names one account.
        let name = Self(value);
        if name.to_string() == text {
            Ok(name)
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = (0..13).map(|place| match place {
            12 => self.0 & 0x0f,
            _ => (self.0 >> (59 - 5 * place)) & 0x1f,
        });
        let text: String = digits
            .filter_map(|digit| ALPHABET.get(usize::try_from(digit).ok()?))
            .map(|byte| char::from(*byte))
            .collect();
        f.write_str(text.trim_end_matches('.'))
    }
}
