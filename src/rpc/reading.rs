//! From bytes to observations, the same bytes once: endpoints of one chain at one head mostly say the same, byte for byte,
//! and say it again until the next block. What is new is taken apart one body after another, so that not all lie in memory
//! taken apart at once, and not all threads are busy with it while scrapes and webhooks wait. Data only.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use super::member::lock;
use super::types::EndpointError;
use super::wire::{self, Said};
use crate::chain::{Memory, Observation, Reply};

/// Bodies that are remembered, in bytes: those of a hundred producers and more at every endpoint of a pool.
const REMEMBERED: usize = 1 << 20;
/// How long a body waits for its turn to be taken apart.
const TURN: Duration = Duration::from_millis(50);

/// What the endpoints of one pool said last, and what it meant.
#[derive(Debug)]
pub(super) struct Reading {
    /// Newest first.
    recent: Mutex<VecDeque<Understood>>,
    most: usize,
    /// Held while a body is taken apart.
    turn: tokio::sync::Mutex<()>,
}

/// Bytes that were read.
#[derive(Debug)]
struct Understood {
    /// What was asked: the same bytes may answer another question.
    memory: Memory,
    body: Vec<u8>,
    seen: Observation,
}

// === impl Reading ===

impl Reading {
    /// For a pool of so many endpoints: each may say something else.
    pub(super) fn new(endpoints: usize) -> Self {
        Self {
            recent: Mutex::default(),
            most: endpoints,
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// What an endpoint's answer to the survey of `memory` means: `understand` of its replies, or what that brought the last
    /// time.
    pub(super) async fn read(
        &self,
        memory: &Memory,
        said: Said,
        understand: impl FnOnce(&[Reply]) -> Result<Observation, EndpointError>,
    ) -> Result<Observation, EndpointError> {
        let (body, count) = match said {
            Said::Replies(replies) => return understand(&replies),
            Said::Batch { body, count } => (body, count),
        };
        if let Some(known) = self.known(memory, &body) {
            return Ok(known);
        }
        // Whoever sends what takes long to take apart must not hold up the others for it.
        let _turn = tokio::time::timeout(TURN, self.turn.lock()).await;
        if let Some(known) = self.known(memory, &body) {
            return Ok(known);
        }
        let seen = understand(&wire::apart(&body, count)?)?;
        self.remember(memory, body, &seen);
        Ok(seen)
    }

    fn known(&self, memory: &Memory, body: &[u8]) -> Option<Observation> {
        let recent = lock(&self.recent);
        let known = |u: &&Understood| u.body == body && u.memory == *memory;
        recent.iter().find(known).map(|known| known.seen.clone())
    }

    fn remember(&self, memory: &Memory, mut body: Vec<u8>, seen: &Observation) {
        if body.len() > REMEMBERED {
            return;
        }
        body.shrink_to_fit();
        let mut recent = lock(&self.recent);
        recent.truncate(self.most.saturating_sub(1));
        let mut room = REMEMBERED.saturating_sub(body.len());
        recent.retain(|older| {
            let fits = older.body.len() <= room;
            room = room.saturating_sub(older.body.len());
            fits
        });
        recent.push_front(Understood {
            memory: memory.clone(),
            body,
            seen: seen.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::chain::{BlockId, BlockRef};
    use crate::rpc::RpcOutcome;
    use crate::rpc::failure::failure;

    /// Counts how often it had to understand.
    struct Reader {
        reading: Reading,
        understood: Cell<u32>,
    }

    impl Reader {
        fn new(endpoints: usize) -> Self {
            Self {
                reading: Reading::new(endpoints),
                understood: Cell::new(0),
            }
        }

        /// The head that `body` names, asked for these blocks.
        async fn head(&self, blocks: &[u64], body: &str) -> Result<u64, RpcOutcome> {
            let memory = Memory {
                blocks: blocks.to_vec(),
                ..Memory::default()
            };
            let said = Said::Batch {
                body: body.as_bytes().to_vec(),
                count: 1,
            };
            let read = self.reading.read(&memory, said, |replies| {
                self.understood.set(self.understood.get() + 1);
                let num = replies[0].as_ref().ok().and_then(|reply| reply.as_u64());
                num.map(at)
                    .ok_or_else(|| failure(RpcOutcome::RpcError, "no head"))
            });
            read.await.map(|seen| seen.head.num).map_err(|e| e.outcome)
        }
    }

    fn at(num: u64) -> Observation {
        Observation {
            chain_id: None,
            head: BlockRef {
                num,
                id: BlockId(format!("{num:08x}")),
                time: 0,
            },
            head_slot: num,
            irreversible: num,
            settled: true,
            slack: 0,
            participation: None,
            schedule: None,
            producers: Default::default(),
            blocks: Vec::new(),
            active_keys: Default::default(),
            aliases: None,
            finalizers: None,
            election: None,
        }
    }

    fn body(head: u64) -> String {
        format!(r#"[{{"id":1,"result":{head}}}]"#)
    }

    #[tokio::test]
    async fn the_same_bytes_to_the_same_question_are_read_once() {
        let reader = Reader::new(3);
        for _ in 0..3 {
            assert_eq!(reader.head(&[8], &body(7)).await, Ok(7));
        }
        assert_eq!(reader.understood.get(), 1);
        assert_eq!(reader.head(&[9], &body(7)).await, Ok(7));
        assert_eq!(reader.understood.get(), 2, "another question");
        assert_eq!(reader.head(&[8], &body(8)).await, Ok(8));
        assert_eq!(reader.understood.get(), 3, "another answer");
        assert_eq!(reader.head(&[8], &body(7)).await, Ok(7));
        assert_eq!(reader.understood.get(), 3, "still remembered");
    }

    #[tokio::test]
    async fn a_body_that_takes_long_holds_up_nobody_for_long() {
        let reader = Reader::new(3);
        assert_eq!(reader.head(&[], &body(1)).await, Ok(1));
        let _long = reader.reading.turn.lock().await;
        assert_eq!(reader.head(&[], &body(1)).await, Ok(1), "known: no turn");
        assert_eq!(reader.head(&[], &body(2)).await, Ok(2), "after a while");
        assert_eq!(reader.understood.get(), 2);
    }

    #[tokio::test]
    async fn what_could_not_be_read_is_read_again() {
        let reader = Reader::new(3);
        let error = r#"[{"id":1,"error":{"code":-32000,"message":"busy"}}]"#;
        for n in 1..=2 {
            assert_eq!(reader.head(&[], error).await, Err(RpcOutcome::RpcError));
            assert_eq!(reader.understood.get(), n);
        }
        assert_eq!(reader.head(&[], "[}").await, Err(RpcOutcome::Malformed));
        assert_eq!(reader.understood.get(), 2);
    }

    #[tokio::test]
    async fn no_more_is_remembered_than_endpoints_say_at_once_nor_than_a_mebibyte() {
        let reader = Reader::new(2);
        for head in [1, 2, 3, 3, 2] {
            assert_eq!(reader.head(&[], &body(head)).await, Ok(head));
        }
        assert_eq!(reader.understood.get(), 3);
        assert_eq!(reader.head(&[], &body(1)).await, Ok(1));
        assert_eq!(reader.understood.get(), 4, "the oldest went");
        let padded = |head: u64, size: usize| format!("{}{}", " ".repeat(size), body(head));
        let (half, whole) = (REMEMBERED / 2, REMEMBERED);
        assert_eq!(reader.head(&[], &padded(5, half)).await, Ok(5));
        assert_eq!(reader.head(&[], &padded(6, half)).await, Ok(6));
        assert_eq!(reader.head(&[], &padded(5, half)).await, Ok(5));
        assert_eq!(reader.understood.get(), 7, "both do not fit");
        for _ in 0..2 {
            assert_eq!(reader.head(&[], &padded(7, whole)).await, Ok(7));
        }
        assert_eq!(reader.understood.get(), 9, "too large to be kept");
        assert_eq!(reader.head(&[], &padded(5, half)).await, Ok(5));
        assert_eq!(reader.understood.get(), 9, "and nothing else went for it");
    }
}
