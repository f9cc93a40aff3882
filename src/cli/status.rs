//! `slotkeeper status`: what the running daemon sees, as tables or as the exact JSON of its API.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use super::client::{self, Client, ClientError};
use super::table::Table;
use super::{CliError, CliResult, print};
use crate::config;

/// Show what the running daemon sees.
#[derive(Debug, Args)]
#[command(
    long_about = "Show what the running daemon sees: chains and their endpoints, producers and their keys, heartbeats.\n\n\
        ARMED is what you allow; ABLE is whether a switch could be signed and sent right now (a fresh quorum, a journal that \
        can be written, key and authority at hand). A producer is only safe when both say yes and one of its other \
        keys is ready.",
    after_help = "Examples:\n  \
        slotkeeper status --config.file /etc/slotkeeper/slotkeeper.yml\n  \
        slotkeeper status --web.address 127.0.0.1:10061 --json | jq .producers\n\n\
        Exit codes: 0 shown, 1 the daemon does not answer, 2 usage or config."
)]
pub(super) struct StatusArgs {
    /// The daemon's config file, for the address of its public listener (default slotkeeper.yml where it exists).
    #[arg(long = "config.file", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The public listener itself, as host:port or URL; no config file is read then.
    #[arg(
        long = "web.address",
        value_name = "ADDRESS",
        env = "SLOTKEEPER_WEB_ADDRESS",
        hide_env_values = true
    )]
    web: Option<String>,
    /// Print the API's JSON as it is.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs) -> CliResult {
    let client = client(args)?;
    let body = client::block_on(client.get("/api/v1/status"))?.map_err(|e| explain(&client, e))?;
    if args.json {
        return print(body.trim_end());
    }
    let status: Value = serde_json::from_str(&body).map_err(|_| {
        CliError::Failed(anyhow!(
            "{} answered something that is not JSON: is it really slotkeeper?",
            client.address()
        ))
    })?;
    print(render(&status).trim_end())
}

fn client(args: &StatusArgs) -> Result<Client, CliError> {
    if let Some(address) = &args.web {
        return Client::web(None, Some(address));
    }
    let default = Path::new("slotkeeper.yml");
    match &args.config {
        None if !default.exists() => Client::web(None, None),
        file => {
            let file = file.as_deref().unwrap_or(default);
            let config = config::load(file).map_err(|e| CliError::Usage(e.into()))?;
            Client::web(Some(&config), None)
        }
    }
}

fn explain(client: &Client, error: ClientError) -> CliError {
    let hint = match &error {
        ClientError::Unreachable { .. } => format!(
            "the daemon does not answer at {}: is it running (slotkeeper run), and is this its web.listen?",
            client.address()
        ),
        _ => "the daemon's status cannot be read".to_owned(),
    };
    CliError::Failed(anyhow::Error::new(error).context(hint))
}

// === rendering ===

/// The tables of a status document. Fields that are missing or null show as `-`.
pub(super) fn render(status: &Value) -> String {
    let mut out = format!(
        "{}, {}\n\n",
        if truth(status, "armed") {
            "ARMED"
        } else {
            "DISARMED: nothing is switched"
        },
        if truth(status, "able") {
            "able to act"
        } else {
            "NOT ABLE to act, see below"
        },
    );
    for chain in list(status, "chains") {
        out.push_str(&render_chain(chain));
    }
    let producers = list(status, "producers");
    if !producers.is_empty() {
        out.push_str(&render_producers(producers));
    }
    let mut heartbeats = Table::new(0, &["HEARTBEAT", "AGE", "OVERDUE"]);
    for one in list(status, "heartbeats") {
        let age = match one.get("age").and_then(Value::as_f64) {
            Some(seconds) => format!("{seconds:.0} s"),
            None => "never seen".to_owned(),
        };
        heartbeats.row([text(one, "source"), age, yes(one, "overdue")]);
    }
    if !heartbeats.is_empty() {
        out.push_str(&heartbeats.render());
    }
    out
}

