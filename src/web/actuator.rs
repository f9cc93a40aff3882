//! The real actuator behind the desk and behind the webhook's intake: nothing but forwarding.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::desk::Desk;
use super::server::BoxFuture;
use crate::actuator::{
    ActuatorHandle, ActuatorSnapshot, DecisionRecord, EventRecord, Incoming, JournalError,
    OperateError, OperatorCommand, Submitted,
};
use crate::alertmanager::Intake;

impl Intake for ActuatorHandle {
    fn submit(
        &self,
        incoming: Vec<Incoming>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Submitted>, JournalError>> + Send + '_>> {
        Box::pin(Self::submit(self, incoming))
    }
}

impl Desk for ActuatorHandle {
    fn state(&self) -> watch::Receiver<Arc<ActuatorSnapshot>> {
        Self::state(self)
    }

    fn events(&self) -> broadcast::Receiver<EventRecord> {
        Self::events(self)
    }

    fn decisions(
        &self,
        request_id: Option<String>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DecisionRecord>, JournalError>> {
        Box::pin(Self::decisions(self, request_id, limit))
    }

    fn operate(&self, command: OperatorCommand) -> BoxFuture<'_, Result<String, OperateError>> {
        Box::pin(Self::operate(self, command))
    }

    fn arm_all(&self, armed: bool) -> BoxFuture<'_, Result<(), OperateError>> {
        Box::pin(Self::arm_all(self, armed))
    }
}
