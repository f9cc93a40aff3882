//! BitShares nodes also speak JSON-RPC over a websocket, on the port of their HTTP: the same calls, one text message each.
//!
//! May touch the connection that `server` hands over, and the chain behind the lock.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::faults::{Fault, spoil};
use super::server::answer;
use super::shared::{Endpoint, Shared};
use crate::chain::Protocol;

/// Whether a connection that begins with `head` is a websocket's here. Faults that are HTTP replies are told over HTTP.
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
            | Fault::HugeBody { .. }
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
        if fault.as_ref().is_some_and(is_http) {
            return;
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
            Some(Fault::TruncatedJson) => text.truncate(text.len() / 2),
            _ => {}
        }
        if socket.send(Message::text(text)).await.is_err() {
            return;
        }
    }
}
