//! `slotkeeper producer permission`: the transaction that makes a permission for switches only (Antelope), printed or sent.
//! An operator's own act, like `tx broadcast`: it knows nothing of the daemon, its journal or its interlocks.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::{Value, json};

use super::check_config::{ConfigArgs, load};
use super::client::block_on;
use super::operate::Producer;
use super::passphrase::PassphraseArgs;
use super::{CliError, CliResult, broadcast, online, print, tx_antelope};
use crate::chain::antelope::Antelope;
use crate::chain::antelope::permission::{Account, setup_actions};
use crate::chain::{Chain, Protocol};
use crate::config::{ChainConfig, Config, ProducerConfig};
use crate::keys::{PublicKey, Signer, key_file};
use crate::rpc::Endpoint;

/// Time to carry the transaction to the machine with the active key and back; the chain takes an hour at most.
const CARRY_MS: i64 = 50 * 60 * 1000;

/// Make a permission that can switch signing keys and nothing else (Antelope).
#[derive(Debug, Args)]
#[command(
    long_about = "Make a permission that can switch signing keys and nothing else (Antelope).\n\n\
        Prints one transaction: updateauth makes the permission under active with one key, linkauth lets it call regproducer, \
        regproducer2 and unregprod (and actfinkey where finalizer keys are configured). What is linked already is left out. \
        It is good for 50 minutes: sign it with the active key, wherever that is ('slotkeeper tx sign --protocol antelope' or \
        your wallet). With --broadcast it is signed here and sent. The owner key is never needed and is refused.",
    after_help = "Examples:\n  \
        slotkeeper producer permission eos/alice > permission.json\n  \
        slotkeeper tx sign --protocol antelope --key-file alice-active.pem < permission.json > signed.json\n  \
        slotkeeper tx broadcast --protocol antelope --endpoint https://api.example.org < signed.json\n  \
        slotkeeper producer permission eos/alice --key EOS7… --broadcast --key-file alice-active.pem\n  \
        slotkeeper check-config --online                            # afterwards: does it suffice, can it do too much?\n\n\
        Exit codes: 0 printed, or an endpoint has it; 1 failed or refused; 2 usage or config."
)]
pub(super) struct PermissionArgs {
    /// The producer, as in the config.
    #[arg(value_name = "CHAIN/NAME")]
    producer: Producer,
    #[command(flatten)]
    config: ConfigArgs,
    /// Name of the permission (default: the configured one, else failover).
    #[arg(long, value_name = "NAME")]
    permission: Option<String>,
    /// Its public key (default: that of the configured authority's first key file).
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Sign with --key-file and send it to every configured endpoint.
    #[arg(long, requires = "key_file")]
    broadcast: bool,
    /// The account's active key: an encrypted PKCS#8 PEM or a WIF file, mode 0600.
    #[arg(long, value_name = "FILE", requires = "broadcast")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

pub(super) fn run(args: &PermissionArgs) -> CliResult {
    let config = load(&args.config)?;
    let (chain_config, producer) = found(&config, &args.producer).map_err(CliError::Usage)?;
    let chain = Antelope::new(chain_config.spec.clone());
    let prefix = &chain_config.spec.address_prefix;
    let permission = named(args, producer);
    let key = public_key(args, producer, &permission, prefix)?;
    let asked = block_on(online::ask(&chain, chain_config, &producer.name))??;
    let actions = setup_actions(
        &producer.name,
        &permission,
        &key,
        prefix,
        online::needed(producer),
        Some(&asked.account),
    )
    .map_err(|e| CliError::Usage(e.into()))?;
    let carry = if args.broadcast { 0 } else { CARRY_MS };
    let (transaction, _) = chain.transaction(
        &actions,
        asked.head_time.saturating_add(carry),
        &asked.irreversible,
    )?;
    let explained = explain(&producer.name, &permission, &key.to_text(prefix), &actions);
    let Some(file) = args.key_file.as_ref().filter(|_| args.broadcast) else {
        let out = json!({
            "explanation": explained,
            "sign_with": format!("{}@active", producer.name),
            "chain_id": crate::hex::encode(&chain_config.spec.chain_id),
            "digest": crate::hex::encode(&transaction.digest(&chain_config.spec.chain_id)),
            "txid": transaction.id(),
            "transaction": transaction.to_json(),
        });
        return print(&serde_json::to_string_pretty(&out)?);
    };
    let secret = key_file::load(file, &args.passphrase.source())?;
    is_active(&asked.account, &secret.public_key(), prefix)?;
    let signed = tx_antelope::sign(
        transaction.to_json(),
        &chain_config.spec.chain_id,
        prefix,
        &secret,
    )?;
    let endpoints = chain_config
        .endpoints
        .iter()
        .map(|e| Endpoint::new(e, chain.framing()))
        .collect::<Result<Vec<_>, _>>()?;
    let body = signed.get("transaction").cloned().unwrap_or(Value::Null);
    let replies = block_on(broadcast::send(endpoints, chain.submit(&body)))?;
    let (taken, results) = broadcast::results(&chain, &replies);
    print(
        &json!({"explanation": explained, "txid": signed.get("txid"), "results": results})
            .to_string(),
    )?;
    if taken {
        return Ok(());
    }
    Err(anyhow!("no endpoint took the transaction; the reasons are above").into())
}

fn found<'a>(
    config: &'a Config,
    wanted: &Producer,
) -> anyhow::Result<(&'a ChainConfig, &'a ProducerConfig)> {
    let full = format!("{}/{}", wanted.chain, wanted.name);
    let chain = config
        .chain(&wanted.chain)
        .with_context(|| format!("{full}: the config has no chain of this name"))?;
    if chain.spec.protocol != Protocol::Antelope {
        return Err(anyhow!(
            "{full}: permissions are a thing of Antelope chains; {} has none (there the signing key itself, or the active key, makes the switch)",
            chain.spec.protocol
        ));
    }
    let producer = config
        .producer(&wanted.chain, &wanted.name)
        .with_context(|| format!("{full}: the config has no producer of this name"))?;
    Ok((chain, producer))
}

