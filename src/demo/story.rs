//! Crash the primary, watch from outside, tell what is seen. Reads the devnet's own record and the public HTTP of
//! Alertmanager and slotkeeper; asks slotkeeper's insides nothing.

use std::time::Duration;

use crate::clock::Stopwatch;
use crate::demo::teller::{StoryError, Teller};
use crate::demo::timeline::{Event, Kind, Timeline};
use crate::demo::world::{WITNESS, World};

/// How often the world is looked at: the resolution of the timeline.
const LOOK: Duration = Duration::from_millis(50);

/// One telling.
pub struct Story<'a> {
    world: &'a World,
    teller: Teller<'a>,
    standby_key: String,
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
        let monitoring = world.monitoring.as_ref();
        Ok(Self {
            world,
            teller: Teller::new(WITNESS, world.ports, monitoring, watch, tell)?,
            standby_key: world.key_text("B")?,
        })
    }

    /// Waits until slotkeeper is able, crashes node A, and watches until the standby has produced and the switch is
    /// irreversible, or `patience` has passed.
    ///
    /// # Errors
    /// [`StoryError`].
    pub async fn run(mut self, patience: Duration) -> Result<Timeline, StoryError> {
        self.teller.until_able(patience, LOOK, |_| true).await?;
        let note = "armed and able; node A produces".into();
        self.teller.say(Kind::Started, None, None, note);
        self.world
            .devnet
            .crash_node("A")
            .map_err(anyhow::Error::msg)?;
        let note = "node A is dead".into();
        self.teller.say(Kind::Crashed, None, None, note);
        let crashed_ms = self.world.devnet.truth().head_ms;
        let deadline = self.teller.elapsed() + patience;
        while !(self.teller.has(Kind::StandbyProduced) && self.teller.has(Kind::Irreversible)) {
            if self.teller.elapsed() > deadline {
                return Err(self.teller.no_end(patience));
            }
            self.look_at_chain(crashed_ms);
            self.teller.look_at_alerts().await;
            if !self.teller.has(Kind::Irreversible) {
                self.teller.look_at_decisions().await;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(self.teller.done())
    }

    /// The chain's own record: the first miss after the crash, and the standby's first block.
    fn look_at_chain(&mut self, crashed_ms: u64) {
        let truth = self.world.devnet.truth();
        let missed = truth
            .missed(WITNESS)
            .find(|slot| slot.time_ms >= crashed_ms)
            .map(|slot| slot.slot);
        if let Some(slot) = missed {
            self.teller.say(
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
            self.teller
                .say(Kind::StandbyProduced, Some(slot), None, note);
        }
    }
}
