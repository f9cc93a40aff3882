//! Kill B1, watch from outside, tell what is seen. Reads the hub's blocks and the public HTTP of Alertmanager and
//! slotkeeper; asks slotkeeper's insides nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::NodeosWorld;
use super::{PRODUCER, keys};
use crate::clock::Stopwatch;
use crate::demo::teller::{StoryError, Teller};
use crate::demo::timeline::{Event, Kind, Timeline};

/// How often the world is looked at: the resolution of the timeline.
const LOOK: Duration = Duration::from_millis(200);

/// Between two blocks' times, when no slot between them was missed.
const INTERVAL_MS: i64 = 500;

/// One telling.
pub struct Story<'a> {
    world: &'a mut NodeosWorld,
    teller: Teller<'a>,
    /// Number and time of the last block looked at.
    last: Option<(u64, i64)>,
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
        let monitoring = world.monitoring.as_ref();
        let teller = Teller::new(PRODUCER, world.ports, monitoring, watch, tell)?;
        Ok(Self {
            world,
            teller,
            last: None,
        })
    }

    /// Waits until slotkeeper is able, kills B1, and watches until B2 has produced under the new schedule, or `patience`
    /// has passed.
    ///
    /// # Errors
    /// [`StoryError`].
    pub async fn run(mut self, patience: Duration) -> Result<Timeline, StoryError> {
        // Not before B1 has produced: its death would be no change.
        let produced = |producer: &Value| producer["produced"].as_u64() > Some(0);
        self.teller.until_able(patience, LOOK, produced).await?;
        self.say(Kind::Started, "armed and able; B1 produces with key A");
        self.world.network.crash("B1").await?;
        self.say(Kind::Crashed, "B1 is dead");
        let deadline = self.teller.elapsed() + patience;
        while !(self.teller.has(Kind::StandbyProduced) && self.teller.has(Kind::Effective)) {
            if self.teller.elapsed() > deadline {
                return Err(self.teller.no_end(patience));
            }
            self.teller.look_at_alerts().await;
            self.teller.look_at_decisions().await;
            self.look_at_blocks().await?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(self.teller.done())
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
                self.say(Kind::Missed, &note);
            }
            if block["producer"] == PRODUCER && self.teller.has(Kind::Missed) {
                let note = format!("B2 signed block {number} with {}", keys::public("B")?);
                self.say(Kind::StandbyProduced, &note);
            }
            self.last = Some((number, time));
            number += 1;
        }
        Ok(())
    }

    fn say(&mut self, kind: Kind, note: &str) {
        self.teller.say(kind, None, None, note.to_owned());
    }
}
