//! What a shipped configuration of slotkeeper says about the place it runs in: ports, addresses, absolute paths. The unit, the
//! compose file and the Kubernetes objects are held against it.

use std::path::Path;

use clap::Parser;
use serde_yaml::Value;
use slotkeeper::cli::Cli;
use slotkeeper::config::{self, Config, listen_address};

use super::bundle::{Bundle, at};

/// One shipped slotkeeper.yml.
pub(crate) struct Placed {
    pub(crate) web: (String, u16),
    pub(crate) control: (String, u16),
    /// Where Alertmanager is asked about silences.
    pub(crate) alertmanager: String,
    /// Every absolute path in it.
    pub(crate) paths: Vec<String>,
    pub(crate) state: String,
}

/// Reads it as the program does.
pub(crate) fn placed(bundle: &Bundle, path: &str) -> Result<Placed, String> {
    let text = bundle.text(path)?;
    let _: Config =
        config::parse(text, Path::new("/etc/slotkeeper")).map_err(|e| format!("{path}: {e}"))?;
    let value = bundle.yaml(path)?;
    let listen = |at_path: &[&str]| {
        let text = at(&value, at_path)?.as_str().unwrap_or_default();
        listen_address(text).map_err(|e| format!("{path}: {text}: {e}"))
    };
    let text_at = |at_path: &[&str]| {
        let text = at(&value, at_path)?.as_str();
        Ok::<_, String>(text.unwrap_or_default().to_owned())
    };
    let mut paths = Vec::new();
    absolute(&value, &mut paths);
    Ok(Placed {
        web: listen(&["web", "listen"])?,
        control: listen(&["control", "listen"])?,
        alertmanager: text_at(&["actuator", "alertmanagers", "0", "url"])?,
        state: text_at(&["state_file"])?,
        paths,
    })
}

fn absolute(value: &Value, paths: &mut Vec<String>) {
    match value {
        Value::String(text) if text.starts_with('/') => paths.push(text.clone()),
        Value::Sequence(list) => list.iter().for_each(|v| absolute(v, paths)),
        Value::Mapping(map) => map.values().for_each(|v| absolute(v, paths)),
        _ => {}
    }
}

/// Our own command line takes these arguments (without the program's name).
pub(crate) fn accepted<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let args: Vec<&str> = args.into_iter().collect();
    Cli::try_parse_from([&["slotkeeper"], args.as_slice()].concat())
        .map(|_| ())
        .map_err(|e| format!("slotkeeper {args:?}: {e}"))
}

/// An error unless it holds.
pub(crate) fn hold(holds: bool, what: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}
