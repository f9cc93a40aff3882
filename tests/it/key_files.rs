//! Key files: what openssl reads, what is refused, and the `keys` commands.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use slotkeeper::keys::key_file::{
    KeyFileError, Passphrase, PassphraseSource, load, save_encrypted, save_wif,
};
use slotkeeper::keys::{SecretKey, Signer};

use crate::tx_sign::{slotkeeper, write_private};

const WIF: &str = "5HrbNruPM9oLJNECYRXNFe3qko6YxfeuAnHJkJvrrNN6GUW7Uyc";
const PUBLIC: &str = "STM5YHnNgis74GWeARGtzkjYwfwLnvih4Y5fG5vHyPseKzomk9NSE";
const NUMBER: &str = "053ce9cc9349cff141ae6df9e539f64686cfef41112036b712191efd76640050";

fn key() -> SecretKey {
    SecretKey::from_wif(WIF).unwrap()
}

fn with(passphrase: &str) -> PassphraseSource {
    PassphraseSource {
        slotkeeper_passphrase: Some(Passphrase::new(passphrase.into())),
        ..PassphraseSource::default()
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn openssl(args: &[&str]) -> String {
    let out = Command::new("openssl")
        .args(args)
        .output()
        .expect("openssl must be installed (apt-get install openssl)");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "openssl {args:?}: {stderr}");
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn openssl_reads_what_we_write() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("k.pem");
    save_encrypted(&file, &key(), &Passphrase::new("x y".into()), false).unwrap();
    assert_eq!(mode(&file), 0o600);
    let file = file.to_str().unwrap();
    let plain = openssl(&["pkcs8", "-in", file, "-passin", "pass:x y"]);
    assert!(plain.starts_with("-----BEGIN PRIVATE KEY-----"));
    let shown = openssl(&[
        "pkey", "-in", file, "-passin", "pass:x y", "-text", "-noout",
    ]);
    let digits: String = shown.chars().filter(char::is_ascii_hexdigit).collect();
    assert!(digits.contains(NUMBER), "{shown}");
    assert!(shown.contains("secp256k1"), "{shown}");
}

#[test]
fn we_read_what_openssl_writes() {
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join("ours.pem");
    save_encrypted(&ours, &key(), &Passphrase::new("p".into()), false).unwrap();
    let ours = ours.to_str().unwrap().to_owned();
    for (name, how) in [
        ("scrypt", &["-topk8", "-scrypt", "-passout", "pass:q"][..]),
        (
            "aes-256",
            &["-topk8", "-v2", "aes-256-cbc", "-passout", "pass:q"],
        ),
        ("default", &["-topk8", "-passout", "pass:q"]),
        ("plain", &["-topk8", "-nocrypt"]),
    ] {
        let file = dir.path().join(name);
        let mut args = vec!["pkcs8", "-in", &ours, "-passin", "pass:p"];
        args.extend(["-out", file.to_str().unwrap()]);
        args.extend(how);
        openssl(&args);
        chmod(&file, 0o600);
        let read = load(&file, &with("q")).expect(name);
        assert_eq!(read.public_key(), key().public_key(), "{name}");
    }
    // Keys of another curve and of another form are named, not guessed at.
    let other = dir.path().join("p256");
    let args = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
    ];
    openssl(&[&args[..], &[other.to_str().unwrap()]].concat());
    chmod(&other, 0o600);
    assert!(message(&other).contains("no secp256k1 key"));
    let sec1 = dir.path().join("sec1");
    let args = ["ecparam", "-name", "secp256k1", "-genkey", "-noout", "-out"];
    openssl(&[&args[..], &[sec1.to_str().unwrap()]].concat());
    chmod(&sec1, 0o600);
    assert!(message(&sec1).contains("openssl pkcs8 -topk8"));
}

