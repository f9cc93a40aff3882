//! What a simulated Antelope chain begins with: settings, accounts with their permissions, producers, nodes. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use ripemd::Ripemd160;
use sha2::{Digest, Sha256};

use super::authority::{Account, Accounts, Authority};
use super::name;
use super::schedule::Finality;
use super::state::{FinalizerKeys, Policy, Producer, Schedule, State};
use super::transaction::SigningAuthority;
use crate::devnet::chain::{active_key, node_key};
use crate::devnet::identity::Identity;
use crate::devnet::nodes::Node;
use crate::keys::{SecretKey, Signer};

/// Settings that only an Antelope chain has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AntelopeConfig {
    /// How blocks become irreversible, and so how a new key gets into force.
    pub finality: Finality,
    /// Slots between two elections of producers: 120 on real chains.
    pub election_slots: u64,
    /// Irreversible lies exactly so many blocks back; `None` = by the chain's own rule, with all its producers about two
    /// rounds on Leap, three blocks on Savanna.
    pub irreversible_lag: Option<u64>,
    /// Whether nodes answer `get_transaction_status` (a node option).
    pub transaction_status: bool,
}

impl Default for AntelopeConfig {
    fn default() -> AntelopeConfig {
        AntelopeConfig {
            finality: Finality::Leap,
            election_slots: 120,
            irreversible_lag: None,
            transaction_status: true,
        }
    }
}

/// What a chain starts with.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// Block interval, milliseconds, at least 100.
    pub interval_ms: u64,
    /// Decides which slots a node with the fault "partial" misses.
    pub seed: u64,
    /// The watched producer.
    pub producer: String,
    /// Names of its nodes; the first one's key is registered.
    pub nodes: Vec<String>,
    /// Further producers (`bpa`, `bpb` …), each with one node of the same name.
    pub others: usize,
    /// Registered producers without votes (`idlea` …): never scheduled.
    pub idle: usize,
    /// What only this family has.
    pub antelope: AntelopeConfig,
    /// Another chain id than the usual one.
    pub identity: Option<Identity>,
}

/// The secret of the permission `failover` of a test account: linked to the actions of a failover, and nothing else.
///
/// # Errors
/// When the seed gives no valid key, which sha256 practically never does.
pub fn failover_key(account: &str) -> Result<SecretKey, String> {
    SecretKey::from_seed_sha256(&format!("devnet {account} failover")).map_err(|e| e.to_string())
}

/// The finality key of a node, in the text form: nobody checks votes here, so there is no secret behind it.
#[must_use]
pub fn finalizer_key(producer: &str, node: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = Vec::new();
    for part in 0_u8..3 {
        let text = format!("devnet {producer} {node} finalizer");
        bytes.extend(
            Sha256::new()
                .chain_update(text)
                .chain_update([part])
                .finalize(),
        );
    }
    let check = Ripemd160::digest(&bytes);
    bytes.extend(check.iter().take(4));
    let mut out = String::from("PUB_BLS_");
    for chunk in bytes.chunks(3) {
        let at = |i: usize| chunk.get(i).copied().map_or(0, u32::from);
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..=chunk.len() {
            let digit = usize::try_from(word >> (18 - 6 * i) & 63).unwrap_or(0);
            out.push(char::from(DIGITS[digit & 63]));
        }
    }
    out
}

/// The name of the `i`th further producer, from 0.
#[must_use]
pub fn other(i: usize) -> String {
    name::lettered("bp", i)
}

