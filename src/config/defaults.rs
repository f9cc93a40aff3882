//! Default values. The only place where a default figure is written; constants of networks stand in [`super::networks`].

use std::time::Duration;

/// Public listener: `/metrics`, status.
pub const WEB_LISTEN: &str = "127.0.0.1:10061";
/// Control listener: webhook, operator commands.
pub const CONTROL_LISTEN: &str = "127.0.0.1:10062";
/// State file, relative to the config file.
pub const STATE_FILE: &str = "slotkeeper.db";

/// Floor of the poll interval: endpoints are other people's machines.
pub const POLL_FLOOR: Duration = Duration::from_millis(500);
/// Poll interval of chains with turns: their slots are judged turn by turn, so asking more often tells nothing sooner.
pub const POLL_TURNS: Duration = Duration::from_millis(500);
/// Floor of the poll interval on devnets whose blocks come faster than [`DEVNET_BELOW`].
pub const POLL_FLOOR_DEVNET: Duration = Duration::from_millis(50);
/// Block intervals below this are devnets'.
pub const DEVNET_BELOW: Duration = Duration::from_millis(1_500);
/// The same on chains with turns, whose blocks come every half second.
pub const DEVNET_BELOW_TURNS: Duration = Duration::from_millis(500);
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

/// Where PagerDuty takes events, outside the EU region.
pub const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
/// Twilio's API.
pub const TWILIO: &str = "https://api.twilio.com";
/// An open episode is repeated this often.
pub const REMINDER: Duration = Duration::from_secs(3600);
/// At most this many messages to one receiver …
pub const NOTIFY_MESSAGES: u32 = 20;
/// … in this time.
pub const NOTIFY_PER: Duration = Duration::from_secs(600);
/// A checker elsewhere is pinged this often.
pub const PING: Duration = Duration::from_secs(60);
