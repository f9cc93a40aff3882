//! Raw YAML shape → validated [`Config`]; every error with its path and line. Reads the config file and nothing else.
//!
//! `raw` (types and keys, with line and column) → `validate` (rules between fields, with the field's path) → [`Config`].
//! [`schema`] describes the same shapes for editors, [`simulate`] says what the death of one part would cost.

pub mod defaults;
mod error;
mod model;
pub mod networks;
mod notify;
mod raw;
mod raw_notify;
mod scalars;
pub mod schema;
pub mod simulate;
mod url;
mod validate;

use std::path::Path;

pub use error::ConfigError;
pub use model::*;
pub use notify::*;
pub use url::{is_loopback_host, listen_address, outbound};

/// Reads and checks a config file. Paths in it are relative to its folder.
///
/// # Errors
/// The first thing wrong with it, as one line that names file, place or field, and what to do.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let bytes = std::fs::read(path).map_err(|e| {
        ConfigError::rule(
            "",
            format!("cannot read the config file: {e}; give its path with --config.file"),
        )
        .in_file(path)
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        ConfigError::rule("", "the config file is not UTF-8 text; save it as UTF-8").in_file(path)
    })?;
    let base = path.parent().unwrap_or(Path::new(""));
    parse(&text, base).map_err(|e| e.in_file(path))
}

/// Reads a duration as the config file does: `500ms`, `30s`, `1m`, `2h`, `1d`.
///
/// # Errors
/// A sentence about what is expected.
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    scalars::parse_span(text)
}

/// Checks the text of a config file whose relative paths count from `base_dir`.
///
/// # Errors
/// As [`load`], without a file name.
pub fn parse(text: &str, base_dir: &Path) -> Result<Config, ConfigError> {
    // Syntax first: the reader below stops at the first key it does not like, long before it meets a broken line.
    let syntax: Result<serde::de::IgnoredAny, _> = serde_yaml::from_str(text);
    syntax.map_err(|e| ConfigError::from_yaml(&e))?;
    let raw: raw::RawConfig = serde_yaml::from_str(text).map_err(|e| ConfigError::from_yaml(&e))?;
    validate::validate(raw, base_dir)
}
