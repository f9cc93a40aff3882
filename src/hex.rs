//! Lower-case hexadecimal text: the one place that writes and reads it. Pure.

/// Why a text is not the hex that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// An odd number of digits.
    #[error("{0} hex digits: an even number is needed, two per byte")]
    Odd(usize),
    /// Something that is not `0-9a-fA-F`, at this place counted from 1.
    #[error("character {0} is not a hex digit")]
    Digit(usize),
    /// The wrong number of bytes.
    #[error("{found} hex digits where {expected} are needed")]
    Length {
        /// Digits needed.
        expected: usize,
        /// Digits found.
        found: usize,
    },
}

/// Lower-case hex of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.push(DIGITS[usize::from(b >> 4)] as char);
        out.push(DIGITS[usize::from(b & 15)] as char);
    }
    out
}

/// Reads hex of any even length, either case.
///
/// # Errors
/// An odd length, or the first character that is not a hex digit.
pub fn decode(text: &str) -> Result<Vec<u8>, HexError> {
    let digits = text
        .chars()
        .enumerate()
        .map(|(i, c)| c.to_digit(16).ok_or(HexError::Digit(i + 1)))
        .collect::<Result<Vec<u32>, HexError>>()?;
    if !digits.len().is_multiple_of(2) {
        return Err(HexError::Odd(digits.len()));
    }
    // Two digits below 16 always fit a byte.
    Ok(digits
        .chunks_exact(2)
        .map(|pair| ((pair[0] << 4) | pair[1]) as u8)
        .collect())
}

/// Reads exactly `N` bytes of hex.
///
/// # Errors
/// As [`decode`], and a length other than `2 * N` digits.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let bytes = decode(text)?;
    let found = bytes.len() * 2;
    bytes.try_into().map_err(|_| HexError::Length {
        expected: N * 2,
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        assert_eq!(encode(&[0, 255, 16]), "00ff10");
        assert_eq!(decode("00Ff10"), Ok(vec![0, 255, 16]));
        assert_eq!(decode("0"), Err(HexError::Odd(1)));
        assert_eq!(decode("0g"), Err(HexError::Digit(2)));
        assert_eq!(decode("é0"), Err(HexError::Digit(1)));
        assert_eq!(
            decode_array::<2>("00"),
            Err(HexError::Length {
                expected: 4,
                found: 2
            })
        );
    }
}
