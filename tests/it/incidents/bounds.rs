//! How soon an alarm must ring: a sum of shipped settings, each read from the file that ships it, and one margin.

use crate::deploy::bundle::{Bundle, at, seconds};

use super::table::Row;

/// One summand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// Prometheus looks at slotkeeper.
    Scrape,
    /// Prometheus looks at itself and at Alertmanager.
    ScrapePipeline,
    /// Rules are evaluated.
    Evaluation,
    /// `for:` of this alert.
    For(&'static str),
    /// Alertmanager collects before it tells people.
    GroupWait,
    /// The next heartbeat is due.
    NextBeat,
    /// Alertmanager gives up a heartbeat that nobody takes: not before 10 s.
    BeatGivenUp,
    /// Alertmanager gives up a message to people: not before its `group_interval`.
    MessageGivenUp,
    /// slotkeeper's heartbeat limit, for one that is no longer heard.
    MaxSilence,
    /// slotkeeper's heartbeat limit, for one that is heard and old.
    MaxAge,
    /// Between two pings; what this stack is configured with.
    Ping,
    /// What the checker gives beyond that; likewise.
    Grace,
    /// systemd waits before it starts again.
    RestartPause,
    /// A fixed time of slotkeeper's own.
    Own(u64, &'static str),
}

/// For a busy machine: processes that wait for a processor, at every step.
pub(crate) const MARGIN: u64 = 15;
/// `pings[].interval` here.
pub(crate) const PING: u64 = 10;
/// The checker's grace here.
pub(crate) const GRACE: u64 = 20;

const PROMETHEUS: &str = "deploy/prometheus/prometheus.yml";
const ALERTMANAGER: &str = "deploy/alertmanager/alertmanager.yml";
/// Alertmanager never gives up earlier (`notify.MinTimeout`).
const LEAST_DEADLINE: u64 = 10;

/// The shipped settings.
pub(crate) struct Shipped(Bundle);

// === impl Shipped ===

impl Shipped {
    pub(crate) fn read() -> Self {
        Self(Bundle::shipped())
    }

    fn time(&self, file: &str, path: &[&str]) -> u64 {
        let yaml = self.0.yaml(file).expect("it parses");
        let text = at(&yaml, path).expect("it is there").as_str();
        seconds(text.expect("a time")).expect("a time")
    }

    fn heartbeat(&self) -> slotkeeper::config::HeartbeatConfig {
        let dir = self.0.on_disk();
        let file = dir.path().join("examples/two-nodes-alertmanager.yml");
        let config = slotkeeper::config::load(&file).expect("the example is valid");
        config.heartbeats.into_iter().next().expect("a heartbeat")
    }

    /// Seconds of one part, and what they are.
    fn part(&self, part: Part) -> (u64, String) {
        let people = || self.time(ALERTMANAGER, &["route", "group_interval"]);
        let beats = || self.time(ALERTMANAGER, &["route", "routes", "0", "group_interval"]);
        match part {
            Part::Scrape => (
                self.time(PROMETHEUS, &["scrape_configs", "0", "scrape_interval"]),
                "scrape".into(),
            ),
            Part::ScrapePipeline => (
                self.time(PROMETHEUS, &["global", "scrape_interval"]),
                "scrape of Alertmanager".into(),
            ),
            Part::Evaluation => (
                self.time(PROMETHEUS, &["global", "evaluation_interval"]),
                "evaluation".into(),
            ),
            Part::For(alert) => {
                let alerts = self.0.alerts().expect("rules");
                let (_, rule) = alerts
                    .iter()
                    .find(|(name, _)| name == alert)
                    .unwrap_or_else(|| panic!("no alert {alert}"));
                let patience = rule.patience.as_deref().unwrap_or("0s");
                (seconds(patience).expect("a time"), "`for`".into())
            }
            Part::GroupWait => (
                self.time(ALERTMANAGER, &["route", "group_wait"]),
                "`group_wait`".into(),
            ),
            Part::NextBeat => (beats(), "next heartbeat".into()),
            Part::BeatGivenUp => (
                beats().max(LEAST_DEADLINE),
                "Alertmanager tries so long".into(),
            ),
            Part::MessageGivenUp => (
                people().max(LEAST_DEADLINE),
                "Alertmanager tries so long".into(),
            ),
            Part::MaxSilence => (
                self.heartbeat().max_silence.as_secs(),
                "`max_silence`".into(),
            ),
            Part::MaxAge => (self.heartbeat().max_age.as_secs(), "`max_age`".into()),
            Part::Ping => (PING, "ping".into()),
            Part::Grace => (GRACE, "grace".into()),
            Part::RestartPause => {
                let unit = include_str!("../../../deploy/systemd/slotkeeper.service");
                let pause = unit.lines().find_map(|l| l.strip_prefix("RestartSec="));
                (
                    seconds(pause.expect("RestartSec")).expect("a time"),
                    "`RestartSec`".into(),
                )
            }
            Part::Own(seconds, what) => (seconds, what.into()),
        }
    }

    /// The bound, margin included, and the rest of the sum in words.
    pub(crate) fn bound(&self, parts: &[Part]) -> (u64, String) {
        let parts: Vec<(u64, String)> = parts.iter().map(|p| self.part(*p)).collect();
        let sum: u64 = parts.iter().map(|(s, _)| s).sum();
        let words: Vec<String> = parts
            .iter()
            .filter(|(s, _)| *s > 0)
            .map(|(s, what)| format!("{s} {what}"))
            .collect();
        (sum + MARGIN, words.join(" + "))
    }
}

/// systemd's pause before a restart.
pub(crate) fn restart_pause() -> std::time::Duration {
    std::time::Duration::from_secs(Shipped::read().part(Part::RestartPause).0)
}

/// The longest bound of a row.
pub(crate) fn longest(row: &Row) -> u64 {
    let shipped = Shipped::read();
    let bounds = row.hears.iter().map(|h| shipped.bound(h.within).0);
    bounds.max().unwrap_or(0)
}
