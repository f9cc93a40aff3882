//! All endpoints of one chain: asks them in parallel, closes the round in time, keeps each one's standing. Decides
//! nothing: [`super::agree`] makes the view.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use super::agree::{Rules, agree};
use super::endpoint::EndpointSetupError;
use super::failure::failure;
use super::member::{Member, lock, wrong_chain};
use super::reading::Reading;
use super::recall::Recall;
use super::round::{self, Asked, Next};
use super::types::{EndpointError, EndpointReport, EndpointStatus, RpcOutcome, View};
use crate::chain::{Call, Chain, Memory, Observation, Reply};
use crate::clock::{Stopwatch, now_ms};
use crate::config::ChainConfig;

/// The endpoints of one chain.
#[derive(Debug)]
pub struct Pool {
    chain: Arc<dyn Chain>,
    rules: Rules,
    members: Vec<Arc<Member>>,
    recall: Mutex<Recall>,
}

// === impl Pool ===

impl Pool {
    /// A pool of the configured endpoints. Nothing is sent yet.
    pub fn new(
        chain: Arc<dyn Chain>,
        config: &ChainConfig,
    ) -> Result<Arc<Self>, EndpointSetupError> {
        let framing = chain.framing();
        let reading = Arc::new(Reading::new(config.endpoints.len()));
        let members = config
            .endpoints
            .iter()
            .map(|one| Member::new(one, framing, Arc::clone(&reading)).map(Arc::new))
            .collect::<Result<Vec<_>, EndpointSetupError>>()?;
        Ok(Arc::new(Self {
            rules: Rules {
                quorum: config.quorum,
                providers: config
                    .endpoints
                    .iter()
                    .map(|e| e.provider.clone())
                    .collect(),
                interval_ms: config.spec.block_interval,
                stale_ms: Rules::staleness(config.spec.block_interval, chain.turn()),
                chain_id: Some(crate::hex::encode(&config.spec.chain_id)),
                disputes: BTreeMap::new(),
            },
            chain,
            members,
            recall: Mutex::new(Recall::default()),
        }))
    }

