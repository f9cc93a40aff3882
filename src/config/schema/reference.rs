//! The reference page docs/config.md, made from the schema, so that no key can be forgotten there. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::schema;

/// What the page begins with.
const HEAD: &str = "# Configuration

Made from the schema in `src/config/schema.rs`, which `slotkeeper check-config --schema` prints for editors; a test holds
the two together (`UPDATE_GOLDEN=1 cargo test config_reference` rewrites this file). Whole files to begin with stand in
[examples](../examples); `slotkeeper check-config` reads yours and says what is wrong with it, with the line.

Keys that are not listed here are errors. Relative paths count from the configuration file. Secrets are read from files
only. A duration is one or more of `500ms`, `10s`, `2m`, `1h`, `1d`, written together.
";

/// The page, in Markdown: a table for each section of the file.
#[must_use]
pub fn reference() -> String {
    let schema = schema();
    let mut page = HEAD.to_owned();
    for (name, section) in properties(&schema) {
        page.push_str(&format!("\n## `{name}`\n\n{}.\n", meaning(section)));
        let mut rows = Vec::new();
        keys(section, "", &mut rows);
        if rows.is_empty() {
            continue;
        }
        page.push_str("\n| Key | Value | Meaning |\n|---|---|---|\n");
        for (key, value, meaning) in rows {
            page.push_str(&format!("| `{key}` | {value} | {meaning} |\n"));
        }
    }
    page
}

/// One row for each key below `value`, whose own path is `path`.
fn keys(value: &Value, path: &str, rows: &mut Vec<(String, String, String)>) {
    let value = one_of(value);
    let required: BTreeSet<&str> = value["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, inner) in properties(value) {
        let many = if inner["items"].is_object() { "[]" } else { "" };
        let key = format!("{path}{name}{many}");
        let needed = required.contains(name.as_str());
        let needed = if needed { ", required" } else { "" };
        rows.push((
            key.clone(),
            format!("{}{needed}", kind(inner)),
            meaning(inner).replace('|', "\\|"),
        ));
        keys(inner, &format!("{key}."), rows);
    }
}

/// What may stand there.
fn kind(value: &Value) -> String {
    if let Some(words) = value["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"))
            .collect();
        return words.join(", ");
    }
    let duration = value["pattern"].as_str().is_some_and(|p| p.contains("ms|"));
    match value["type"].as_str() {
        Some("string") if duration => "duration".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => match one_of(value)["type"].as_str() {
            Some("object") => "list of mappings".to_owned(),
            _ => "list".to_owned(),
        },
        Some("object") => "mapping".to_owned(),
        Some(other) => other.to_owned(),
        None => "any".to_owned(),
    }
}

/// A list's items; anything else is itself.
fn one_of(value: &Value) -> &Value {
    value.get("items").unwrap_or(value)
}

fn properties(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value["properties"]
        .as_object()
        .into_iter()
        .flat_map(Map::iter)
}

fn meaning(value: &Value) -> &str {
    value["description"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_reference_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, reference()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), reference());
    }

    #[test]
    fn every_key_has_a_meaning_and_a_kind() {
        let mut rows = Vec::new();
        keys(&schema(), "", &mut rows);
        assert!(rows.len() > 80, "{}", rows.len());
        for (key, value, meaning) in rows {
            assert!(!meaning.is_empty() && !value.starts_with("any"), "{key}");
        }
    }
}
