//! JSON-RPC over a real websocket (BitShares): every outcome, one shared connection, broadcasts of their own, no leaks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use slotkeeper::chain::{Call, Framing};
use slotkeeper::rpc::{Endpoint, RpcOutcome};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::rpc_server::{Act, Server, endpoint, eventually};

/// What the node does with a request.
#[derive(Debug, Clone)]
enum Do {
    /// These messages, in this order.
    Say(Vec<String>),
    /// Nothing, ever.
    Hang,
    /// Ends the connection, politely or not.
    Close,
    Drop,
    /// A message of so many bytes.
    Large(usize),
    /// The beginning of a frame, then a byte every 20 ms.
    Drip,
    /// Bytes that are no frame.
    Garbage,
}

/// A node that speaks websockets; its tasks end with the test's runtime.
struct Node {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Value>>>,
    open: Arc<AtomicUsize>,
}

impl Node {
    async fn start(handler: impl Fn(&Value) -> Do + Send + Sync + 'static) -> Self {
        Self::run(handler, None).await
    }

    async fn run(
        handler: impl Fn(&Value) -> Do + Send + Sync + 'static,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Self {
            addr: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
            open: Arc::default(),
        };
        let handler = Arc::new(handler);
        let (connections, requests) = (Arc::clone(&node.connections), Arc::clone(&node.requests));
        let open = Arc::clone(&node.open);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (handler, requests) = (Arc::clone(&handler), Arc::clone(&requests));
                let (tls, open) = (tls.clone(), Arc::clone(&open));
                tokio::spawn(async move {
                    open.fetch_add(1, Ordering::SeqCst);
                    match tls {
                        None => serve(stream, &*handler, &requests).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &*handler, &requests).await;
                            }
                        }
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        node
    }

    fn url(&self) -> String {
        format!("ws://{}/ws", self.addr)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn asked(&self) -> Vec<String> {
        let name = |one: &Value| one["method"].as_str().unwrap().to_owned();
        self.requests.lock().unwrap().iter().map(name).collect()
    }

    fn connect(&self) -> Endpoint {
        Endpoint::new(&endpoint(&self.url(), "a"), Framing::JsonRpcStatus).unwrap()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    handler: &(impl Fn(&Value) -> Do + Sync),
    requests: &Mutex<Vec<Value>>,
) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let asked: Value = serde_json::from_str(&text).unwrap();
        let act = handler(&asked);
        requests.lock().unwrap().push(asked);
        if !act_on(&mut socket, act).await {
            return;
        }
    }
}

async fn act_on<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    act: Do,
) -> bool {
    match act {
        Do::Say(messages) => {
            for text in messages {
                if socket.send(Message::text(text)).await.is_err() {
                    return false;
                }
            }
            true
        }
        Do::Hang => true,
        Do::Close => {
            let _ = socket.close(None).await;
            false
        }
        Do::Drop => false,
        Do::Large(bytes) => socket.send(Message::text(" ".repeat(bytes))).await.is_ok(),
        Do::Drip => {
            // A text frame of 65,535 bytes, of which one comes now and then.
            let raw = socket.get_mut();
            let _ = raw.write_all(&[0x81, 126, 0xff, 0xff]).await;
            while raw.write_all(b" ").await.is_ok() && raw.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            false
        }
        Do::Garbage => {
            let raw = socket.get_mut();
            let _ = raw.write_all(b"leak-me, says no websocket").await;
            let _ = raw.flush().await;
            true
        }
    }
}

fn call(method: &str) -> Call {
    Call {
        method: method.into(),
        params: json!([1]),
    }
}

fn answer(asked: &Value) -> Do {
    let reply = json!({"jsonrpc": "2.0", "id": asked["id"], "result": asked["method"]});
    Do::Say(vec![reply.to_string()])
}

