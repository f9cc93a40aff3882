//! One endpoint, the pool of all, and their agreement. Owns every outgoing request to a chain; decides nothing about
//! producers.
//!
//! | file | idea |
//! |---|---|
//! | `transport` | one POST within limits, redirects as POSTs; the beginning of a websocket |
//! | `socket` | JSON-RPC over a websocket |
//! | `redirect` | where a redirected POST may go |
//! | `failure` | error → bounded outcome |
//! | `jsonrpc`, `rest` | calls → body → replies, in either framing |
//! | `wire` | one call to one URL in its framing |
//! | `endpoint` | batches, calls under way at once, limits, `Retry-After` |
//! | `burden` | how many blocks an endpoint can deliver in one answer |
//! | `round` | when a round of questions is over |
//! | `health`, `recall` | what is remembered of an endpoint, of the agreed view |
//! | `reading` | bytes → observation, the same bytes once |
//! | `member` | one endpoint of the pool, and what is believed of it |
//! | `pool` | all endpoints of a chain |
//! | [`agree`] | reports → one view, or the named disagreement |

pub mod agree;
mod burden;
mod endpoint;
mod failure;
mod health;
mod jsonrpc;
mod member;
mod pool;
mod reading;
mod recall;
mod redirect;
mod rest;
mod round;
mod socket;
mod transport;
mod types;
mod wire;

pub use endpoint::{Answer, Answers, Endpoint, EndpointSetupError};
pub use pool::Pool;
pub use types::{
    AgreedProducer, Disagreement, EndpointError, EndpointReport, EndpointStatus, LATENCY_BUCKETS,
    RpcOutcome, View,
};
