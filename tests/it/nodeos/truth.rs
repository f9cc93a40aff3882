//! What really happened on the network, read from its blocks alone and with nothing of slotkeeper's adapter: for every slot
//! who was scheduled, under which key and schedule version, and whether a block stands in it; and every registration.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slotkeeper::demo::nodeos::{Network, keys};
use slotkeeper::keys::PublicKey;

/// 2000-01-01T00:00:00Z in Unix milliseconds: where slots are counted from.
const EPOCH_MS: i64 = 946_684_800_000;

/// Slots of one turn.
pub(crate) const TURN: u64 = 12;

/// One slot between the first and the last block read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) number: u64,
    pub(crate) producer: String,
    pub(crate) key: String,
    pub(crate) version: u64,
    /// The block in it; `None` = missed.
    pub(crate) block: Option<u64>,
}

/// A `regproducer` (or its like) in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) block: u64,
    pub(crate) txid: String,
    pub(crate) action: String,
    /// `actor@permission` of every authorization.
    pub(crate) by: Vec<String>,
    pub(crate) data: Value,
}

struct Block {
    id: String,
    slot: u64,
    producer: String,
    version: u64,
    /// Transactions in it.
    transactions: usize,
}

/// The chain as read so far. Blocks that a fork took back are read again.
pub(crate) struct Truth {
    /// Block `n` is at `n - 2`: block 1 is the genesis, produced by nobody.
    blocks: Vec<Block>,
    /// Producers and their keys in order, by version, and the block that announced them.
    schedules: BTreeMap<u64, (u64, Vec<(String, String)>)>,
    registrations: Vec<Registration>,
}

// === impl Truth ===

impl Truth {
    pub(crate) fn new() -> Self {
        let founder = keys::public("founder").expect("key");
        let genesis = (0, vec![("eosio".to_owned(), founder)]);
        Self {
            blocks: Vec::new(),
            schedules: BTreeMap::from([(0, genesis)]),
            registrations: Vec::new(),
        }
    }

    /// Number of the last block read.
    pub(crate) fn head(&self) -> u64 {
        self.blocks.len() as u64 + 1
    }

    /// Reads on to the head that `node` has now.
    pub(crate) async fn read(&mut self, network: &Network, node: &str) {
        let info = network.info(node).await.expect("get_info");
        let head = info["head_block_num"].as_u64().expect("head");
        while self.head() < head {
            let number = self.head() + 1;
            let body = json!({"block_num_or_id": number, "include_extensions": true});
            let header = network.ask(node, "get_block_header", &body).await;
            let header = header.expect("get_block_header");
            let signed = &header["signed_block_header"];
            let previous = signed["previous"]
                .as_str()
                .unwrap_or_else(|| panic!("block {number}: {header}"));
            if self.blocks.last().is_some_and(|b| b.id != previous) {
                self.take_back();
                continue;
            }
            let body = json!({"block_num_or_id": number});
            let full = network.ask(node, "get_block", &body).await;
            let full = full.expect("get_block");
            if full["id"] != header["id"] {
                continue; // a fork between the two questions
            }
            self.add(number, &header, &full);
        }
    }

    fn take_back(&mut self) {
        let gone = self.head();
        self.blocks.pop();
        self.registrations.retain(|r| r.block < gone);
        self.schedules.retain(|_, (block, _)| *block < gone);
    }

    fn add(&mut self, number: u64, header: &Value, full: &Value) {
        let signed = &header["signed_block_header"];
        let text = |name: &str| signed[name].as_str().expect("text").to_owned();
        let transactions = full["transactions"].as_array().expect("transactions");
        self.blocks.push(Block {
            id: header["id"].as_str().expect("id").to_owned(),
            slot: slot_of(&text("timestamp")),
            producer: text("producer"),
            version: signed["schedule_version"].as_u64().expect("version"),
            transactions: transactions.len(),
        });
        for extension in signed["header_extensions"].as_array().expect("extensions") {
            if extension[0] == 1 {
                let (version, producers) = schedule(extension[1].as_str().expect("hex"));
                self.schedules.insert(version, (number, producers));
            }
        }
        for receipt in transactions {
            self.registrations.extend(registrations(number, receipt));
        }
    }

    /// Every slot after block `from`, up to the head. Panics when a block was produced by anyone but who was scheduled:
    /// then this reading of the chain is wrong, and nothing can be concluded from it.
    pub(crate) fn slots_after(&self, from: u64) -> Vec<Slot> {
        let mut slots = Vec::new();
        let start = usize::try_from(from.max(2) - 2).expect("small");
        for (i, pair) in self.blocks[start..].windows(2).enumerate() {
            let (before, block) = (&pair[0], &pair[1]);
            let (_, order) = &self.schedules[&block.version];
            let turns = order.len() as u64;
            for number in before.slot + 1..=block.slot {
                let turn = usize::try_from((number / TURN) % turns).expect("small");
                let (producer, key) = order[turn].clone();
                let there = number == block.slot;
                assert!(
                    !there || producer == block.producer,
                    "slot {number} is {producer}'s by schedule {} and has a block of {}",
                    block.version,
                    block.producer
                );
                slots.push(Slot {
                    number,
                    producer,
                    key,
                    version: block.version,
                    block: there.then_some((start + i) as u64 + 3),
                });
            }
        }
        slots
    }

