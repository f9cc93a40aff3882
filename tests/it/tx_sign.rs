//! `slotkeeper tx sign`, the built binary: every vector bit for bit, and what it refuses.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use slotkeeper::chain::graphene::{Dialect, Serialization, Transaction};
use slotkeeper::keys::{SecretKey, key_file};

use crate::vectors::cases;

/// Runs the binary without the caller's passphrase variables.
pub(crate) fn slotkeeper(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
        .args(args)
        .env_remove("SLOTKEEPER_PASSPHRASE")
        .env_remove("UNLOCK")
        .env_remove("CREDENTIALS_DIRECTORY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // The binary may refuse its arguments without reading.
    let _ = pipe.write_all(stdin.as_bytes());
    drop(pipe);
    child.wait_with_output().unwrap()
}

fn name(form: Serialization) -> &'static str {
    match form {
        Serialization::Legacy => "legacy",
        Serialization::Hf26 => "hf26",
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_vector_through_the_binary() {
    let dir = tempfile::tempdir().unwrap();
    for (i, case) in cases().iter().enumerate() {
        let file = dir.path().join(format!("{i}.wif"));
        key_file::save_wif(&file, &SecretKey::from_wif(&case.wif).unwrap(), false).unwrap();
        let dialect = Dialect::mainnet(case.protocol);
        for form in &case.forms {
            for &serialization in &case.serializations {
                let out = slotkeeper(
                    &[
                        "tx",
                        "sign",
                        "--protocol",
                        case.protocol.as_str(),
                        "--chain-id",
                        case.text("chain_id"),
                        "--key-file",
                        path(&file),
                        "--serialization",
                        name(serialization),
                    ],
                    &form.to_string(),
                );
                let stderr = String::from_utf8_lossy(&out.stderr);
                assert!(out.status.success(), "{}: {stderr}", case.name);
                assert_eq!(stderr, "", "{}", case.name);
                let got: Value = serde_json::from_slice(&out.stdout).unwrap();
                for field in ["serialized", "digest", "txid", "signature"] {
                    assert_eq!(got[field], case.vector[field], "{} {field}", case.name);
                }
                assert_eq!(got["public_key"], case.vector["recovered_public_key"]);
                let mut expected = Transaction::from_json(form, &dialect)
                    .unwrap()
                    .to_json(&dialect);
                expected["signatures"] = json!([case.text("signature")]);
                assert_eq!(got["transaction"], expected, "{}", case.name);
            }
        }
    }
}

#[test]
fn signing_again_adds_no_second_signature_of_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let case = &cases()[0];
    let file = dir.path().join("key");
    key_file::save_wif(&file, &SecretKey::from_wif(&case.wif).unwrap(), false).unwrap();
    let args = [
        "tx",
        "sign",
        "--protocol",
        "hive",
        "--key-file",
        path(&file),
    ];
    let first = slotkeeper(&args, &case.forms[0].to_string());
    let first: Value = serde_json::from_slice(&first.stdout).unwrap();
    let second = slotkeeper(&args, &first["transaction"].to_string());
    let second: Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(first, second);
}

#[test]
fn an_encrypted_key_opens_with_each_source_of_its_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let case = &cases()[0];
    let file = dir.path().join("key.pem");
    let passphrase = key_file::Passphrase::new("correct horse".into());
    let key = SecretKey::from_wif(&case.wif).unwrap();
    key_file::save_encrypted(&file, &key, &passphrase, false).unwrap();
    let pass_file = dir.path().join("pass");
    write_private(&pass_file, "correct horse\n");
    let tx = case.forms[0].to_string();
    let base = [
        "tx",
        "sign",
        "--protocol",
        "hive",
        "--key-file",
        path(&file),
    ];
    let out = slotkeeper(
        &[&base[..], &["--passphrase-file", path(&pass_file)]].concat(),
        &tx,
    );
    assert!(out.status.success());
    for (variable, value, code) in [
        ("SLOTKEEPER_PASSPHRASE", "correct horse", 0),
        ("UNLOCK", "correct horse", 0),
        ("UNLOCK", "wrong", 1),
    ] {
        let input = dir.path().join("tx.json");
        std::fs::write(&input, &tx).unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
            .args(base)
            .env_remove("SLOTKEEPER_PASSPHRASE")
            .env_remove("UNLOCK")
            .env(variable, value)
            .stdin(std::fs::File::open(&input).unwrap())
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(code), "{variable}={value}");
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert!(!stderr.contains(value), "{stderr}");
    }
}

