//! One path per call (nodeos) over real HTTP: addresses, outcomes, kept connections, and calls under way at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::chain::{Call, Framing};
use slotkeeper::rpc::{Endpoint, RpcOutcome};

use super::rpc_server::{Act, Seen, Server, endpoint};

fn call(path: &str, n: u64) -> Call {
    Call {
        method: path.into(),
        params: json!({ "n": n }),
    }
}

fn head() -> Call {
    call("/v1/chain/get_info", 0)
}

fn connect(server: &Server) -> Endpoint {
    Endpoint::new(&endpoint(&server.url(), "a"), Framing::Rest).unwrap()
}

/// Answers with the path and the body it was sent, and keeps the connection.
fn good(seen: &Seen) -> Act {
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    Act::Keep("200 OK", json!([seen.path, body]).to_string().into_bytes())
}

#[tokio::test]
async fn a_call_is_a_post_to_its_path_below_the_base_url() {
    let server = Server::start(good).await;
    let url = format!("http://user:hunter2@{}/eos/?apikey=topsecret", server.addr);
    let endpoint = Endpoint::new(&endpoint(&url, "a"), Framing::Rest).unwrap();
    let answers = endpoint
        .ask(&[call("/v1/chain/get_info", 7)])
        .await
        .unwrap();
    let path = "/eos/v1/chain/get_info?apikey=topsecret";
    assert_eq!(answers.replies, [Ok(json!([path, {"n": 7}]))]);
    let seen = server.requests().remove(0);
    assert_eq!(seen.method, "POST");
    assert!(seen.authorization.unwrap().starts_with("Basic "));
    let shown = format!("{endpoint:?} {}", endpoint.label());
    assert!(
        !shown.contains("hunter2") && !shown.contains("topsecret"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_the_node_put_into_words_is_the_calls_error_and_all_else_the_endpoints() {
    let words = |code: i64| {
        json!({"code": 500, "message": "Internal Service Error", "error":
            {"code": code, "name": "n", "what": "w", "details": [{"message": "d"}]}})
        .to_string()
        .into_bytes()
    };
    for (status, code, expected) in [
        ("500 Internal Server Error", 3_100_002, 3_100_002),
        ("409 Conflict", 3_040_008, 3_040_008),
        ("404 Not Found", 0, 404),
    ] {
        let body = words(code);
        let server = Server::start(move |_| Act::Keep(status, body.clone())).await;
        let endpoint = connect(&server);
        let answers = endpoint.ask(&[call("/a", 1), call("/b", 2)]).await.unwrap();
        for reply in answers.replies {
            assert_eq!(reply.unwrap_err().code, expected, "{status}");
        }
        let sent = endpoint.send_once(&call("/c", 3)).await.unwrap();
        assert_eq!(sent.unwrap_err().code, expected, "{status}");
    }
    let raw = |text: &str| Act::Raw(text.as_bytes().to_vec());
    let busy = Act::Keep("503 Service Unavailable", words(0));
    for (act, outcome) in [
        (busy, RpcOutcome::ServerError),
        (
            Act::status("429 Too Many Requests"),
            RpcOutcome::RateLimited,
        ),
        (Act::status("404 Not Found"), RpcOutcome::HttpError),
        (Act::status("502 Bad Gateway"), RpcOutcome::ServerError),
        (Act::status("200 OK"), RpcOutcome::Malformed),
        (Act::json(""), RpcOutcome::Malformed),
        (Act::json("{\"leak-me\":"), RpcOutcome::Malformed),
        (
            raw("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n[leak-me"),
            RpcOutcome::Malformed,
        ),
        (
            raw("HTTP/1.1 500 Oops\r\nContent-Length: 999\r\n\r\n[leak-me"),
            RpcOutcome::ServerError,
        ),
        (Act::Flood, RpcOutcome::TooLarge),
        (Act::Close, RpcOutcome::Refused),
        (Act::Hang, RpcOutcome::Timeout),
        (Act::Drip, RpcOutcome::Timeout),
    ] {
        let name = format!("{act:?}");
        let endless = matches!(act, Act::Hang | Act::Drip);
        let server = Server::start(move |_| act.clone()).await;
        let mut config = endpoint(&server.url(), "a");
        if endless {
            config.hard_timeout = Duration::from_millis(300);
        }
        let endpoint = Endpoint::new(&config, Framing::Rest).unwrap();
        let calls = [head(), call("/a", 1), call("/b", 2)];
        let error = endpoint.survey(&calls, &[head()]).await.unwrap_err();
        assert_eq!(error.outcome, outcome, "{name}: {error}");
        assert!(!format!("{error:?}").contains("leak-me"), "{error:?}");
    }
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let server = Server::start(|_| {
        let rest = vec![("Retry-After", "30".to_owned())];
        Act::Reply("503 Service Unavailable", rest, Vec::new())
    })
    .await;
    let endpoint = connect(&server);
    let error = endpoint.ask(&[head()]).await.unwrap_err();
    assert_eq!(error.outcome, RpcOutcome::ServerError);
    let error = endpoint.ask(&[head()]).await.unwrap_err();
    assert_eq!(error.outcome, RpcOutcome::Skipped);
    assert_eq!(server.requests().len(), 1);
}

/// Counts the requests that are under way, and the blocks asked for so far.
#[derive(Default)]
struct Gate {
    now: AtomicUsize,
    most: AtomicUsize,
    blocks: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_of_the_head_stand_alone_and_the_rest_goes_eight_at_once() {
    let gate = Arc::<Gate>::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (gate_of_server, order_of_server) = (Arc::clone(&gate), Arc::clone(&order));
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let gate = Arc::clone(&gate_of_server);
            let order = Arc::clone(&order_of_server);
            tokio::spawn(async move { slow_node(stream, &gate, &order).await });
        }
    });
    let endpoint =
        Endpoint::new(&endpoint(&format!("http://{addr}/"), "a"), Framing::Rest).unwrap();
    let mut calls = vec![head()];
    calls.extend((1..=3).map(|n| call("/state", n)));
    calls.push(head());
    calls.extend((10..74).map(|n| call("/block", n)));
    let answers = endpoint
        .survey(&calls, &[head()])
        .await
        .unwrap()
        .apart()
        .unwrap();
    let expected: Vec<_> = calls.iter().map(|c| Ok(c.params.clone())).collect();
    assert_eq!(answers.replies, expected, "in the order of the calls");
    let most = gate.most.load(Ordering::SeqCst);
    assert_eq!(most, 8);
    let order = std::mem::take(&mut *order.lock().unwrap());
    // Arrivals and departures: both readings of the head were alone.
    let at = |n: usize| order.iter().skip(n).take(2).cloned().collect::<Vec<_>>();
    assert_eq!(at(0), ["+/v1/chain/get_info", "-/v1/chain/get_info"]);
    assert_eq!(at(8), ["+/v1/chain/get_info", "-/v1/chain/get_info"]);
    // In plain order nothing overlaps.
    gate.most.store(0, Ordering::SeqCst);
    endpoint.ask(&calls).await.unwrap();
    assert_eq!(gate.most.load(Ordering::SeqCst), 1);
    server.abort();
}

/// Answers each request of one connection with its body; the first blocks only once eight of them are there.
async fn slow_node(
    mut stream: tokio::net::TcpStream,
    gate: &Gate,
    order: &std::sync::Mutex<Vec<String>>,
) {
    use tokio::io::AsyncWriteExt;
    while let Some(seen) = super::rpc_server::read_request(&mut stream).await {
        order.lock().unwrap().push(format!("+{}", seen.path));
        let now = gate.now.fetch_add(1, Ordering::SeqCst) + 1;
        gate.most.fetch_max(now, Ordering::SeqCst);
        if seen.path == "/block" {
            gate.blocks.fetch_add(1, Ordering::SeqCst);
            while gate.blocks.load(Ordering::SeqCst) < 8 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        gate.now.fetch_sub(1, Ordering::SeqCst);
        order.lock().unwrap().push(format!("-{}", seen.path));
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            seen.body.len()
        );
        let answer = [answer.into_bytes(), seen.body].concat();
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn questions_keep_their_connections_and_a_broadcast_has_its_own() {
    let server = Server::start(good).await;
    let endpoint = connect(&server);
    for n in 0..20 {
        endpoint.ask(&[call("/a", n)]).await.unwrap().replies[0]
            .as_ref()
            .unwrap();
    }
    assert_eq!(server.connections(), 1);
    endpoint
        .send_once(&call("/send", 1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_question_survives_a_kept_connection_that_was_closed_and_a_broadcast_is_never_repeated() {
    let server = Server::start(|seen| {
        if seen.path == "/send" {
            Act::Close
        } else {
            Act::ReplyThenCloseOnNext(b"1".to_vec())
        }
    })
    .await;
    let endpoint = connect(&server);
    for _ in 0..3 {
        let answers = endpoint.ask(&[call("/a", 1)]).await.unwrap();
        assert_eq!(answers.replies, [Ok(json!(1))]);
    }
    let before = server.requests().len();
    let error = endpoint.send_once(&call("/send", 1)).await.unwrap_err();
    assert_eq!(error.outcome, RpcOutcome::Refused, "{error}");
    assert_eq!(server.requests().len(), before + 1);
}