#[tokio::test]
async fn questions_share_one_connection_and_answers_are_matched_by_id() {
    let held = Mutex::new(Vec::new());
    // Answers in pairs, the later question first, with a notice before each.
    let node = Node::start(move |asked| {
        let mut held = held.lock().unwrap();
        held.push(asked.clone());
        if held.len() < 2 {
            return Do::Say(vec![r#"{"method":"notice","params":[1,[]]}"#.into()]);
        }
        let reply = |one: &Value| json!({"id": one["id"], "result": one["method"]}).to_string();
        Do::Say(held.drain(..).rev().map(|one| reply(&one)).collect())
    })
    .await;
    let endpoint = node.connect();
    assert!(endpoint.is_secure());
    let calls: Vec<Call> = (0..8).map(|n| call(&format!("m{n}"))).collect();
    for _ in 0..3 {
        let answers = endpoint.survey(&calls, &[]).await.unwrap().apart().unwrap();
        let expected: Vec<_> = (0..8).map(|n| Ok(json!(format!("m{n}")))).collect();
        assert_eq!(answers.replies, expected);
    }
    assert_eq!(node.connections(), 1);
}

#[tokio::test]
async fn an_error_is_the_calls_with_its_id_or_without() {
    let node = Node::start(|asked| {
        let id = if asked["method"] == "a" {
            asked["id"].clone()
        } else {
            Value::Null
        };
        let error = json!({"id": id, "error": {"code": -32601, "message": "no such method"}});
        Do::Say(vec![error.to_string()])
    })
    .await;
    let answers = node.connect().ask(&[call("a"), call("b")]).await.unwrap();
    for reply in answers.replies {
        assert_eq!(reply.unwrap_err().code, -32601);
    }
}

#[tokio::test]
async fn every_failure_has_its_outcome_leaks_nothing_and_ends_the_connection() {
    let say = |text: &str| Do::Say(vec![text.to_owned()]);
    let notices = vec![r#"{"method":"notice","params":[]}"#.to_owned(); 1_002];
    for (act, outcome) in [
        (Do::Close, RpcOutcome::Refused),
        (Do::Drop, RpcOutcome::Refused),
        (Do::Hang, RpcOutcome::Timeout),
        (Do::Drip, RpcOutcome::Timeout),
        (Do::Large((4 << 20) + 1), RpcOutcome::TooLarge),
        (Do::Garbage, RpcOutcome::Malformed),
        (say("leak-me"), RpcOutcome::Malformed),
        (say(r#"{"id":1,"res"#), RpcOutcome::Malformed),
        (
            say(r#"{"id":77,"result":"leak-me"}"#),
            RpcOutcome::Malformed,
        ),
        (say(r#"{"id":1}"#), RpcOutcome::Malformed),
        (say(r#"{"result":1}"#), RpcOutcome::Malformed),
        (Do::Say(notices), RpcOutcome::Malformed),
    ] {
        let name = format!("{act:?}").chars().take(60).collect::<String>();
        let endless = matches!(act, Do::Hang | Do::Drip);
        let node = Node::start(move |_| act.clone()).await;
        let mut config = endpoint(&node.url(), "a");
        if endless {
            config.hard_timeout = Duration::from_millis(300);
        }
        let endpoint = Endpoint::new(&config, Framing::JsonRpcStatus).unwrap();
        let error = endpoint.ask(&[call("a"), call("b")]).await.unwrap_err();
        assert_eq!(error.outcome, outcome, "{name}: {error}");
        assert!(!format!("{error:?}").contains("leak-me"), "{error:?}");
        let error = endpoint.send_once(&call("c")).await.unwrap_err();
        assert_eq!(error.outcome, outcome, "{name}: {error}");
        // No connection is kept that once failed.
        eventually(&name, || node.open.load(Ordering::SeqCst) == 0).await;
        assert_eq!(node.asked(), ["a", "c"], "{name}");
    }
}

#[tokio::test]
async fn what_is_no_websocket_has_its_outcome_too() {
    let reply = |status, headers| Act::Reply(status, headers, Vec::new());
    let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned();
    let upgrade = vec![
        ("Connection", "Upgrade".to_owned()),
        ("Upgrade", "websocket".to_owned()),
        ("Sec-WebSocket-Accept", accept),
    ];
    for (act, outcome) in [
        (Act::json("{}"), RpcOutcome::Malformed),
        (
            reply("101 Switching Protocols", upgrade),
            RpcOutcome::Malformed,
        ),
        (
            Act::redirect("301 Moved Permanently", "wss://x.example/"),
            RpcOutcome::Redirect,
        ),
        (Act::status("404 Not Found"), RpcOutcome::HttpError),
        (Act::status("502 Bad Gateway"), RpcOutcome::ServerError),
        (Act::Close, RpcOutcome::Refused),
        (Act::Hang, RpcOutcome::Timeout),
    ] {
        let name = format!("{act:?}");
        let server = Server::start(move |_| act.clone()).await;
        let mut config = endpoint(&format!("ws://{}/", server.addr), "a");
        if outcome == RpcOutcome::Timeout {
            config.hard_timeout = Duration::from_millis(300);
        }
        let endpoint = Endpoint::new(&config, Framing::JsonRpcStatus).unwrap();
        let error = endpoint.ask(&[call("a")]).await.unwrap_err();
        assert_eq!(error.outcome, outcome, "{name}: {error}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("ws://user:hunter2@{closed}/?apikey=topsecret");
    let endpoint = Endpoint::new(&endpoint(&url, "a"), Framing::JsonRpcStatus).unwrap();
    let error = endpoint.ask(&[call("a")]).await.unwrap_err();
    assert_eq!(error.outcome, RpcOutcome::Refused);
    let shown = format!("{endpoint:?} {error} {error:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("topsecret"),
        "{shown}"
    );
}

#[tokio::test]
async fn busy_is_honoured_at_the_handshake() {
    let server = Server::start(|_| {
        let rest = vec![("Retry-After", "30".to_owned())];
        Act::Reply("429 Too Many Requests", rest, Vec::new())
    })
    .await;
    let config = endpoint(&format!("ws://{}/", server.addr), "a");
    let endpoint = Endpoint::new(&config, Framing::JsonRpcStatus).unwrap();
    let error = endpoint.ask(&[call("a")]).await.unwrap_err();
    assert_eq!(error.outcome, RpcOutcome::RateLimited);
    let error = endpoint.ask(&[call("a")]).await.unwrap_err();
    assert_eq!(error.outcome, RpcOutcome::Skipped);
}

#[tokio::test]
async fn a_connection_that_closed_is_opened_again_for_questions_and_a_broadcast_is_never_repeated()
{
    let count = AtomicUsize::new(0);
    // Every second question meets a close, politely or not.
    let node = Node::start(move |asked| {
        if asked["method"] == "send" {
            return Do::Drop;
        }
        match count.fetch_add(1, Ordering::SeqCst) % 4 {
            1 => Do::Drop,
            3 => Do::Close,
            _ => answer(asked),
        }
    })
    .await;
    let endpoint = node.connect();
    for _ in 0..6 {
        let answers = endpoint.ask(&[call("a")]).await.unwrap();
        assert_eq!(answers.replies, [Ok(json!("a"))]);
    }
    let before = node.connections();
    let error = endpoint.send_once(&call("send")).await.unwrap_err();
    assert_eq!(error.outcome, RpcOutcome::Refused, "{error}");
    let sent = node.asked().iter().filter(|name| *name == "send").count();
    assert_eq!((sent, node.connections()), (1, before + 1));
}

#[tokio::test]
async fn a_broadcast_has_a_connection_of_its_own_and_leaves_none() {
    let node = Node::start(answer).await;
    let endpoint = node.connect();
    endpoint.ask(&[call("a")]).await.unwrap();
    let sent = endpoint.send_once(&call("send")).await.unwrap();
    assert_eq!(sent, Ok(json!("send")));
    assert_eq!(node.connections(), 2);
    eventually("only the questions' one is open", || {
        node.open.load(Ordering::SeqCst) == 1
    })
    .await;
    endpoint.ask(&[call("a")]).await.unwrap();
    assert_eq!(node.connections(), 2);
    drop(endpoint);
    eventually("none is open", || node.open.load(Ordering::SeqCst) == 0).await;
}

#[test]
fn which_addresses_may_be_used() {
    let open = |url: &str, framing, insecure| {
        let mut config = endpoint(url, "a");
        config.allow_insecure = insecure;
        Endpoint::new(&config, framing).map(|e| e.is_secure())
    };
    let status = Framing::JsonRpcStatus;
    assert_eq!(open("wss://node.example/ws", status, false), Ok(true));
    assert_eq!(open("ws://localhost:1/ws", status, false), Ok(true));
    assert_eq!(open("ws://node.example/ws", status, true), Ok(false));
    let refused = open("ws://u:hunter2@node.example/ws", status, false).unwrap_err();
    assert!(refused.problem.contains("use wss://"), "{refused}");
    for framing in [Framing::Rest, Framing::JsonRpc { batches: true }] {
        let refused = open("wss://node.example/ws", framing, false).unwrap_err();
        assert!(refused.problem.contains("BitShares"), "{refused}");
    }
}

mod tls {
    use super::*;
    use crate::rpc_endpoint::tls::server_config;

    #[tokio::test]
    async fn over_tls_the_certificate_counts_and_its_end_is_known() {
        let (config, pem) = server_config();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let node = Node::run(answer, Some(acceptor)).await;
        let config = endpoint(&format!("wss://localhost:{}/", node.addr.port()), "a");
        let untrusting = Endpoint::new(&config, Framing::JsonRpcStatus).unwrap();
        let error = untrusting.ask(&[call("a")]).await.unwrap_err();
        assert_eq!(error.outcome, RpcOutcome::Tls, "{error}");
        let roots: [&[u8]; 1] = [pem.as_bytes()];
        let trusting = Endpoint::with_roots(&config, Framing::JsonRpcStatus, &roots).unwrap();
        let answers = trusting.ask(&[call("a")]).await.unwrap();
        assert_eq!(answers.replies, [Ok(json!("a"))]);
        // 2100-01-02T00:00:00Z
        assert_eq!(trusting.certificate_expiry(), Some(4_102_531_200));
    }
}
