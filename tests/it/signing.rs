//! Properties of signing that no single vector shows, and that secrets are never printed.

use proptest::prelude::*;
use slotkeeper::keys::key_file::{Passphrase, PassphraseSource};
use slotkeeper::keys::{Nonce, PublicKey, SecretKey, Signature, Signer};

proptest! {
    #[test]
    fn signatures_are_canonical_and_recover(seed in ".{0,40}", digest: [u8; 32], antelope: bool) {
        let key = SecretKey::from_seed_sha256(&seed).unwrap();
        let nonce = if antelope { Nonce::Antelope } else { Nonce::Graphene };
        let signature = key.sign(&digest, nonce).unwrap();
        prop_assert!(signature.is_low_s());
        prop_assert!(signature.is_fc_canonical());
        prop_assert_eq!(signature.recover(&digest), Ok(key.public_key()));
        prop_assert_eq!(Signature::from_hex(&signature.to_hex()), Ok(signature));
        prop_assert_eq!(Signature::from_sig_k1(&signature.to_sig_k1()), Ok(signature));
        prop_assert_eq!(key.sign(&digest, nonce), Ok(signature));
    }

    #[test]
    fn key_texts_round_trip(seed in ".{0,40}") {
        let key = SecretKey::from_seed_sha256(&seed).unwrap();
        let public = key.public_key();
        for prefix in ["STM", "TST", "PUB_K1_"] {
            prop_assert_eq!(PublicKey::parse(&public.to_text(prefix), prefix), Ok(public));
        }
        let again = SecretKey::from_wif(&key.to_wif()).unwrap();
        prop_assert_eq!(again.public_key(), public);
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in "\\PC{0,80}") {
        prop_assert!(SecretKey::from_text(&text).is_err());
        prop_assert!(PublicKey::parse(&text, "STM").is_err());
        prop_assert!(PublicKey::parse_antelope(&text).is_err());
        prop_assert!(Signature::from_sig_k1(&text).is_err());
    }

    #[test]
    fn any_bytes_recover_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 65), digest: [u8; 32]) {
        let mut raw = [0; 65];
        raw.copy_from_slice(&bytes);
        raw[0] = 31 + raw[0] % 5;
        let signature = Signature::from_bytes(raw);
        if let Ok(key) = signature.recover(&digest) {
            prop_assert!(key.is_point());
        }
    }
}

#[test]
fn a_high_s_is_neither_low_nor_canonical() {
    // s = n - 1, the largest there is.
    let mut raw = [1u8; 65];
    raw[0] = 31;
    raw[33..].copy_from_slice(
        &slotkeeper::hex::decode(
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
        )
        .unwrap(),
    );
    let signature = Signature::from_bytes(raw);
    assert!(!signature.is_low_s());
    assert!(!signature.is_fc_canonical());
}

#[test]
fn debug_shows_no_secret() {
    let key = SecretKey::from_seed_sha256("debug shows nothing").unwrap();
    let wif = key.to_wif();
    let number = bs58::decode(wif.as_bytes()).into_vec().unwrap()[1..33].to_vec();
    let source = PassphraseSource {
        slotkeeper_passphrase: Some(Passphrase::new("hunter2-a".into())),
        unlock: Some(Passphrase::new("hunter2-b".into())),
        ..PassphraseSource::default()
    };
    let signer: &dyn Signer = &key;
    for shown in [
        format!("{key:?} {key:#?}"),
        format!("{signer:?}"),
        format!("{source:?} {source:#?}"),
    ] {
        assert!(!shown.contains(wif.as_str()), "{shown}");
        assert!(
            !shown.contains(&slotkeeper::hex::encode(&number)),
            "{shown}"
        );
        assert!(!shown.contains(&format!("{number:?}")), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(format!("{key:?}").contains(&key.public_key().to_string()));
}