    /// Missed and produced slots of `producer` under `key` after block `from`.
    pub(crate) fn figures(&self, producer: &str, key: &str, from: u64) -> (u64, u64) {
        let mut missed = 0;
        let mut produced = 0;
        for slot in self.slots_after(from) {
            if slot.producer == producer && slot.key == key {
                match slot.block {
                    Some(_) => produced += 1,
                    None => missed += 1,
                }
            }
        }
        (missed, produced)
    }

    /// All registrations after block `from`.
    pub(crate) fn registrations_after(&self, from: u64) -> Vec<&Registration> {
        self.registrations
            .iter()
            .filter(|r| r.block > from)
            .collect()
    }

    /// Transactions of any kind after block `from`.
    pub(crate) fn transactions_after(&self, from: u64) -> usize {
        let start = usize::try_from(from.max(1) - 1).expect("small");
        self.blocks[start..].iter().map(|b| b.transactions).sum()
    }

    /// The key that the schedule in force at the head names for `producer`.
    pub(crate) fn effective_key(&self, producer: &str) -> Option<&str> {
        let (_, order) = self.schedules.get(&self.blocks.last()?.version)?;
        let (_, key) = order.iter().find(|(name, _)| name == producer)?;
        Some(key)
    }

    /// Block of the last block that `producer` signed under `key`.
    pub(crate) fn last_block(&self, producer: &str, key: &str) -> Option<u64> {
        self.slots_after(2)
            .into_iter()
            .rev()
            .find(|s| s.producer == producer && s.key == key && s.block.is_some())?
            .block
    }
}

/// The slot of a block's timestamp.
fn slot_of(timestamp: &str) -> u64 {
    let time: jiff::Timestamp = format!("{timestamp}Z").parse().expect("timestamp");
    u64::try_from((time.as_millisecond() - EPOCH_MS) / 500).expect("after 2000")
}

/// A `producer_schedule_change_extension`: version and, for each producer, its name and the first key of its authority.
fn schedule(hex: &str) -> (u64, Vec<(String, String)>) {
    let bytes = slotkeeper::hex::decode(hex).expect("hex");
    let mut rest = bytes.as_slice();
    let mut take = |n: usize| {
        let (taken, left) = rest.split_at(n);
        rest = left;
        taken
    };
    let version = u32::from_le_bytes(take(4).try_into().expect("4"));
    let count = take(1)[0];
    assert!(count < 128, "a schedule of more than 127 producers");
    let mut producers = Vec::new();
    for _ in 0..count {
        let name = u64::from_le_bytes(take(8).try_into().expect("8"));
        assert_eq!(take(1), [0], "the kind of authority");
        take(4); // threshold
        let keys = take(1)[0];
        let mut first = None;
        for _ in 0..keys {
            assert_eq!(take(1), [0], "a K1 key");
            let key = PublicKey::from_hex(&slotkeeper::hex::encode(take(33))).expect("key");
            first.get_or_insert(key.to_text(keys::PREFIX));
            take(2); // weight
        }
        producers.push((account_name(name), first.expect("a key")));
    }
    assert!(rest.is_empty(), "{} bytes left of a schedule", rest.len());
    (u64::from(version), producers)
}

/// An account name out of its 64 bits: twelve characters of five bits, then one of four.
fn account_name(value: u64) -> String {
    const ALPHABET: &[u8; 32] = b".12345abcdefghijklmnopqrstuvwxyz";
    let mut text: String = (0..12)
        .map(|i| {
            char::from(ALPHABET[usize::try_from((value >> (59 - 5 * i)) & 31).expect("small")])
        })
        .collect();
    text.push(char::from(
        ALPHABET[usize::try_from(value & 15).expect("small")],
    ));
    text.trim_end_matches('.').to_owned()
}

/// The actions of one transaction that touch a producer's registration.
fn registrations(block: u64, receipt: &Value) -> Vec<Registration> {
    let trx = &receipt["trx"];
    let actions = trx["transaction"]["actions"].as_array();
    actions
        .into_iter()
        .flatten()
        .filter(|a| {
            ["regproducer", "regproducer2", "unregprod"].contains(&a["name"].as_str().unwrap_or(""))
        })
        .map(|a| Registration {
            block,
            txid: trx["id"].as_str().expect("id").to_owned(),
            action: a["name"].as_str().expect("name").to_owned(),
            by: a["authorization"]
                .as_array()
                .expect("authorization")
                .iter()
                .map(|l| {
                    format!(
                        "{}@{}",
                        l["actor"].as_str().unwrap_or("?"),
                        l["permission"].as_str().unwrap_or("?")
                    )
                })
                .collect(),
            data: a["data"].clone(),
        })
        .collect()
}

#[test]
fn names_come_out_of_their_bits() {
    // As nodeos wrote them into a schedule's bytes, and as it names them.
    for (bits, name) in [
        (0x3d69_3500_0000_0000_u64, "bpone"),
        (0x3d57_4d5c_0000_0000, "bpfour"),
        (0x3d73_ca00_0000_0000, "bptwo"),
        (0x5530_ea00_0000_0000, "eosio"),
    ] {
        assert_eq!(account_name(bits), name);
    }
}
