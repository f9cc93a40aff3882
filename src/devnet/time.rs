//! Times in the wire's text form. Pure.

/// Unix milliseconds as `YYYY-MM-DDTHH:MM:SS`, and with `.mmm` where the block interval is no whole number of seconds:
/// the real dialect knows whole seconds only, so a fast devnet has to say more than a real node can.
pub(crate) fn iso(ms: u64, interval_ms: u64) -> String {
    let secs = ms / 1000;
    let (days, rest) = (secs / 86_400, secs % 86_400);
    let (y, m, d) = civil(days);
    let base = format!(
        "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    );
    if interval_ms.is_multiple_of(1000) {
        base
    } else {
        format!("{base}.{:03}", ms % 1000)
    }
}

/// The inverse of [`iso`], accepting both forms; `None` when it is not a time.
pub(crate) fn parse_iso(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let mut d = date.split('-').map(str::parse::<u64>);
    let (y, m, day) = (d.next()?.ok()?, d.next()?.ok()?, d.next()?.ok()?);
    let (clock, millis) = match time.split_once('.') {
        Some((c, f)) => (c, format!("{f:0<3}").get(..3)?.parse::<u64>().ok()?),
        None => (time, 0),
    };
    let mut t = clock.split(':').map(str::parse::<u64>);
    let (h, min, s) = (t.next()?.ok()?, t.next()?.ok()?, t.next()?.ok()?);
    if !(1970..=9999).contains(&y)
        || !(1..=12).contains(&m)
        || !(1..=31).contains(&day)
        || h > 23
        || min > 59
        || s > 60
    {
        return None;
    }
    Some((days(y, m, day) * 86_400 + h * 3600 + min * 60 + s) * 1000 + millis)
}

/// Day number since 1970-01-01 to year, month, day (proleptic Gregorian).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = doy - (153 * mp + 2) / 5 + 1;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(m <= 2), m, d)
}

fn days(y: u64, m: u64, d: u64) -> u64 {
    let y = if m <= 2 { y - 1 } else { y };
    let (era, yoe) = (y / 400, y % 400);
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip() {
        let t = 1_795_232_352_000; // 2026-11-21T03:39:12, the head of a recorded reply
        assert_eq!(iso(t, 3000), "2026-11-21T03:39:12");
        assert_eq!(iso(t + 250, 100), "2026-11-21T03:39:12.250");
        for ms in [0, 951_782_399_000, 951_868_800_000, t, 4_107_542_400_000] {
            assert_eq!(parse_iso(&iso(ms, 3000)), Some(ms), "{ms}");
        }
        assert_eq!(parse_iso("2026-11-21T03:39:12.25"), Some(t + 250));
        for bad in [
            "",
            "2026-11-21",
            "2026-13-01T00:00:00",
            "x",
            "2026-11-21T25:00:00",
        ] {
            assert_eq!(parse_iso(bad), None, "{bad}");
        }
    }
}
