//! Default values and the constants of known main nets. The only place where a default figure is written.

use std::time::Duration;

use crate::chain::Protocol;

/// Public listener: `/metrics`, status.
pub const WEB_LISTEN: &str = "127.0.0.1:10061";
/// Control listener: webhook, operator commands.
pub const CONTROL_LISTEN: &str = "127.0.0.1:10062";
/// State file, relative to the config file.
pub const STATE_FILE: &str = "slotkeeper.db";

/// Floor of the poll interval: endpoints are other people's machines.
pub const POLL_FLOOR: Duration = Duration::from_millis(500);
/// Floor of the poll interval on devnets whose blocks come faster than [`DEVNET_BELOW`].
pub const POLL_FLOOR_DEVNET: Duration = Duration::from_millis(50);
/// Block intervals below this are devnets'.
pub const DEVNET_BELOW: Duration = Duration::from_millis(1_500);
/// Below this share of produced slots nothing is switched.
pub const MIN_PARTICIPATION: f64 = 0.67;
/// Soft and hard limit of a request to a loopback endpoint.
pub const TIMEOUTS_LOOPBACK: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_secs(1));
/// Soft and hard limit of a request to any other endpoint.
pub const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));
/// Longest hard limit that can be configured: a poll that waits longer is no poll.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// Rest after a switch.
pub const COOLDOWN: Duration = Duration::from_secs(60);
/// Least rest after a switch: the expiry of its transaction, so that a late inclusion cannot meet a second switch.
pub const COOLDOWN_FLOOR: Duration = Duration::from_secs(30);
/// At most this many switches …
pub const BUDGET_SWITCHES: u32 = 3;
/// … per this much chain time.
pub const BUDGET_PER: Duration = Duration::from_secs(86_400);
/// Consecutive misses before the last resort of disabling.
pub const DISABLE_MISSES: u32 = 10;
/// And no ready standby for this long.
pub const DISABLE_NO_STANDBY: Duration = Duration::from_secs(600);

/// Oldest acceptable `evaluated_at`.
pub const MAX_ALERT_AGE: Duration = Duration::from_secs(120);

/// Consecutive misses that are a fault.
pub const CONSECUTIVE_MISSES: u32 = 2;
/// The same while the key's own node probes healthy.
pub const CONSECUTIVE_MISSES_HEALTHY: u32 = 3;
/// More misses than this in the window are a fault.
pub const ALLOWED_MISSES: u32 = 5;
/// The sliding window of misses.
pub const MISS_WINDOW: Duration = Duration::from_secs(86_400);

/// How long a fault may stand without an authenticated request before the guard acts in `fallback`.
pub const GUARD_PATIENCE: Duration = Duration::from_secs(30);
/// Labels of the shipped alert, besides chain, producer, signing_key and action: what silences are matched against when
/// the guard acts. The shipped rules carry the same.
pub const GUARD_LABELS: [(&str, &str); 2] = [
    ("alertname", "SlotkeeperProducerFault"),
    ("severity", "critical"),
];

/// A heartbeat source is overdue when not heard for this long.
pub const HEARTBEAT_SILENCE: Duration = Duration::from_secs(20);
/// Or when its `evaluated_at` is older than this.
pub const HEARTBEAT_AGE: Duration = Duration::from_secs(30);

/// What is fixed for a known main net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MainNet {
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

/// Known main nets. Ids are what the networks' nodes answer (`get_config`: `STEEM_CHAIN_ID`, `HIVE_CHAIN_ID`, Blurt's
/// `BLURT_CHAIN_ID`); prefixes, symbols and intervals are in the same reply.
pub const MAIN_NETS: [MainNet; 3] = [
    MainNet {
        protocol: Protocol::Steem,
        chain_id: [0; 32],
        address_prefix: "STM",
        core_symbol: "STEEM",
        block_interval: Duration::from_secs(3),
    },
    MainNet {
        protocol: Protocol::Hive,
        chain_id: HIVE_ID,
        address_prefix: "STM",
        core_symbol: "HIVE",
        block_interval: Duration::from_secs(3),
    },
    MainNet {
        protocol: Protocol::Blurt,
        chain_id: BLURT_ID,
        address_prefix: "BLT",
        core_symbol: "BLURT",
        block_interval: Duration::from_secs(3),
    },
];

const HIVE_ID: [u8; 32] = {
    let mut id = [0; 32];
    id[0] = 0xbe;
    id[1] = 0xea;
    id[2] = 0xb0;
    id[3] = 0xde;
    id
};

const BLURT_ID: [u8; 32] = [
    0xcd, 0x8d, 0x90, 0xf2, 0x9a, 0xe2, 0x73, 0xab, 0xec, 0x3e, 0xaa, 0x77, 0x31, 0xe2, 0x59, 0x34,
    0xc6, 0x3e, 0xb6, 0x54, 0xd5, 0x50, 0x80, 0xca, 0xff, 0x2e, 0xbb, 0x7f, 0x5d, 0xf6, 0x38, 0x1f,
];

/// The main net of `protocol`, when it is known here.
#[must_use]
pub fn main_net(protocol: Protocol) -> Option<&'static MainNet> {
    MAIN_NETS.iter().find(|net| net.protocol == protocol)
}
