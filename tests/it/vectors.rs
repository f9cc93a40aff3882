//! Every vector of the Graphene family, bit for bit; the oracles are named in `tests/data/vectors/README.md`.

use serde_json::{Value, json};
use slotkeeper::chain::Protocol;
use slotkeeper::chain::graphene::{Dialect, Serialization, Transaction, digest, tapos, txid};
use slotkeeper::hex;
use slotkeeper::keys::{Nonce, PublicKey, SecretKey, Signature, Signer};

/// Reads one vector file.
pub(crate) fn load(name: &str) -> Value {
    let path = format!(
        "{}/tests/data/vectors/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// One vector: the transaction as JSON, in every form the file has, and each serialization it stands for.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) wif: String,
    pub(crate) forms: Vec<Value>,
    pub(crate) serializations: Vec<Serialization>,
    pub(crate) vector: Value,
}

impl Case {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.vector[field].as_str().expect(field)
    }
}

/// All vectors of the five files.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![];
    for (file, protocol, count) in [
        ("hive", Protocol::Hive, 23),
        ("steem", Protocol::Steem, 12),
        ("blurt", Protocol::Blurt, 10),
        ("golos", Protocol::Golos, 13),
        ("bitshares", Protocol::BitShares, 9),
    ] {
        let doc = load(file);
        let vectors = doc["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), count, "{file}");
        for vector in vectors {
            let mut forms: Vec<Value> = ["tx_condenser_json", "tx_api_json", "tx_json"]
                .iter()
                .filter_map(|form| vector.get(*form).cloned())
                .collect();
            if forms.is_empty() {
                // One vector gives header and properties apart.
                let mut tx = vector["tx_header"].clone();
                tx["extensions"] = json!([]);
                tx["operations"] = json!([["witness_set_properties", {
                    "owner": vector["owner"], "props": vector["props_hex"], "extensions": []
                }]]);
                forms.push(tx);
            }
            let serializations = match vector["serialization"].as_str() {
                None | Some("legacy") => vec![Serialization::Legacy],
                Some("hf26") => vec![Serialization::Hf26],
                Some("both") => vec![Serialization::Legacy, Serialization::Hf26],
                Some(other) => panic!("serialization {other}"),
            };
            let signer = &doc["keys"][vector["sign_with"].as_str().unwrap()];
            let name = vector["name"].as_str().unwrap();
            cases.push(Case {
                name: format!("{file} {name} {:?}", vector["serialization"]),
                protocol,
                wif: signer["wif"].as_str().unwrap().into(),
                forms,
                serializations,
                vector: vector.clone(),
            });
        }
    }
    cases
}

#[test]
fn every_transaction_vector_bit_for_bit() {
    for case in cases() {
        let dialect = Dialect::mainnet(case.protocol);
        let key = SecretKey::from_wif(&case.wif).unwrap();
        let chain_id = hex::decode_array::<32>(case.text("chain_id")).unwrap();
        let name = &case.name;
        for form in &case.forms {
            for &serialization in &case.serializations {
                let signed = Transaction::from_json(form, &dialect).expect(name);
                let bytes = signed.tx.serialize(&dialect, serialization).expect(name);
                assert_eq!(hex::encode(&bytes), case.text("serialized"), "{name}");
                let digest = digest(&chain_id, &bytes);
                assert_eq!(hex::encode(&digest), case.text("digest"), "{name}");
                assert_eq!(hex::encode(&txid(&bytes)), case.text("txid"), "{name}");
                let signature = key.sign(&digest, Nonce::Graphene).unwrap();
                assert_eq!(signature.to_hex(), case.text("signature"), "{name}");
                assert!(
                    signature.is_fc_canonical() && signature.is_low_s(),
                    "{name}"
                );
                let recovered = signature.recover(&digest).unwrap();
                assert_eq!(recovered, key.public_key(), "{name}");
                assert_eq!(recovered.to_string(), case.text("recovered_public_key_hex"));
                assert_eq!(
                    recovered.to_text(&dialect.address_prefix),
                    case.text("recovered_public_key")
                );
                // Both JSON forms come back as they were read.
                for again in [signed.to_json(&dialect), signed.to_appbase_json(&dialect)] {
                    assert_eq!(
                        Transaction::from_json(&again, &dialect).as_ref(),
                        Ok(&signed)
                    );
                }
            }
        }
    }
}

