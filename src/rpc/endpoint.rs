//! One endpoint: calls in, replies out, within limits of time. Remembers whether it takes batches and how long it asked to
//! be left alone. Knows neither bytes nor what any reply means.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use reqwest::Certificate;

use super::failure::failure;
use super::transport::{Facts, Kind};
use super::types::{EndpointError, RpcOutcome};
use super::wire::{LANES, Wire};
use crate::chain::{Call, Framing, Reply};
use crate::clock::{Millis, Stopwatch};
use crate::config::EndpointConfig;

/// Calls of one HTTP request. Gateways refuse long batches; hived's default is far above.
const CHUNK: usize = 50;
/// `Retry-After` is honoured for so long at most: an endpoint must not be able to silence itself for a day.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// An ask of several HTTP requests may take so many hard limits in all.
const LIMITS_PER_ASK: usize = 4;
/// "No certificate seen yet" in the atomic below.
const NO_EXPIRY: i64 = i64::MIN;

/// One RPC URL.
pub struct Endpoint {
    label: String,
    soft: Duration,
    hard: Duration,
    /// False once it refused a batch, or when the dialect has none.
    batches: AtomicBool,
    wire: Wire,
    rest: Mutex<Option<Rest>>,
    certificate_expiry: AtomicI64,
}

#[derive(Clone, Copy)]
struct Rest {
    since: Stopwatch,
    length: Duration,
}

/// What came along with the answers of one ask.
#[derive(Default)]
struct Heard {
    clock_offset: Option<Millis>,
}

/// A full set of replies, in the order of the calls.
#[derive(Debug, Clone)]
pub struct Answers {
    /// One per call.
    pub replies: Vec<Reply>,
    /// From the first byte sent to the last byte read, over all HTTP requests of the ask.
    pub latency: Duration,
    /// HTTP `Date` minus the local clock at receipt, milliseconds; nodes asked directly send none.
    pub clock_offset: Option<Millis>,
}

/// An endpoint cannot be used as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {label}: {problem}")]
pub struct EndpointSetupError {
    /// Its label (no credentials).
    pub label: String,
    /// What to change.
    pub problem: String,
}

// === impl Endpoint ===

impl Endpoint {
    /// An endpoint as configured, spoken to in `framing`. Nothing is sent yet.
    pub fn new(config: &EndpointConfig, framing: Framing) -> Result<Self, EndpointSetupError> {
        Self::with_roots(config, framing, &[])
    }

