//! The way to the endpoints, as a trait, so that simulations can lose and delay what goes over it.

use super::super::journal::Soon;
use crate::chain::{Call, Reply};
use crate::rpc::EndpointError;

/// One question's answers, one for each endpoint.
pub type Answers = Vec<Result<Vec<Reply>, EndpointError>>;

/// What the actuator needs of the pool. Only [`super::Driver`] holds one.
pub trait Wire: Send + Sync {
    /// Asks every endpoint these questions of a few calls each, at once: for each question, each endpoint's answer.
    fn ask_all(&self, questions: Vec<Vec<Call>>) -> Soon<'static, Vec<Answers>>;
    /// Sends one broadcast to every endpoint, one try each, in parallel.
    fn transmit(&self, call: Call) -> Soon<'static, Vec<Result<Reply, EndpointError>>>;
}