/// Writes a file with mode 0600.
pub(crate) fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn what_is_refused_and_how() {
    let dir = tempfile::tempdir().unwrap();
    let case = &cases()[0];
    let file = dir.path().join("key");
    key_file::save_wif(&file, &SecretKey::from_wif(&case.wif).unwrap(), false).unwrap();
    let open = dir.path().join("open");
    std::fs::write(&open, &case.wif).unwrap();
    let set_open = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(&open, set_open).unwrap();
    let (file, open) = (path(&file), path(&open));

    let good = case.forms[0].clone();
    let with = |pointer: &str, value: Value| {
        let mut tx = good.clone();
        *tx.pointer_mut(pointer).expect(pointer) = value;
        tx.to_string()
    };
    let mut extra = good.clone();
    extra["operations"][0][1]["surprise"] = json!(1);
    let sign = |protocol: &str, rest: &[&str], stdin: &str| {
        let args = [&["tx", "sign", "--protocol", protocol][..], rest].concat();
        slotkeeper(&args, stdin)
    };
    let key = ["--key-file", file];
    let body = "/operations/0/1";
    let text = good.to_string();
    for (out, code, says) in [
        (
            sign("hive", &[&key[..], &["--chain-id", "be"]].concat(), &text),
            2,
            "64 hex digits",
        ),
        (sign("hove", &key, &text), 2, "unknown protocol"),
        (sign("antelope", &key, &text), 2, "--chain-id is needed"),
        (
            sign(
                "steem",
                &[&key[..], &["--serialization", "hf26"]].concat(),
                &text,
            ),
            2,
            "hive only",
        ),
        (sign("hive", &[], &text), 2, "--key-file"),
        (sign("hive", &["--key-file", open], &text), 1, "chmod 600"),
        (
            sign("hive", &["--key-file", "/nonexistent/key"], &text),
            1,
            "cannot read",
        ),
        (sign("hive", &key, ""), 1, "stdin is empty"),
        (sign("hive", &key, "{"), 1, "not JSON"),
        (sign("hive", &key, "[]"), 1, "an object is needed"),
        (
            sign("hive", &key, &extra.to_string()),
            1,
            "surprise: unknown field",
        ),
        (sign("steem", &key, &text), 1, "unknown field"),
        (
            sign("hive", &key, &with("/expiration", json!("soon"))),
            1,
            "expiration: a time",
        ),
        (
            sign("hive", &key, &with("/ref_block_num", json!(65536))),
            1,
            "out of range",
        ),
        (
            sign("hive", &key, &with("/extensions", json!([1]))),
            1,
            "must be an empty list",
        ),
        (
            sign(
                "hive",
                &key,
                &with(&format!("{body}/fee"), json!("0.000 STEEM")),
            ),
            1,
            "operations[0][1].fee: asset 0.000 STEEM: this chain knows HIVE and HBD",
        ),
        (
            sign(
                "hive",
                &key,
                &with(&format!("{body}/block_signing_key"), json!("TST1")),
            ),
            1,
            "operations[0][1].block_signing_key: public key begins with TST",
        ),
        (
            sign(
                "hive",
                &key,
                &with("/operations/0", json!(["transfer", {}])),
            ),
            1,
            "known: witness_update",
        ),
    ] {
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{says}: {stderr}");
        assert!(stderr.contains(says), "{says}: {stderr}");
        assert!(out.stdout.is_empty(), "{says}");
        assert!(!stderr.contains(&case.wif));
    }
}

#[test]
fn numbers_may_be_text() {
    let dir = tempfile::tempdir().unwrap();
    let case = &cases()[0];
    let file = dir.path().join("key");
    key_file::save_wif(&file, &SecretKey::from_wif(&case.wif).unwrap(), false).unwrap();
    let mut tx = case.forms[0].clone();
    for pointer in [
        "/ref_block_num",
        "/ref_block_prefix",
        "/operations/0/1/props/maximum_block_size",
        "/operations/0/1/props/hbd_interest_rate",
    ] {
        let value = tx.pointer_mut(pointer).expect(pointer);
        *value = json!(value.to_string());
    }
    let args = [
        "tx",
        "sign",
        "--protocol",
        "hive",
        "--key-file",
        path(&file),
    ];
    let out = slotkeeper(&args, &tx.to_string());
    let got: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(got["serialized"], case.vector["serialized"]);
}
