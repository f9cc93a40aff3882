//! Account and action names: 64 bits, twelve characters of five bits and a thirteenth of four. Written apart from the
//! adapter's own, so that one mistake cannot hide in both. Pure.

const ALPHABET: &[u8; 32] = b".12345abcdefghijklmnopqrstuvwxyz";

/// The number of a name; `None` when it is none.
pub(super) fn number(text: &str) -> Option<u64> {
    if text.len() > 13 || text.ends_with('.') {
        return None;
    }
    let mut value = 0_u64;
    for i in 0..13 {
        let Some(c) = text.as_bytes().get(i) else {
            continue;
        };
        let digit = ALPHABET.iter().position(|a| a == c)? as u64;
        if i == 12 {
            if digit > 15 {
                return None;
            }
            value |= digit;
        } else {
            value |= digit << (59 - 5 * i);
        }
    }
    Some(value)
}

/// The text of a number.
pub(super) fn text(number: u64) -> String {
    let mut out = String::with_capacity(13);
    for i in 0..13 {
        let digit = if i == 12 {
            number & 15
        } else {
            (number >> (59 - 5 * i)) & 31
        };
        let at = usize::try_from(digit).unwrap_or(0);
        out.push(char::from(ALPHABET[at & 31]));
    }
    out.trim_end_matches('.').to_owned()
}

/// The name of the `i`th further producer: digits 0 and 6 to 9 are not allowed in names.
pub(super) fn lettered(prefix: &str, i: usize) -> String {
    let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap_or(0));
    if i < 26 {
        format!("{prefix}{}", letter(i))
    } else {
        format!(
            "{prefix}{}{}{}",
            letter(i / 676),
            letter(i / 26 % 26),
            letter(i % 26)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        // Numbers as nodes write them (little-endian in transactions).
        for (name, number_of) in [
            ("eosio", 0x5530_ea00_0000_0000_u64),
            ("bpa", 0x3d4c_0000_0000_0000),
            ("", 0),
        ] {
            assert_eq!(number(name), Some(number_of), "{name}");
            assert_eq!(text(number_of), name);
        }
        for name in ["regproducer2", "bpexampleorg", "a.b.c", "zzzzzzzzzzzzj"] {
            assert_eq!(number(name).map(text).as_deref(), Some(name));
        }
        for bad in ["wit01", "Alice", "zzzzzzzzzzzzz", "abcdefghijklmn", "a."] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn further_producers_have_names_of_their_own() {
        let all: std::collections::BTreeSet<String> =
            (0..1000).map(|i| lettered("bp", i)).collect();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|n| number(n).is_some()));
    }
}
