//! Node probes: for every configured key with a node, its head each tick; health with hysteresis, and from it whether
//! the key can take over. Sends through [`Endpoint`]; never waits for an answer.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{NodeHealth, Readiness};
use crate::chain::{BlockId, BlockRef, Chain};
use crate::clock::{Millis, Stopwatch};
use crate::config::{Config, KeyConfig};
use crate::keys::PublicKey;
use crate::rpc::{Endpoint, EndpointSetupError};

/// Failed ticks in a row that make a node down.
const DOWN_AFTER: u32 = 3;
/// Good ticks in a row that make it up again.
const UP_AFTER: u32 = 2;
/// Blocks behind the agreed head that a healthy node may be (of 3 s: 9 s).
const HEALTHY_LAG: u64 = 3;
/// Blocks behind the agreed head that a node ready to take over may be.
const READY_LAG: u64 = 2;
/// Blocks ahead of the agreed head that no node of the same chain can be.
const READY_LEAD: u64 = 20;
/// Chains with turns have so many blocks (of 0.5 s) where others have one (of 3 s): the same times, then.
const FAST: u64 = 6;

/// The probes of one chain's keys.
#[derive(Debug)]
pub(super) struct Probes {
    chain: Arc<dyn Chain>,
    probes: Vec<Probe>,
    bounds: Bounds,
}

/// How far from the agreed head is too far, in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    healthy: u64,
    ready: u64,
    lead: u64,
}

/// One node.
#[derive(Debug)]
struct Probe {
    producer: String,
    key: PublicKey,
    endpoint: Arc<Endpoint>,
    running: Option<Running>,
    health: Health,
}

#[derive(Debug)]
struct Running {
    since: Stopwatch,
    answer: JoinHandle<Result<BlockRef, String>>,
}

/// What is needed to judge a node's answer.
#[derive(Clone, Copy)]
pub(super) struct Yardstick<'a> {
    /// The agreed head, when there is an agreed view this tick.
    pub(super) head: Option<&'a BlockRef>,
    /// Ids of judged blocks.
    pub(super) known: &'a (dyn Fn(u64) -> Option<BlockId> + Sync),
    /// Time between slots.
    pub(super) interval: Millis,
    /// Local clock.
    pub(super) now: Millis,
}

/// Health with hysteresis. Pure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Health {
    up: Option<bool>,
    failures: u32,
    good: u32,
    lag: Option<u64>,
    lead: u64,
    detail: String,
}

/// A change worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProbeChange {
    /// Whose key.
    pub(super) producer: String,
    /// The key whose node it is.
    pub(super) key: PublicKey,
    /// The node, without credentials.
    pub(super) node: String,
    /// Up now.
    pub(super) up: bool,
    /// Why.
    pub(super) detail: String,
}

// === impl Probes ===

impl Probes {
    /// The probes of every key of `chain` that has a node.
    ///
    /// # Errors
    /// When a node's URL cannot be used.
    pub(super) fn new(chain: Arc<dyn Chain>, config: &Config) -> Result<Self, EndpointSetupError> {
        let name = &chain.spec().name;
        let mut probes = Vec::new();
        for producer in config.producers.iter().filter(|p| p.chain == *name) {
            for key in &producer.keys {
                let Some(node) = &key.node else { continue };
                probes.push(Probe {
                    producer: producer.name.clone(),
                    key: key.signing_key,
                    endpoint: Arc::new(Endpoint::new(node, chain.framing())?),
                    running: None,
                    health: Health::default(),
                });
            }
        }
        let bounds = Bounds::of(chain.turn());
        Ok(Self {
            chain,
            probes,
            bounds,
        })
    }

    /// Sends this tick's questions: to every node that has answered the last one (probes never overlap).
    pub(super) fn send(&mut self) {
        for probe in self.probes.iter_mut().filter(|p| p.running.is_none()) {
            let chain = Arc::clone(&self.chain);
            let endpoint = Arc::clone(&probe.endpoint);
            probe.running = Some(Running {
                since: Stopwatch::start(),
                answer: tokio::spawn(async move {
                    let answers = endpoint
                        .ask(&chain.probe())
                        .await
                        .map_err(|e| e.to_string())?;
                    chain
                        .read_probe(&answers.replies)
                        .map_err(|e| e.to_string())
                }),
            });
        }
    }