/// The first state, and the nodes.
pub(super) fn make(config: &ChainConfig, next_slot: u64) -> Result<(State, Vec<Node>), String> {
    if name::number(&config.producer).is_none_or(|n| n == 0) {
        return Err(format!(
            "{} is no Antelope name: at most 12 of a to z and 1 to 5",
            config.producer
        ));
    }
    let first = config
        .nodes
        .first()
        .ok_or("the watched producer needs a node")?;
    let mut nodes = Vec::new();
    let mut accounts = Accounts::new();
    let mut producers = BTreeMap::new();
    let mut finalizers = BTreeMap::new();
    for node in &config.nodes {
        let key = node_key(&config.producer, node)?;
        nodes.push(Node::new(node, &config.producer, key));
    }
    let mut all = vec![(config.producer.clone(), first.clone())];
    for i in 0..config.others {
        let name = other(i);
        if name == config.producer {
            return Err(format!("{name} is the name of another producer here"));
        }
        nodes.push(Node::new(&name, &name, node_key(&name, &name)?));
        all.push((name.clone(), name));
    }
    for (i, (name, node)) in all.iter().enumerate() {
        let key = node_key(name, node)?.public_key();
        let votes = 264_891_615_296_413_u64.saturating_sub(i as u64 * 1_000_003);
        let location = u16::try_from(i + 1).unwrap_or(0);
        producers.insert(name.clone(), row(name, key, votes, location));
        accounts.insert(name.clone(), account(name)?);
        let registered: Vec<String> = nodes
            .iter()
            .filter(|n| n.witness == *name)
            .map(|n| finalizer_key(name, &n.name))
            .collect();
        let active = registered.first().cloned().unwrap_or_default();
        finalizers.insert(name.clone(), FinalizerKeys { registered, active });
    }
    let idle_key = node_key("idle", "idle")?.public_key();
    for i in 0..config.idle {
        let name = name::lettered("idle", i);
        producers.insert(name.clone(), row(&name, idle_key, 0, 0));
    }
    // An account that is no producer (yet).
    accounts.insert("bob".to_owned(), account("bob")?);
    let mut scheduled: Vec<(String, SigningAuthority)> = producers
        .iter()
        .filter(|(_, p)| p.votes > 0)
        .filter_map(|(name, p)| Some((name.clone(), p.authority.clone()?, p.votes)))
        .map(|(name, a, _)| (name, a))
        .collect();
    scheduled.sort_by_key(|(name, _)| std::cmp::Reverse(producers.get(name).map(|p| p.votes)));
    scheduled.truncate(21);
    scheduled.sort_by(|a, b| a.0.cmp(&b.0));
    let policy = Policy {
        generation: 1,
        finalizers: match config.antelope.finality {
            Finality::Leap => BTreeMap::new(),
            Finality::Savanna => finalizers
                .iter()
                .filter(|(name, _)| scheduled.iter().any(|(s, _)| s == *name))
                .map(|(name, f): (&String, &FinalizerKeys)| (name.clone(), f.active.clone()))
                .collect(),
        },
    };
    let slot = next_slot.saturating_sub(1);
    let state = State {
        head_num: 0,
        head_id: "00".repeat(32),
        head_ms: super::state::EPOCH_MS + slot * config.interval_ms,
        slot,
        producer: String::new(),
        lib: 0,
        last_produced: BTreeMap::new(),
        implied: BTreeMap::new(),
        accounts: Arc::new(accounts),
        producers: Arc::new(producers),
        unpaid: BTreeMap::new(),
        claimed: BTreeMap::new(),
        elected_size: scheduled.len(),
        active: Arc::new(Schedule {
            version: 1,
            producers: scheduled,
        }),
        pending: None,
        proposed: None,
        shown_pending: None,
        elected_at: slot,
        finalizers: Arc::new(finalizers),
        policy: Arc::new(policy),
        policy_pending: None,
    };
    Ok((state, nodes))
}

fn row(name: &str, key: crate::keys::PublicKey, votes: u64, location: u16) -> Producer {
    Producer {
        votes,
        active: true,
        authority: Some(SigningAuthority::single(key)),
        url: format!("https://{name}.example"),
        location,
    }
}

/// Owner, active, and `failover` with its links.
fn account(name: &str) -> Result<Account, String> {
    let owner = SecretKey::from_seed_sha256(&format!("devnet {name} owner"));
    let owner = owner.map_err(|e| e.to_string())?.public_key();
    let mut account = Account::new(owner, active_key(name)?.public_key());
    let failover = failover_key(name)?.public_key();
    account.set("failover", "active", Authority::single(failover));
    for action in ["regproducer", "regproducer2", "unregprod", "actfinkey"] {
        account.link("eosio", action, "failover");
    }
    Ok(account)
}
