//! A recording: the answers of two endpoints, and the truth derived beforehand from headers and schedules.

use std::io::Read as _;
use std::path::PathBuf;

use serde_json::Value;
use slotkeeper::chain::{ChainSpec, Protocol};
use slotkeeper::clock::Millis;
use slotkeeper::keys::PublicKey;

/// A recording and the truth about it.
pub(super) struct Recording {
    pub(super) spec: ChainSpec,
    pub(super) lines: Vec<Value>,
    pub(super) truth: Value,
    /// Wall clock at t = 0.
    pub(super) start: Millis,
}

/// A time as the chains write it.
pub(super) fn millis(text: &str) -> Millis {
    let text = text.trim_end_matches('Z');
    let zoned: jiff::Timestamp = format!("{text}Z").parse().unwrap();
    zoned.as_millisecond()
}

impl Recording {
    /// When a line was recorded, milliseconds since the beginning.
    #[allow(clippy::cast_possible_truncation)] // a recording of minutes
    pub(super) fn at(line: &Value) -> Millis {
        (line["t"].as_f64().unwrap() * 1000.0) as Millis
    }

    pub(super) fn open(name: &str) -> Self {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
        let packed = std::fs::File::open(dir.join(format!("{name}-failover.jsonl.gz"))).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed)
            .read_to_string(&mut text)
            .unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap())
            .filter(|l| l.get("event").is_none())
            .collect();
        let truth = std::fs::read_to_string(dir.join(format!("{name}-failover.truth.json")));
        // A head cannot be seen before its time: the latest start that the answers allow.
        let start = lines
            .iter()
            .filter_map(|l| {
                let time = l
                    .pointer("/body/result/time")
                    .or_else(|| l.pointer("/body/head_block_time"))?
                    .as_str()?;
                Some(millis(time) - Self::at(l))
            })
            .max()
            .unwrap();
        let (protocol, prefix, symbol) = match name {
            "steem" => (Protocol::Steem, "TST", "TESTS"),
            "bitshares" => (Protocol::BitShares, "BTS", "BTS"),
            "nodeos" => (Protocol::Antelope, "EOS", "SYS"),
            _ => (Protocol::Hive, "TST", "TESTS"),
        };
        Self {
            spec: ChainSpec {
                name: name.to_owned(),
                protocol,
                chain_id: [0x18; 32],
                address_prefix: prefix.to_owned(),
                core_symbol: symbol.to_owned(),
                block_interval: if name == "nodeos" { 500 } else { 3_000 },
            },
            lines,
            truth: serde_json::from_str(&truth.unwrap()).unwrap(),
            start,
        }
    }

    pub(super) fn key(&self, value: &Value) -> PublicKey {
        PublicKey::parse(value.as_str().unwrap(), &self.spec.address_prefix).unwrap()
    }

    pub(super) fn watched(&self) -> String {
        self.name(&self.truth["watched"])
    }

    /// What a producer of the truth is called: by account, also where the chain says ids.
    pub(super) fn name(&self, value: &Value) -> String {
        match value.as_str().unwrap() {
            "1.6.1" => "init0".to_owned(),
            other => other.to_owned(),
        }
    }

    /// The key that signed a block of the watched producer: the truth's word, or (where blocks name no key) the old one
    /// until the slots were missed, the new one from then on.
    pub(super) fn signed_with(&self, block: &Value) -> PublicKey {
        if block["signing_key"].is_string() {
            return self.key(&block["signing_key"]);
        }
        let missed = &self.truth["missed_slots_of_watched"][0]["time"];
        if millis(block["time"].as_str().unwrap()) < millis(missed.as_str().unwrap()) {
            self.old_key()
        } else {
            self.key(&self.truth["new_key"])
        }
    }

    /// The first registered key, as the first answer shows it.
    pub(super) fn old_key(&self) -> PublicKey {
        let line = self
            .lines
            .iter()
            .find_map(|l| l.pointer("/body/result/signing_key"));
        self.key(line.unwrap())
    }
}
