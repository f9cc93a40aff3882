//! One endpoint, the pool of all, and their agreement. Owns every outgoing request to a chain; decides nothing about
//! producers.

mod types;

pub use types::{
    AgreedProducer, Disagreement, EndpointError, EndpointReport, EndpointStatus, LATENCY_BUCKETS,
    RpcOutcome, View,
};
