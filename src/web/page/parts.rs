//! What every part of a page is made of: text made safe, fields of the status, times, keys. Pure.

use std::fmt::Write as _;

use serde_json::Value;

use crate::clock::Millis;

/// Text for HTML, also within quoted attributes.
pub(super) fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text as part of a path or a query.
#[must_use]
pub(super) fn query(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(super) fn yes(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// A text field, where it is there.
pub(super) fn said<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// A field as plain text; what is not known is a dash.
pub(super) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// [`text`], safe for HTML.
pub(super) fn shown(value: &Value, key: &str) -> String {
    esc(&text(value, key))
}

/// `chain/name` of a producer.
pub(super) fn full_name(producer: &Value) -> String {
    format!("{}/{}", text(producer, "chain"), text(producer, "name"))
}

/// A time of the status as milliseconds.
pub(super) fn moment(value: &Value, key: &str) -> Option<Millis> {
    let time: jiff::Timestamp = said(value, key)?.parse().ok()?;
    Some(time.as_millisecond())
}

/// How far from now, in words. The script keeps it true; without one it is as of the rendering.
pub(super) fn relative(at: Option<Millis>, now: Millis) -> String {
    let Some(at) = at else {
        return "–".to_owned();
    };
    let stamp = jiff::Timestamp::from_millisecond(at)
        .map_or_else(|_| at.to_string(), |t| t.strftime("%F %T UTC").to_string());
    format!(
        "<time data-t={at} title=\"{stamp}\">{}</time>",
        distance(at.saturating_sub(now))
    )
}

fn distance(ms: Millis) -> String {
    // Rounded as the script does, so that nothing jumps when it takes over.
    let seconds = ms.unsigned_abs().saturating_add(500) / 1000;
    let span = match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    match ms {
        _ if seconds == 0 => "now".to_owned(),
        1.. => format!("in {span}"),
        _ => format!("{span} ago"),
    }
}

/// Time of day, for something that is not of today the day too.
pub(super) fn clock(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at)
        .map_or_else(|_| at.to_string(), |t| t.strftime("%T UTC").to_string())
}

/// A key short enough for a line; all of it is in its title.
pub(super) fn short_key(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    if chars.len() < 20 {
        return format!("<code>{}</code>", esc(key));
    }
    let head: String = chars.iter().take(8).collect();
    let tail: String = chars.iter().skip(chars.len().saturating_sub(4)).collect();
    format!(
        "<code title=\"{}\">{}…{}</code>",
        esc(key),
        esc(&head),
        esc(&tail)
    )
}

/// A word with the colour and the sign of how things stand; the sign tells without colour.
pub(super) fn badge(level: Level, word: &str) -> String {
    format!("<b class={}>{}</b>", level.class(), esc(word))
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Being changed right now.
    Busy,
    /// To know.
    Note,
    /// Somebody should do something.
    Bad,
}

impl Level {
    /// The class of the style sheet, which puts the sign before it.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Busy => "busy",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_told_as_people_say_them() {
        for (ms, said) in [
            (21_400, "in 21 s"),
            (-700, "1 s ago"),
            (300, "now"),
            (-119_000, "119 s ago"),
            (-120_000, "2 min ago"),
            (7_200_000, "in 2 h"),
            (-400_000_000, "4 days ago"),
        ] {
            assert_eq!(distance(ms), said, "{ms}");
        }
        assert_eq!(relative(None, 0), "–");
    }

    #[test]
    fn names_fit_into_paths_and_keys_into_lines() {
        assert_eq!(query("a b\r\n<ä/c.d"), "a%20b%0D%0A%3C%C3%A4%2Fc.d");
        assert!(short_key(&"K".repeat(53)).contains(">KKKKKKKK…KKKK<"));
        assert_eq!(short_key("short<"), "<code>short&lt;</code>");
    }
}
