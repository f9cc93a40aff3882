//! One endpoint of the pool: whether it can be asked now, what its tick brought, what is believed of it. It is not
//! believed before it has named the right chain.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::agree::Rules;
use super::burden::Burden;
use super::endpoint::{Endpoint, EndpointSetupError};
use super::failure::failure;
use super::health::Health;
use super::reading::Reading;
use super::types::{EndpointError, EndpointReport, EndpointStatus, RpcOutcome};
use crate::chain::{Call, Chain, Framing, Memory, Observation, Reply};
use crate::clock::{Millis, Stopwatch, now_ms};
use crate::config::EndpointConfig;

/// One endpoint and its standing.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    provider: String,
    health: Mutex<Health>,
    /// Set while a tick's request is under way: polls never overlap.
    busy: AtomicBool,
    burden: Burden,
    /// Of the whole pool.
    reading: Arc<Reading>,
}

/// Clears [`Member::busy`] however the request ends.
struct Busy<'a>(&'a AtomicBool);

// === impl Member ===

impl Member {
    /// Nothing is sent yet.
    pub(super) fn new(
        config: &EndpointConfig,
        framing: Framing,
        reading: Arc<Reading>,
    ) -> Result<Self, EndpointSetupError> {
        let one_by_one = framing != Framing::JsonRpc { batches: true };
        Ok(Self {
            endpoint: Endpoint::new(config, framing)?,
            provider: config.provider.clone(),
            health: Mutex::new(Health::new()),
            busy: AtomicBool::new(false),
            burden: Burden::new(one_by_one.then_some(config.soft_timeout)),
            reading,
        })
    }

    /// What is remembered of it, locked.
    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        lock(&self.health)
    }

    /// Its standing, against the agreed head.
    pub(super) fn status(&self, agreed: Option<u64>) -> EndpointStatus {
        EndpointStatus {
            label: self.endpoint.label().to_owned(),
            provider: self.provider.clone(),
            secure: self.endpoint.is_secure(),
            certificate_expiry: self.endpoint.certificate_expiry(),
            ..self.health().status(agreed)
        }
    }

    /// Why it cannot be asked this tick. Otherwise it is marked busy.
    pub(super) fn unavailable(&self) -> Option<EndpointError> {
        let why = if let Some(left) = self.endpoint.resting() {
            format!(
                "asked to be left alone for another {} s",
                left.as_secs() + 1
            )
        } else if self.busy.swap(true, Ordering::AcqRel) {
            "the request of an earlier tick is still under way".to_owned()
        } else {
            return None;
        };
        self.health().count(RpcOutcome::Skipped, Duration::ZERO);
        Some(failure(RpcOutcome::Skipped, why))
    }

    /// Asks it what the chain surveys; the result goes into its health, too.
    pub(super) async fn tick(
        &self,
        index: usize,
        chain: &dyn Chain,
        memory: &Memory,
        chain_id: &str,
    ) -> EndpointReport {
        let _busy = Busy(&self.busy);
        let memory = self.burden.bearable(memory);
        let watch = Stopwatch::start();
        let (calls, heads) = (chain.survey(&memory), chain.probe());
        let answer = self.endpoint.survey(&calls, &heads).await;
        let latency = watch.elapsed();
        let (clock_offset, read) = match answer {
            Ok(answer) => (
                answer.clock_offset,
                self.reading
                    .read(&memory, answer.said, |replies| {
                        understand(chain, &memory, replies)
                    })
                    .await,
            ),
            Err(error) => (None, Err(error)),
        };
        let failed = read.as_ref().err().map(|e| e.outcome);
        self.burden.learn(memory.blocks.len(), latency, failed);
        let mut health = self.health();
        let read = read.and_then(|seen| identify(&mut health, seen, chain_id));
        let outcome = read.as_ref().map_or_else(|e| e.outcome, |_| RpcOutcome::Ok);
        health.count(outcome, latency);
        health.tick(&read, now_ms());
        EndpointReport {
            index,
            observation: Some(read),
            latency,
            clock_offset,
        }
    }

    /// Counts a request that is no tick.
    pub(super) async fn counted<T>(
        &self,
        request: impl Future<Output = Result<T, EndpointError>>,
    ) -> Result<T, EndpointError> {
        let watch = Stopwatch::start();
        let result = request.await;
        let outcome = result
            .as_ref()
            .map_or_else(|e| e.outcome, |_| RpcOutcome::Ok);
        self.health().count(outcome, watch.elapsed());
        result
    }

    /// Asks it several questions that are no tick; they count as one request, which went as well as the worst of them.
    pub(super) async fn ask_each(
        &self,
        questions: &[Vec<Call>],
    ) -> Vec<Result<Vec<Reply>, EndpointError>> {
        let watch = Stopwatch::start();
        let answers = self.endpoint.ask_each(questions).await;
        let failed = answers.iter().find_map(|answer| answer.as_ref().err());
        let outcome = failed.map_or(RpcOutcome::Ok, |error| error.outcome);
        self.health().count(outcome, watch.elapsed());
        answers
    }

    /// Its newest answer, where that is recent and nothing worse came since.
    pub(super) fn carried(&self, rules: &Rules, now: Millis) -> Option<Observation> {
        let health = self.health();
        let (seen, at) = health.last.as_ref().filter(|_| !health.failed)?;
        let age = now.saturating_sub(*at);
        (0..=rules.stale_ms).contains(&age).then(|| seen.clone())
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn understand(
    chain: &dyn Chain,
    memory: &Memory,
    replies: &[Reply],
) -> Result<Observation, EndpointError> {
    chain.read(memory, replies).map_err(|error| {
        let outcome = if replies.iter().any(Result::is_err) {
            RpcOutcome::RpcError
        } else {
            RpcOutcome::Malformed
        };
        failure(outcome, error.to_string())
    })
}

/// Lets only observations of our chain through. What an endpoint said of its chain holds until it says otherwise.
fn identify(
    health: &mut Health,
    seen: Observation,
    chain_id: &str,
) -> Result<Observation, EndpointError> {
    if let Some(theirs) = &seen.chain_id {
        health.chain_id_match = Some(theirs.eq_ignore_ascii_case(chain_id));
    }
    match health.chain_id_match {
        Some(true) => Ok(seen),
        Some(false) => {
            health.last = None;
            let theirs = seen.chain_id.unwrap_or_default();
            Err(wrong_chain(&format!(
                "answers for another chain (chain id {theirs}, expected {chain_id})"
            )))
        }
        None => Err(wrong_chain("has not named its chain yet")),
    }
}

pub(super) fn wrong_chain(detail: &str) -> EndpointError {
    failure(RpcOutcome::WrongChain, detail)
}

/// A poisoned lock only means that a panic happened elsewhere; the data is plain and stays usable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
