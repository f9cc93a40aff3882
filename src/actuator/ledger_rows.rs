//! The slot ledger's rows live in the same state file: [`LedgerStore`] on any [`Journal`].

use std::sync::Arc;

use super::journal::{Entry, Journal, JournalError};
use crate::watch::{LedgerStore, StoreError, StoreFuture};

/// A journal as the ledger's store.
pub struct LedgerRows(pub Arc<dyn Journal>);

// === impl LedgerRows ===

impl LedgerStore for LedgerRows {
    fn load<'a>(&'a self, chain: &'a str) -> StoreFuture<'a, Vec<(String, String)>> {
        let rows = self.0.ledger(chain);
        Box::pin(async move { rows.await.map_err(|e| trouble("reading", chain, &e)) })
    }

    fn save<'a>(&'a self, chain: &'a str, rows: Vec<(String, String)>) -> StoreFuture<'a, ()> {
        let written = self.0.write(vec![Entry::Ledger {
            chain: chain.to_owned(),
            rows,
        }]);
        Box::pin(async move { written.await.map_err(|e| trouble("saving", chain, &e)) })
    }
}

fn trouble(doing: &str, chain: &str, error: &JournalError) -> StoreError {
    StoreError {
        what: format!("{doing} the slot ledger of chain {chain}"),
        problem: error.to_string(),
    }
}
