//! Who gets in, and who does not.

use std::path::PathBuf;

use slotkeeper::config::Config;
use slotkeeper::web::Limits;
use tempfile::TempDir;

use super::harness::{House, get, payload, post};
use crate::fixtures::config;

fn file(dir: &TempDir, name: &str, content: &str) -> Option<PathBuf> {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    Some(path)
}

/// Token `sesame`, user alice with password s3cret.
fn guarded(dir: &TempDir) -> Config {
    let mut config = config();
    config.control.token_file = file(dir, "token", "sesame\n");
    let hash = bcrypt::hash("s3cret", 4).unwrap();
    config.control.config_file = file(
        dir,
        "control.yml",
        &format!("basic_auth_users: {{alice: {hash}}}\n"),
    );
    config
}

const BEARER: &str = "Authorization: Bearer sesame\r\n";
/// alice:s3cret
const BASIC: &str = "Authorization: Basic YWxpY2U6czNjcmV0\r\n";

#[tokio::test]
async fn the_control_listener_takes_any_configured_way_in_and_no_other() {
    let dir = TempDir::new().unwrap();
    let house = House::up(guarded(&dir)).await;
    for good in [BEARER, BASIC] {
        assert_eq!(
            house
                .control(&post(
                    "/api/v1/alertmanager",
                    good,
                    &payload("failover_0.25")
                ))
                .await
                .status,
            200
        );
        assert_eq!(
            house
                .control(&post("/api/v1/disarm", good, ""))
                .await
                .status,
            200
        );
    }
    for bad in [
        "",
        "Authorization: Bearer sesam\r\n",
        "Authorization: Bearer sesame2\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Basic YWxpY2U6eA==\r\n",
        "Authorization: Basic Ym9iOnMzY3JldA==\r\n",
        "Authorization: sesame\r\n",
    ] {
        let answer = house
            .control(&post(
                "/api/v1/alertmanager",
                bad,
                &payload("failover_0.25"),
            ))
            .await;
        assert_eq!(answer.status, 401, "{bad}");
        assert!(answer.header("www-authenticate").is_some());
        assert_eq!(
            house.control(&post("/api/v1/arm", bad, "")).await.status,
            401,
            "{bad}"
        );
        assert_eq!(
            house.control(&get("/nothing", bad)).await.status,
            401,
            "strangers learn no paths"
        );
    }
    assert_eq!(house.metrics.counters.requests(401), 7);
    assert_eq!(house.desk.submitted.lock().unwrap().len(), 1);
    assert_eq!(*house.desk.armed.lock().unwrap(), [false, false]);
    house.down().await;
}

#[tokio::test]
async fn strangers_are_refused_before_their_body_is_read() {
    let dir = TempDir::new().unwrap();
    let house = House::up(guarded(&dir)).await;
    // Announces a body that never comes: only an answer given without it can arrive.
    let request = "POST /api/v1/alertmanager HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n";
    assert_eq!(house.control(request).await.status, 401);
    house.down().await;
}

#[tokio::test]
async fn a_rotated_token_counts_within_moments() {
    let dir = TempDir::new().unwrap();
    let house = House::up(guarded(&dir)).await;
    assert_eq!(
        house
            .control(&post("/api/v1/disarm", BEARER, ""))
            .await
            .status,
        200
    );
    file(&dir, "token", "a-new-token\n");
    super::harness::until("the new token counts", async || {
        house
            .control(&post(
                "/api/v1/disarm",
                "Authorization: Bearer a-new-token\r\n",
                "",
            ))
            .await
            .status
            == 200
    })
    .await;
    assert_eq!(
        house
            .control(&post("/api/v1/disarm", BEARER, ""))
            .await
            .status,
        401
    );
    // A broken file leaves the last good one in force.
    file(&dir, "token", "\n");
    assert_eq!(
        house
            .control(&post(
                "/api/v1/disarm",
                "Authorization: Bearer a-new-token\r\n",
                ""
            ))
            .await
            .status,
        200
    );
    house.down().await;
}

#[tokio::test]
async fn the_public_listener_wants_what_its_web_config_says() {
    let dir = TempDir::new().unwrap();
    let mut config = config();
    let hash = bcrypt::hash("s3cret", 4).unwrap();
    config.web.config_file = file(
        &dir,
        "web.yml",
        &format!(
            "basic_auth_users: {{alice: {hash}}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"
        ),
    );
    let house = House::up(config).await;
    assert_eq!(house.web(&get("/metrics", "")).await.status, 401);
    let answer = house.web(&get("/metrics", BASIC)).await;
    assert_eq!(
        (answer.status, answer.header("x-frame-options")),
        (200, Some("deny"))
    );
    house.down().await;
}

#[tokio::test]
async fn an_open_control_listener_beyond_loopback_is_refused_at_start() {
    let mut open = config();
    open.control.listen = "0.0.0.0:0".into();
    let Err(error) = House::try_up(open, Limits::default()).await else {
        panic!("it started");
    };
    assert!(
        error
            .to_string()
            .contains("nothing is configured to authenticate"),
        "{error}"
    );
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_start() {
    let dir = TempDir::new().unwrap();
    for (token, yml, said) in [
        (Some(""), None, "holds no token"),
        (
            None,
            Some("tls_server_config: {cert_file: a, key_file: b}"),
            "no private key could be read",
        ),
        (None, Some("basic_auth: {}"), "line 1"),
    ] {
        let mut config = config();
        config.control.token_file = token.and_then(|t| file(&dir, "token", t));
        config.control.config_file = yml.and_then(|y| file(&dir, "web.yml", y));
        let Err(error) = House::try_up(config, Limits::default()).await else {
            panic!("started with {said}");
        };
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_can_command_nothing() {
    let house = House::up(config()).await;
    for (headers, status) in [
        ("Origin: http://127.0.0.1\r\n", 200),
        ("", 200),
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
    ] {
        assert_eq!(
            house
                .control(&post("/api/v1/disarm", headers, ""))
                .await
                .status,
            status,
            "{headers}"
        );
    }
    // A name rebound to this machine: the browser takes it for one site.
    let rebound = post("/api/v1/arm", "Origin: http://evil.example\r\n", "")
        .replace("Host: 127.0.0.1", "Host: evil.example");
    assert_eq!(house.control(&rebound).await.status, 403);
    let read = get("/", "").replace("Host: 127.0.0.1", "Host: evil.example");
    assert_eq!(house.control(&read).await.status, 403);
    let webhook = post(
        "/api/v1/alertmanager",
        "Origin: http://evil.example\r\n",
        "{}",
    );
    assert_eq!(house.control(&webhook).await.status, 403);
    assert_eq!(house.metrics.counters.requests(403), 1);
    assert_eq!(*house.desk.armed.lock().unwrap(), [false, false]);
    house.down().await;
}
