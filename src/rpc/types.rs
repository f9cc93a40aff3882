//! What the pool hands upwards: each endpoint's report, and the one agreed view or the named disagreement.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::chain::{Block, BlockRef, Observation, ProducerState, Schedule};
use crate::clock::Millis;

/// How a request to an endpoint ended: the bounded values of the label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RpcOutcome {
    /// A proper answer that could be read.
    Ok,
    /// Connection refused or reset.
    Refused,
    /// No complete answer within the hard limit.
    Timeout,
    /// TLS failed (certificate, protocol).
    Tls,
    /// HTTP 429.
    RateLimited,
    /// HTTP 5xx.
    ServerError,
    /// Another HTTP status that is no success.
    HttpError,
    /// A redirect that cannot be followed safely as a POST.
    Redirect,
    /// The body is larger than 4 MiB.
    TooLarge,
    /// Not JSON, cut off, or JSON of the wrong shape.
    Malformed,
    /// A JSON-RPC error where a result was needed.
    RpcError,
    /// Answers for another chain.
    WrongChain,
    /// The previous request to it was still under way (polls never overlap), or its `Retry-After` has not passed.
    Skipped,
}

/// Why an endpoint gave no observation: bounded outcome plus one line for people (no credentials, no bodies).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct EndpointError {
    /// The label value.
    pub outcome: RpcOutcome,
    /// What happened and what to look at.
    pub detail: String,
}

/// One endpoint's part in one tick.
#[derive(Debug, Clone)]
pub struct EndpointReport {
    /// Index in the configuration.
    pub index: usize,
    /// What it said, or why it said nothing. `None`: not heard yet when the round closed (it was not waited for).
    pub observation: Option<Result<Observation, EndpointError>>,
    /// Time to the full answer.
    pub latency: Duration,
    /// HTTP `Date` minus the local clock at receipt, in milliseconds; nodes asked directly send none.
    pub clock_offset: Option<Millis>,
}

/// One producer as agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct AgreedProducer {
    /// The state a quorum names; `None` when the chain does not know the producer.
    pub state: Option<ProducerState>,
    /// True while endpoints at different heads differ: neither fault nor disagreement; wait.
    pub settling: bool,
}

/// The one view that enough providers share.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// When the answers were complete, local clock.
    pub observed_at: Millis,
    /// The highest block that a quorum of providers has, on one fork.
    pub head: BlockRef,
    /// Absolute slot number of that head.
    pub head_slot: u64,
    /// The highest irreversible block number that a quorum of providers names.
    pub irreversible: u64,
    /// The nodes' own participation figure (median of the agreeing), 0–1.
    pub participation: Option<f64>,
    /// Schedules read at settled heads of agreeing endpoints (usually one or two distinct).
    pub schedules: Vec<Schedule>,
    /// Producers asked for this tick, by name.
    pub producers: BTreeMap<String, AgreedProducer>,
    /// Agreed blocks among those asked for, ascending by number.
    pub blocks: Vec<Block>,
    /// Keys that suffice for a switch, per authority asked for and agreed.
    pub active_keys: BTreeMap<String, Vec<crate::keys::PublicKey>>,
    /// Object id → account name, where asked for and agreed.
    pub aliases: Option<BTreeMap<String, String>>,
    /// Finality keys by producer, where asked for and agreed.
    pub finalizers: Option<BTreeMap<String, crate::chain::Finalizer>>,
    /// Who stands for election, where asked for and agreed.
    pub election: Option<crate::chain::Election>,
    /// Providers that share this view.
    pub agreeing: usize,
    /// Median of HTTP `Date` minus local clock over answering endpoints, milliseconds.
    pub clock_offset: Option<Millis>,
}

/// Why there is no agreed view. Every kind means `no_quorum`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// Too few providers answered with the right chain and a fresh head.
    #[error("{fresh} of the {quorum} providers needed gave a fresh answer for this chain ({why})")]
    TooFew {
        /// Providers with a usable, fresh answer.
        fresh: usize,
        /// Providers needed.
        quorum: usize,
        /// The endpoints' own troubles, one phrase each.
        why: String,
    },
    /// Providers are on different forks, none with a quorum.
    #[error("providers are on different forks at block {height}: {detail}")]
    Fork {
        /// The highest common height, where the ids differ.
        height: u64,
        /// Who says what.
        detail: String,
    },
    /// The quorum is no majority and a fresh answer contradicts it.
    #[error("a fresh answer contradicts the view: {detail}")]
    Contradicted {
        /// Who says what.
        detail: String,
    },
    /// Same head, different key, url or props, and no quorum for any.
    #[error("providers name different keys or properties for {producer}: {detail}")]
    State {
        /// Whose state differs.
        producer: String,
        /// Who says what.
        detail: String,
    },
}

/// Standing of an endpoint, for metrics and status: figures of the last completed request plus running counts.
#[derive(Debug, Clone, Default)]
pub struct EndpointStatus {
    /// URL without credentials, query or fragment: the label `endpoint`.
    pub label: String,
    /// Who runs it: one vote each.
    pub provider: String,
    /// Answered the last tick properly, for the right chain, and does not contradict the agreed view (fork, key).
    pub up: bool,
    /// Head block number last seen there.
    pub head: Option<u64>,
    /// Time of that head, Unix milliseconds.
    pub head_time: Option<Millis>,
    /// Blocks behind the agreed head (0 when ahead).
    pub lag: Option<u64>,
    /// Whether its chain id matches; `None` until asked.
    pub chain_id_match: Option<bool>,
    /// https, or loopback.
    pub secure: bool,
    /// Expiry of its TLS certificate, Unix seconds.
    pub certificate_expiry: Option<i64>,
    /// Its trouble in the last tick, in plain words.
    pub error: Option<String>,
    /// Requests by outcome since start, every outcome present.
    pub requests: BTreeMap<RpcOutcome, u64>,
    /// Latency histogram: cumulative counts per bucket of [`LATENCY_BUCKETS`], then sum and count.
    pub latency_buckets: Vec<u64>,
    /// Sum of latencies, seconds.
    pub latency_sum: f64,
    /// Number of latencies observed.
    pub latency_count: u64,
}

/// Upper bounds of the latency histogram, seconds.
pub const LATENCY_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0];

// === impl RpcOutcome ===

impl RpcOutcome {
    /// Every outcome, so that each counter exists at 0 from the start.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Refused,
        Self::Timeout,
        Self::Tls,
        Self::RateLimited,
        Self::ServerError,
        Self::HttpError,
        Self::Redirect,
        Self::TooLarge,
        Self::Malformed,
        Self::RpcError,
        Self::WrongChain,
        Self::Skipped,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::HttpError => "http_error",
            Self::Redirect => "redirect",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::RpcError => "rpc_error",
            Self::WrongChain => "wrong_chain",
            Self::Skipped => "skipped",
        }
    }
}
