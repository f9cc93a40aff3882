//! The one error of a config file, and how the YAML reader's words become ours. Never repeats values that may be secret.

use std::fmt;
use std::path::PathBuf;

use super::scalars::looks_secret;

/// Why a config file was refused: where, what, and what to do. Always one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file; `None` for text parsed without one.
    pub file: Option<PathBuf>,
    /// Line and column, both from 1: known for errors of syntax, type and keys.
    pub place: Option<(usize, usize)>,
    /// Path of the field (`producers[0].keys[1].signing_key`); empty for the file as a whole.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Examples for keys that must be there.
const EXAMPLES: [(&str, &str); 11] = [
    (
        "chains",
        "chains: [{name: hive, protocol: hive, endpoints: […]}]",
    ),
    (
        "endpoints",
        "endpoints: [{url: \"https://api.example.org\"}, …]",
    ),
    ("protocol", "protocol: hive"),
    ("url", "url: \"https://api.example.org\""),
    ("chain", "chain: hive (the name of an entry under chains)"),
    ("signing_key", "signing_key: \"STM…\""),
    ("method", "method: witness_update"),
    ("key_files", "key_files: [alice-active.pem]"),
    ("source", "source: prometheus-a"),
    ("routing_key_file", "routing_key_file: pd.key"),
    ("url_file", "url_file: slack.url"),
];

// === impl ConfigError ===

impl ConfigError {
    /// A rule between fields was broken at `field`.
    pub(super) fn rule(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: None,
            place: None,
            field: field.into(),
            message: message.into(),
        }
    }

    /// The same error, of this file.
    pub(super) fn in_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Translates an error of the YAML reader.
    pub(super) fn from_yaml(error: &serde_yaml::Error) -> Self {
        let place = error.location().map(|l| (l.line(), l.column()));
        let mut text = error.to_string();
        // The reader appends " at line L column C", ours stands in front.
        if let Some(cut) = text.find(" at line ") {
            let (head, tail) = text.split_at(cut);
            let tail = tail
                .find(", ")
                .map_or("", |comma| tail.get(comma..).unwrap_or(""));
            text = format!("{head}{tail}").replace(['\n', '\r'], " ");
            if let Some(cut) = text.find(" at line ") {
                text.truncate(cut);
            }
        }
        let (field, message) = split_path(&text);
        Self {
            file: None,
            place,
            field: field.to_owned(),
            message: plain(message),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
        }
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        if self.file.is_some() || self.place.is_some() {
            f.write_str(" ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// Splits `chains[0].name: message` into path and message; the path may be missing.
fn split_path(text: &str) -> (&str, &str) {
    match text.split_once(": ") {
        Some((path, message))
            if !path.is_empty()
                && path.bytes().all(|b| {
                    b.is_ascii_alphanumeric()
                        || matches!(b, b'_' | b'.' | b'[' | b']' | b'-' | b'?')
                }) =>
        {
            if looks_secret(path) {
                ("", message)
            } else {
                (path, message)
            }
        }
        _ => ("", text),
    }
}

/// The YAML reader's sentence in our words, without any value from the file.
fn plain(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        return unknown_key(rest);
    }
    if let Some(name) = quoted(message, "missing field `") {
        let example = EXAMPLES
            .iter()
            .find(|(key, _)| *key == name)
            .map_or(String::new(), |(_, example)| format!("; add {example}"));
        return format!("the key `{name}` is missing{example}");
    }
    if let Some(name) = quoted(message, "duplicate field `") {
        return format!("the key `{name}` stands here twice; keep one");
    }
    if let Some(rest) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
    {
        let wanted = rest
            .rfind(", expected ")
            .and_then(|at| rest.get(at..))
            .map_or("something else", |t| t.trim_start_matches(", expected "));
        let wanted = if wanted == "a sequence" {
            "a list (each entry begins with \"- \")"
        } else {
            wanted
        };
        let found = [
            "string",
            "integer",
            "floating point",
            "boolean",
            "unit",
            "null",
            "map",
            "sequence",
        ]
        .into_iter()
        .find(|kind| rest.starts_with(kind))
        .map_or("something else", |kind| match kind {
            "string" => "text",
            "integer" | "floating point" => "a number",
            "boolean" => "true or false",
            "map" => "a mapping",
            "sequence" => "a list",
            _ => "nothing",
        });
        return format!("expected {wanted}, found {found}");
    }
    if message.contains("cannot start any token") {
        return "this character cannot stand here: indent with spaces (no tabs), and quote text that begins with a special character".to_owned();
    }
    if message == "unknown anchor" {
        return "`*name` refers to an `&name` that does not stand above; quote it if it is text"
            .to_owned();
    }
    if message.starts_with("EOF while parsing") {
        return format!("the file is empty; add {}", EXAMPLES[0].1);
    }
    if message.contains("more than one document") {
        return "the file holds several YAML documents (`---`); keep one".to_owned();
    }
    message.to_owned()
}

/// `bogus`, expected one of `a`, `b` → our sentence, with the nearest known key.
fn unknown_key(rest: &str) -> String {
    let (name, tail) = rest.split_once('`').unwrap_or((rest, ""));
    let known: Vec<&str> = tail.split('`').skip(1).step_by(2).collect();
    let shown = if looks_secret(name) || name.len() > 40 {
        "unknown key (not shown, it may be a secret)".to_owned()
    } else {
        format!("unknown key `{name}`")
    };
    let by_file = format!("{name}_file");
    let hint = if known.contains(&by_file.as_str()) {
        format!("; secrets and large values are read from files: use `{by_file}`")
    } else if let Some(near) = known
        .iter()
        .filter(|k| distance(name, k) <= 2)
        .min_by_key(|k| distance(name, k))
    {
        format!("; did you mean `{near}`?")
    } else {
        String::new()
    };
    format!("{shown}{hint} (known here: {})", known.join(", "))
}

/// The text between `prefix` and the next backquote.
fn quoted<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    message.strip_prefix(prefix)?.split('`').next()
}

/// Edits between two words (insert, delete, replace), for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (above + 1)
                .min(row[j] + 1)
                .min(diagonal + usize::from(x != *y));
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}
