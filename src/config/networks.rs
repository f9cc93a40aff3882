//! Constants of known networks: chain ids, prefixes, symbols, intervals. A chain that is not listed here needs nothing but
//! a configuration that names them. Pure data.

use std::time::Duration;

use crate::chain::Protocol;

/// What is fixed for a known network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// What people call it.
    pub name: &'static str,
    /// Protocol.
    pub protocol: Protocol,
    /// Chain id.
    pub chain_id: [u8; 32],
    /// Prefix of public keys.
    pub address_prefix: &'static str,
    /// Symbol of the core asset.
    pub core_symbol: &'static str,
    /// Time between slots.
    pub block_interval: Duration,
}

/// Known networks. The first of a protocol with a single main net is that main net; Antelope has many networks and no
/// main net, so there the configuration always names the chain id. Ids are what the networks' nodes answer
/// (`get_config`: `STEEM_CHAIN_ID`, `HIVE_CHAIN_ID`, `BLURT_CHAIN_ID`, `STEEMIT_CHAIN_ID` on Golos; `get_chain_id` on
/// BitShares; `get_info` on Antelope); prefixes, symbols and intervals come from the same nodes.
pub const NETWORKS: [Network; 12] = [
    graphene("Steem", Protocol::Steem, [0; 32], "STM", "STEEM", 3),
    graphene(
        "Hive",
        Protocol::Hive,
        id("beeab0de00000000000000000000000000000000000000000000000000000000"),
        "STM",
        "HIVE",
        3,
    ),
    graphene(
        "Blurt",
        Protocol::Blurt,
        id("cd8d90f29ae273abec3eaa7731e25934c63eb654d55080caff2ebb7f5df6381f"),
        "BLT",
        "BLURT",
        3,
    ),
    graphene(
        "Golos",
        Protocol::Golos,
        id("782a3039b478c839e4cb0c941ff4eaeb7df40bdd68bd441afd444b9da763de12"),
        "GLS",
        "GOLOS",
        3,
    ),
    // The interval is a parameter that the committee may change: 5 s is the chain's default.
    graphene(
        "BitShares",
        Protocol::BitShares,
        id("4018d7844c78f6a6c41c6a552b898022310fc5dec06da467ee7905a8dad512c8"),
        "BTS",
        "BTS",
        5,
    ),
    antelope(
        "EOS/Vaulta",
        "aca376f206b8fc25a6ed44dbdc66547c36c6c33e3a119ffbeaef943642f0e906",
        "EOS",
    ),
    antelope(
        "WAX",
        "1064487b3cd1a897ce03ae5b6a865651747e2e152090f99c1d19d44e01aea5a4",
        "WAX",
    ),
    antelope(
        "WAX test net",
        "f16b1833c747c43682f4386fca9cbb327929334a762755ebec17f6f23c9b8a12",
        "WAX",
    ),
    antelope(
        "Telos",
        "4667b205c6838ef70ff7988f6e8257e8be0e1284a2f59699054a018f743b1d11",
        "TLOS",
    ),
    antelope(
        "Telos test net",
        "1eaa0824707c8c16bd25145493bf062aecddfeb56c736f6ba6397f3195f33c9f",
        "TLOS",
    ),
    antelope(
        "Jungle4",
        "73e4385a2708e6d7048834fbc1079f2fabb17b3c125b146af438971e90716c4d",
        "EOS",
    ),
    antelope(
        "Kylin",
        "5fff1dae8dc8e2fc4d5b23b2c7665c97f9e9d8edf2b6485a86ba311c25639191",
        "EOS",
    ),
];

/// Prefix of public keys on Antelope chains, in the legacy text form.
pub const ANTELOPE_PREFIX: &str = "EOS";
/// Core symbol of an Antelope chain that is not known here. Nothing that slotkeeper sends depends on it.
pub const ANTELOPE_SYMBOL: &str = "EOS";
/// Time between slots on Antelope chains.
pub const ANTELOPE_INTERVAL: Duration = Duration::from_millis(500);

const fn graphene(
    name: &'static str,
    protocol: Protocol,
    chain_id: [u8; 32],
    address_prefix: &'static str,
    core_symbol: &'static str,
    seconds: u64,
) -> Network {
    Network {
        name,
        protocol,
        chain_id,
        address_prefix,
        core_symbol,
        block_interval: Duration::from_secs(seconds),
    }
}

const fn antelope(name: &'static str, chain_id: &str, core_symbol: &'static str) -> Network {
    Network {
        name,
        protocol: Protocol::Antelope,
        chain_id: id(chain_id),
        address_prefix: ANTELOPE_PREFIX,
        core_symbol,
        block_interval: ANTELOPE_INTERVAL,
    }
}

/// 64 hex digits as bytes, while compiling.
const fn id(text: &str) -> [u8; 32] {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => panic!("a chain id is written in hex"),
        }
    }
    let text = text.as_bytes();
    assert!(text.len() == 64, "a chain id has 64 digits");
    let mut out = [0; 32];
    let mut i = 0;
    while i < 32 {
        out[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
        i += 1;
    }
    out
}

/// The main net of `protocol`; `None` on Antelope, which has many networks.
#[must_use]
pub fn main_net(protocol: Protocol) -> Option<&'static Network> {
    NETWORKS
        .iter()
        .find(|net| net.protocol == protocol && protocol != Protocol::Antelope)
}

/// The network with this chain id.
#[must_use]
pub fn network(chain_id: &[u8; 32]) -> Option<&'static Network> {
    NETWORKS.iter().find(|net| net.chain_id == *chain_id)
}
