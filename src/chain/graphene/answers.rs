//! The answers of one reading, taken one after another in the order of the calls. Pure.

use serde_json::Value;

use super::fields::bad;
use crate::chain::{ReadError, Reply, RpcFault};

/// Answers not yet looked at.
pub(super) struct Answers<'a>(std::slice::Iter<'a, Reply>);

impl<'a> Answers<'a> {
    pub(super) fn new(replies: &'a [Reply]) -> Self {
        Self(replies.iter())
    }

    /// The next answer, as it came.
    pub(super) fn reply(
        &mut self,
        what: &str,
    ) -> Result<Result<&'a Value, &'a RpcFault>, ReadError> {
        match self.0.next() {
            Some(reply) => Ok(reply.as_ref()),
            None => Err(bad(what, "was not answered")),
        }
    }

    /// The next answer, which must be a result.
    pub(super) fn value(&mut self, what: &str) -> Result<&'a Value, ReadError> {
        self.reply(what)?
            .map_err(|fault| bad(what, format!("refused with code {}", fault.code)))
    }

    /// The next answer where a refusal only means that this endpoint cannot tell.
    pub(super) fn maybe(&mut self, what: &str) -> Result<Option<&'a Value>, ReadError> {
        Ok(self.reply(what)?.ok())
    }
}
