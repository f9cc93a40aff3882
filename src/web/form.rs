//! `application/x-www-form-urlencoded` (WHATWG URL standard): queries and forms. Pure.

use std::collections::BTreeMap;

/// Names and values; of a name given twice the last counts.
#[must_use]
pub(super) fn parse(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true), decode(value, true))
        })
        .collect()
}

/// A segment of a path.
#[must_use]
pub(super) fn segment(text: &str) -> String {
    decode(text, false)
}

fn decode(text: &str, plus: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' if plus => out.push(b' '),
            b'%' => {
                let rest = bytes.clone();
                let mut two = rest.take(2).filter_map(|b| char::from(b).to_digit(16));
                if let (Some(high), Some(low)) = (two.next(), two.next()) {
                    out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                    bytes.nth(1);
                } else {
                    out.push(b'%');
                }
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let form = parse("a=1&b=x+y%2Fz&c&d=%&e=%zz&a=2&=&f=%C3%A4");
        for (name, value) in [
            ("a", "2"),
            ("b", "x y/z"),
            ("c", ""),
            ("d", "%"),
            ("e", "%zz"),
            ("f", "ä"),
        ] {
            assert_eq!(form[name], value, "{name}");
        }
        assert!(parse("").is_empty());
        assert_eq!(segment("a+b%20c"), "a+b c");
    }
}
