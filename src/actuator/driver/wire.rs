//! The way to the endpoints, as a trait, so that simulations can lose and delay what goes over it.

use super::super::journal::Soon;
use crate::chain::{Call, Reply};
use crate::rpc::EndpointError;

/// What the actuator needs of the pool. Only [`super::Driver`] holds one.
pub trait Wire: Send + Sync {
    /// Asks every endpoint these questions.
    fn ask_all(&self, calls: Vec<Call>) -> Soon<'static, Vec<Result<Vec<Reply>, EndpointError>>>;
    /// Sends one broadcast to every endpoint, one try each, in parallel.
    fn transmit(&self, call: Call) -> Soon<'static, Vec<Result<Reply, EndpointError>>>;
}
