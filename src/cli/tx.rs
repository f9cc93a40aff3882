//! `slotkeeper tx sign`: a transaction as JSON on stdin, one JSON object out. Reads no network.
//! `slotkeeper tx broadcast` is in [`super::broadcast`].

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::passphrase::PassphraseArgs;
use super::{CliError, CliResult, print};
use crate::chain::Protocol;
use crate::chain::graphene::{Dialect, Serialization, Transaction, digest, txid};
use crate::hex;
use crate::keys::{Nonce, Signer, key_file};

/// Far above any transaction; what is larger was piped in by mistake.
const MAX_INPUT: u64 = 1024 * 1024;

/// Sign transactions offline and send them, for audits and air-gapped machines.
#[derive(Debug, Args)]
pub(super) struct TxArgs {
    #[command(subcommand)]
    command: TxCommand,
}

#[derive(Debug, Subcommand)]
enum TxCommand {
    /// Sign a transaction: JSON on stdin, one JSON object on stdout.
    #[command(
        after_help = "Example: switch a Hive witness to another signing key, signed with the current one\n  \
        slotkeeper tx sign --protocol hive --key-file alice-a.pem < switch.json\n\n\
        switch.json, in the form condenser_api takes (appbase's form is taken too):\n  \
        {\"ref_block_num\":36029,\"ref_block_prefix\":1164960351,\"expiration\":\"2026-11-21T12:34:56\",\n   \
        \"operations\":[[\"witness_set_properties\",{\"owner\":\"alice\",\"props\":\n     \
        [[\"key\",\"<current key, hex>\"],[\"new_signing_key\",\"<new key, hex>\"]],\"extensions\":[]}]],\n   \
        \"extensions\":[]}\n\n\
        'slotkeeper keys inspect STM…' prints a key in hex. Out come serialized, digest, txid, signature,\n\
        public_key, and the transaction ready to broadcast.\n\n\
        On Antelope give --chain-id, and the transaction as nodes show it (actions with their data as an object); the\n\
        signature is SIG_K1_…, the transaction the packed body that nodes take. What 'slotkeeper producer permission'\n\
        printed is taken as it is: it names its chain."
    )]
    Sign(SignArgs),
    /// Send a signed transaction: the same bytes to every endpoint, once each.
    #[command(after_help = super::broadcast::HELP)]
    Broadcast(super::broadcast::BroadcastArgs),
}

