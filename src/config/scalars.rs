//! Scalars of the config file, read by ourselves so that each mistake gets its own sentence: durations with units, whole
//! numbers, text that YAML took for a number, file names that are really secrets. Never repeats a value that may be secret.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Text. A number or boolean here is an error that says to quote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

/// 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hex32(pub(super) [u8; 32]);

/// A duration with a unit: `500ms`, `30s`, `1m`, `2h`, `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

/// A file name; anything that looks like the secret itself is refused without repeating it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileName(pub(super) String);

/// A whole number that is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole(pub(super) u32);

/// A share between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

/// `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

/// One of a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice<T>(pub(super) T);

/// Words that a [`Choice`] may take.
pub(super) trait Words: Sized + Copy + 'static {
    /// Every word with its meaning, in the order shown to people.
    const WORDS: &'static [(&'static str, Self)];
}

/// What a scalar makes of what stands there.
trait Scalar: Sized {
    /// What is expected, for messages: "a duration such as 30s".
    const WANTED: &'static str;
    /// Whether text that YAML reads as a number needs quotes here.
    const TEXTUAL: bool = false;
    /// From text.
    fn text(text: &str) -> Result<Self, String>;
    /// From a whole number.
    fn whole(_: u64) -> Result<Self, String> {
        Err(Self::not("a number"))
    }
    /// From a fraction, or a number beyond 64 bits.
    fn fraction(_: f64) -> Result<Self, String> {
        Err(Self::not("a number"))
    }
    /// From a boolean.
    fn boolean(_: bool) -> Result<Self, String> {
        Err(Self::not("true or false"))
    }
    /// The sentence for something of another kind.
    fn not(found: &str) -> String {
        if Self::TEXTUAL && found != "a list" && found != "a mapping" && found != "nothing" {
            format!(
                "expected {}, but YAML reads this as {found}: put quotes around it",
                Self::WANTED
            )
        } else {
            format!("expected {}, found {found}", Self::WANTED)
        }
    }
}

struct ScalarVisitor<T>(PhantomData<T>);

/// Whether `text` looks like a secret itself rather than the name of a file: a private key, a PEM block, a webhook URL,
/// a routing key. Used to refuse it without repeating it.
pub(super) fn looks_secret(text: &str) -> bool {
    let text = text.trim();
    let base58 = |t: &str| {
        t.bytes()
            .all(|b| b.is_ascii_alphanumeric() && !matches!(b, b'0' | b'O' | b'I' | b'l'))
    };
    let wif = matches!(text.len(), 49..=54) && text.starts_with(['5', 'K', 'L']) && base58(text);
    let routing_key = text.len() == 32 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let long_token =
        text.len() > 255 || (text.len() >= 60 && text.bytes().all(|b| b.is_ascii_hexdigit()));
    wif || routing_key
        || long_token
        || text.contains("PVT_")
        || text.contains("-----BEGIN")
        || text.contains("hooks.slack.com")
        || text.contains("://")
        || text.contains('\n')
}

/// Parses `500ms`, `30s`, `1m`, `2h`, `1d`, and sums such as `1m30s`.
pub(super) fn parse_span(text: &str) -> Result<Duration, String> {
    let wanted = Span::WANTED;
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() || tail.starts_with('.') || (unit.is_empty() && !tail.is_empty()) {
            return Err(format!(
                "expected {wanted}; whole numbers with a unit, nothing else"
            ));
        }
        let factor: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(format!("expected {wanted}; the unit is missing")),
            _ => return Err(format!("expected {wanted}; units are ms, s, m, h and d")),
        };
        let number: u64 = number
            .parse()
            .map_err(|_| format!("expected {wanted}; whole numbers only"))?;
        total = number
            .checked_mul(factor)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= 3_660 * 86_400_000)
            .ok_or_else(|| "longer than ten years".to_owned())?;
        rest = tail;
    }
    if text.is_empty() {
        return Err(format!("expected {wanted}, found nothing"));
    }
    Ok(Duration::from_millis(total))
}

// === impl Scalar ===

