//! Kill B1, watch from outside, tell what is seen. Reads the hub's blocks and the public HTTP of Alertmanager and
//! slotkeeper; asks slotkeeper's insides nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::NodeosWorld;
use super::{PRODUCER, keys};
use crate::clock::Stopwatch;
use crate::demo::story::StoryError;
use crate::demo::timeline::{Event, Kind, Timeline, of_decision};

/// How often the world is looked at: the resolution of the timeline.
const LOOK: Duration = Duration::from_millis(200);

/// Between two blocks' times, when no slot between them was missed.
const INTERVAL_MS: i64 = 500;

/// One telling.
pub struct Story<'a> {
    world: &'a mut NodeosWorld,
    watch: Stopwatch,
    timeline: Timeline,
    client: reqwest::Client,
    /// Number and time of the last block looked at.
    last: Option<(u64, i64)>,
    tell: &'a mut dyn FnMut(&Event, &Timeline),
}

// === impl Story ===

impl<'a> Story<'a> {
    /// A story about `world`; every event goes to `tell` as it is seen.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        world: &'a mut NodeosWorld,
        watch: Stopwatch,
        tell: &'a mut dyn FnMut(&Event, &Timeline),
    ) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .build()?;
        Ok(Self {
            world,
            watch,
            timeline: Timeline::new(PRODUCER),
            client,
            last: None,
            tell,
        })
    }

    /// Waits until slotkeeper is able, kills B1, and watches until B2 has produced under the new schedule, or `patience`
    /// has passed.
    ///
    /// # Errors
    /// [`StoryError`].
    pub async fn run(mut self, patience: Duration) -> Result<Timeline, StoryError> {
        self.until_able(patience).await?;
        self.say(
            Kind::Started,
            None,
            "armed and able; B1 produces with key A".into(),
        );
        self.world.network.crash("B1").await?;
        self.say(Kind::Crashed, None, "B1 is dead".into());
        let deadline = self.watch.elapsed() + patience;
        while !(self.timeline.has(Kind::StandbyProduced) && self.timeline.has(Kind::Effective)) {
            if self.watch.elapsed() > deadline {
                let last = self.timeline.events().last();
                return Err(StoryError::NoEnd(
                    patience,
                    last.map_or("none", |e| e.kind.as_str()),
                ));
            }
            self.look_at_alerts().await;
            self.look_at_decisions().await;
            self.look_at_blocks().await?;
            tokio::time::sleep(LOOK).await;
        }
        self.say(Kind::Done, None, "production goes on".into());
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
                // Not before B1 has produced: its death would be no change.
                let produced = producer["produced"].as_u64() > Some(0);
                if producer["armed"] == true && producer["able"] == true && ready && produced {
                    return Ok(());
                }
                words = producer.to_string();
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(StoryError::NotAble(patience, words))
    }

    /// The hub's new blocks: the first gap between two of them is B1's, and the first block of the producer is B2's.
    async fn look_at_blocks(&mut self) -> anyhow::Result<()> {
        let info = self.world.network.info("H").await?;
        let head = info["head_block_num"].as_u64().unwrap_or(0);
        let mut number = self.last.map_or(head, |(number, _)| number + 1);
        while number <= head {
            let body = json!({"block_num": number});
            let block = self.world.network.ask("H", "get_block_info", &body).await?;
            let time: Option<jiff::Timestamp> = block["timestamp"]
                .as_str()
                .and_then(|text| format!("{text}Z").parse().ok());
            let Some(time) = time.map(jiff::Timestamp::as_millisecond) else {
                return Ok(()); // not there yet
            };
            let gap = self.last.map_or(INTERVAL_MS, |(_, before)| time - before);
            if gap > INTERVAL_MS {
                let missed = gap / INTERVAL_MS - 1;
                let note = format!("{missed} slots of {PRODUCER} before block {number} are empty");
                self.say(Kind::Missed, None, note);
            }
            if block["producer"] == PRODUCER && self.timeline.has(Kind::Missed) {
                let note = format!("B2 signed block {number} with {}", keys::public("B")?);
                self.say(Kind::StandbyProduced, None, note);
            }
            self.last = Some((number, time));
            number += 1;
        }
        Ok(())
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
        let alerts = self.get(&url).await;
        let alerts = alerts.as_ref().and_then(Value::as_array);
        if alerts.is_some_and(|list| list.iter().any(|a| a["labels"]["producer"] == PRODUCER)) {
            self.say(Kind::AlertFiring, None, "Alertmanager has the alert".into());
        }
    }

    async fn look_at_decisions(&mut self) {
        let Some(answer) = self.slotkeeper("/api/v1/decisions").await else {
            return;
        };
        let mut records: Vec<Value> = answer["decisions"].as_array().cloned().unwrap_or_default();
        // Newest first on the wire; the story goes forward.
        records.sort_by_key(|record| record["time"].to_string());
        for record in &records {
            for (kind, txid, note) in of_decision(record) {
                self.say(kind, txid, note);
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

    fn say(&mut self, kind: Kind, txid: Option<String>, note: String) {
        let t_ms = u64::try_from(self.watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = Event {
            t_ms,
            kind,
            slot: None,
            txid,
            note,
        };
        if let Some(event) = self.timeline.tell(event).cloned() {
            (self.tell)(&event, &self.timeline);
        }
    }
}
