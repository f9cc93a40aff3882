//! Receivers, played on loopback: what was each told, of what, and when?

use std::collections::BTreeMap;

use serde_json::Value;

use super::bounds::{GRACE, PING};
use super::table::{Hears, Receiver};
use crate::notify::{Got, Stub};
use slotkeeper::clock::now_ms;

/// Everybody who can be told something.
#[derive(Clone)]
pub(crate) struct People {
    /// PagerDuty (`/pagerduty`) and Slack (`/slack`) as Alertmanager reaches them.
    pub(crate) by_alertmanager: Stub,
    /// PagerDuty as slotkeeper reaches it.
    pub(crate) by_slotkeeper: Stub,
    /// The checker elsewhere.
    pub(crate) off_site: Stub,
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) who: Receiver,
    /// The name of the alert, or slotkeeper's words.
    pub(crate) what: String,
    /// It begins; else it is over.
    pub(crate) begins: bool,
    /// Local clock, milliseconds.
    pub(crate) at: i64,
}

// === impl People ===

impl People {
    pub(crate) async fn there() -> Self {
        Self {
            by_alertmanager: Stub::start().await,
            by_slotkeeper: Stub::start().await,
            off_site: Stub::start().await,
        }
    }

    /// Everything that anybody was told, each receiver's in order.
    pub(crate) fn told(&self) -> Vec<Told> {
        let mut all: Vec<Told> = self
            .by_alertmanager
            .got()
            .iter()
            .map(by_alertmanager)
            .collect();
        all.extend(by_slotkeeper(&self.by_slotkeeper.got()));
        all.extend(self.rung());
        all
    }

    /// The checker rings when a ping is overdue, and its ring ends with the next one.
    fn rung(&self) -> Vec<Told> {
        let patience = i64::try_from((PING + GRACE) * 1000).expect("small");
        let pings: Vec<i64> = self.off_site.got().iter().map(|got| got.at).collect();
        let mut all = Vec::new();
        for (n, ping) in pings.iter().enumerate() {
            let due = ping + patience;
            let next = pings.get(n + 1).copied();
            if next.unwrap_or_else(now_ms) > due {
                all.push((due, true));
                all.extend(next.map(|at| (at, false)));
            }
        }
        let told = |(at, begins)| Told {
            who: Receiver::OffSite,
            what: "no ping".into(),
            begins,
            at,
        };
        all.into_iter().map(told).collect()
    }

    /// Whether the checker has heard of us.
    pub(crate) fn pinged(&self) -> bool {
        !self.off_site.got().is_empty()
    }
}

fn by_alertmanager(got: &Got) -> Told {
    let body: Value = serde_json::from_str(&got.body).expect("JSON");
    // Both messages link the alert's own runbook.
    let what = got
        .body
        .split("docs/runbooks/")
        .nth(1)
        .and_then(|rest| rest.split(".md").next())
        .unwrap_or("an alert without a runbook");
    let (who, begins) = if got.head.starts_with("POST /slack") {
        let title = body["attachments"][0]["title"].as_str();
        let over = title.is_some_and(|t| t.starts_with("RESOLVED"));
        (Receiver::Chat, !over)
    } else {
        (Receiver::Pager, body["event_action"] == "trigger")
    };
    Told {
        who,
        what: what.to_owned(),
        begins,
        at: got.at,
    }
}

/// What is over is named by its `dedup_key` only: by the words with which it began.
fn by_slotkeeper(got: &[Got]) -> Vec<Told> {
    let mut words = BTreeMap::new();
    let one = |got: &Got| {
        let body: Value = serde_json::from_str(&got.body).expect("JSON");
        let key = body["dedup_key"].as_str().unwrap_or_default().to_owned();
        let begins = body["event_action"] == "trigger";
        if let Some(summary) = body["payload"]["summary"].as_str() {
            let said = summary.trim_start_matches("slotkeeper: ").to_owned();
            // A reminder has more words.
            words.entry(key.clone()).or_insert(said);
        }
        Told {
            who: Receiver::Own,
            what: words.get(&key).cloned().unwrap_or(key),
            begins,
            at: got.at,
        }
    };
    got.iter().map(one).collect()
}

impl Told {
    /// It is what this receiver must hear.
    pub(crate) fn is(&self, hears: &Hears) -> bool {
        self.who == hears.who && self.what == hears.what
    }
}