    /// Like [`Endpoint::new`], trusting the given root certificates (PEM) besides the system's.
    pub fn with_roots(
        config: &EndpointConfig,
        framing: Framing,
        roots_pem: &[&[u8]],
    ) -> Result<Self, EndpointSetupError> {
        let problem = |problem: String| EndpointSetupError {
            label: config.label.clone(),
            problem,
        };
        let roots = roots_pem
            .iter()
            .map(|pem| Certificate::from_pem(pem))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| problem("a root certificate is no PEM certificate".into()))?;
        Ok(Self {
            label: config.label.clone(),
            soft: config.soft_timeout.min(config.hard_timeout),
            hard: config.hard_timeout,
            batches: AtomicBool::new(framing == Framing::JsonRpc { batches: true }),
            wire: Wire::open(config, framing, roots).map_err(problem)?,
            rest: Mutex::new(None),
            certificate_expiry: AtomicI64::new(NO_EXPIRY),
        })
    }

    /// The URL without credentials, query and fragment.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// After this long a quorum is not kept waiting for it.
    #[must_use]
    pub fn soft_limit(&self) -> Duration {
        self.soft
    }

    /// The hard limit of one request.
    #[must_use]
    pub fn hard_limit(&self) -> Duration {
        self.hard
    }

    /// https, or this machine.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.wire.is_secure()
    }

    /// Expiry of the certificate last seen, Unix seconds.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<i64> {
        Some(self.certificate_expiry.load(Ordering::Relaxed)).filter(|at| *at != NO_EXPIRY)
    }

    /// How long it still wants to be left alone (`Retry-After`, at most a minute).
    #[must_use]
    pub fn resting(&self) -> Option<Duration> {
        let rest = (*lock(&self.rest))?;
        rest.length
            .checked_sub(rest.since.elapsed())
            .filter(|left| !left.is_zero())
    }

    /// Asks `calls` in order: one HTTP request where batches are taken (50 calls each), else one after another.
    /// A proper error of the node is a [`Reply`]; everything else that goes wrong is an error. While it rests, the
    /// answer is [`RpcOutcome::Skipped`] and nothing is sent.
    pub async fn ask(&self, calls: &[Call]) -> Result<Answers, EndpointError> {
        self.ask_lanes(calls, &[], 1).await
    }

    /// Like [`Endpoint::ask`], but where there are no batches, eight calls are under way at once. Only the calls in `heads`
    /// keep their place: each is asked alone, after the answers to all before it and before anything after it is sent. So a
    /// state between two readings of the head was read between them.
    pub async fn survey(&self, calls: &[Call], heads: &[Call]) -> Result<Answers, EndpointError> {
        self.ask_lanes(calls, heads, LANES).await
    }

    async fn ask_lanes(
        &self,
        calls: &[Call],
        heads: &[Call],
        lanes: usize,
    ) -> Result<Answers, EndpointError> {
        if let Some(left) = self.resting() {
            return Err(failure(
                RpcOutcome::Skipped,
                format!(
                    "asked to be left alone for another {} s",
                    left.as_secs() + 1
                ),
            ));
        }
        let requests = if self.batches.load(Ordering::Relaxed) {
            calls.len().div_ceil(CHUNK)
        } else {
            calls.len()
        };
        let watch = Stopwatch::start();
        let limit = self.limit_of(requests);
        let heard = Mutex::new(Heard::default());
        let asked = tokio::time::timeout(limit, self.ask_all(calls, heads, lanes, &heard)).await;
        let replies = asked.unwrap_or_else(|_| Err(timed_out(limit)))?;
        let clock_offset = lock(&heard).clock_offset;
        Ok(Answers {
            replies,
            latency: watch.elapsed(),
            clock_offset,
        })
    }

    /// Sends one call once, over a fresh connection and whatever `Retry-After` said: a broadcast is worth one try,
    /// and is never repeated here.
    pub async fn send_once(&self, call: &Call) -> Result<Reply, EndpointError> {
        let mut facts = Facts::default();
        let sent = self.wire.one(call, Kind::Broadcast, &mut facts);
        let sent = tokio::time::timeout(self.hard, sent).await;
        self.take_in(
            sent.unwrap_or_else(|_| Err(timed_out(self.hard))),
            facts,
            &Mutex::default(),
        )
    }

    fn limit_of(&self, requests: usize) -> Duration {
        let factor = u32::try_from(requests.clamp(1, LIMITS_PER_ASK)).unwrap_or(1);
        self.hard.saturating_mul(factor)
    }

    async fn ask_all(
        &self,
        calls: &[Call],
        heads: &[Call],
        lanes: usize,
        heard: &Mutex<Heard>,
    ) -> Result<Vec<Reply>, EndpointError> {
        let mut replies = Vec::with_capacity(calls.len());
        let mut left = calls;
        let mut refused = false;
        while left.len() > 1 && !refused && self.batches.load(Ordering::Relaxed) {
            let (chunk, rest) = left.split_at(left.len().min(CHUNK));
            match self.ask_batch(chunk, heard).await? {
                Some(answered) => {
                    replies.extend(answered);
                    left = rest;
                }
                None => refused = true,
            }
        }
        for stage in left.chunk_by(|a, b| !heads.contains(a) && !heads.contains(b)) {
            let asked: Vec<_> = stage.iter().map(|call| self.ask_one(call, heard)).collect();
            let mut answers = stream::iter(asked).buffered(lanes);
            while let Some(reply) = answers.try_next().await? {
                replies.push(reply);
                // Only now is it sure that the endpoint works and it was the batch that it refused.
                if refused {
                    self.batches.store(false, Ordering::Relaxed);
                }
            }
        }
        Ok(replies)
    }

    async fn ask_batch(
        &self,
        calls: &[Call],
        heard: &Mutex<Heard>,
    ) -> Result<Option<Vec<Reply>>, EndpointError> {
        let mut facts = Facts::default();
        let asked = tokio::time::timeout(self.hard, self.wire.batch(calls, &mut facts)).await;
        self.take_in(
            asked.unwrap_or_else(|_| Err(timed_out(self.hard))),
            facts,
            heard,
        )
    }

    /// One question within the hard limit.
    async fn ask_one(&self, call: &Call, heard: &Mutex<Heard>) -> Result<Reply, EndpointError> {
        let mut facts = Facts::default();
        let asked = self.wire.one(call, Kind::Read, &mut facts);
        let asked = tokio::time::timeout(self.hard, asked).await;
        self.take_in(
            asked.unwrap_or_else(|_| Err(timed_out(self.hard))),
            facts,
            heard,
        )
    }

    /// Remembers what came along with an answer.
    fn take_in<T>(
        &self,
        received: Result<T, EndpointError>,
        facts: Facts,
        heard: &Mutex<Heard>,
    ) -> Result<T, EndpointError> {
        if let Some(expiry) = facts.certificate_expiry {
            self.certificate_expiry.store(expiry, Ordering::Relaxed);
        }
        if facts.clock_offset.is_some() {
            lock(heard).clock_offset = facts.clock_offset;
        }
        if let (Err(error), Some(length)) = (&received, facts.retry_after)
            && matches!(
                error.outcome,
                RpcOutcome::RateLimited | RpcOutcome::ServerError
            )
        {
            *lock(&self.rest) = Some(Rest {
                since: Stopwatch::start(),
                length: length.min(LONGEST_REST),
            });
        }
        received
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold credentials.
        f.debug_struct("Endpoint")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

fn timed_out(limit: Duration) -> EndpointError {
    failure(
        RpcOutcome::Timeout,
        format!("no complete answer within {} ms", limit.as_millis()),
    )
}

/// A poisoned lock only means that a panic happened elsewhere; the data is a plain value and stays usable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
