//! The shipped Alertmanager configuration, run for real: with a key file and an address file beside it, PagerDuty and
//! Slack (both played here) hear of an alert, with everything that a person needs.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use slotkeeper::clock::{Stopwatch, now_ms};

use super::bundle::{Bundle, tool};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An Alertmanager that ends with the test.
struct Alertmanager(Child);

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A listener that takes every POST, says 202, and hands on path and body.
fn listen() -> (u16, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                if let Some(heard) = request(&mut stream) {
                    // The test may have heard enough.
                    let _ = sender.send(heard);
                }
            });
        }
    });
    (port, receiver)
}

fn request(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut got = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let n = stream.read(&mut piece).ok()?;
        got.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&got);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| {
                let (name, value) = l.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                let path = head.split(' ').nth(1)?.to_owned();
                let body = serde_json::from_str(body).ok()?;
                stream
                    .write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                    .ok()?;
                return Some((path, body));
            }
        }
        if n == 0 {
            return None;
        }
    }
}

fn start(dir: &std::path::Path, port: u16) -> Alertmanager {
    for program in ["prometheus-alertmanager", "alertmanager"] {
        let spawned = Command::new(program)
            .args([
                "--config.file=alertmanager.yml",
                "--storage.path=data",
                "--cluster.listen-address=",
            ])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("log")).unwrap())
            .spawn();
        if let Ok(child) = spawned {
            return Alertmanager(child);
        }
    }
    panic!("no Alertmanager; `make setup` installs it");
}

#[test]
fn pagerduty_and_slack_hear_of_it_with_the_links_a_person_needs() {
    let (port, heard) = listen();
    let bundle = Bundle::shipped();
    let dir = bundle.on_disk();
    let dir = dir.path().join("deploy/alertmanager");
    let shipped = bundle.text("deploy/alertmanager/alertmanager.yml").unwrap();
    // Where PagerDuty is: the one thing that has no file.
    let config =
        format!("global: {{pagerduty_url: \"http://127.0.0.1:{port}/pagerduty\"}}\n{shipped}");
    std::fs::write(dir.join("alertmanager.yml"), config).unwrap();
    std::fs::write(
        dir.join("pagerduty.key"),
        "0123456789abcdef0123456789abcdef",
    )
    .unwrap();
    std::fs::write(
        dir.join("slack.url"),
        format!("http://127.0.0.1:{port}/slack"),
    )
    .unwrap();
    let web = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let _alertmanager = start(&dir, web);
    let url = format!("--alertmanager.url=http://127.0.0.1:{web}");
    // An alert from before its group's wait goes out at once. Adding it again is the way to wait for the start.
    let began = jiff::Timestamp::from_millisecond(now_ms() - 120_000)
        .unwrap()
        .to_string();
    let add = [
        "alert",
        "add",
        &url,
        "--start",
        &began,
        "alertname=SlotkeeperNoQuorum",
        "severity=critical",
        "chain=hive",
        "--annotation=summary=no quorum on hive",
        "--annotation=description=two are few",
        "--annotation=runbook_url=https://book.example/NoQuorum.md",
        "--generator-url=http://prom.example:9090/graph?g0.expr=x",
    ];
    let watch = Stopwatch::start();
    while let Err(said) = tool(&dir, "amtool", &add) {
        let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        assert!(watch.elapsed() < PATIENCE, "{said}\n{}", log());
    }
    let mut pages = [None, None];
    while pages.contains(&None) {
        let (path, body) = heard.recv_timeout(PATIENCE).unwrap_or_else(|e| {
            panic!(
                "{e}: {}",
                std::fs::read_to_string(dir.join("log")).unwrap_or_default()
            )
        });
        pages[usize::from(path == "/slack")] = Some(body);
    }
    let [Some(pagerduty), Some(slack)] = pages else {
        unreachable!("both were waited for");
    };
    assert_eq!(pagerduty["routing_key"], "0123456789abcdef0123456789abcdef");
    assert_eq!(pagerduty["event_action"], "trigger");
    assert_eq!(pagerduty["payload"]["severity"], "critical");
    assert_eq!(
        pagerduty["payload"]["summary"],
        "critical: no quorum on hive"
    );
    let slack = &slack["attachments"][0];
    assert_eq!(slack["title"], "critical: no quorum on hive");
    assert!(
        slack["text"]
            .as_str()
            .unwrap()
            .starts_with("two are few Since 20"),
        "{slack}"
    );
    for link in [
        "http://127.0.0.1:10061/",
        "https://book.example/NoQuorum.md",
        "http://127.0.0.1:10061/api/v1/decisions",
        "http://prom.example:9090/graph?g0.expr=x",
        "/#/silences/new?filter=%7Balertname%3D%22SlotkeeperNoQuorum%22",
    ] {
        for (who, links) in [
            ("PagerDuty", &pagerduty["links"]),
            ("Slack", &slack["actions"]),
        ] {
            let links = links.as_array().unwrap().iter();
            let mut links = links
                .flat_map(|l| [&l["href"], &l["url"]])
                .filter_map(Value::as_str);
            assert!(links.any(|l| l.contains(link)), "{who} has no {link}");
        }
    }
}
