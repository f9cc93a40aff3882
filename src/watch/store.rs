//! Where the ledger's rows are kept: the trait that the state file implements. Rows are key → JSON; what is in them is
//! the ledger's business.

use std::future::Future;
use std::pin::Pin;

/// A future that a store hands out.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The state file could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct StoreError {
    /// What was being done.
    pub what: String,
    /// What went wrong and what to look at.
    pub problem: String,
}

/// Keeps the ledger's rows. `save` is one transaction: all rows or none, durable when it returns.
pub trait LedgerStore: Send + Sync {
    /// Every row of `chain`.
    fn load<'a>(&'a self, chain: &'a str) -> StoreFuture<'a, Vec<(String, String)>>;
    /// Writes `rows` of `chain` over those of the same key; a row with an empty value is removed.
    fn save<'a>(&'a self, chain: &'a str, rows: Vec<(String, String)>) -> StoreFuture<'a, ()>;
}
