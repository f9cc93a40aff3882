//! The primitives of the binary format, and chain times. Pure. All integers are little-endian.

/// Appends an unsigned LEB128 number, fc's `unsigned_int`.
pub(super) fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Appends a length and the bytes. A string's length counts UTF-8 bytes, not characters.
pub(super) fn bytes(out: &mut Vec<u8>, data: &[u8]) {
    varint(out, data.len() as u64);
    out.extend(data);
}

/// Reads a chain time: `2026-11-21T12:34:56`, UTC. A trailing `Z` is allowed. `None` for anything else, and for times
/// that do not fit 32 bits of seconds.
#[must_use]
pub fn parse_time(text: &str) -> Option<u32> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    if text.len() != 19 {
        return None;
    }
    let civil = jiff::civil::DateTime::strptime("%Y-%m-%dT%H:%M:%S", text).ok()?;
    let instant = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
    u32::try_from(instant.as_second()).ok()
}

/// Writes seconds since 1970 as nodes do: `2026-11-21T12:34:56`, without a zone.
#[must_use]
pub fn format_time(seconds: u32) -> String {
    jiff::Timestamp::from_second(i64::from(seconds))
        .map(|t| t.strftime("%Y-%m-%dT%H:%M:%S").to_string())
        .expect("32 bits of seconds end in 2106, well within the calendar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints() {
        for (n, expected) in [
            (0u64, vec![0u8]),
            (127, vec![0x7f]),
            (128, vec![0x80, 1]),
            (1024, vec![0x80, 8]),
            (u64::from(u32::MAX), vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut out = vec![];
            varint(&mut out, n);
            assert_eq!(out, expected, "{n}");
        }
    }

    #[test]
    fn times() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00", 0),
            ("2026-11-21T12:34:56", 1_795_264_496),
            ("2038-01-19T03:14:07", 0x7fff_ffff),
            ("2106-02-07T06:28:15", u32::MAX),
        ] {
            assert_eq!(parse_time(text), Some(seconds), "{text}");
            assert_eq!(parse_time(&format!("{text}Z")), Some(seconds));
            assert_eq!(format_time(seconds), text);
        }
        for text in [
            "",
            "2026-11-21",
            "2026-11-21 12:34:56",
            "2026-13-21T12:34:56",
            "1969-12-31T23:59:59",
            "2106-02-07T06:28:16",
            "2026-02-29T00:00:00",
            "2026-11-21T12:34:56+01",
        ] {
            assert_eq!(parse_time(text), None, "{text:?}");
        }
    }
}
