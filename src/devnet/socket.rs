//! BitShares nodes also speak JSON-RPC over a websocket, on the port of their HTTP: the same calls, one text message each.
//!
//! May touch the connection that `server` hands over, and the chain behind the lock.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::faults::{Fault, spoil};
use super::server::answer;
use super::shared::{Endpoint, Shared};
use crate::chain::Protocol;

/// Whether a connection that begins with `head` becomes a websocket here. Faults that are HTTP replies, or none at all, meet
/// the handshake; one that is open already ends, except in a black hole, where it stays open and silent.
pub(super) fn wanted(shared: &Shared, endpoint: &Endpoint, head: &[u8]) -> bool {
    head.starts_with(b"GET ")
        && !endpoint.fault().as_ref().is_some_and(is_http)
        && shared.chain().protocol() == Protocol::BitShares
}

/// Faults that a websocket meets before it is one.
fn is_http(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::HttpStatus { .. }
            | Fault::Html
            | Fault::RedirectHttps { .. }
            | Fault::BlackHole
            | Fault::TlsFailure
            | Fault::Refused
    )
}

/// Answers until the client leaves, the endpoint dies, or a fault ends the connection.
pub(super) async fn serve(shared: &Arc<Shared>, endpoint: &Endpoint, stream: TcpStream) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(asked) = message else {
            continue;
        };
        let fault = endpoint.fault();
        match &fault {
            Some(Fault::BlackHole) => continue,
            Some(Fault::HugeBody { bytes }) => return huge(socket.get_mut(), *bytes).await,
            Some(fault) if is_http(fault) => return,
            _ => {}
        }
        if let Some(Fault::Slow { ms }) = &fault {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
        }
        let Some((_, mut value)) = answer(shared, endpoint, asked.as_bytes()).await else {
            return;
        };
        if let Some(fault) = &fault {
            let request = serde_json::from_str(&asked).unwrap_or_default();
            spoil(fault, &request, &mut value);
        }
        let mut text = value.to_string();
        match fault {
            Some(Fault::LostReply) => return,
            Some(Fault::SlowDrip { byte_ms }) => {
                return drip(socket.get_mut(), &text, byte_ms).await;
            }
            Some(Fault::TruncatedJson) => text.truncate(text.len() / 2),
            _ => {}
        }
        if socket.send(Message::text(text)).await.is_err() {
            return;
        }
    }
}

/// Says that a text message of this length begins.
async fn begin(stream: &mut TcpStream, bytes: u64) -> io::Result<()> {
    // The last fragment of a text message, its length in eight bytes.
    stream.write_all(&[0x81, 127]).await?;
    stream.write_all(&bytes.to_be_bytes()).await
}

/// One message, byte by byte; then the connection ends, so that no second one hurries it.
async fn drip(stream: &mut TcpStream, text: &str, byte_ms: u64) {
    if begin(stream, text.len() as u64).await.is_err() {
        return;
    }
    for byte in text.bytes() {
        if stream.write_all(&[byte]).await.is_err() {
            return; // the client has had enough
        }
        tokio::time::sleep(Duration::from_millis(byte_ms)).await;
    }
}

/// A message of nothing but spaces, for as long as the client reads it.
async fn huge(stream: &mut TcpStream, bytes: u64) {
    if begin(stream, bytes).await.is_err() {
        return;
    }
    let spaces = [b' '; 8192];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(8192);
        let end = usize::try_from(part).unwrap_or(spaces.len());
        let some = spaces.get(..end).unwrap_or_default();
        if stream.write_all(some).await.is_err() {
            return;
        }
        left -= part;
    }
}
