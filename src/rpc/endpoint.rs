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
use super::wire::{self, LANES, Said, Wire};
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

/// The same as it came: one body is not taken apart yet.
#[derive(Debug)]
pub struct Answer {
    pub(super) said: Said,
    /// See [`Answers::latency`].
    pub(super) latency: Duration,
    /// See [`Answers::clock_offset`].
    pub(super) clock_offset: Option<Millis>,
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
        self.ask_lanes(calls, &[], 1).await?.apart()
    }

    /// Like [`Endpoint::ask`], but where there are no batches, eight calls are under way at once. Only the calls in `heads`
    /// keep their place: each is asked alone, after the answers to all before it and before anything after it is sent. So a
    /// state between two readings of the head was read between them. The answer to one batch is not taken apart yet.
    pub async fn survey(&self, calls: &[Call], heads: &[Call]) -> Result<Answer, EndpointError> {
        self.ask_lanes(calls, heads, LANES).await
    }

    async fn ask_lanes(
        &self,
        calls: &[Call],
        heads: &[Call],
        lanes: usize,
    ) -> Result<Answer, EndpointError> {
        self.rested()?;
        let requests = if self.batches.load(Ordering::Relaxed) {
            calls.len().div_ceil(CHUNK)
        } else {
            calls.len()
        };
        let watch = Stopwatch::start();
        let limit = self.limit_of(requests);
        let heard = Mutex::new(Heard::default());
        let asked = tokio::time::timeout(limit, self.ask_all(calls, heads, lanes, &heard)).await;
        let said = asked.unwrap_or_else(|_| Err(timed_out(limit)))?;
        let clock_offset = lock(&heard).clock_offset;
        Ok(Answer {
            said,
            latency: watch.elapsed(),
            clock_offset,
        })
    }

    /// Asks several questions of a few calls each, in one HTTP request where batches are taken. Where they are not, a question
    /// that goes wrong takes none of the others with it. Never gives batches up: the next survey may still be one.
    pub async fn ask_each(
        &self,
        questions: &[Vec<Call>],
    ) -> Vec<Result<Vec<Reply>, EndpointError>> {
        let mut answers = Vec::with_capacity(questions.len());
        let mut left = questions;
        while left.len() > 1 && self.batches.load(Ordering::Relaxed) {
            let mut calls = 0_usize;
            let fits = left.iter().take_while(|question| {
                calls = calls.saturating_add(question.len());
                calls <= CHUNK
            });
            let (some, rest) = left.split_at(fits.count().max(1));
            let Some(answered) = self.ask_together(some).await else {
                break;
            };
            answers.extend(answered);
            left = rest;
        }
        let alone: Vec<_> = left.iter().map(|question| self.ask(question)).collect();
        let alone = stream::iter(alone).buffered(LANES);
        let alone: Vec<_> = alone.map(|a| a.map(|a| a.replies)).collect().await;
        answers.extend(alone);
        answers
    }

    /// These questions in one batch; `None` when the endpoint refuses it.
    async fn ask_together(
        &self,
        questions: &[Vec<Call>],
    ) -> Option<Vec<Result<Vec<Reply>, EndpointError>>> {
        let calls = questions.concat();
        let asked = match self.rested() {
            Ok(()) => self.ask_batch(&calls, &Mutex::default()).await,
            Err(resting) => Err(resting),
        };
        let replies = match asked {
            Ok(body) => wire::apart(&body?, calls.len()),
            Err(error) => Err(error),
        };
        let mut replies = match replies {
            Ok(replies) => replies.into_iter(),
            Err(error) => return Some(vec![Err(error); questions.len()]),
        };
        let each = questions.iter();
        Some(
            each.map(|question| Ok(replies.by_ref().take(question.len()).collect()))
                .collect(),
        )
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

    /// An error while it wants to be left alone.
    fn rested(&self) -> Result<(), EndpointError> {
        self.resting().map_or(Ok(()), |left| {
            Err(failure(
                RpcOutcome::Skipped,
                format!(
                    "asked to be left alone for another {} s",
                    left.as_secs() + 1
                ),
            ))
        })
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
    ) -> Result<Said, EndpointError> {
        let mut replies = Vec::with_capacity(calls.len());
        let mut left = calls;
        let mut refused = false;
        while left.len() > 1 && !refused && self.batches.load(Ordering::Relaxed) {
            let (chunk, rest) = left.split_at(left.len().min(CHUNK));
            match self.ask_batch(chunk, heard).await? {
                Some(body) if chunk.len() == calls.len() => {
                    let count = chunk.len();
                    return Ok(Said::Batch { body, count });
                }
                Some(body) => {
                    replies.extend(wire::apart(&body, chunk.len())?);
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
        Ok(Said::Replies(replies))
    }

    async fn ask_batch(
        &self,
        calls: &[Call],
        heard: &Mutex<Heard>,
    ) -> Result<Option<Vec<u8>>, EndpointError> {
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

// === impl Answer ===

impl Answer {
    /// One reply for each call.
    ///
    /// # Errors
    /// When the body is not what answers the calls.
    pub fn apart(self) -> Result<Answers, EndpointError> {
        Ok(Answers {
            replies: self.said.replies()?,
            latency: self.latency,
            clock_offset: self.clock_offset,
        })
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