    /// What [`agree`] needs, as of now.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            disputes: lock(&self.recall).disputes.clone(),
            ..self.rules.clone()
        }
    }

    /// Asks every endpoint in parallel and returns when the round is over: all have answered; or a majority agrees and
    /// 30 ms have passed since; or every endpoint worth waiting for has answered or used up its soft limit. Requests
    /// still under way go on to their hard limit; their results go into the statuses, and stand in for a silent
    /// endpoint in later rounds while they are at most [`Rules::stale_ms`] old. One report per endpoint, in configured order.
    pub async fn ask(&self, memory: &Memory) -> Vec<EndpointReport> {
        let watch = Stopwatch::start();
        let memory = self.with_common_height(memory);
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut reports: Vec<EndpointReport> = (0..self.members.len()).map(silent).collect();
        let mut asked: Vec<Asked> = Vec::with_capacity(self.members.len());
        for (index, member) in self.members.iter().enumerate() {
            asked.push(Asked {
                expected: !member.health().failed,
                answered: false,
                soft: member.endpoint.soft_limit(),
            });
            if let Some(skipped) = member.unavailable() {
                reports[index].observation = Some(Err(skipped));
                asked[index].answered = true;
                continue;
            }
            let mut memory = memory.clone();
            // An endpoint is not believed before it has named its chain.
            memory.identity |= member.health().chain_id_match != Some(true);
            self.spawn(index, Arc::clone(member), memory, sender.clone());
        }
        drop(sender);
        let (rules, known) = (self.rules(), lock(&self.recall).ids.clone());
        let mut agreed_at = None;
        while let Next::WaitUntil(end) =
            round::next(&asked, agreed_at, rules.is_majority(), watch.elapsed())
        {
            let left = end.saturating_sub(watch.elapsed());
            match tokio::time::timeout(left, receiver.recv()).await {
                Ok(Some(report)) => {
                    let index = report.index;
                    asked[index].answered = true;
                    reports[index] = report;
                    let view = agree(&rules, &reports, &|num| known.get(&num).cloned(), now_ms());
                    agreed_at = view.is_ok().then(|| agreed_at.unwrap_or(watch.elapsed()));
                }
                Ok(None) => break,
                Err(_) => {} // the time is up: `round::next` says what that means
            }
        }
        let wanted: BTreeSet<&String> = memory.producers.iter().collect();
        for (report, member) in reports.iter_mut().zip(&self.members) {
            let unheard = match &report.observation {
                None => true,
                Some(Err(error)) => error.outcome == RpcOutcome::Skipped,
                Some(Ok(_)) => false,
            };
            if let Some(mut earlier) = unheard
                .then(|| member.carried(&self.rules, now_ms()))
                .flatten()
            {
                // An earlier tick may have asked for others; their state is not this tick's business.
                earlier.producers.retain(|name, _| wanted.contains(name));
                report.observation = Some(Ok(earlier));
            }
        }
        reports
    }

    /// Asks every endpoint the same questions of a few calls each (see [`Endpoint::ask_each`](super::Endpoint::ask_each)) and
    /// waits for all that did not fail their last tick (the others get a short grace). For each question, one result per
    /// endpoint, in configured order. Endpoints of another chain are not asked.
    pub async fn call_all(
        &self,
        questions: &[Vec<Call>],
    ) -> Vec<Vec<Result<Vec<Reply>, EndpointError>>> {
        let asked: Arc<[Vec<Call>]> = questions.into();
        let told = self.each(move |member| {
            let questions = Arc::clone(&asked);
            async move {
                if member.health().chain_id_match != Some(true) {
                    return Err(wrong_chain("has not named its chain yet"));
                }
                Ok(member.ask_each(&questions).await)
            }
        });
        let told = told.await;
        let of = |index: usize| {
            let each = told.iter().map(move |answers| match answers {
                Ok(answers) => answers.get(index).cloned().unwrap_or(Ok(Vec::new())),
                Err(error) => Err(error.clone()),
            });
            each.collect()
        };
        (0..questions.len()).map(of).collect()
    }

    /// Sends `call` to every endpoint in parallel, one try each over a fresh connection. Endpoints known to be of
    /// another chain are left out; one that failed its last tick is sent to but hardly waited for.
    pub async fn broadcast(&self, call: &Call) -> Vec<Result<Reply, EndpointError>> {
        let call = Arc::new(call.clone());
        self.each(move |member| {
            let call = Arc::clone(&call);
            async move {
                if member.health().chain_id_match == Some(false) {
                    return Err(wrong_chain("answers for another chain"));
                }
                member.counted(member.endpoint.send_once(&call)).await
            }
        })
        .await
    }

    /// Every endpoint's standing, in configured order.
    #[must_use]
    pub fn statuses(&self) -> Vec<EndpointStatus> {
        let agreed = lock(&self.recall).head;
        self.members
            .iter()
            .map(|member| member.status(agreed))
            .collect()
    }

    /// Takes in the agreed view of the tick: statuses measure lag and contradiction against it, and later rounds
    /// compare with its ids.
    pub fn note_view(&self, view: &View) {
        let mut healths: Vec<_> = self.members.iter().map(|m| m.health()).collect();
        let seen: Vec<&Observation> = healths
            .iter()
            .filter(|health| !health.failed)
            .filter_map(|health| health.last.as_ref().map(|(seen, _)| seen))
            .collect();
        let mut recall = lock(&self.recall);
        recall.note(view, &seen, self.rules.stale_blocks());
        for health in &mut healths {
            let against = health
                .last
                .as_ref()
                .and_then(|(seen, _)| recall.contradiction(view, seen));
            health.contradiction = against;
        }
    }

    /// Asks also for the block after the lowest recent head, so that two endpoints whose heads differ have a height in
    /// common: where there is no such block yet the answer is a cheap `null`.
    fn with_common_height(&self, memory: &Memory) -> Memory {
        let mut memory = memory.clone();
        let heads: Vec<u64> = self
            .members
            .iter()
            .filter_map(|member| {
                let health = member.health();
                health.head().filter(|_| !health.failed)
            })
            .collect();
        let floor = lock(&self.recall)
            .head
            .map_or(0, |head| head.saturating_sub(self.rules.stale_blocks()));
        let lowest = heads.into_iter().filter(|head| *head >= floor).min();
        if let Some(next) = lowest.and_then(|head| head.checked_add(1))
            && !memory.blocks.contains(&next)
        {
            memory.blocks.push(next);
        }
        memory
    }

    fn spawn(
        &self,
        index: usize,
        member: Arc<Member>,
        memory: Memory,
        sender: mpsc::UnboundedSender<EndpointReport>,
    ) {
        let chain = Arc::clone(&self.chain);
        let chain_id = self.rules.chain_id.clone().unwrap_or_default();
        tokio::spawn(async move {
            let report = member.tick(index, chain.as_ref(), &memory, &chain_id).await;
            // The round may be over; the result is in the member's health all the same.
            let _ = sender.send(report);
        });
    }

    /// Runs `work` for every member in tasks of their own, and waits for those worth waiting for.
    async fn each<T, W, F>(&self, work: W) -> Vec<Result<T, EndpointError>>
    where
        T: Send + 'static,
        W: Fn(Arc<Member>) -> F,
        F: Future<Output = Result<T, EndpointError>> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut results: Vec<Option<Result<T, EndpointError>>> = Vec::new();
        let mut expected: Vec<bool> = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            results.push(None);
            expected.push(!member.health().failed);
            let (sender, task) = (sender.clone(), work(Arc::clone(member)));
            tokio::spawn(async move {
                let _ = sender.send((index, task.await));
            });
        }
        drop(sender);
        if !expected.contains(&true) {
            expected.fill(true);
        }
        loop {
            let waiting = results
                .iter()
                .zip(&expected)
                .any(|(result, expected)| *expected && result.is_none());
            let next = if waiting {
                receiver.recv().await
            } else {
                // Only endpoints that failed their last tick are missing: a moment's grace, then on without them.
                tokio::time::timeout(round::GRACE, receiver.recv())
                    .await
                    .unwrap_or(None)
            };
            match next {
                Some((index, result)) => results[index] = Some(result),
                None => break,
            }
        }
        results
            .into_iter()
            .map(|result| {
                result.unwrap_or_else(|| {
                    Err(failure(
                        RpcOutcome::Timeout,
                        "not waited for: it failed its last tick",
                    ))
                })
            })
            .collect()
    }
}

fn silent(index: usize) -> EndpointReport {
    EndpointReport {
        index,
        observation: None,
        latency: Duration::ZERO,
        clock_offset: None,
    }
}
