//! What real nodes served, computed again: block ids, block signers, transaction bytes.

use serde_json::Value;
use slotkeeper::chain::Protocol;
use slotkeeper::chain::graphene::{
    BlockHeader, Dialect, Serialization, Signatory, TESTNET_CHAIN_ID, Transaction,
    block_header_digest, block_id, digest, parse_time, txid,
};
use slotkeeper::hex;
use slotkeeper::keys::{PublicKey, Signature};

fn load() -> Value {
    let text = include_str!("../data/graphene/node-answers.json");
    serde_json::from_str(text).unwrap()
}

fn dialect(v: &Value) -> Dialect {
    let protocol: Protocol = v["chain"].as_str().unwrap().parse().unwrap();
    Dialect::testnet(protocol)
}

#[test]
fn the_signing_key_recovers_from_every_block() {
    let doc = load();
    let blocks = doc["blocks"].as_array().unwrap();
    assert!(blocks.len() >= 10);
    for b in blocks {
        let text = |field: &str| b[field].as_str().expect(field);
        assert!(b["extensions"].as_array().unwrap().is_empty());
        let header = BlockHeader {
            previous: hex::decode_array(text("previous")).unwrap(),
            timestamp: parse_time(text("timestamp")).unwrap(),
            witness: Signatory::Name(text("witness").into()),
            transaction_merkle_root: hex::decode_array(text("transaction_merkle_root")).unwrap(),
            extensions: vec![],
        };
        let signature = Signature::from_hex(text("witness_signature")).unwrap();
        let key = signature.recover(&block_header_digest(&header)).unwrap();
        let expected = PublicKey::parse(text("signing_key"), "TST").unwrap();
        assert_eq!(key, expected, "{b}");
        assert_eq!(
            hex::encode(&block_id(&header, &signature)),
            text("block_id")
        );
    }
}

#[test]
fn transactions_in_blocks_have_the_node_s_ids_and_signers() {
    let doc = load();
    let mut seen = 0;
    for b in doc["blocks"].as_array().unwrap() {
        let ids = b["transaction_ids"].as_array().unwrap();
        for (tx, id) in b["transactions"].as_array().unwrap().iter().zip(ids) {
            let dialect = dialect(b);
            let signed = Transaction::from_json(tx, &dialect).unwrap();
            let bytes = signed
                .tx
                .serialize(&dialect, Serialization::Legacy)
                .unwrap();
            assert_eq!(hex::encode(&txid(&bytes)), id.as_str().unwrap());
            // The switch of the recording: signed by the key that stands in its own `key` property.
            let signers = signed.signers(&digest(&TESTNET_CHAIN_ID, &bytes)).unwrap();
            let props = &tx["operations"][0][1]["props"];
            assert_eq!(props[0][0], "key");
            assert_eq!(signers.len(), 1);
            assert_eq!(signers[0].to_string(), props[0][1].as_str().unwrap());
            seen += 1;
        }
    }
    assert!(seen >= 2, "no transaction in the blocks");
}

#[test]
fn bytes_of_a_test_net_transaction_are_the_node_s() {
    let doc = load();
    let case = &doc["transaction_hex"];
    let dialect = dialect(case);
    let signed = Transaction::from_json(&case["transaction"], &dialect).unwrap();
    let mut bytes = signed
        .tx
        .serialize(&dialect, Serialization::Legacy)
        .unwrap();
    bytes.push(1);
    bytes.extend(signed.signatures[0].as_bytes());
    assert_eq!(hex::encode(&bytes), case["hex"].as_str().unwrap());
    assert_eq!(signed.to_json(&dialect), case["transaction"]);
}
