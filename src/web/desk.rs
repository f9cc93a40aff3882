//! What the listeners ask of the actuator, as a trait: routes can be tested without a chain, and it is plain to see that
//! they have no other way to act.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::server::BoxFuture;
use crate::actuator::{
    ActuatorSnapshot, DecisionRecord, EventRecord, JournalError, OperateError, OperatorCommand,
};

/// The actuator's desk.
pub trait Desk: Send + Sync {
    /// Its figures, on every change.
    fn state(&self) -> watch::Receiver<Arc<ActuatorSnapshot>>;
    /// What happens from now on.
    fn events(&self) -> broadcast::Receiver<EventRecord>;
    /// Decisions, newest first.
    fn decisions(
        &self,
        request_id: Option<String>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DecisionRecord>, JournalError>>;
    /// Carries out an operator's command; the request id comes back.
    fn operate(&self, command: OperatorCommand) -> BoxFuture<'_, Result<String, OperateError>>;
    /// The global switch.
    fn arm_all(&self, armed: bool) -> BoxFuture<'_, Result<(), OperateError>>;
}