#[derive(Debug, Args)]
struct SignArgs {
    /// steem, hive, blurt or antelope.
    #[arg(long)]
    protocol: Protocol,
    /// The chain's id, 64 hex digits. Default: the protocol's main net.
    #[arg(long, value_name = "HEX", value_parser = parse_chain_id)]
    chain_id: Option<ChainId>,
    /// The private key: an encrypted PKCS#8 PEM or a WIF file, mode 0600.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Hive has two; digest and txid follow from it.
    #[arg(long, value_enum, default_value_t = SerializationArg::Legacy)]
    serialization: SerializationArg,
    /// What public keys begin with, when not as on the main net (TST on test nets).
    #[arg(long, value_name = "PREFIX")]
    address_prefix: Option<String>,
    /// Symbol of the core asset, when not as on the main net (TESTS on test nets).
    #[arg(long, value_name = "SYMBOL")]
    core_symbol: Option<String>,
    /// Symbol of the debt asset, when not as on the main net (TBD on test nets).
    #[arg(long, value_name = "SYMBOL")]
    debt_symbol: Option<String>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// A chain id given as an argument.
#[derive(Debug, Clone, Copy)]
struct ChainId([u8; 32]);

fn parse_chain_id(text: &str) -> Result<ChainId, String> {
    hex::decode_array(text)
        .map(ChainId)
        .map_err(|e| format!("not a chain id (64 hex digits): {e}"))
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SerializationArg {
    /// What every chain of the family knows.
    Legacy,
    /// Hive since hard fork 26.
    Hf26,
}

pub(super) fn run(args: TxArgs) -> CliResult {
    match args.command {
        TxCommand::Sign(args) => sign(&args),
        TxCommand::Broadcast(args) => super::broadcast::run(&args),
    }
}

fn sign(args: &SignArgs) -> CliResult {
    let form = match args.serialization {
        SerializationArg::Legacy => Serialization::Legacy,
        SerializationArg::Hf26 if args.protocol == Protocol::Hive => Serialization::Hf26,
        SerializationArg::Hf26 => {
            return Err(CliError::Usage(anyhow!(
                "--serialization hf26 exists on hive only"
            )));
        }
    };
    let mut dialect = Dialect::mainnet(args.protocol);
    for (field, given) in [
        (&mut dialect.address_prefix, &args.address_prefix),
        (&mut dialect.core_symbol, &args.core_symbol),
        (&mut dialect.debt_symbol, &args.debt_symbol),
    ] {
        if let Some(text) = given {
            field.clone_from(text);
        }
    }
    let (input, printed_for) = of_a_command(read_transaction()?);
    let given = args.chain_id.map(|ChainId(id)| id);
    let main_net = Dialect::mainnet_chain_id(args.protocol);
    let Some(chain_id) = given.or(printed_for).or(main_net) else {
        return Err(CliError::Usage(anyhow!(
            "--chain-id is needed: {} has many networks; get_info of one of its nodes shows it",
            args.protocol
        )));
    };
    if let Some(other) = printed_for.filter(|id| *id != chain_id) {
        return Err(anyhow!(
            "the transaction on stdin was made for the chain {}, not for {}",
            hex::encode(&other),
            hex::encode(&chain_id)
        )
        .into());
    }
    if args.protocol == Protocol::Antelope {
        let key = key_file::load(&args.key_file, &args.passphrase.source())?;
        let object = super::tx_antelope::sign(&input, &chain_id, &dialect.address_prefix, &key)?;
        return print(&object.to_string());
    }
    let mut signed =
        Transaction::from_json(&input, &dialect).context("the transaction on stdin")?;
    let key = key_file::load(&args.key_file, &args.passphrase.source())?;
    let object = seal(&mut signed, &dialect, form, &chain_id, &key)?;
    print(&object.to_string())
}

/// The transaction in what a command of ours printed (`producer permission`, `tx sign`), with the chain that it was printed
/// for; anything else as it is.
fn of_a_command(mut input: Value) -> (Value, Option<[u8; 32]>) {
    let chain_id = input.get("chain_id").and_then(Value::as_str);
    let chain_id = chain_id.and_then(|id| hex::decode_array(id).ok());
    match input.get_mut("transaction").map(Value::take) {
        Some(transaction) => (transaction, chain_id),
        None => (input, None),
    }
}

/// Adds the signature and describes the result.
fn seal(
    signed: &mut crate::chain::graphene::SignedTransaction,
    dialect: &Dialect,
    form: Serialization,
    chain_id: &[u8; 32],
    key: &dyn Signer,
) -> Result<Value, CliError> {
    let bytes = signed.tx.serialize(dialect, form)?;
    let digest = digest(chain_id, &bytes);
    let signature = key.sign(&digest, Nonce::Graphene)?;
    // A signer that answers with another key's signature must show here, not on chain.
    let signer = signature.recover(&digest)?;
    if signer != key.public_key() {
        return Err(anyhow!(
            "the signature recovers to {} instead of {}; it is not given out",
            signer.to_text(&dialect.address_prefix),
            key.public_key().to_text(&dialect.address_prefix)
        )
        .into());
    }
    // Nodes refuse two signatures of one key.
    if !signed
        .signatures
        .iter()
        .any(|s| s.recover(&digest) == Ok(signer))
    {
        signed.signatures.push(signature);
    }
    Ok(json!({
        "serialized": hex::encode(&bytes),
        "digest": hex::encode(&digest),
        "txid": hex::encode(&txid(&bytes)),
        "signature": signature.to_hex(),
        "public_key": signer.to_text(&dialect.address_prefix),
        "transaction": signed.to_json(dialect),
    }))
}

pub(super) fn read_transaction() -> Result<Value, CliError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!(
            "slotkeeper: reading the transaction as JSON from the terminal; end it with Ctrl-D"
        );
    }
    let mut text = String::new();
    let read = stdin
        .lock()
        .take(MAX_INPUT + 1)
        .read_to_string(&mut text)
        .context("cannot read the transaction from stdin")?;
    if read as u64 > MAX_INPUT {
        return Err(anyhow!("stdin holds more than 1 MiB; that is no transaction").into());
    }
    if text.trim().is_empty() {
        return Err(anyhow!("stdin is empty; it must hold the transaction as JSON").into());
    }
    Ok(serde_json::from_str(&text).context("stdin is not JSON")?)
}
