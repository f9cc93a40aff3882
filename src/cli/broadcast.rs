//! `slotkeeper tx broadcast`: a signed transaction on stdin, the same bytes to every endpoint, one JSON object out. An
//! operator's own act: it knows nothing of the daemon, its journal or its interlocks.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use reqwest::Url;
use serde_json::{Value, json};

use super::tx::read_transaction;
use super::{CliError, CliResult, print};
use crate::chain::graphene::Dialect;
use crate::chain::{self, Accepted, Call, Chain, ChainSpec, Framing, Protocol, Reply};
use crate::config::EndpointConfig;
use crate::rpc::{Endpoint, EndpointError};

/// A person waits: be patient with slow endpoints, but say so.
const PATIENCE: Duration = Duration::from_secs(10);
/// Silence for longer than this needs a word.
const QUIET: Duration = Duration::from_secs(1);

pub(super) const HELP: &str = "Example: sign on one machine, send from another\n  \
    slotkeeper tx sign --protocol hive --key-file alice-a.pem < switch.json > signed.json\n  \
    slotkeeper tx broadcast --protocol hive --endpoint https://api.example.org \\\n      \
    --endpoint https://rpc.example.net < signed.json\n\n\
    Takes the output of 'tx sign' or the bare transaction. 'accepted' means that the endpoint took it, not yet that\n\
    a block holds it. Sending the same transaction again is harmless: it is answered with 'already'.\n\
    Exit code 0 when any endpoint has it, else 1.";

#[derive(Debug, Args)]
pub(super) struct BroadcastArgs {
    /// steem, hive, blurt or antelope.
    #[arg(long)]
    protocol: Protocol,
    /// Where to send it; may be given several times. https://, or http:// on this machine.
    #[arg(long = "endpoint", value_name = "URL", required = true)]
    endpoints: Vec<String>,
    /// Allow http:// beyond this machine.
    #[arg(long)]
    allow_insecure: bool,
}

pub(super) fn run(args: &BroadcastArgs) -> CliResult {
    let chain = chain::open(spec(args.protocol));
    let endpoints = args
        .endpoints
        .iter()
        .map(|url| open(url, args.allow_insecure, chain.framing()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(CliError::Usage)?;
    let mut transaction = signed(read_transaction()?)?;
    if args.protocol == Protocol::Antelope {
        transaction = super::tx_antelope::sendable(transaction)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the network runtime")?;
    let replies = runtime.block_on(send(endpoints, chain.submit(&transaction)));
    let (taken, results) = results(chain.as_ref(), &replies);
    print(&json!({"results": results}).to_string())?;
    if taken {
        Ok(())
    } else {
        Err(anyhow!("no endpoint took the transaction; the reasons are above").into())
    }
}

/// What each endpoint answered, and whether any has the transaction.
pub(super) fn results(
    chain: &dyn Chain,
    replies: &[(String, Result<Reply, EndpointError>)],
) -> (bool, Vec<Value>) {
    let mut taken = false;
    let mut results = Vec::with_capacity(replies.len());
    for (label, sent) in replies {
        let (outcome, reason, detail) = describe(chain, sent);
        taken |= matches!(outcome, "accepted" | "already");
        results.push(json!({
            "endpoint": label, "outcome": outcome, "reason": reason, "detail": detail,
        }));
    }
    (taken, results)
}

/// Only the protocol matters for sending: the chain id is inside the signature.
fn spec(protocol: Protocol) -> ChainSpec {
    let dialect = Dialect::mainnet(protocol);
    ChainSpec {
        name: protocol.to_string(),
        protocol,
        chain_id: Dialect::mainnet_chain_id(protocol).unwrap_or_default(),
        address_prefix: dialect.address_prefix,
        core_symbol: dialect.core_symbol,
        block_interval: 3000,
    }
}

fn open(text: &str, allow_insecure: bool, framing: Framing) -> anyhow::Result<Endpoint> {
    let url = Url::parse(text).map_err(|e| anyhow!("--endpoint is no URL: {e}"))?;
    let mut shown = url.clone();
    // These fail only for URLs without a host, which Endpoint::new refuses.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    let label = shown.as_str().trim_end_matches('/').to_owned();
    let config = EndpointConfig {
        url: url.into(),
        provider: label.clone(),
        label,
        allow_insecure,
        soft_timeout: PATIENCE,
        hard_timeout: PATIENCE,
    };
    Endpoint::new(&config, framing).map_err(|e| {
        let hint = if allow_insecure {
            ""
        } else {
            " (here: --allow-insecure)"
        };
        let hint = if e.problem.contains("allow_insecure") {
            hint
        } else {
            ""
        };
        anyhow!("{e}{hint}")
    })
}

/// The signed transaction in what came on stdin: the output of `tx sign`, or the transaction itself.
fn signed(input: Value) -> anyhow::Result<Value> {
    let transaction = match input.get("transaction") {
        Some(inner) => inner.clone(),
        None => input,
    };
    let signatures = transaction.get("signatures").and_then(Value::as_array);
    match signatures {
        Some(list) if !list.is_empty() => Ok(transaction),
        Some(_) => Err(anyhow!(
            "the transaction on stdin is not signed; 'slotkeeper tx sign' signs it"
        )),
        None => Err(anyhow!(
            "stdin holds no transaction: it needs a list \"signatures\", as 'slotkeeper tx sign' writes it"
        )),
    }
}

/// Sends to all in parallel, one try each.
pub(super) async fn send(
    endpoints: Vec<Endpoint>,
    call: Call,
) -> Vec<(String, Result<Reply, EndpointError>)> {
    let count = endpoints.len();
    let tasks: Vec<_> = endpoints
        .into_iter()
        .map(|endpoint| {
            let call = call.clone();
            tokio::spawn(async move {
                let sent = endpoint.send_once(&call).await;
                (endpoint.label().to_owned(), sent)
            })
        })
        .collect();
    let all = async {
        let mut replies = Vec::with_capacity(count);
        for task in tasks {
            // A task fails only by panic; the other endpoints' answers are still worth showing.
            if let Ok(reply) = task.await {
                replies.push(reply);
            }
        }
        replies
    };
    tokio::pin!(all);
    tokio::select! {
        replies = &mut all => return replies,
        () = tokio::time::sleep(QUIET) => {}
    }
    let _ = writeln!(
        std::io::stderr(),
        "slotkeeper: waiting up to {} s for {count} endpoint(s)",
        PATIENCE.as_secs()
    );
    all.await
}

fn describe(
    chain: &dyn Chain,
    sent: &Result<Reply, EndpointError>,
) -> (&'static str, Value, Value) {
    let reply = match sent {
        Ok(reply) => reply,
        Err(error) => return ("failed", json!(error.outcome.as_str()), json!(error.detail)),
    };
    let said = match reply {
        // Antelope nodes answer failures with success and the reason inside.
        Ok(answer) => answer
            .pointer("/processed/except/message")
            .cloned()
            .unwrap_or(Value::Null),
        Err(fault) => json!(fault.message),
    };
    match chain.accepted(reply) {
        Accepted::Now => ("accepted", Value::Null, Value::Null),
        Accepted::Already => ("already", Value::Null, said),
        Accepted::Refused(why) => ("refused", json!(why), said),
        Accepted::Unsure => ("unsure", Value::Null, said),
    }
}