fn message(file: &Path) -> String {
    load(file, &PassphraseSource::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn plain_wif_with_white_space_loads() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("k");
    write_private(&file, &format!("\n  {WIF} \r\n"));
    let read = load(&file, &PassphraseSource::default()).unwrap();
    assert_eq!(read.public_key().to_text("STM"), PUBLIC);
}

#[test]
fn a_file_others_can_read_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("k");
    save_wif(&file, &key(), false).unwrap();
    assert_eq!(mode(&file), 0o600);
    for bad in [0o640, 0o604, 0o620, 0o601, 0o644] {
        chmod(&file, bad);
        let text = message(&file);
        assert!(
            text.contains(&format!("chmod 600 {}", file.display())),
            "{text}"
        );
        assert!(text.contains(&format!("{bad:04o}")), "{text}");
    }
    chmod(&file, 0o400);
    assert!(load(&file, &PassphraseSource::default()).is_ok());
    // A passphrase lies as open as its key.
    let pass = dir.path().join("pass");
    std::fs::write(&pass, "p").unwrap();
    chmod(&pass, 0o644);
    let sealed = dir.path().join("sealed");
    save_encrypted(&sealed, &key(), &Passphrase::new("p".into()), false).unwrap();
    let source = PassphraseSource {
        file: Some(pass.clone()),
        ..PassphraseSource::default()
    };
    let error = load(&sealed, &source).unwrap_err();
    assert!(
        matches!(&error, KeyFileError::Permissions { path, .. } if *path == pass),
        "{error}"
    );
}

#[test]
fn a_systemd_credential_may_be_readable_by_the_group_only() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("k");
    save_wif(&file, &key(), false).unwrap();
    let source = PassphraseSource {
        credentials_directory: Some(dir.path().into()),
        ..PassphraseSource::default()
    };
    chmod(&file, 0o440);
    assert!(load(&file, &source).is_ok());
    for bad in [0o444, 0o460] {
        chmod(&file, bad);
        assert!(load(&file, &source).is_err());
    }
}

#[test]
fn existing_files_are_left_alone_and_replaced_ones_are_tightened() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("k");
    std::fs::write(&file, "precious").unwrap();
    chmod(&file, 0o644);
    let passphrase = Passphrase::new("p".into());
    for error in [
        save_wif(&file, &key(), false).unwrap_err(),
        save_encrypted(&file, &key(), &passphrase, false).unwrap_err(),
    ] {
        assert!(matches!(error, KeyFileError::Exists(_)), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    save_wif(&file, &key(), true).unwrap();
    assert_eq!(mode(&file), 0o600);
    assert!(load(&file, &PassphraseSource::default()).is_ok());
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "temporary files are left: {left:?}");
}

#[test]
fn bad_files_have_their_own_messages() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = dir.path().join("sealed");
    save_encrypted(&sealed, &key(), &Passphrase::new("p".into()), false).unwrap();
    let pem = std::fs::read_to_string(&sealed).unwrap();
    let mut messages = vec![
        load(&sealed, &with("wrong")).unwrap_err().to_string(),
        message(&sealed),
        message(dir.path()),
        message(&dir.path().join("missing")),
    ];
    for (name, text) in [
        ("empty", " \n"),
        ("typo", &WIF.replace('J', "K")),
        ("cut", &pem[..pem.len() / 2]),
        (
            "public",
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
        ),
        ("large", &"x".repeat(70_000)),
    ] {
        let file = dir.path().join(name);
        write_private(&file, text);
        messages.push(load(&file, &with("p")).unwrap_err().to_string());
    }
    let causes: Vec<&str> = messages
        .iter()
        .map(|m| m.split_once(": ").unwrap().1)
        .collect();
    for (i, a) in causes.iter().enumerate() {
        assert!(!causes[i + 1..].contains(a), "{a}");
    }
}

#[test]
fn the_first_passphrase_source_wins() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pass");
    write_private(&file, "from file\n");
    let sealed = dir.path().join("sealed");
    save_encrypted(&sealed, &key(), &Passphrase::new("from file".into()), false).unwrap();
    let all = |file: Option<&Path>, own: &str, unlock: &str| PassphraseSource {
        file: file.map(Into::into),
        slotkeeper_passphrase: Some(Passphrase::new(own.into())),
        unlock: Some(Passphrase::new(unlock.into())),
        ..PassphraseSource::default()
    };
    assert!(load(&sealed, &all(Some(&file), "no", "no")).is_ok());
    assert!(load(&sealed, &all(None, "from file", "no")).is_ok());
    assert!(load(&sealed, &all(None, "no", "from file")).is_err());
}

