//! Crash the primary, watch from outside, tell what is seen. Reads the devnet's own record and the public HTTP of
//! Alertmanager and slotkeeper; asks slotkeeper's insides nothing.

use std::time::Duration;

use serde_json::Value;

use crate::clock::Stopwatch;
use crate::demo::timeline::{Event, Kind, Timeline, of_decision};
use crate::demo::world::{WITNESS, World};

/// How often the world is looked at: the resolution of the timeline.
const LOOK: Duration = Duration::from_millis(50);

/// Why a story has no end.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The world would not act.
    #[error("slotkeeper was not armed and able within {0:?}; its own words: {1}")]
    NotAble(Duration, String),
    /// The standby did not produce.
    #[error("the standby did not produce within {0:?}; the last event was {1}")]
    NoEnd(Duration, &'static str),
    /// Something local failed.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// One telling.
pub struct Story<'a> {
    world: &'a World,
    watch: Stopwatch,
    timeline: Timeline,
    client: reqwest::Client,
    standby_key: String,
    tell: &'a mut dyn FnMut(&Event, &Timeline),
}

// === impl Story ===

impl<'a> Story<'a> {
    /// A story about `world`; every event goes to `tell` as it is seen.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        world: &'a World,
        watch: Stopwatch,
        tell: &'a mut dyn FnMut(&Event, &Timeline),
    ) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .build()?;
        Ok(Self {
            world,
            watch,
            timeline: Timeline::new(WITNESS),
            client,
            standby_key: world.key_text("B")?,
            tell,
        })
    }

    /// Waits until slotkeeper is able, crashes node A, and watches until the standby has produced and the switch is
    /// irreversible, or `patience` has passed.
    ///
    /// # Errors
    /// [`StoryError`].
    pub async fn run(mut self, patience: Duration) -> Result<Timeline, StoryError> {
        self.until_able(patience).await?;
        self.say(
            Kind::Started,
            None,
            None,
            "armed and able; node A produces".into(),
        );
        self.world
            .devnet
            .crash_node("A")
            .map_err(anyhow::Error::msg)?;
        self.say(Kind::Crashed, None, None, "node A is dead".into());
        let crashed_ms = self.world.devnet.truth().head_ms;
        let deadline = self.watch.elapsed() + patience;
        while !(self.timeline.has(Kind::StandbyProduced) && self.timeline.has(Kind::Irreversible)) {
            if self.watch.elapsed() > deadline {
                let last = self.timeline.events().last();
                return Err(StoryError::NoEnd(
                    patience,
                    last.map_or("none", |e| e.kind.as_str()),
                ));
            }
            self.look_at_chain(crashed_ms);
            self.look_at_alerts().await;
            self.look_at_decisions().await;
            tokio::time::sleep(LOOK).await;
        }
        self.say(Kind::Done, None, None, "production goes on".into());
        Ok(self.timeline)
    }

    async fn until_able(&mut self, patience: Duration) -> Result<(), StoryError> {
        let mut words = String::from("no answer on /api/v1/status");
        while self.watch.elapsed() < patience {
            if let Some(status) = self.slotkeeper("/api/v1/status").await {
                let producer = &status["producers"][0];
                let ready = producer["keys"].as_array().is_some_and(|keys| {
                    keys.iter().all(|key| key["ready"].as_bool() == Some(true))
                });
                if producer["armed"] == true && producer["able"] == true && ready {
                    return Ok(());
                }
                words = producer.to_string();
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(StoryError::NotAble(patience, words))
    }

    /// The chain's own record: the first miss after the crash, and the standby's first block.
    fn look_at_chain(&mut self, crashed_ms: u64) {
        let truth = self.world.devnet.truth();
        let missed = truth
            .missed(WITNESS)
            .find(|slot| slot.time_ms >= crashed_ms)
            .map(|slot| slot.slot);
        if let Some(slot) = missed {
            self.say(
                Kind::Missed,
                Some(slot),
                None,
                format!("slot {slot} of {WITNESS} is empty"),
            );
        }
        let produced = truth.slots.iter().find(|slot| {
            slot.time_ms >= crashed_ms
                && slot.scheduled == WITNESS
                && slot.block.as_ref().is_some_and(|b| b.2 == self.standby_key)
        });
        if let Some((slot, num)) = produced.and_then(|s| Some((s.slot, s.block.as_ref()?.0))) {
            let note = format!("node B signed block {num}");
            self.say(Kind::StandbyProduced, Some(slot), None, note);
        }
    }

    async fn look_at_alerts(&mut self) {
        let Some(pair) = self.world.monitoring.as_ref() else {
            return;
        };
        if self.timeline.has(Kind::AlertFiring) {
            return;
        }
        let url = format!(
            "{}/api/v2/alerts?filter=action%3D%22failover%22",
            pair.alertmanager_url
        );
        let firing = self.get(&url).await.is_some_and(|alerts| {
            alerts
                .as_array()
                .is_some_and(|list| list.iter().any(|a| a["labels"]["producer"] == WITNESS))
        });
        if firing {
            self.say(
                Kind::AlertFiring,
                None,
                None,
                "Alertmanager has the alert".into(),
            );
        }
    }

    async fn look_at_decisions(&mut self) {
        if self.timeline.has(Kind::Irreversible) {
            return;
        }
        let Some(answer) = self.slotkeeper("/api/v1/decisions").await else {
            return;
        };
        let mut records: Vec<Value> = answer["decisions"].as_array().cloned().unwrap_or_default();
        // Newest first on the wire; the story goes forward.
        records.sort_by_key(|record| record["time"].to_string());
        for record in &records {
            for (kind, txid, note) in of_decision(record) {
                self.say(kind, None, txid, note);
            }
        }
    }

    async fn slotkeeper(&self, path: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.world.ports.web);
        self.get(&url).await
    }

    async fn get(&self, url: &str) -> Option<Value> {
        self.client.get(url).send().await.ok()?.json().await.ok()
    }

    fn say(&mut self, kind: Kind, slot: Option<u64>, txid: Option<String>, note: String) {
        let t_ms = u64::try_from(self.watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = Event {
            t_ms,
            kind,
            slot,
            txid,
            note,
        };
        if let Some(event) = self.timeline.tell(event).cloned() {
            (self.tell)(&event, &self.timeline);
        }
    }
}