    /// Takes in what has arrived; a node that is silent beyond its soft limit fails the tick. Call once per tick.
    pub(super) async fn collect(&mut self, yardstick: Yardstick<'_>) -> Vec<ProbeChange> {
        let mut changes = Vec::new();
        for probe in &mut self.probes {
            let Some(running) = probe.running.take() else {
                continue;
            };
            let verdict = if running.answer.is_finished() {
                let answer = running.answer.await;
                Some(answer.unwrap_or_else(|_| Err("the probe was cancelled".to_owned())))
            } else {
                let overdue = running.since.elapsed() >= probe.endpoint.soft_limit();
                probe.running = Some(running);
                overdue.then(|| {
                    Err(format!(
                        "no answer within {} ms",
                        probe.endpoint.soft_limit().as_millis()
                    ))
                })
            };
            let Some(verdict) = verdict else { continue };
            let before = probe.health.up;
            probe.health.take(judge(verdict, yardstick, self.bounds));
            if let Some(up) = probe.health.up.filter(|up| before != Some(*up)) {
                changes.push(ProbeChange {
                    producer: probe.producer.clone(),
                    key: probe.key,
                    node: probe.endpoint.label().to_owned(),
                    up,
                    detail: probe.health.detail.clone(),
                });
            }
        }
        changes
    }

    /// Health of the node that holds `key` of `producer`; `None` without a node.
    #[must_use]
    pub(super) fn health(&self, producer: &str, key: &PublicKey) -> Option<NodeHealth> {
        self.find(producer, key).map(|probe| NodeHealth {
            up: probe.health.up,
            failures: probe.health.failures,
            lag: probe.health.lag,
            detail: probe.health.detail.clone(),
        })
    }

    /// Whether `key` of `producer` can take over.
    #[must_use]
    pub(super) fn readiness(&self, producer: &str, key: &KeyConfig) -> Readiness {
        match self.find(producer, &key.signing_key) {
            // Who names a node wants it looked at: it is never assumed healthy against its own answers.
            Some(probe) => probe.health.readiness(self.bounds),
            None if key.assume_ready => Readiness::Ready,
            None => Readiness::NotReady(
                "no node is configured for this key; set `node`, or `assume_ready: true`"
                    .to_owned(),
            ),
        }
    }

    fn find(&self, producer: &str, key: &PublicKey) -> Option<&Probe> {
        self.probes
            .iter()
            .find(|p| p.producer == producer && p.key == *key)
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        for running in self.probes.iter().filter_map(|p| p.running.as_ref()) {
            running.answer.abort();
        }
    }
}

/// A judged answer: the lag and lead it shows, or what is wrong.
type Verdict = Result<(Option<u64>, u64), (Option<u64>, String)>;

fn judge(answer: Result<BlockRef, String>, yardstick: Yardstick<'_>, bounds: Bounds) -> Verdict {
    let head = answer.map_err(|why| (None, why))?;
    if let Some(known) = (yardstick.known)(head.num)
        && known != head.id
    {
        return Err((
            None,
            format!("its block {} is on another fork or chain", head.num),
        ));
    }
    let Some(agreed) = yardstick.head else {
        let oldest = yardstick.interval.saturating_mul(10).max(15_000);
        let age = yardstick.now.saturating_sub(head.time);
        if age > oldest {
            return Err((None, format!("its head is {} s old", age / 1_000)));
        }
        return Ok((None, 0));
    };
    let lag = agreed.num.saturating_sub(head.num);
    if lag > bounds.healthy {
        return Err((
            Some(lag),
            format!("its head is {lag} blocks behind the agreed head"),
        ));
    }
    Ok((Some(lag), head.num.saturating_sub(agreed.num)))
}

// === impl Bounds ===

impl Bounds {
    fn of(turn: u32) -> Self {
        let scale = if turn > 1 { FAST } else { 1 };
        Self {
            healthy: HEALTHY_LAG.saturating_mul(scale),
            ready: READY_LAG.saturating_mul(scale),
            lead: READY_LEAD.saturating_mul(scale),
        }
    }
}

// === impl Health ===

impl Health {
    fn take(&mut self, verdict: Verdict) {
        match verdict {
            Ok((lag, lead)) => {
                self.good = self.good.saturating_add(1);
                self.failures = 0;
                self.lag = lag;
                self.lead = lead;
                self.detail = match lag {
                    Some(lag) => format!("in sync, {lag} blocks behind the agreed head"),
                    None => "answers, head fresh".to_owned(),
                };
                if self.up.is_none() || self.good >= UP_AFTER {
                    self.up = Some(true);
                }
            }
            Err((lag, why)) => {
                self.failures = self.failures.saturating_add(1);
                self.good = 0;
                if self.failures >= DOWN_AFTER {
                    self.up = Some(false);
                    // What it once was would be shown as what it is.
                    self.lag = None;
                }
                self.lag = lag.or(self.lag);
                self.detail = why;
            }
        }
    }

