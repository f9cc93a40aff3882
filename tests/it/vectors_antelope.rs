//! Every vector of Antelope, bit for bit: transactions, names, reference blocks, slots. The oracles are named in
//! `tests/data/vectors/README.md`.

use proptest::prelude::*;
use serde_json::{Value, json};
use slotkeeper::chain::antelope::{Name, Transaction, tapos};
use slotkeeper::hex;
use slotkeeper::keys::{Nonce, SecretKey, Signature, Signer, TypedKey};

use crate::vectors::load;

/// One vector, with the key that signs it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) wif: String,
    pub(crate) vector: Value,
}

impl Case {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.vector[field].as_str().expect(field)
    }
}

/// All vectors of antelope.json.
pub(crate) fn cases() -> Vec<Case> {
    let doc = load("antelope");
    let vectors = doc["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 19);
    vectors
        .iter()
        .map(|vector| Case {
            name: vector["name"].as_str().unwrap().into(),
            wif: doc["keys"][vector["sign_with"].as_str().unwrap()]["wif"]
                .as_str()
                .unwrap()
                .into(),
            vector: vector.clone(),
        })
        .collect()
}

#[test]
fn every_antelope_transaction_vector_bit_for_bit() {
    for case in cases() {
        let name = &case.name;
        let key = SecretKey::from_wif(&case.wif).unwrap();
        let chain_id = hex::decode_array::<32>(case.text("chain_id")).unwrap();
        let mut read = Transaction::from_json(&case.vector["tx_json"]).expect(name);
        assert_eq!(hex::encode(read.bytes()), case.text("serialized"), "{name}");
        assert_eq!(read.id(), case.text("txid"), "{name}");
        let digest = read.digest(&chain_id);
        assert_eq!(hex::encode(&digest), case.text("digest"), "{name}");
        let signature = key.sign(&digest, Nonce::Antelope).unwrap();
        assert_eq!(signature.to_sig_k1(), case.text("signature"), "{name}");
        assert_eq!(signature.to_hex(), case.text("signature_hex"), "{name}");
        let signer = signature.recover(&digest).unwrap();
        assert_eq!(signer.to_text("EOS"), case.text("recovered_public_key"));
        for (library, other) in case.vector["other_valid_signatures"].as_object().unwrap() {
            let other = Signature::from_sig_k1(other.as_str().unwrap()).unwrap();
            assert_eq!(other.recover(&digest), Ok(signer), "{name} {library}");
        }
        // Unpacked again it is what was read; packed with the signature it is what nodes take; that comes back too.
        assert_eq!(*read.to_json(), case.vector["tx_json"], "{name}");
        read.signatures.push(signature);
        assert_eq!(read.to_push(), case.vector["push_body_packed"], "{name}");
        assert_eq!(Transaction::from_json(&read.to_push()), Ok(read), "{name}");
    }
}

#[test]
fn action_data_in_hex_is_taken_when_it_decodes() {
    for case in cases() {
        let mut tx = case.vector["tx_json"].clone();
        tx["actions"][0]["data"] = case.vector["action_data"][0].clone();
        let read = Transaction::from_json(&tx).expect(&case.name);
        assert_eq!(hex::encode(read.bytes()), case.text("serialized"));
        let longer = format!("{}00", case.vector["action_data"][0].as_str().unwrap());
        tx["actions"][0]["data"] = json!(longer);
        assert!(Transaction::from_json(&tx).is_err(), "{}", case.name);
    }
}

#[test]
fn what_is_not_understood_is_not_signed() {
    let good = &cases()[0].vector["tx_json"];
    assert!(Transaction::from_json(good).is_ok());
    let wrong: [(&str, Value, &str); 12] = [
        ("/expiration", json!("tomorrow"), "expiration"),
        ("/ref_block_num", json!(65536), "ref_block_num"),
        ("/delay_sec", json!(-1), "delay_sec"),
        ("/context_free_actions", json!([{}]), "context_free_actions"),
        (
            "/transaction_extensions",
            json!([[0, ""]]),
            "transaction_extensions",
        ),
        (
            "/actions/0/account",
            json!("eosio.token"),
            "actions[0].name",
        ),
        ("/actions/0/name", json!("setcode"), "actions[0].name"),
        (
            "/actions/0/name",
            json!("unregprod"),
            "actions[0].data.location",
        ),
        (
            "/actions/0/authorization/0/actor",
            json!("UPPER"),
            "actions[0].authorization[0].actor",
        ),
        (
            "/actions/0/data/producer_key",
            json!("EOS1"),
            "actions[0].data.producer_key",
        ),
        (
            "/actions/0/data/location",
            json!("west"),
            "actions[0].data.location",
        ),
        ("/actions/0/data", json!("0g"), "actions[0].data"),
    ];
    for (at, value, path) in wrong {
        let mut tx = good.clone();
        *tx.pointer_mut(at).unwrap() = value;
        let error = Transaction::from_json(&tx).expect_err(at);
        assert_eq!(error.path, path, "{error}");
    }
    let mut tx = good.clone();
    tx["extra"] = json!(1);
    assert_eq!(Transaction::from_json(&tx).unwrap_err().path, "extra");
    let mut tx = good.clone();
    tx.as_object_mut().unwrap().remove("actions");
    assert_eq!(Transaction::from_json(&tx).unwrap_err().path, "actions");
    // Limits and lists may be left out: nobody sets them.
    let mut tx = good.clone();
    for name in [
        "max_net_usage_words",
        "max_cpu_usage_ms",
        "delay_sec",
        "transaction_extensions",
    ] {
        tx.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(Transaction::from_json(&tx), Transaction::from_json(good));
}

#[test]
fn names() {
    let misc = load("misc");
    let good = misc["names"].as_array().unwrap();
    assert_eq!(good.len(), 21);
    for v in good {
        let text = v["name"].as_str().unwrap();
        let name: Name = text.parse().unwrap();
        assert_eq!(name.0.to_string(), v["u64"].as_str().unwrap(), "{text}");
        assert_eq!(
            hex::encode(&name.0.to_le_bytes()),
            v["le_hex"].as_str().unwrap()
        );
        assert_eq!(name.to_string(), v["round_trip"].as_str().unwrap());
    }
    let bad = misc["bad_names"].as_array().unwrap();
    assert_eq!(bad.len(), 8);
    for v in bad {
        let text = v["name"].as_str().unwrap();
        let error = text.parse::<Name>().expect_err(text).to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn antelope_reference_blocks() {
    let misc = load("misc");
    let list = misc["antelope_tapos"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    for v in list {
        let id = v.get("block_id").or(v.get("last_irreversible_block_id"));
        let id = hex::decode_array(id.unwrap().as_str().unwrap()).unwrap();
        let (num, prefix) = tapos(&id);
        assert_eq!(json!(num), v["ref_block_num"]);
        assert_eq!(json!(prefix), v["ref_block_prefix"]);
    }
}

proptest! {
    #[test]
    fn any_number_is_a_name_and_comes_back(value: u64) {
        // All 64 bits are used, so every number is some name.
        prop_assert_eq!(Name(value).to_string().parse(), Ok(Name(value)));
    }

    #[test]
    fn any_text_is_a_name_that_comes_back_or_none(text in ".{0,16}") {
        if let Ok(name) = text.parse::<Name>() {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = TypedKey::from_packed(&bytes);
        if let Ok(read) = Transaction::from_bytes(bytes.clone(), vec![]) {
            prop_assert_eq!(read.bytes(), bytes);
        }
    }

    #[test]
    fn damaged_transactions_are_read_or_refused(
        which in 0..19usize, at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
    ) {
        let mut bytes = hex::decode(cases()[which].text("serialized")).unwrap();
        let len = bytes.len();
        bytes[at.index(len)] = byte;
        if let Ok(read) = Transaction::from_bytes(bytes.clone(), vec![]) {
            // What is shown is what is signed.
            let again = Transaction::from_json(read.to_json()).unwrap();
            prop_assert_eq!(again.to_json(), read.to_json());
        }
        bytes.truncate(cut.index(len));
        prop_assert!(Transaction::from_bytes(bytes, vec![]).is_err());
    }
}
