//! What strangers can hold, and how a listener ends.

use std::time::Duration;

use slotkeeper::web::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{House, ask, get, until};
use crate::fixtures::config;

fn limits() -> Limits {
    Limits {
        connections: 4,
        head: Duration::from_millis(200),
        body: Duration::from_millis(200),
        write: Duration::from_millis(500),
        drain: Duration::from_secs(5),
    }
}

/// Reads until the other side closes.
async fn closed(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 1024];
    tokio::time::timeout(Duration::from_secs(90), async {
        while let Ok(n) = stream.read(&mut piece).await {
            if n == 0 {
                break;
            }
            all.extend_from_slice(&piece[..n]);
        }
    })
    .await
    .expect("still open after 90 s");
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn slow_heads_are_cut_off() {
    let house = House::try_up(config(), limits()).await.unwrap();
    let mut stream = TcpStream::connect(house.listeners.as_ref().unwrap().web)
        .await
        .unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let said = closed(&mut stream).await;
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 408"),
        "{said}"
    );
    house.down().await;
}

#[tokio::test]
async fn slow_bodies_are_408() {
    let house = House::try_up(config(), limits()).await.unwrap();
    let mut stream = TcpStream::connect(house.listeners.as_ref().unwrap().control)
        .await
        .unwrap();
    stream
        .write_all(b"POST /api/v1/alertmanager HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
        .await
        .unwrap();
    assert!(closed(&mut stream).await.starts_with("HTTP/1.1 408"));
    assert_eq!(house.metrics.counters.requests(408), 1);
    house.down().await;
}

#[tokio::test]
async fn connections_that_hold_every_place_do_not_hold_it_for_long() {
    let house = House::try_up(config(), limits()).await.unwrap();
    let addr = house.listeners.as_ref().unwrap().web;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(TcpStream::connect(addr).await.unwrap());
    }
    assert_eq!(
        ask(addr, get("/-/healthy", "").as_bytes()).await.status,
        200
    );
    house.down().await;
}

#[tokio::test]
async fn nonsense_is_answered_with_400_and_nothing_breaks() {
    let house = House::up(config()).await;
    let addr = house.listeners.as_ref().unwrap().web;
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(nonsense).await.unwrap();
        let said = closed(&mut stream).await;
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.1 5"),
            "{said}"
        );
    }
    assert_eq!(house.web(&get("/-/healthy", "")).await.status, 200);
    house.down().await;
}

#[tokio::test]
async fn shutdown_lets_requests_under_way_finish_and_takes_no_new_ones() {
    let house = House::up(config()).await;
    let (web, control) = {
        let listeners = house.listeners.as_ref().unwrap();
        (listeners.web, listeners.control)
    };
    // A webhook half way in.
    let mut stream = TcpStream::connect(control).await.unwrap();
    let body = "{\"alerts\":[]}";
    let head = format!(
        "POST /api/v1/alertmanager HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut piece = [0; 256];
    let n = stream.read(&mut piece).await.unwrap();
    assert!(
        piece[..n].starts_with(b"HTTP/1.1 100"),
        "the server has begun to read the body"
    );
    let down = tokio::spawn(house.down());
    until("the public port is closed", async || {
        TcpStream::connect(web).await.is_err()
    })
    .await;
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(closed(&mut stream).await.starts_with("HTTP/1.1 200"));
    down.await.unwrap();
}