fn named(args: &PermissionArgs, producer: &ProducerConfig) -> String {
    let configured = || producer.authority.iter().find_map(|a| a.permission.clone());
    args.permission
        .clone()
        .or_else(configured)
        .unwrap_or_else(|| "failover".to_owned())
}

fn public_key(
    args: &PermissionArgs,
    producer: &ProducerConfig,
    permission: &str,
    prefix: &str,
) -> Result<PublicKey, CliError> {
    if let Some(text) = &args.key {
        return PublicKey::parse(text, prefix)
            .context("--key")
            .map_err(CliError::Usage);
    }
    let authority = producer
        .authority
        .iter()
        .find(|a| a.permission.as_deref() == Some(permission));
    let Some(file) = authority.and_then(|a| a.key_files.first()) else {
        return Err(CliError::Usage(anyhow!(
            "which key shall {permission} have? Give --key, or configure authority: [{{method: regproducer, permission: {}@{permission}, key_files: […]}}]",
            producer.name
        )));
    };
    let source = key_file::PassphraseSource::with_variables(
        authority.and_then(|a| a.passphrase_file.clone()),
        |name| std::env::var_os(name),
        true,
    );
    Ok(key_file::load(file, &source)?.public_key())
}

/// The key that signs must be one of `active`'s: the owner key has no business here.
fn is_active(account: &Account, key: &PublicKey, prefix: &str) -> anyhow::Result<()> {
    let holds = |name: &str| {
        let permission = account.permissions.get(name);
        permission.is_some_and(|p| p.keys.iter().any(|(k, _)| k == key))
    };
    let shown = key.to_text(prefix);
    if account
        .permissions
        .get("active")
        .is_some_and(|p| p.sufficient_keys().contains(key))
    {
        return Ok(());
    }
    if holds("owner") && !holds("active") {
        return Err(anyhow!(
            "{shown} is the owner key of {}: it is never needed here, keep it offline; sign with the active key",
            account.name
        ));
    }
    Err(anyhow!(
        "{shown} is not an active key of {} that suffices alone; print the transaction instead and sign it with your wallet",
        account.name
    ))
}

fn explain(account: &str, permission: &str, key: &str, actions: &[Value]) -> Vec<String> {
    let mut out = vec![format!(
        "makes (or changes) the permission {account}@{permission} under active, with the one key {key}"
    )];
    let linked = actions.iter().filter_map(|a| a.pointer("/data/type"));
    out.extend(
        linked
            .filter_map(Value::as_str)
            .map(|name| format!("lets it call eosio::{name}")),
    );
    out.push(
        "nothing else: it can move no tokens, and active and owner stay as they are".to_owned(),
    );
    out
}