fn render_chain(chain: &Value) -> String {
    let mut table = Table::new(
        0,
        &[
            "CHAIN",
            "HEAD",
            "IRREVERSIBLE",
            "HEAD TIME",
            "AGREEING",
            "PARTICIPATION",
        ],
    );
    let participation = chain
        .get("participation")
        .and_then(Value::as_f64)
        .map_or("-".to_owned(), |p| format!("{:.1} %", p * 100.0));
    table.row([
        text(chain, "name"),
        text(chain, "head"),
        text(chain, "irreversible"),
        time(chain, "head_time"),
        format!(
            "{} ({} needed)",
            text(chain, "agreeing"),
            text(chain, "quorum")
        ),
        participation,
    ]);
    let mut endpoints = Table::new(2, &["ENDPOINT", "UP", "HEAD", "LAG", "ERROR"]);
    for one in list(chain, "endpoints") {
        endpoints.row([
            text(one, "endpoint"),
            yes(one, "up"),
            text(one, "head"),
            text(one, "lag"),
            match one.get("error") {
                None | Some(Value::Null) => String::new(),
                _ => text(one, "error"),
            },
        ]);
    }
    format!("{}{}\n", table.render(), endpoints.render())
}

fn render_producers(producers: &[Value]) -> String {
    let mut table = Table::new(
        0,
        &[
            "PRODUCER",
            "ROLE",
            "MISSED",
            "IN A ROW",
            "NEXT SLOT",
            "ARMED",
            "ABLE",
            "PINNED",
            "ATTEMPT",
        ],
    );
    let mut keys = Table::new(
        0,
        &["SIGNING KEY", "OF", "ROLE", "REGISTERED", "READY", "DETAIL"],
    );
    for one in producers {
        let name = format!("{}/{}", text(one, "chain"), text(one, "name"));
        table.row([
            name.clone(),
            text(one, "role"),
            text(one, "missed"),
            text(one, "consecutive_missed"),
            time(one, "next_slot"),
            yes(one, "armed"),
            yes(one, "able"),
            yes(one, "pinned"),
            attempt(one.get("attempt")),
        ]);
        let registered = text(one, "registered_key");
        let listed = list(one, "keys");
        for key in listed {
            let signing_key = text(key, "signing_key");
            keys.row([
                signing_key.clone(),
                name.clone(),
                text(key, "role"),
                if signing_key == registered {
                    "yes"
                } else {
                    "no"
                }
                .to_owned(),
                yes(key, "ready"),
                match key.get("detail") {
                    None | Some(Value::Null) => String::new(),
                    _ => text(key, "detail"),
                },
            ]);
        }
        if registered != "-" && listed.iter().all(|k| text(k, "signing_key") != registered) {
            keys.row([
                registered,
                name,
                text(one, "role"),
                "yes".to_owned(),
                "-".to_owned(),
                if listed.is_empty() {
                    String::new()
                } else {
                    "not one of the configured keys".to_owned()
                },
            ]);
        }
    }
    let mut out = table.render();
    out.push('\n');
    for one in producers {
        if let Some(waiting) = one.get("waiting").filter(|w| !w.is_null()) {
            out.push_str(&format!(
                "{}/{}: {} is {}\n\n",
                text(one, "chain"),
                text(one, "name"),
                text(waiting, "signing_key"),
                text(waiting, "detail")
            ));
        }
    }
    for one in producers {
        if let Some(note) = one.get("disable_note").and_then(Value::as_str) {
            let name = format!("{}/{}", text(one, "chain"), text(one, "name"));
            out.push_str(&format!("{name}: {note}\n\n"));
        }
    }
    if !keys.is_empty() {
        out.push_str(&keys.render());
        out.push('\n');
    }
    out
}

fn attempt(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => match value.get("txid").and_then(Value::as_str) {
            Some(txid) => format!("{} ({txid})", text(value, "stage")),
            None => text(value, "stage"),
        },
    }
}

// === fields ===

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn truth(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn yes(value: &Value, key: &str) -> String {
    match value.get(key).and_then(Value::as_bool) {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    }
    .to_owned()
}

/// A field as one line of text without control characters: names and errors come from far away.
fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect(),
        Some(other) => other.to_string(),
    }
}

/// A time field: text as it is, a number as Unix seconds or milliseconds.
fn time(value: &Value, key: &str) -> String {
    let Some(number) = value.get(key).and_then(Value::as_f64) else {
        return text(value, key);
    };
    let ms = if number > 1e11 {
        number
    } else {
        number * 1000.0
    };
    // Far inside the range of i64 for any time a chain can have.
    #[allow(clippy::cast_possible_truncation)]
    jiff::Timestamp::from_millisecond(ms as i64)
        .map_or_else(|_| "-".to_owned(), |t| format!("{t:.0}"))
}
