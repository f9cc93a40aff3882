//! Bodies of replies: whole, dripping, or endless. Says when it is used up, so that the connection can be closed then.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// One reply's body.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    kind: Kind,
    /// Dropped with the body, which tells the connection task.
    _done: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
enum Kind {
    Full(Bytes),
    Drip {
        rest: Bytes,
        every: Duration,
        timer: Pin<Box<Sleep>>,
    },
    Endless {
        left: u64,
        started: bool,
    },
}

/// Size of one piece of an endless body.
const PIECE: u64 = 64 * 1024;
static XS: [u8; 64 * 1024] = [b'x'; 64 * 1024];

impl ReplyBody {
    pub(crate) fn full(bytes: impl Into<Bytes>) -> ReplyBody {
        ReplyBody {
            kind: Kind::Full(bytes.into()),
            _done: None,
        }
    }

    pub(crate) fn drip(bytes: impl Into<Bytes>, every: Duration) -> ReplyBody {
        ReplyBody {
            kind: Kind::Drip {
                rest: bytes.into(),
                every,
                timer: Box::pin(sleep(every)),
            },
            _done: None,
        }
    }

    pub(crate) fn endless(length: u64) -> ReplyBody {
        ReplyBody {
            kind: Kind::Endless {
                left: length,
                started: false,
            },
            _done: None,
        }
    }

    /// Drops `done` when the body has been sent.
    pub(crate) fn telling(mut self, done: Option<oneshot::Sender<()>>) -> ReplyBody {
        self._done = done;
        self
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = match &mut self.kind {
            Kind::Full(bytes) => std::mem::take(bytes),
            Kind::Drip { rest, every, timer } => {
                if rest.is_empty() {
                    return Poll::Ready(None);
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                *timer = Box::pin(sleep(*every));
                rest.split_to(1)
            }
            Kind::Endless { left, started } => {
                if *started {
                    let n = (*left).min(PIECE);
                    *left -= n;
                    Bytes::from_static(&XS).slice(..usize::try_from(n).unwrap_or(0))
                } else {
                    *started = true;
                    Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"result\":\"")
                }
            }
        };
        if next.is_empty() {
            Poll::Ready(None)
        } else {
            Poll::Ready(Some(Ok(Frame::data(next))))
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(b) => b.is_empty(),
            Kind::Drip { rest, .. } => rest.is_empty(),
            Kind::Endless { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(b) => SizeHint::with_exact(b.len() as u64),
            Kind::Drip { rest, .. } => SizeHint::with_exact(rest.len() as u64),
            // Unknown on purpose: a client must not be able to tell beforehand.
            Kind::Endless { .. } => SizeHint::default(),
        }
    }
}