#[test]
fn other_libraries_signatures_recover_the_same_key() {
    let mut seen = 0;
    for case in cases() {
        let Some(others) = case.vector["other_valid_signatures"].as_object() else {
            continue;
        };
        let digest = hex::decode_array::<32>(case.text("digest")).unwrap();
        for (library, signature) in others {
            let signature = Signature::from_hex(signature.as_str().unwrap()).unwrap();
            let key = signature.recover(&digest).unwrap();
            assert_eq!(
                key.to_string(),
                case.text("recovered_public_key_hex"),
                "{} {library}",
                case.name
            );
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn reference_blocks() {
    let misc = load("misc");
    let list = misc["graphene_tapos"].as_array().unwrap();
    assert_eq!(list.len(), 6);
    for v in list {
        let id = hex::decode_array(v["block_id"].as_str().unwrap()).unwrap();
        let (num, prefix) = tapos(&id);
        assert_eq!(u64::from(num), v["ref_block_num"].as_u64().unwrap(), "{v}");
        assert_eq!(
            u64::from(prefix),
            v["ref_block_prefix"].as_u64().unwrap(),
            "{v}"
        );
    }
}

#[test]
fn signature_texts() {
    let misc = load("misc");
    let good = misc["sig_strings"].as_array().unwrap();
    assert_eq!(good.len(), 6);
    for v in good {
        let text = v["sig_k1"].as_str().unwrap();
        let signature = Signature::from_sig_k1(text).unwrap();
        assert_eq!(signature.to_hex(), v["hex_65"].as_str().unwrap());
        assert_eq!(signature.to_sig_k1(), text);
    }
    let mut messages = vec![];
    for v in misc["bad_sig_strings"].as_array().unwrap() {
        let error = Signature::from_sig_k1(v["sig"].as_str().unwrap()).unwrap_err();
        messages.push(error.to_string());
    }
    assert_eq!(messages.len(), 3);
    assert_distinct(&messages);
}

fn assert_distinct(messages: &[String]) {
    for (i, a) in messages.iter().enumerate() {
        for b in &messages[i + 1..] {
            assert_ne!(a, b);
        }
    }
}

const PREFIXES: [&str; 7] = ["STM", "TST", "GLS", "BLT", "BTS", "TEST", "EOS"];

#[test]
fn every_good_key_in_every_form() {
    let keys = load("keys");
    let good = keys["good"].as_array().unwrap();
    assert!(good.len() >= 3);
    for v in good {
        let text = |field: &str| v[field].as_str().expect(field);
        let key = SecretKey::from_wif(text("wif")).unwrap();
        let public = PublicKey::from_hex(text("public_key_hex")).unwrap();
        assert_eq!(key.public_key(), public);
        assert_eq!(key.to_wif().as_str(), text("wif"));
        for pvt in [text("PVT_K1"), text("PVT_K1_eosjs"), text("wif")] {
            assert_eq!(SecretKey::from_text(pvt).unwrap().public_key(), public);
        }
        for prefix in PREFIXES {
            assert_eq!(public.to_text(prefix), text(prefix));
            assert_eq!(PublicKey::parse(text(prefix), prefix), Ok(public));
        }
        assert_eq!(public.to_text("PUB_K1_"), text("PUB_K1"));
        assert_eq!(PublicKey::parse(text("PUB_K1"), "PUB_K1_"), Ok(public));
        assert_eq!(PublicKey::parse_antelope(text("PUB_K1")), Ok(public));
        assert_eq!(PublicKey::parse_antelope(text("EOS")), Ok(public));
        assert!(public.is_point() && !public.is_null());
    }
}

#[test]
fn the_null_key_in_every_form() {
    let keys = load("keys");
    let null = keys["nullk"].as_object().unwrap();
    assert_eq!(null.len(), 7);
    for (prefix, text) in null {
        let text = text.as_str().unwrap();
        let prefix = if prefix == "PUB_K1" {
            "PUB_K1_"
        } else {
            prefix
        };
        assert_eq!(PublicKey::parse(text, prefix), Ok(PublicKey::NULL));
        assert_eq!(PublicKey::NULL.to_text(prefix), text);
    }
    assert!(PublicKey::NULL.is_null() && !PublicKey::NULL.is_point());
}

#[test]
fn every_bad_key_with_its_own_message() {
    let keys = load("keys");
    let bad = keys["bad"].as_array().unwrap();
    assert_eq!(bad.len(), 16);
    let mut messages = vec![];
    for v in bad {
        assert_eq!(v["expect_reject"], true);
        let input = v["input"].as_str().unwrap();
        let message = match v["kind"].as_str().unwrap() {
            "wif" => SecretKey::from_wif(input).unwrap_err().to_string(),
            "stm_pub" => PublicKey::parse(input, "STM").unwrap_err().to_string(),
            "antelope_pub" => PublicKey::parse_antelope(input).unwrap_err().to_string(),
            "antelope_priv" => SecretKey::from_pvt_k1(input).unwrap_err().to_string(),
            other => panic!("kind {other}"),
        };
        println!("{message}");
        if matches!(v["kind"].as_str(), Some("wif" | "antelope_priv")) {
            let end = &input[input.len() - 8..];
            assert!(!message.contains(end), "a secret stands in {message:?}");
        }
        messages.push(message);
    }
    assert_distinct(&messages);
}
