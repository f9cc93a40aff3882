//! Alertmanager's label matchers, as silences use them: equal, not equal, regular expression (always anchored), and its
//! negation. Pure.

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

/// One matcher as the API gives it (prometheus/alertmanager `api/v2/openapi.yaml`, definition `matcher`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matcher {
    /// Label.
    pub name: String,
    /// Value or expression.
    pub value: String,
    /// The value is a regular expression.
    #[serde(default)]
    pub is_regex: bool,
    /// False for `!=` and `!~`. Absent in old releases, where every matcher was positive.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

// === impl Matcher ===

impl Matcher {
    /// Whether a label set fits. A label that is absent counts as empty, as in Alertmanager.
    ///
    /// An expression that this build cannot compile fits everything: a silence says "hands off", and in doubt it holds.
    #[must_use]
    pub fn fits(&self, labels: &[(&str, &str)]) -> bool {
        let value = labels
            .iter()
            .find(|(name, _)| *name == self.name)
            .map_or("", |(_, value)| value);
        if !self.is_regex {
            return (value == self.value) == self.is_equal;
        }
        match Regex::new(&format!("^(?s:{})$", self.value)) {
            Ok(regex) => regex.is_match(value) == self.is_equal,
            Err(_) => true,
        }
    }
}

/// `name="value"` as the API's `filter` takes it.
#[must_use]
pub(super) fn equality(name: &str, value: &str) -> String {
    let mut out = format!("{name}=\"");
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(op: &str, value: &str) -> Matcher {
        Matcher {
            name: "producer".into(),
            value: value.into(),
            is_regex: op.ends_with('~'),
            is_equal: !op.starts_with('!'),
        }
    }

    #[test]
    fn matchers_mean_what_they_mean_in_alertmanager() {
        for (op, value, fits_alice, fits_absent) in [
            ("=", "alice", true, false),
            ("=", "alic", false, false),
            ("=", "", false, true),
            ("!=", "alice", false, true),
            ("!=", "bob", true, true),
            ("=~", "ali.*", true, false),
            ("=~", "ali", false, false),
            ("=~", "lice", false, false),
            ("=~", "bob|alice", true, false),
            ("=~", ".*", true, true),
            ("=~", ".+", true, false),
            ("!~", "ali.*", false, true),
            ("!~", "bob", true, true),
            ("=~", "(", true, true),
        ] {
            let m = matcher(op, value);
            assert_eq!(
                m.fits(&[("chain", "steem"), ("producer", "alice")]),
                fits_alice,
                "{op}{value}"
            );
            assert_eq!(
                m.fits(&[("chain", "steem")]),
                fits_absent,
                "absent {op}{value}"
            );
        }
    }

    #[test]
    fn filters_cannot_be_broken_out_of() {
        assert_eq!(equality("a", "b\"c\\d\ne"), r#"a="b\"c\\d\ne""#);
    }

    #[test]
    fn old_releases_leave_is_equal_out() {
        let m: Matcher =
            serde_json::from_str(r#"{"name":"a","value":"b","isRegex":false}"#).unwrap();
        assert!(m.is_equal);
    }
}
