//! What the sections of the schema are built of.

use serde_json::{Map, Value, json};

use crate::config::scalars::Words;

/// A mapping with these keys and no others.
pub(super) fn object(
    required: &[&str],
    properties: Vec<(&str, Value)>,
    description: &str,
) -> Value {
    let properties: Map<String, Value> = properties
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
        "description": description,
    })
}

/// A list of at least so many items.
pub(super) fn list(items: Value, least: u32, description: &str) -> Value {
    json!({"type": "array", "items": items, "minItems": least, "description": description})
}

/// Any text.
pub(super) fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// A path.
pub(super) fn file(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": description})
}

/// True or false.
pub(super) fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

/// A whole number, at least so large.
pub(super) fn number(description: &str, least: u32) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": u32::MAX, "description": description})
}

/// A length of time, such as 1m30s.
pub(super) fn span(description: &str) -> Value {
    json!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$", "description": description})
}

/// One of the words that the reader takes for `T`.
pub(super) fn words<T: Words>(description: &str) -> Value {
    let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
    json!({"type": "string", "enum": words, "description": description})
}