impl Scalar for Text {
    const WANTED: &'static str = "text";
    const TEXTUAL: bool = true;
    fn text(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

impl Scalar for Hex32 {
    const WANTED: &'static str = "64 hex digits";
    const TEXTUAL: bool = true;
    fn text(text: &str) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let digit = |b: u8| {
            char::from(b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        if bytes.len() != 64 {
            return Err(format!(
                "expected 64 hex digits, found {}",
                counted(bytes.len())
            ));
        }
        let mut out = [0_u8; 32];
        for (place, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
            match (digit(pair[0]), digit(pair[1])) {
                (Some(high), Some(low)) => *place = high << 4 | low,
                _ => {
                    return Err(
                        "expected 64 hex digits (0-9, a-f), found another character".to_owned()
                    );
                }
            }
        }
        Ok(Self(out))
    }
}

impl Scalar for Span {
    const WANTED: &'static str = "a duration such as 500ms, 30s, 1m, 2h or 1d";
    fn text(text: &str) -> Result<Self, String> {
        parse_span(text).map(Self)
    }
    fn whole(number: u64) -> Result<Self, String> {
        Err(format!(
            "expected {}; the unit is missing, did you mean {number}s?",
            Self::WANTED
        ))
    }
}

impl Scalar for FileName {
    const WANTED: &'static str = "the name of a file";
    const TEXTUAL: bool = true;
    fn text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("expected the name of a file, found nothing".to_owned());
        }
        if looks_secret(text) {
            return Err(
                "this looks like the secret itself (not shown here), but the name of a file is needed: put the secret into a file that only slotkeeper's user can read, and name that file"
                    .to_owned(),
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl Scalar for Whole {
    const WANTED: &'static str = "a whole number from 0 to 4294967295";
    fn text(_: &str) -> Result<Self, String> {
        Err(Self::not("text"))
    }
    fn whole(number: u64) -> Result<Self, String> {
        u32::try_from(number)
            .map(Self)
            .map_err(|_| Self::not(&number.to_string()))
    }
    fn fraction(number: f64) -> Result<Self, String> {
        Err(Self::not(&number.to_string()))
    }
}

impl Scalar for Share {
    const WANTED: &'static str = "a share between 0 and 1, such as 0.67";
    fn text(_: &str) -> Result<Self, String> {
        Err(Self::not("text"))
    }
    fn whole(number: u64) -> Result<Self, String> {
        match number {
            0 => Ok(Self(0.0)),
            1 => Ok(Self(1.0)),
            _ => Err(Self::not(&number.to_string())),
        }
    }
    fn fraction(number: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(Self::not(&number.to_string()))
        }
    }
}

impl Scalar for Flag {
    const WANTED: &'static str = "true or false";
    fn text(_: &str) -> Result<Self, String> {
        Err("expected true or false (without quotes), found text".to_owned())
    }
    fn boolean(value: bool) -> Result<Self, String> {
        Ok(Self(value))
    }
}

impl<T: Words> Scalar for Choice<T> {
    const WANTED: &'static str = "one of a few words";
    fn text(text: &str) -> Result<Self, String> {
        T::WORDS
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| Self(*value))
            .ok_or_else(|| {
                if looks_secret(text) || text.len() > 40 {
                    format!("expected {}, found something else", words::<T>())
                } else {
                    format!("expected {}, found `{text}`", words::<T>())
                }
            })
    }
    fn boolean(value: bool) -> Result<Self, String> {
        Err(format!("expected {}, found {value}", words::<T>()))
    }
    fn not(found: &str) -> String {
        format!("expected {}, found {found}", words::<T>())
    }
}

fn words<T: Words>() -> String {
    let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
    match words.as_slice() {
        [only] => (*only).to_owned(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
        [] => String::new(),
    }
}

fn counted(characters: usize) -> String {
    if characters == 1 {
        "1 character".to_owned()
    } else {
        format!("{characters} characters")
    }
}

// === impl Visitor ===

impl<'de, T: Scalar> Visitor<'de> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::text(text).map_err(E::custom)
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::whole(number).map_err(E::custom)
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => T::whole(number).map_err(E::custom),
            Err(_) => Err(E::custom(T::not("a negative number"))),
        }
    }
    fn visit_u128<E: de::Error>(self, _: u128) -> Result<T, E> {
        Err(E::custom(T::not("a number")))
    }
    fn visit_i128<E: de::Error>(self, _: i128) -> Result<T, E> {
        Err(E::custom(T::not("a number")))
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::fraction(number).map_err(E::custom)
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        T::boolean(value).map_err(E::custom)
    }
    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        Err(E::custom(T::not("nothing")))
    }
    fn visit_none<E: de::Error>(self) -> Result<T, E> {
        Err(E::custom(T::not("nothing")))
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<T, A::Error> {
        Err(de::Error::custom(T::not("a list")))
    }
    fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<T, A::Error> {
        Err(de::Error::custom(T::not("a mapping")))
    }
}

macro_rules! read_with_scalar {
    ($($name:ty),+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                source.deserialize_any(ScalarVisitor(PhantomData))
            }
        }
    )+};
}

read_with_scalar!(Text, Hex32, Span, FileName, Whole, Share, Flag);

impl<'de, T: Words> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(ScalarVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_add_up() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("1m", 60_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_span(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "1 s",
            "1y",
            "99999999999999999999s",
            "9999999d",
            "1s 2",
        ] {
            assert!(parse_span(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn secrets_are_told_from_file_names() {
        for secret in [
            "5HrbNruPM9oLJNECYRXNFe3qko6YxfeuAnHJkJvrrNN6GUW7Uyc",
            "PVT_K1_abc",
            "https://hooks.slack.com/services/T0/B0/x",
            "0123456789abcdef0123456789abcdef",
            "-----BEGIN PRIVATE KEY-----",
        ] {
            assert!(looks_secret(secret));
        }
        for name in [
            "alice-active.pem",
            "/etc/slotkeeper/keys/alice.wif",
            "../pd.key",
            "slack.url",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
