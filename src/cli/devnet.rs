//! `slotkeeper devnet`: runs the simulated chain until interrupted, and prints what is needed to try things on it.

use std::fmt::Write;
use std::net::SocketAddr;

use anyhow::{Context, anyhow};
use clap::Args;

use super::stop::Stop;
use super::{CliError, CliResult, print};
use crate::chain::Protocol;
use crate::devnet::antelope::{AntelopeConfig, Finality, failover_key};
use crate::devnet::chain::{active_key, node_key};
use crate::devnet::{Devnet, DevnetConfig};
use crate::keys::Signer;

/// Run a simulated chain that speaks the real RPC dialects.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: a Hive-like chain with blocks every second on ports 8090 to 8094\n  \
    slotkeeper devnet --protocol hive --interval 1000 --listen 127.0.0.1:8090\n\n\
    Then, from another terminal:\n  \
    curl -d '{\"crash\":\"A\"}' http://127.0.0.1:8090/devnet/control\n  \
    curl -d '{\"endpoint\":\"full2\",\"fault\":\"black_hole\"}' http://127.0.0.1:8090/devnet/faults\n  \
    curl http://127.0.0.1:8090/devnet/state?slots=21\n\n\
    Faults: refused black_hole slow_drip tls_failure http_status html truncated_json huge_body wrong_chain_id\n\
    stale_head frozen_head minority_fork total_missed_dip unpaid_dip redirect_https lost_reply; {\"fault\":null} ends one.\n\
    Control: crash freeze lag restore (a node), reorg (blocks), set_key (a witness, with node or key); on Antelope also\n\
    partial (a node, percent), handover_fork (blocks, after), claim, unregister (a producer).\n\
    All keys are made from published texts: test keys only.\n\n\
    Exit codes: 0 stopped by a signal, 1 failed, 2 usage."
)]
pub(super) struct DevnetArgs {
    /// steem, hive, blurt, golos or antelope.
    #[arg(long, default_value_t = Protocol::Steem)]
    protocol: Protocol,
    /// Where the first endpoint listens, on loopback; the others follow on the next ports. Port 0 takes free ones.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Block interval in milliseconds, at least 100 [default: that of the real chain, 3000, on Antelope 500].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    interval: Option<u64>,
    /// Antelope: how blocks become irreversible, leap or savanna.
    #[arg(long, value_name = "F", default_value = "leap", value_parser = finality)]
    finality: Finality,
    /// Decides the order of every round.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The watched witness.
    #[arg(long, value_name = "NAME", default_value = "alice")]
    witness: String,
}

fn finality(text: &str) -> Result<Finality, String> {
    match text {
        "leap" => Ok(Finality::Leap),
        "savanna" => Ok(Finality::Savanna),
        _ => Err("leap or savanna".to_owned()),
    }
}

impl DevnetArgs {
    fn interval(&self) -> u64 {
        let real = if self.protocol == Protocol::Antelope {
            500
        } else {
            3000
        };
        self.interval.unwrap_or(real)
    }
}

/// Runs until Ctrl-C or SIGTERM.
pub(super) fn run(args: DevnetArgs) -> CliResult {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    runtime.block_on(async {
        let net = Devnet::start(DevnetConfig {
            protocol: args.protocol,
            interval_ms: args.interval(),
            seed: args.seed,
            witness: args.witness.clone(),
            listen: args.listen,
            antelope: AntelopeConfig {
                finality: args.finality,
                ..AntelopeConfig::default()
            },
            ..DevnetConfig::default()
        })
        .await
        .map_err(|e| CliError::Usage(e.into()))?;
        print(&introduction(&net, &args)?)?;
        let mut stop = Stop::catch().context("cannot wait for a signal")?;
        stop.asked().await;
        net.shutdown();
        Ok(())
    })
}

/// URLs, keys, and a config to start with.
fn introduction(net: &Devnet, args: &DevnetArgs) -> Result<String, CliError> {
    let name = &args.witness;
    let secret = |node: &str| node_key(name, node).map_err(|e| anyhow!(e));
    let active = active_key(name).map_err(|e| anyhow!(e))?;
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line(format!(
        "# devnet: {}, a block every {} ms, seed {}. Ctrl-C ends it.",
        args.protocol,
        args.interval(),
        args.seed
    ));
    line(
        "# Test keys, made from published texts; put each WIF into a file of mode 0600:".to_owned(),
    );
    for node in net.endpoints().filter_map(|e| e.node().map(str::to_owned)) {
        line(format!(
            "#   {name}-{}.wif     {}",
            node.to_lowercase(),
            *secret(&node)?.to_wif()
        ));
    }
    let antelope = args.protocol == Protocol::Antelope;
    if antelope {
        let failover = failover_key(name).map_err(|e| anyhow!(e))?;
        line(format!("#   {name}-failover.wif {}", *failover.to_wif()));
    }
    line(format!("#   {name}-active.wif {}", *active.to_wif()));
    line("chains:".to_owned());
    line(format!("  - name: {}", args.protocol));
    line(format!("    protocol: {}", args.protocol));
    line(format!(
        "    chain_id: \"{}\"",
        crate::hex::encode(&net.chain_id())
    ));
    if antelope {
        line(format!("    block_interval: {}ms", args.interval()));
    } else {
        line("    address_prefix: TST".to_owned());
        line("    core_symbol: TESTS".to_owned());
    }
    line("    endpoints:".to_owned());
    for e in net.endpoints().filter(|e| e.node().is_none()) {
        line(format!(
            "      - {{url: \"{}\", provider: {}}}",
            e.url(),
            e.name()
        ));
    }
    line("producers:".to_owned());
    line(format!("  - chain: {}", args.protocol));
    line(format!("    name: {name}"));
    line("    keys:".to_owned());
    let mut files = Vec::new();
    for e in net.endpoints() {
        let Some(node) = e.node() else { continue };
        let key = secret(node)?.public_key().to_text(&net.prefix());
        line(format!(
            "      - {{signing_key: \"{key}\", node: \"{}\"}}",
            e.url()
        ));
        files.push(format!("{name}-{}.wif", node.to_lowercase()));
    }
    line("    authority:".to_owned());
    if antelope {
        line(format!(
            "      - {{method: regproducer, permission: {name}@failover, key_files: [{name}-failover.wif]}}"
        ));
        return Ok(out.trim_end().to_owned());
    }
    line(format!(
        "      - {{method: witness_set_properties, key_files: [{}]}}",
        files.join(", ")
    ));
    line(format!(
        "      - {{method: witness_update, key_files: [{name}-active.wif]}}"
    ));
    Ok(out.trim_end().to_owned())
}
