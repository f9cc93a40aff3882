//! One endpoint over real HTTP: every outcome, redirects, limits, batches, and no leaks.

use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::chain::{Call, Framing};
use slotkeeper::rpc::{Endpoint, EndpointError, RpcOutcome};

use super::rpc_server::{Act, Seen, Server, endpoint};

const BATCHES: Framing = Framing::JsonRpc { batches: true };

fn call(method: &str) -> Call {
    Call {
        method: method.into(),
        params: json!([1, "two"]),
    }
}

fn connect(server: &Server) -> Endpoint {
    Endpoint::new(&endpoint(&server.url(), "a"), BATCHES).unwrap()
}

/// A well-behaved node: answers each call with its method's name.
fn good(seen: &Seen) -> Act {
    let asked: Value = serde_json::from_slice(&seen.body).unwrap();
    let answer = |one: &Value| json!({"jsonrpc": "2.0", "id": one["id"], "result": one["method"]});
    let body = match asked.as_array() {
        // In reverse: the order of a batch's answers is free.
        Some(list) => Value::Array(list.iter().rev().map(answer).collect()),
        None => answer(&asked),
    };
    Act::json(&body.to_string())
}

async fn failure(act: Act) -> EndpointError {
    let endless = matches!(act, Act::Hang | Act::Drip);
    let server = Server::start(move |_| act.clone()).await;
    let mut config = endpoint(&server.url(), "a");
    if endless {
        config.hard_timeout = Duration::from_millis(300);
    }
    let endpoint = Endpoint::new(&config, BATCHES).unwrap();
    endpoint.ask(&[call("a"), call("b")]).await.unwrap_err()
}

#[tokio::test]
async fn a_batch_comes_back_in_the_order_of_its_calls_and_long_ones_are_cut() {
    let server = Server::start(good).await;
    let endpoint = connect(&server);
    let calls: Vec<Call> = (0..120).map(|n| call(&format!("m{n}"))).collect();
    let answers = endpoint.ask(&calls).await.unwrap();
    let expected: Vec<_> = (0..120).map(|n| Ok(json!(format!("m{n}")))).collect();
    assert_eq!(answers.replies, expected);
    assert_eq!(sizes(&server), [50, 50, 20]);
}

