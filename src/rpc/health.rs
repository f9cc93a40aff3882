//! The standing of one endpoint: counters, latency histogram and what its last answer showed. Data only; the pool
//! feeds it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::types::{EndpointError, EndpointStatus, LATENCY_BUCKETS, RpcOutcome};
use crate::chain::Observation;
use crate::clock::Millis;

/// What is remembered of one endpoint.
#[derive(Debug)]
pub(super) struct Health {
    /// The last completed tick failed: it is not waited for. A fresh endpoint counts as healthy.
    pub(super) failed: bool,
    /// Whether it serves our chain; `None` until it said.
    pub(super) chain_id_match: Option<bool>,
    /// Its newest good observation and when it came, local clock.
    pub(super) last: Option<(Observation, Millis)>,
    /// Why it contradicts the agreed view, if it does.
    pub(super) contradiction: Option<String>,
    answered: bool,
    error: Option<String>,
    requests: BTreeMap<RpcOutcome, u64>,
    buckets: [u64; LATENCY_BUCKETS.len()],
    sum: f64,
    count: u64,
}

// === impl Health ===

impl Health {
    pub(super) fn new() -> Self {
        Self {
            failed: false,
            chain_id_match: None,
            last: None,
            contradiction: None,
            answered: false,
            error: None,
            requests: RpcOutcome::ALL.iter().map(|o| (*o, 0)).collect(),
            buckets: [0; LATENCY_BUCKETS.len()],
            sum: 0.0,
            count: 0,
        }
    }

    /// Counts one request, or one that was skipped.
    pub(super) fn count(&mut self, outcome: RpcOutcome, latency: Duration) {
        *self.requests.entry(outcome).or_insert(0) += 1;
        if outcome == RpcOutcome::Skipped {
            return;
        }
        let seconds = latency.as_secs_f64();
        for (bucket, bound) in self.buckets.iter_mut().zip(LATENCY_BUCKETS) {
            if seconds <= bound {
                *bucket += 1;
            }
        }
        self.sum += seconds;
        self.count += 1;
    }

    /// Takes in how a tick's request ended.
    pub(super) fn tick(&mut self, result: &Result<Observation, EndpointError>, now: Millis) {
        match result {
            Ok(observation) => {
                self.failed = false;
                self.answered = true;
                self.error = None;
                self.last = Some((observation.clone(), now));
            }
            Err(error) => {
                self.failed = true;
                self.answered = false;
                self.error = Some(error.detail.clone());
            }
        }
    }

    /// The newest head number of it that can be trusted to be of our chain.
    pub(super) fn head(&self) -> Option<u64> {
        self.last.as_ref().map(|(seen, _)| seen.head.num)
    }

    /// The public picture, without what only the endpoint knows (label, provider, certificate).
    pub(super) fn status(&self, agreed_head: Option<u64>) -> EndpointStatus {
        let head = self.head();
        EndpointStatus {
            up: self.answered && self.contradiction.is_none(),
            head,
            head_time: self.last.as_ref().map(|(seen, _)| seen.head.time),
            lag: head
                .zip(agreed_head)
                .map(|(head, agreed)| agreed.saturating_sub(head)),
            chain_id_match: self.chain_id_match,
            error: self.error.clone().or_else(|| self.contradiction.clone()),
            requests: self.requests.clone(),
            latency_buckets: self.buckets.to_vec(),
            latency_sum: self.sum,
            latency_count: self.count,
            ..EndpointStatus::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_counts_from_zero_and_skips_take_no_time() {
        let mut health = Health::new();
        health.count(RpcOutcome::Ok, Duration::from_millis(30));
        health.count(RpcOutcome::Timeout, Duration::from_secs(9));
        health.count(RpcOutcome::Skipped, Duration::ZERO);
        let status = health.status(None);
        assert_eq!(status.requests.len(), RpcOutcome::ALL.len());
        assert_eq!(status.requests[&RpcOutcome::Tls], 0);
        assert_eq!(status.requests[&RpcOutcome::Skipped], 1);
        assert_eq!(status.latency_buckets, [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(status.latency_count, 2);
        assert!((status.latency_sum - 9.03).abs() < 1e-9);
    }
}