    fn readiness(&self, bounds: Bounds) -> Readiness {
        match (self.up, self.failures) {
            (None, 0) => Readiness::Unknown,
            (None, _) => Readiness::NotReady(format!("its node has not answered: {}", self.detail)),
            (Some(false), _) => Readiness::NotReady(format!("its node is down: {}", self.detail)),
            (Some(true), 1..) => {
                Readiness::NotReady(format!("its node failed the last probe: {}", self.detail))
            }
            (Some(true), 0) => match self.lag {
                Some(lag) if lag > bounds.ready => Readiness::NotReady(format!(
                    "its node is {lag} blocks behind the agreed head (at most {} is ready)",
                    bounds.ready
                )),
                _ if self.lead > bounds.lead => Readiness::NotReady(format!(
                    "its node is {} blocks ahead of the agreed head: another chain?",
                    self.lead
                )),
                _ => Readiness::Ready,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(num: u64) -> BlockRef {
        BlockRef {
            num,
            id: BlockId(format!("{num:08x}")),
            time: Millis::try_from(num).unwrap() * 3_000,
        }
    }

    fn with<'a>(head: Option<&'a BlockRef>, now: Millis) -> Yardstick<'a> {
        Yardstick {
            head,
            known: &|num| (num <= 100).then(|| BlockId(format!("{num:08x}"))),
            interval: 3_000,
            now,
        }
    }

    #[test]
    fn an_answer_is_judged_against_the_agreed_head() {
        let head = block(100);
        let agreed = with(Some(&head), 300_000);
        let alone = with(None, 300_000);
        let foreign = BlockRef {
            id: BlockId("ff".into()),
            ..block(99)
        };
        assert_eq!(
            judge(Ok(block(100)), agreed, Bounds::of(1)),
            Ok((Some(0), 0))
        );
        assert_eq!(
            judge(Ok(block(101)), agreed, Bounds::of(1)),
            Ok((Some(0), 1))
        );
        assert_eq!(
            judge(Ok(block(97)), agreed, Bounds::of(1)),
            Ok((Some(3), 0))
        );
        assert!(judge(Ok(block(96)), agreed, Bounds::of(1)).is_err());
        let fast = |num| judge(Ok(block(num)), agreed, Bounds::of(12));
        assert_eq!(fast(82), Ok((Some(18), 0)));
        assert!(fast(81).is_err(), "9.5 s behind");
        assert!(judge(Ok(foreign), agreed, Bounds::of(1)).is_err());
        assert!(judge(Err("refused".into()), agreed, Bounds::of(1)).is_err());
        assert_eq!(judge(Ok(block(90)), alone, Bounds::of(1)), Ok((None, 0)));
        assert!(
            judge(Ok(block(89)), alone, Bounds::of(1)).is_err(),
            "33 s old"
        );
    }

    #[test]
    fn three_failures_make_a_node_down_and_two_answers_up() {
        let good = || Ok((Some(0), 0));
        let bad = || Err((None, "refused".to_owned()));
        let mut health = Health::default();
        let mut step = |verdict| {
            health.take(verdict);
            (
                health.up,
                matches!(health.readiness(Bounds::of(1)), Readiness::Ready),
            )
        };
        let story = [
            (good(), (Some(true), true)),
            (bad(), (Some(true), false)),
            (bad(), (Some(true), false)),
            (good(), (Some(true), true)),
            (bad(), (Some(true), false)),
            (bad(), (Some(true), false)),
            (bad(), (Some(false), false)),
            (good(), (Some(false), false)),
            (good(), (Some(true), true)),
            (Ok((Some(3), 0)), (Some(true), false)),
            (Ok((Some(0), 21)), (Some(true), false)),
        ];
        for (n, (verdict, want)) in story.into_iter().enumerate() {
            assert_eq!(step(verdict), want, "step {n}");
        }
        let mut dead = Health::default();
        assert_eq!(dead.readiness(Bounds::of(1)), Readiness::Unknown);
        dead.take(good());
        for lag in [Some(0), Some(0), None] {
            dead.take(bad());
            assert_eq!(
                dead.lag, lag,
                "a node that is down shows no figure of better days"
            );
        }
        assert_eq!(dead.up, Some(false));
        dead.take(Err((Some(30), "behind".to_owned())));
        assert_eq!(dead.lag, Some(30));
    }
}