#[tokio::test]
async fn every_failure_has_its_outcome_and_leaks_no_body() {
    let raw = |text: &str| Act::Raw(text.as_bytes().to_vec());
    let table = [
        (
            Act::status("429 Too Many Requests"),
            RpcOutcome::RateLimited,
        ),
        (
            Act::status("503 Service Unavailable"),
            RpcOutcome::ServerError,
        ),
        (Act::status("404 Not Found"), RpcOutcome::HttpError),
        (Act::status("304 Not Modified"), RpcOutcome::Redirect),
        (Act::status("200 OK"), RpcOutcome::Malformed),
        (
            Act::json(r#"[{"id":1,"result":{"leak-me":"#),
            RpcOutcome::Malformed,
        ),
        (
            Act::json(r#"[{"id":1,"result":"leak-me"}]"#),
            RpcOutcome::Malformed,
        ),
        (Act::json(""), RpcOutcome::Malformed),
        (
            raw("leak-me, says no HTTP server\r\n\r\n"),
            RpcOutcome::Malformed,
        ),
        (
            raw("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n[leak-me"),
            RpcOutcome::Malformed,
        ),
        (
            raw("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n["),
            RpcOutcome::TooLarge,
        ),
        (Act::Close, RpcOutcome::Refused),
        (Act::Hang, RpcOutcome::Timeout),
        (Act::Drip, RpcOutcome::Timeout),
    ];
    for (act, expected) in table {
        let name = format!("{act:?}");
        let error = failure(act).await;
        assert_eq!(error.outcome, expected, "{name}: {error}");
        assert!(!format!("{error:?}").contains("leak-me"), "{error:?}");
    }
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let addr = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let endpoint = Endpoint::new(&endpoint(&format!("http://{addr}/"), "a"), BATCHES).unwrap();
    let error = endpoint.ask(&[call("a")]).await.unwrap_err();
    assert_eq!(error.outcome, RpcOutcome::Refused);
    assert_eq!(error.detail, "connection refused");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let server = Server::start(|_| Act::Flood).await;
    let error = connect(&server).ask(&[call("a")]).await.unwrap_err();
    assert_eq!(error.outcome, RpcOutcome::TooLarge);
    // 100 MB were on offer; what left the server beyond 4 MiB fits into socket buffers.
    assert!(server.flooded() < 32 << 20, "{}", server.flooded());
}

#[tokio::test]
async fn a_json_rpc_error_with_status_200_is_an_error_of_its_call() {
    let server = Server::start(|_| {
        Act::json(r#"[{"id":2,"error":{"code":-32000,"message":"no","data":{"code":10}}},{"id":1,"result":7}]"#)
    })
    .await;
    let answers = connect(&server).ask(&[call("a"), call("b")]).await.unwrap();
    assert_eq!(answers.replies[0], Ok(json!(7)));
    let fault = answers.replies[1].as_ref().unwrap_err();
    assert_eq!((fault.code, &fault.data["code"]), (-32000, &json!(10)));
}

#[tokio::test]
async fn a_redirect_is_followed_as_the_same_post() {
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let target = Server::start(good).await;
        // Another name of this machine: another host, which must not get the credentials.
        let to = format!("http://localhost:{}/rpc", target.addr.port());
        let front = Server::start(move |_| Act::redirect(status, &to)).await;
        let url = format!("http://user:secret@{}/", front.addr);
        let endpoint = Endpoint::new(&endpoint(&url, "a"), BATCHES).unwrap();
        let calls = [call("a"), call("b")];
        let answers = endpoint.ask(&calls).await.unwrap();
        assert_eq!(
            answers.replies,
            [Ok(json!("a")), Ok(json!("b"))],
            "{status}"
        );
        assert_eq!(
            endpoint.send_once(&call("c")).await.unwrap(),
            Ok(json!("c"))
        );
        let (asked, arrived) = (front.requests(), target.requests());
        assert_eq!(asked.len(), 2);
        assert_eq!(arrived.len(), 2);
        for (asked, arrived) in asked.iter().zip(&arrived) {
            assert_eq!(arrived.method, "POST", "{status}");
            assert_eq!(arrived.body, asked.body, "{status}");
            assert!(asked.authorization.as_ref().unwrap().starts_with("Basic "));
            assert_eq!(arrived.authorization, None, "{status}");
        }
    }
}

#[tokio::test]
async fn a_redirect_that_is_not_safe_is_refused_with_its_reason() {
    for (to, why) in [
        (
            "http://node.example/",
            "a redirect to http:// (use the final https URL)",
        ),
        (
            "ftp://node.example/",
            "a redirect to another protocol than https",
        ),
        ("/again", "more than 3 redirects"),
    ] {
        let server = Server::start(move |_| Act::redirect("301 Moved Permanently", to)).await;
        let error = connect(&server).ask(&[call("a")]).await.unwrap_err();
        assert_eq!(error.outcome, RpcOutcome::Redirect);
        assert_eq!(error.detail, why);
    }
    let error = failure(Act::Reply("302 Found", Vec::new(), Vec::new())).await;
    assert_eq!(error.detail, "a redirect without Location");
}

#[tokio::test]
async fn retry_after_is_honoured_by_questions_and_ignored_by_a_broadcast() {
    let server = Server::start(|seen| {
        if seen.body.starts_with(b"[") {
            let rest = vec![("Retry-After", "86400".to_owned())];
            Act::Reply("429 Too Many Requests", rest, Vec::new())
        } else {
            good(seen)
        }
    })
    .await;
    let endpoint = connect(&server);
    let calls = [call("a"), call("b")];
    let first = endpoint.ask(&calls).await.unwrap_err();
    assert_eq!(first.outcome, RpcOutcome::RateLimited);
    let left = endpoint.resting().unwrap();
    assert!(left.as_secs() <= 60, "bounded: {left:?}");
    let second = endpoint.ask(&calls).await.unwrap_err();
    assert_eq!(second.outcome, RpcOutcome::Skipped);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(
        endpoint.send_once(&call("c")).await.unwrap(),
        Ok(json!("c"))
    );
}

#[tokio::test]
async fn an_endpoint_that_refuses_batches_is_asked_call_by_call_from_then_on() {
    let server = Server::start(|seen| {
        if seen.body.starts_with(b"[") {
            Act::json(r#"{"id":null,"error":{"code":-32600,"message":"no batches"}}"#)
        } else {
            good(seen)
        }
    })
    .await;
    let endpoint = connect(&server);
    let calls = [call("a"), call("b"), call("c")];
    for _ in 0..2 {
        let answers = endpoint.ask(&calls).await.unwrap();
        assert_eq!(
            answers.replies,
            [Ok(json!("a")), Ok(json!("b")), Ok(json!("c"))]
        );
    }
    assert_eq!(sizes(&server), [3, 0, 0, 0, 0, 0, 0]);
}

/// The number of calls of each request (0: a single one).
fn sizes(server: &Server) -> Vec<usize> {
    let size = |seen: &Seen| match serde_json::from_slice(&seen.body).unwrap() {
        Value::Array(list) => list.len(),
        _ => 0,
    };
    server.requests().iter().map(size).collect()
}

#[tokio::test]
async fn several_questions_are_one_batch_and_each_gets_its_own_answers() {
    let server = Server::start(good).await;
    let endpoint = connect(&server);
    let names = |n: usize| [format!("m{n}"), format!("n{n}")];
    let question = |n: usize| names(n).map(|name| call(&name)).to_vec();
    let questions: Vec<_> = (0..30).map(question).collect();
    let answers = endpoint.ask_each(&questions).await;
    let expected = |n: usize| Ok(names(n).map(|name| Ok(json!(name))).to_vec());
    assert_eq!(answers, (0..30).map(expected).collect::<Vec<_>>());
    assert_eq!(sizes(&server), [50, 10], "cut between two questions");
}

/// As jussi does when one call of a batch fails: steemit/jussi issue 191.
#[tokio::test]
async fn a_refused_batch_of_questions_is_asked_one_by_one_and_surveys_stay_batches() {
    let server = Server::start(|seen| {
        let body = String::from_utf8_lossy(&seen.body);
        if body.starts_with('[') && body.contains("lost") {
            Act::json(r#"{"id":null,"error":{"code":-32603,"message":"Internal Error"}}"#)
        } else if body.contains("lost") {
            Act::status("502 Bad Gateway")
        } else {
            good(seen)
        }
    })
    .await;
    let endpoint = connect(&server);
    let questions = ["a", "lost", "b"].map(|name| vec![call(name)]);
    let answers = endpoint.ask_each(&questions).await;
    assert_eq!(answers[0], Ok(vec![Ok(json!("a"))]));
    let lost = answers[1].as_ref().unwrap_err();
    assert_eq!(lost.outcome, RpcOutcome::ServerError);
    assert_eq!(
        answers[2],
        Ok(vec![Ok(json!("b"))]),
        "lost for the others, too"
    );
    endpoint.ask(&[call("a"), call("b")]).await.unwrap();
    assert_eq!(sizes(&server), [3, 0, 0, 0, 2]);
}

#[tokio::test]
async fn plain_http_never_reuses_a_connection() {
    // It closes after each reply and says nothing of it, as steemd does; the second request of a kept one would fail.
    let server =
        Server::start(|_| Act::ReplyThenCloseOnNext(br#"{"id":1,"result":1}"#.to_vec())).await;
    let endpoint = connect(&server);
    for _ in 0..3 {
        assert_eq!(
            endpoint.ask(&[call("a")]).await.unwrap().replies,
            [Ok(json!(1))]
        );
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn the_clock_of_the_endpoint_is_compared() {
    let server = Server::start(|_| {
        let date = vec![("Date", "Thu, 01 Jan 1970 00:00:10 GMT".to_owned())];
        Act::Reply("200 OK", date, br#"{"id":1,"result":1}"#.to_vec())
    })
    .await;
    let offset = connect(&server)
        .ask(&[call("a")])
        .await
        .unwrap()
        .clock_offset;
    assert_eq!(offset.map(|ms| ms < -1_000_000_000_000), Some(true));
    let server = Server::start(good).await;
    let answers = connect(&server).ask(&[call("a")]).await.unwrap();
    assert_eq!(answers.clock_offset, None);
}

#[tokio::test]
async fn credentials_and_queries_show_nowhere() {
    let addr = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let url = format!("http://user:hunter2@{addr}/path?apikey=topsecret");
    let refused = Endpoint::new(&endpoint(&url, "a"), BATCHES).unwrap();
    let error = refused.ask(&[call("a")]).await.unwrap_err();
    let remote = Endpoint::new(
        &endpoint("http://user:hunter2@node.example/?apikey=topsecret", "b"),
        BATCHES,
    );
    let broken = Endpoint::new(
        &endpoint("https://user:hunter2@[/?apikey=topsecret", "c"),
        BATCHES,
    );
    let (remote, broken) = (remote.unwrap_err(), broken.unwrap_err());
    for text in [
        format!("{refused:?} {} {error} {error:?}", refused.label()),
        format!("{remote} {remote:?}"),
        format!("{:?}", endpoint(&url, "d")),
        format!("{broken} {broken:?}"),
    ] {
        assert!(
            !text.contains("hunter2") && !text.contains("topsecret"),
            "{text}"
        );
    }
    assert!(remote.problem.contains("allow_insecure"), "{remote}");
}

pub(crate) mod tls {
    use std::sync::Arc;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::rpc_server::Server;

    pub(crate) fn server_config() -> (rustls::ServerConfig, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2100, 1, 2);
        let certificate = params.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        (config, certificate.pem())
    }

    fn url(server: &Server) -> String {
        format!("https://localhost:{}/", server.addr.port())
    }

    #[tokio::test]
    async fn an_untrusted_certificate_and_plain_http_behind_https_are_tls_failures() {
        let (config, _) = server_config();
        let untrusted = Server::start_tls(config, good).await;
        // Not TLS at all: answers the handshake with plain HTTP.
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain_url = format!("https://{}/", plain.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = plain.accept().await {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        for url in [url(&untrusted), plain_url] {
            let endpoint = Endpoint::new(&endpoint(&url, "a"), BATCHES).unwrap();
            let error = endpoint.ask(&[call("a")]).await.unwrap_err();
            assert_eq!(error.outcome, RpcOutcome::Tls, "{error}");
            assert!(error.detail.starts_with("TLS failed: "), "{error}");
            assert_eq!(endpoint.certificate_expiry(), None);
        }
    }

    #[tokio::test]
    async fn an_http_to_https_redirect_to_an_untrusted_certificate_is_a_tls_failure() {
        let (config, _) = server_config();
        let target = Server::start_tls(config, good).await;
        let to = url(&target);
        let front = Server::start(move |_| Act::redirect("301 Moved Permanently", &to)).await;
        let error = connect(&front).ask(&[call("a")]).await.unwrap_err();
        assert_eq!(error.outcome, RpcOutcome::Tls, "{error}");
    }

    #[tokio::test]
    async fn the_certificate_expiry_is_read_and_a_redirect_to_https_keeps_the_post() {
        let (config, pem) = server_config();
        let target = Server::start_tls(config, good).await;
        let to = url(&target);
        let front = Server::start(move |_| Act::redirect("301 Moved Permanently", &to)).await;
        let config = endpoint(&front.url(), "a");
        let endpoint = Endpoint::with_roots(&config, BATCHES, &[pem.as_bytes()]).unwrap();
        let answers = endpoint.ask(&[call("a"), call("b")]).await.unwrap();
        assert_eq!(answers.replies, [Ok(json!("a")), Ok(json!("b"))]);
        assert_eq!(target.requests()[0].method, "POST");
        assert_eq!(target.requests()[0].body, front.requests()[0].body);
        // 2100-01-02T00:00:00Z
        assert_eq!(endpoint.certificate_expiry(), Some(4_102_531_200));
    }

    #[tokio::test]
    async fn a_kept_connection_that_closed_is_retried_for_questions_and_never_for_broadcasts() {
        let (config, pem) = server_config();
        let body = br#"{"id":1,"result":1}"#.to_vec();
        let server = Server::start_tls(config, move |seen| {
            if seen.body.windows(9).any(|w| w == b"broadcast") {
                Act::Close
            } else {
                Act::ReplyThenCloseOnNext(body.clone())
            }
        })
        .await;
        let config = endpoint(&url(&server), "a");
        let endpoint = Endpoint::with_roots(&config, BATCHES, &[pem.as_bytes()]).unwrap();
        assert!(endpoint.ask(&[call("a")]).await.is_ok());
        // Goes out on the kept connection, which closes without a byte; asked again on a fresh one.
        assert!(endpoint.ask(&[call("b")]).await.is_ok());
        assert_eq!(server.requests().len(), 3);
        let error = endpoint.send_once(&call("broadcast")).await.unwrap_err();
        assert_eq!(error.outcome, RpcOutcome::Refused, "{error}");
        assert_eq!(server.requests().len(), 4);
    }
}