#[test]
fn keys_generate_import_inspect() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let pass = dir.path().join("pass");
    write_private(&pass, "a good one");
    let pass = pass.to_str().unwrap();

    // Import: from stdin, encrypted, and the public key is what the vectors say.
    let pem = at("a.pem");
    let import = ["keys", "import", "--out", &pem, "--passphrase-file", pass];
    let out = slotkeeper(
        &[&import[..], &["--protocol", "steem"]].concat(),
        &format!("{WIF}\n"),
    );
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert_eq!(String::from_utf8(out.stdout).unwrap().trim(), PUBLIC);
    assert!(std::fs::read_to_string(&pem).unwrap().contains("ENCRYPTED"));
    let again = slotkeeper(&import, WIF);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"));

    // Inspect: the file, and the public key's text.
    let out = slotkeeper(&["keys", "inspect", &pem, "--passphrase-file", pass], "");
    let shown = String::from_utf8(out.stdout).unwrap();
    assert!(shown.contains(PUBLIC) && shown.contains(&key().public_key().to_string()));
    let out = slotkeeper(&["keys", "inspect", PUBLIC, "--json"], "");
    let object: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(object["public_key_hex"], key().public_key().to_string());
    assert_eq!(object["null"], false);

    // A mistyped public key is told from a missing file; a private key as an argument is not repeated.
    let typo = PUBLIC.replace("GWe", "GW2");
    for (subject, code, says) in [
        (typo.as_str(), 1, "checksum"),
        ("nosuchfile.pem", 1, "no such file"),
        (WIF, 2, "private key"),
    ] {
        let out = slotkeeper(&["keys", "inspect", subject], "");
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(says) && !stderr.contains(WIF), "{stderr}");
    }

    // Generate: two keys differ; a plain WIF when asked for.
    let mut seen = vec![];
    for name in ["b", "c"] {
        let file = at(name);
        let out = slotkeeper(
            &[
                "keys",
                "generate",
                "--out",
                &file,
                "--wif",
                "--address-prefix",
                "TST",
            ],
            "",
        );
        assert!(out.status.success());
        let printed = String::from_utf8(out.stdout).unwrap().trim().to_owned();
        assert_eq!(mode(Path::new(&file)), 0o600);
        let read = load(Path::new(&file), &PassphraseSource::default()).unwrap();
        assert_eq!(read.public_key().to_text("TST"), printed);
        seen.push(printed);
    }
    assert_ne!(seen[0], seen[1]);

    // Bad input: refused without repeating the secret, and nothing is written.
    let bad = at("d.pem");
    let typo = WIF.replace('J', "K");
    let out = slotkeeper(
        &["keys", "import", "--out", &bad, "--passphrase-file", pass],
        &typo,
    );
    assert_eq!(out.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(
        stderr.contains("checksum") && !stderr.contains(&typo[5..20]),
        "{stderr}"
    );
    assert!(!Path::new(&bad).exists());
}

#[test]
fn help_completions_and_usage() {
    for args in [
        &["--help"][..],
        &["keys", "import", "--help"],
        &["tx", "sign", "--help"],
    ] {
        let out = slotkeeper(args, "");
        assert_eq!(out.status.code(), Some(0));
        assert!(!out.stdout.is_empty());
    }
    let help = String::from_utf8(slotkeeper(&["tx", "sign", "--help"], "").stdout).unwrap();
    assert!(help.contains("Example"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let out = slotkeeper(&["completions", shell], "");
        assert!(
            String::from_utf8(out.stdout)
                .unwrap()
                .contains("slotkeeper")
        );
    }
    for args in [&[][..], &["frobnicate"], &["keys", "generate"]] {
        assert_eq!(slotkeeper(args, "").status.code(), Some(2), "{args:?}");
    }
}
