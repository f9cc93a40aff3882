//! Operator commands and the control page.

use std::sync::atomic::Ordering;

use slotkeeper::actuator::Verb;
use tempfile::TempDir;

use super::harness::{Answer, House, get, post};
use crate::fixtures::{config, key};

const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[tokio::test]
async fn every_verb_reaches_the_actuator_with_what_was_said() {
    let house = House::up(config()).await;
    let to = key(2).to_text("STM");
    for (verb, body) in [
        (
            "failover",
            format!("{{\"to\":\"{to}\",\"override_reason\":\"rack on fire\"}}"),
        ),
        ("switchover", String::new()),
        ("disable", "{}".into()),
        ("enable", format!("{{\"to\":\"{to}\"}}")),
        ("rehearse", String::new()),
        ("arm", String::new()),
        ("disarm", String::new()),
        ("pin", String::new()),
        ("unpin", String::new()),
        ("maintenance", "{\"until\":\"2033-05-18T03:33:20Z\"}".into()),
    ] {
        let answer = house
            .control(&post(
                &format!("/api/v1/producers/steem/alice/{verb}"),
                JSON,
                &body,
            ))
            .await;
        assert_eq!(answer.status, 202, "{verb}: {}", answer.text());
        assert_eq!(answer.json()["request_id"], "r-9");
    }
    let commands = house.desk.commands.lock().unwrap().clone();
    assert_eq!(commands.len(), 10);
    assert_eq!(
        (commands[0].verb, commands[0].to),
        (Verb::Failover, Some(key(2)))
    );
    assert_eq!(commands[0].override_reason.as_deref(), Some("rack on fire"));
    assert_eq!(commands[9].until, Some(2_000_000_000_000));
    house.down().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_command_is_said() {
    let house = House::up(config()).await;
    for (path, body, status, said) in [
        ("/api/v1/producers/steem/bob/failover", "", 404, "bob"),
        (
            "/api/v1/producers/steem/alice/explode",
            "",
            404,
            "no such command",
        ),
        (
            "/api/v1/producers/steem/alice/failover",
            "{\"to\":\"STM7\"}",
            400,
            "no key of this chain",
        ),
        (
            "/api/v1/producers/steem/alice/failover",
            "{\"overide\":1}",
            400,
            "overide",
        ),
        (
            "/api/v1/producers/steem/alice/maintenance",
            "{\"until\":\"noon\"}",
            400,
            "RFC 3339",
        ),
        ("/nothing", "", 404, "no such command"),
    ] {
        let answer = house.control(&post(path, JSON, body)).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(
            answer.json()["error"].as_str().unwrap().contains(said),
            "{path}: {}",
            answer.text()
        );
    }
    let answer = house.control(&get("/api/v1/arm", "")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    let big = format!("{{\"override_reason\":\"{}\"}}", "x".repeat(20_000));
    assert_eq!(
        house
            .control(&post("/api/v1/producers/steem/alice/failover", JSON, &big))
            .await
            .status,
        413
    );
    house.desk.broken.store(true, Ordering::Relaxed);
    assert_eq!(
        house.control(&post("/api/v1/arm", "", "")).await.status,
        503
    );
    assert!(house.desk.commands.lock().unwrap().is_empty());
    house.down().await;
}

#[tokio::test]
async fn reload_says_whether_it_worked() {
    let house = House::up(config()).await;
    assert_eq!(house.control(&post("/-/reload", "", "")).await.status, 202);
    house.desk.broken.store(true, Ordering::Relaxed);
    let answer = house.control(&post("/-/reload", "", "")).await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("line 3"), "{}", answer.text());
    house.down().await;
}

fn cookie(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").expect("a session cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
}

fn csrf(page: &str) -> String {
    let at = page.find("name=csrf value=\"").unwrap() + "name=csrf value=\"".len();
    page[at..].split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_page_logs_in_and_its_forms_work_only_with_their_own_token() {
    let dir = TempDir::new().unwrap();
    let mut config = config();
    let token = dir.path().join("token");
    std::fs::write(&token, "sesame").unwrap();
    config.control.token_file = Some(token);
    let house = House::up(config).await;

    let door = house.control(&get("/", "")).await;
    assert_eq!(door.status, 401);
    assert!(door.text().contains("name=token") && !door.text().contains("alice"));
    assert_eq!(
        house
            .control(&post("/login", FORM, "token=wrong"))
            .await
            .status,
        401
    );

    let login = house.control(&post("/login", FORM, "token=sesame")).await;
    assert_eq!((login.status, login.header("location")), (303, Some("/")));
    let cookie = cookie(&login);
    let page = house.control(&get("/", &cookie)).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Fail over…"));
    let csrf = csrf(&page.text());

    let form = format!("{FORM}{cookie}");
    let path = "/api/v1/producers/steem/alice/pin";
    assert_eq!(house.control(&post(path, &form, "")).await.status, 403);
    assert_eq!(
        house.control(&post(path, &form, "csrf=00")).await.status,
        403
    );
    assert_eq!(
        house
            .control(&post(path, &format!("{JSON}{cookie}"), "{}"))
            .await
            .status,
        403,
        "a cookie alone"
    );
    assert!(house.desk.commands.lock().unwrap().is_empty());
    let done = house
        .control(&post(path, &form, &format!("csrf={csrf}&until=&to=")))
        .await;
    assert_eq!(done.status, 303);
    let said = house
        .control(&get(done.header("location").unwrap(), &cookie))
        .await;
    assert!(
        said.text()
            .contains("steem/alice: pinned, left alone from now on (request r-9)."),
        "{}",
        said.text()
    );
    assert_eq!(house.desk.commands.lock().unwrap().len(), 1);
    // A session is for people: the webhook wants credentials.
    assert_eq!(
        house
            .control(&post("/api/v1/alertmanager", &cookie, "{\"alerts\":[]}"))
            .await
            .status,
        401
    );

    assert_eq!(
        house
            .control(&post("/logout", &form, &format!("csrf={csrf}")))
            .await
            .status,
        303
    );
    assert_eq!(house.control(&get("/", &cookie)).await.status, 401);
    house.down().await;
}

#[tokio::test]
async fn without_authentication_forms_still_need_their_token() {
    let house = House::up(config()).await;
    let page = house.control(&get("/", "")).await;
    assert_eq!(page.status, 200);
    let (cookie, csrf) = (cookie(&page), csrf(&page.text()));
    assert_eq!(
        house.control(&post("/api/v1/arm", FORM, "")).await.status,
        403
    );
    assert_eq!(
        house
            .control(&post(
                "/api/v1/arm",
                &format!("{FORM}{cookie}"),
                &format!("csrf={csrf}")
            ))
            .await
            .status,
        303
    );
    assert_eq!(*house.desk.armed.lock().unwrap(), [true]);
    house.down().await;
}
