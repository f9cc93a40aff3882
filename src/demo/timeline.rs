//! What happens in a world, as a stranger sees it: the devnet's own record, Alertmanager's and slotkeeper's public HTTP.
//! Turns polls into events, each once, in the order of the contract.

use serde_json::{Value, json};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Milliseconds since the demo started.
    pub t_ms: u64,
    /// What.
    pub kind: Kind,
    /// Slot, where it is about one.
    pub slot: Option<u64>,
    /// Transaction id, where it is about one.
    pub txid: Option<String>,
    /// For people.
    pub note: String,
}

/// The events of the contract, in the order in which a failover brings them about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Everything runs, slotkeeper is able.
    Started,
    /// The primary was crashed.
    Crashed,
    /// A slot of the watched witness stayed empty.
    Missed,
    /// The alert fires in Alertmanager.
    AlertFiring,
    /// The webhook (or the guard's request) was journaled.
    Webhook,
    /// Every interlock passed.
    Decided,
    /// An endpoint took the transaction.
    Sent,
    /// It is in a block.
    Included,
    /// The chain names the new key.
    Effective,
    /// It can no longer be undone.
    Irreversible,
    /// The standby signed a block.
    StandbyProduced,
    /// The end of the story.
    Done,
}

/// The story so far: remembers what has been told.
#[derive(Debug)]
pub struct Timeline {
    producer: String,
    events: Vec<Event>,
}

// === impl Kind ===

impl Kind {
    /// The contract's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Crashed => "crashed",
            Self::Missed => "missed",
            Self::AlertFiring => "alert_firing",
            Self::Webhook => "webhook",
            Self::Decided => "decided",
            Self::Sent => "sent",
            Self::Included => "included",
            Self::Effective => "effective",
            Self::Irreversible => "irreversible",
            Self::StandbyProduced => "standby_produced",
            Self::Done => "done",
        }
    }
}

// === impl Event ===

impl Event {
    /// One line of `--json`.
    #[must_use]
    pub fn to_json(&self, producer: &str) -> Value {
        json!({
            "t_ms": self.t_ms, "event": self.kind.as_str(), "chain": "devnet", "producer": producer,
            "slot": self.slot, "txid": self.txid,
        })
    }

    /// One line for people: time, event, note, and the time since `origin`.
    #[must_use]
    pub fn to_line(&self, origin: Option<u64>) -> String {
        let since = origin.map_or(String::new(), |origin| {
            #[allow(clippy::cast_precision_loss)] // seconds for people
            let seconds = self.t_ms.saturating_sub(origin) as f64 / 1000.0;
            format!("+{seconds:.2} s")
        });
        #[allow(clippy::cast_precision_loss)] // seconds for people
        let at = self.t_ms as f64 / 1000.0;
        format!(
            "{at:9.2} s  {:<17} {since:>10}  {}",
            self.kind.as_str(),
            self.note
        )
    }
}

// === impl Timeline ===

impl Timeline {
    /// An empty story about `producer`.
    #[must_use]
    pub fn new(producer: &str) -> Self {
        Self {
            producer: producer.to_owned(),
            events: Vec::new(),
        }
    }

    /// Whether `kind` has been told.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.at(kind).is_some()
    }

    /// When `kind` happened, milliseconds since the start.
    #[must_use]
    pub fn at(&self, kind: Kind) -> Option<u64> {
        self.events.iter().find(|e| e.kind == kind).map(|e| e.t_ms)
    }

    /// Everything told so far.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The watched producer.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.producer
    }

    /// Tells `event` unless its kind was told before; returns it when it is news.
    pub fn tell(&mut self, event: Event) -> Option<&Event> {
        if self.has(event.kind) {
            return None;
        }
        self.events.push(event);
        self.events.last()
    }
}

/// What one decision record of `/api/v1/decisions` says has happened, in order.
#[must_use]
pub fn of_decision(record: &Value) -> Vec<(Kind, Option<String>, String)> {
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let mut news = vec![(
        Kind::Webhook,
        None,
        format!("request {} by {}", text("request_id"), text("cause")),
    )];
    if text("verdict") != "act" {
        return news;
    }
    news.push((
        Kind::Decided,
        None,
        format!("act: move to {}", text("target")),
    ));
    let attempt = &record["attempt"];
    let txid = attempt["txid"].as_str().map(str::to_owned);
    let order = [
        ("sent", Kind::Sent, "an endpoint took the transaction"),
        ("included", Kind::Included, "it is in a block"),
        ("effective", Kind::Effective, "the chain names the new key"),
        (
            "irreversible",
            Kind::Irreversible,
            "it can no longer be undone",
        ),
    ];
    let stage = attempt["stage"].as_str().unwrap_or_default();
    let reached = order.iter().position(|(name, _, _)| *name == stage);
    for (_, kind, note) in order
        .iter()
        .take(reached.map_or(0, |i| i.saturating_add(1)))
    {
        news.push((*kind, txid.clone(), (*note).to_owned()));
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_tells_every_stage_up_to_its_own() {
        let record = json!({
            "request_id": "r1", "cause": "webhook", "verdict": "act", "target": "TSTx",
            "attempt": {"id": "a1", "txid": "ab", "stage": "included"},
        });
        let kinds: Vec<Kind> = of_decision(&record).into_iter().map(|n| n.0).collect();
        assert_eq!(
            kinds,
            [Kind::Webhook, Kind::Decided, Kind::Sent, Kind::Included]
        );
        let waiting = json!({"request_id": "r1", "cause": "guard", "verdict": "wait"});
        assert_eq!(of_decision(&waiting).len(), 1);
        let signed = json!({"verdict": "act", "attempt": {"stage": "signed"}});
        assert_eq!(of_decision(&signed).len(), 2);
    }

    #[test]
    fn every_kind_is_told_once() {
        let mut story = Timeline::new("alice");
        let event = Event {
            t_ms: 5,
            kind: Kind::Missed,
            slot: Some(7),
            txid: None,
            note: String::new(),
        };
        assert!(story.tell(event.clone()).is_some());
        assert!(story.tell(Event { t_ms: 9, ..event }).is_none());
        assert_eq!(story.at(Kind::Missed), Some(5));
    }
}
