//! `slotkeeper keys generate|import|inspect`.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::passphrase::PassphraseArgs;
use super::{CliError, CliResult, print};
use crate::chain::Protocol;
use crate::chain::graphene::Dialect;
use crate::keys::{PublicKey, SecretKey, Signer, key_file};

/// Make, import and look at key files.
#[derive(Debug, Args)]
#[command(
    after_help = "'slotkeeper keys generate --help' and so on show examples.\n\
                  Exit codes: 0 done, 1 failed or refused, 2 usage."
)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a new key, write it to an encrypted file, print its public half.
    #[command(after_help = "Examples:\n  \
        slotkeeper keys generate --out alice-b.pem --protocol hive\n  \
        slotkeeper keys generate --out alice-b.pem --passphrase-file pass\n\n\
        The file is PKCS#8 PEM (scrypt, AES-256-CBC); 'openssl pkcs8 -in alice-b.pem' reads it.")]
    Generate(GenerateArgs),
    /// Put an existing private key (WIF or PVT_K1_…) into an encrypted file.
    #[command(after_help = "Examples:\n  \
        slotkeeper keys import --out alice.pem               asks for the key without echo\n  \
        slotkeeper keys import --out alice.pem < alice.wif\n  \
        slotkeeper keys import --out alice.pem --from alice.wif\n\n\
        The private key is never an argument: other users could read it in the process list.")]
    Import(ImportArgs),
    /// Show the public key of a key file, or a public key's other forms.
    #[command(after_help = "Examples:\n  \
        slotkeeper keys inspect alice.pem\n  \
        slotkeeper keys inspect alice.pem --protocol blurt   prints that chain's form only\n  \
        slotkeeper keys inspect STM5YHnNgis74GWeARGtzkjYwfwLnvih4Y5fG5vHyPseKzomk9NSE")]
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
struct OutArgs {
    /// The key file to write, with mode 0600. An existing one is left alone.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write a plain WIF instead of an encrypted file.
    #[arg(long)]
    wif: bool,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Which form of the public key to print. Without any: all of them.
#[derive(Debug, Args)]
struct FormArgs {
    /// Print only the form of this protocol's main net: steem, hive, blurt, golos, bitshares, antelope.
    #[arg(long, conflicts_with = "address_prefix")]
    protocol: Option<Protocol>,
    /// Print only the form with this prefix, such as TST for a test net.
    #[arg(long, value_name = "PREFIX")]
    address_prefix: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct GenerateArgs {
    #[command(flatten)]
    out: OutArgs,
    #[command(flatten)]
    form: FormArgs,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// Read the private key from this key file (WIF or PEM, mode 0600). Without it: from stdin, or asked for.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    out: OutArgs,
    #[command(flatten)]
    form: FormArgs,
}

#[derive(Debug, Args)]
struct InspectArgs {
    /// A key file, or a public key as text.
    #[arg(value_name = "FILE|PUBLIC_KEY")]
    subject: String,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

pub(super) fn run(args: KeysArgs) -> CliResult {
    match args.command {
        KeysCommand::Generate(args) => {
            refuse_existing(&args.out)?;
            let key = SecretKey::generate().context("cannot get random numbers")?;
            save(&key, &args.out)?;
            show(&key.public_key(), Some(&args.out.out), &args.form)
        }
        KeysCommand::Import(args) => {
            refuse_existing(&args.out)?;
            let key = match &args.from {
                Some(path) => key_file::load(path, &args.out.passphrase.source())?,
                None => SecretKey::from_text(read_secret()?.trim())?,
            };
            save(&key, &args.out)?;
            show(&key.public_key(), Some(&args.out.out), &args.form)
        }
        KeysCommand::Inspect(args) => {
            let path = Path::new(&args.subject);
            if path.exists() {
                let key = key_file::load(path, &args.passphrase.source())?;
                return show(&key.public_key(), Some(path), &args.form);
            }
            show(
                &public_key_text(&args.subject, &args.form)?,
                None,
                &args.form,
            )
        }
    }
}

/// Before a passphrase is asked for, not after.
fn refuse_existing(out: &OutArgs) -> CliResult {
    if !out.force && out.out.symlink_metadata().is_ok() {
        return Err(key_file::KeyFileError::Exists(out.out.clone()).into());
    }
    Ok(())
}

fn save(key: &SecretKey, out: &OutArgs) -> CliResult {
    if out.wif {
        key_file::save_wif(&out.out, key, out.force)?;
    } else {
        let passphrase = out.passphrase.source().obtain_new(&out.out)?;
        key_file::save_encrypted(&out.out, key, &passphrase, out.force)?;
    }
    Ok(())
}

/// From stdin where that is a pipe or file, else asked for without echo.
fn read_secret() -> Result<Zeroizing<String>, CliError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let text = rpassword::prompt_password("Private key (WIF or PVT_K1_…): ")
            .context("cannot ask on the terminal")?;
        return Ok(Zeroizing::new(text));
    }
    let mut text = Zeroizing::new(String::with_capacity(4096));
    stdin
        .lock()
        .take(4096)
        .read_to_string(&mut text)
        .context("cannot read the private key from stdin")?;
    if text.trim().is_empty() {
        return Err(
            anyhow!("stdin is empty; it must hold the private key (WIF or PVT_K1_…)").into(),
        );
    }
    Ok(text)
}

fn prefixes() -> Vec<String> {
    let mut all: Vec<String> = vec![];
    for protocol in Protocol::ALL {
        let prefix = Dialect::mainnet(protocol).address_prefix;
        if !all.contains(&prefix) {
            all.push(prefix);
        }
    }
    all.extend(["TST", "TEST", "PUB_K1_"].map(String::from));
    all
}

/// Reads a public key with any prefix known here. Where there is no such file either, the error tells of what the text
/// looks most like.
fn public_key_text(text: &str, form: &FormArgs) -> Result<PublicKey, CliError> {
    if SecretKey::from_text(text).is_ok() {
        // Not repeated here, but the harm is done.
        return Err(CliError::Usage(anyhow!(
            "that is a private key; as an argument every user of this machine could read it, and the shell's history \
             keeps it. Put it into a file instead: slotkeeper keys import --out FILE"
        )));
    }
    let mut known = prefixes();
    known.extend(form.address_prefix.clone());
    let Some(prefix) = known.iter().find(|prefix| text.starts_with(*prefix)) else {
        return Err(anyhow!(
            "no such file, and no public key (those begin with {})",
            known.join(", ")
        )
        .into());
    };
    Ok(PublicKey::parse(text, prefix)?)
}

fn show(key: &PublicKey, file: Option<&Path>, form: &FormArgs) -> CliResult {
    let wanted = form.address_prefix.clone().or_else(|| {
        form.protocol
            .map(|protocol| Dialect::mainnet(protocol).address_prefix)
    });
    let only = wanted.as_ref().map(|prefix| key.to_text(prefix));
    if form.json {
        let mut object = Map::new();
        if let Some(file) = file {
            object.insert("file".into(), file.display().to_string().into());
        }
        let all = prefixes().iter().map(|p| key.to_text(p).into()).collect();
        match only {
            Some(text) => object.insert("public_key".into(), text.into()),
            None => object.insert("public_keys".into(), Value::Array(all)),
        };
        object.insert("public_key_hex".into(), key.to_string().into());
        object.insert("null".into(), key.is_null().into());
        return print(&Value::Object(object).to_string());
    }
    if let Some(text) = only {
        return print(&text);
    }
    let mut lines = vec![];
    lines.extend(file.map(|f| format!("file        {}", f.display())));
    if key.is_null() {
        lines.push("this is the null key: registered as signing key it stops production".into());
    }
    lines.push(format!("hex         {key}"));
    for (prefix, chains) in [
        ("STM", "Steem, Hive"),
        ("BLT", "Blurt"),
        ("GLS", "Golos"),
        ("BTS", "BitShares"),
        ("TST", "test nets"),
        ("EOS", "Antelope"),
        ("PUB_K1_", "Antelope"),
    ] {
        lines.push(format!("{chains:<11} {}", key.to_text(prefix)));
    }
    print(&lines.join("\n"))
}
