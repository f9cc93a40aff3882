//! Followers of `/api/v1/events`: so many and no more, and nobody keeps a place without reading.

use slotkeeper::actuator::EventRecord;
use slotkeeper::web::{FOLLOWERS, Limits};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::harness::{House, get, until};
use crate::fixtures::config;

/// Begins to follow, with a small buffer here; returns when the first event has come.
async fn follow(house: &House) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let addr = house.listeners.as_ref().unwrap().web;
    let mut stream = socket.connect(addr).await.unwrap();
    stream
        .write_all(get("/api/v1/events", "").as_bytes())
        .await
        .unwrap();
    let mut seen = String::new();
    let mut piece = [0; 512];
    while !seen.contains("event: alive") {
        let n = stream.read(&mut piece).await.unwrap();
        assert!(n > 0, "refused: {seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
    stream
}

#[tokio::test]
async fn so_many_may_follow_and_a_place_is_free_again_when_one_goes() {
    let house = House::up(config()).await;
    let mut all = Vec::new();
    for _ in 0..FOLLOWERS {
        all.push(follow(&house).await);
    }
    let refused = house.web(&get("/api/v1/events", "")).await;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("too many"), "{}", refused.text());
    // Everything else is served as before.
    assert_eq!(house.web(&get("/-/healthy", "")).await.status, 200);
    all.pop();
    until("a free place", async || {
        house.followers.available_permits() == 1
    })
    .await;
    drop(follow(&house).await);
    house.down().await;
}

#[tokio::test]
async fn one_that_reads_nothing_loses_its_place() {
    let limits = Limits {
        write: Duration::from_millis(300),
        ..Limits::default()
    };
    let house = House::try_up(config(), limits).await.unwrap();
    let stuck = follow(&house).await;
    assert_eq!(house.followers.available_permits(), FOLLOWERS - 1);
    let event = EventRecord {
        kind: "sent".into(),
        detail: "x".repeat(256 * 1024),
        ..EventRecord::default()
    };
    until("the place is free", async || {
        // Nobody follows any more: that is what is waited for.
        let _ = house.desk.events.send(event.clone());
        house.followers.available_permits() == FOLLOWERS
    })
    .await;
    drop(stuck);
    house.down().await;
}
