//! The receivers of direct escalation, each against a server on loopback that records the bytes: mail over real SMTP with
//! and without TLS, text messages, webhooks; and `slotkeeper notify test`, which tries them all.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use slotkeeper::config::{self, Config};
use slotkeeper::notify::receiver::{self, Outcome};
use slotkeeper::notify::{Act, Message};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::notify::Stub;
use crate::rpc_endpoint::tls::server_config;
use crate::tx_sign::slotkeeper;

const CHAINS: &str = "chains: [{name: h, protocol: hive, endpoints: [{url: 'https://a.example'}, {url: 'https://b.example'}, {url: 'https://c.example'}]}]\n";

/// A mail server that records what clients say; lines that begin with `refuse`'s first part get its second part.
#[derive(Clone)]
struct Smtp {
    port: u16,
    /// The certificate of STARTTLS.
    pem: String,
    heard: Arc<Mutex<Vec<String>>>,
    refuse: Arc<Mutex<Option<(&'static str, &'static str)>>>,
}

impl Smtp {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let (tls, pem) = server_config();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let smtp = Self {
            port: listener.local_addr().expect("address").port(),
            pem,
            heard: Arc::default(),
            refuse: Arc::default(),
        };
        let server = smtp.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, acceptor) = (server.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let mut plain = BufStream::new(stream);
                    let greeted = plain.write_all(b"220 mail.test ESMTP\r\n").await;
                    if greeted.is_err() || !server.talk(&mut plain).await {
                        return;
                    }
                    if let Ok(secure) = acceptor.accept(plain.into_inner()).await {
                        server.note("(TLS)");
                        server.talk(&mut BufStream::new(secure)).await;
                    }
                });
            }
        });
        smtp
    }

    fn note(&self, line: &str) {
        self.heard.lock().expect("lock").push(line.to_owned());
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("lock").clone()
    }

    /// True when the client wants TLS now.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut BufStream<S>) -> bool {
        let mut in_data = false;
        loop {
            if stream.flush().await.is_err() {
                return false;
            }
            let mut line = String::new();
            match stream.read_line(&mut line).await {
                Ok(n) if n > 0 => {}
                _ => return false,
            }
            let line = line.trim_end();
            self.note(line);
            if in_data && line != "." {
                continue;
            }
            let refuse = *self.refuse.lock().expect("lock");
            let answer = match refuse {
                Some((at, answer)) if line.starts_with(at) => answer,
                _ if in_data => "250 taken",
                _ if line.starts_with("EHLO") => {
                    "250-mail.test\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 AUTH PLAIN"
                }
                _ if line.starts_with("AUTH") => "235 welcome",
                _ if line.starts_with("DATA") => "354 go on",
                _ if line.starts_with("STARTTLS") => "220 go on",
                _ if line.starts_with("QUIT") => "221 bye",
                _ => "250 fine",
            };
            in_data = answer.starts_with("354");
            let wrote = stream.write_all(format!("{answer}\r\n").as_bytes()).await;
            if wrote.is_err() {
                return false;
            }
            if line.starts_with("STARTTLS") && answer.starts_with("220") {
                return stream.flush().await.is_ok();
            }
        }
    }
}

fn message() -> Message {
    Message {
        id: "heartbeat/a@5".into(),
        act: Act::Trigger,
        severity: slotkeeper::config::Severity::Critical,
        summary: "heartbeat a is overdue".into(),
        detail: "Last heard 21 s ago.".into(),
        since: 5_000,
        at: 26_000,
        left_out: None,
    }
}

fn secret(folder: &TempDir, name: &str, text: &str) {
    let file = folder.path().join(name);
    std::fs::write(&file, format!("{text}\n")).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("mode");
}

fn parse(folder: &TempDir, receiver: &str) -> Config {
    let text = format!("{CHAINS}notify: [{{name: one, {receiver}}}]\n");
    config::parse(&text, folder.path()).expect("a valid config")
}

async fn send(folder: &TempDir, receiver: &str, message: &Message) -> Outcome {
    let config = parse(folder, receiver);
    let opened = receiver::open(&config.notify[0], &config.web).expect("opens");
    opened.send(message).await
}

#[tokio::test]
async fn mail_is_sent_after_starttls_with_a_login_and_hangs_in_one_thread() {
    let smtp = Smtp::start().await;
    let folder = TempDir::new().expect("folder");
    secret(&folder, "password", "mail-secret");
    std::fs::write(folder.path().join("ca.pem"), &smtp.pem).expect("ca");
    let receiver = format!(
        "mail: {{server: localhost, port: {}, username: me, password_file: password, ca_file: ca.pem, \
         from: 'slotkeeper <keeper@example.org>', to: ['a@example.org', 'b@example.org']}}",
        smtp.port
    );
    let mut message = message();
    assert_eq!(send(&folder, &receiver, &message).await, Outcome::Delivered);
    let heard = smtp.heard();
    let at = |start: &str| {
        heard
            .iter()
            .position(|l| l.starts_with(start))
            .unwrap_or_else(|| panic!("{start} in {heard:#?}"))
    };
    assert!(at("STARTTLS") < at("(TLS)"), "{heard:#?}");
    assert!(at("(TLS)") < at("AUTH PLAIN "), "{heard:#?}");
    assert!(at("AUTH PLAIN ") < at("MAIL FROM:<keeper@example.org>"));
    assert!(at("RCPT TO:<a@example.org>") < at("RCPT TO:<b@example.org>"));
    assert_eq!(
        heard[at("Subject:")],
        "Subject: [critical] slotkeeper: heartbeat a is overdue"
    );
    assert!(heard.iter().any(|l| l == "Last heard 21 s ago."));
    assert_eq!(
        heard[at("Auto-Submitted:")],
        "Auto-Submitted: auto-generated"
    );
    let thread = heard[at("Message-ID:")].replace("Message-ID: ", "");

    smtp.heard.lock().expect("lock").clear();
    message.act = Act::Resolve;
    assert_eq!(send(&folder, &receiver, &message).await, Outcome::Delivered);
    let heard = smtp.heard();
    assert!(
        heard.contains(&format!("In-Reply-To: {thread}")),
        "{heard:#?}"
    );
    assert!(
        !heard.contains(&format!("Message-ID: {thread}")),
        "{heard:#?}"
    );
}

#[tokio::test]
async fn mail_never_goes_on_without_the_tls_it_was_told_to_use() {
    let smtp = Smtp::start().await;
    let folder = TempDir::new().expect("folder");
    secret(&folder, "password", "mail-secret");
    let receiver = format!(
        "mail: {{server: localhost, port: {}, username: me, password_file: password, from: 'k@example.org', to: ['a@example.org']}}",
        smtp.port
    );
    // A certificate that nobody knows.
    let outcome = send(&folder, &receiver, &message()).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    // A server, or somebody on the way, that will not have TLS.
    *smtp.refuse.lock().expect("lock") = Some(("STARTTLS", "454 not now"));
    let outcome = send(&folder, &receiver, &message()).await;
    assert_ne!(outcome, Outcome::Delivered);
    let heard = smtp.heard();
    assert!(
        heard
            .iter()
            .all(|l| !l.starts_with("AUTH") && !l.starts_with("MAIL")),
        "{heard:#?}"
    );
}

#[tokio::test]
async fn a_mail_servers_no_is_for_good_and_its_not_now_is_not() {
    let smtp = Smtp::start().await;
    let folder = TempDir::new().expect("folder");
    secret(&folder, "password", "mail-secret");
    let receiver = format!(
        "mail: {{server: 127.0.0.1, port: {}, security: plain, username: me, password_file: password, from: 'k@example.org', to: ['a@example.org']}}",
        smtp.port
    );
    assert_eq!(
        send(&folder, &receiver, &message()).await,
        Outcome::Delivered
    );
    for (refuse, again) in [
        (("RCPT", "451 greylisted"), true),
        (("RCPT", "550 nobody here mail-secret"), false),
        (("AUTH", "535 mail-secret is wrong"), false),
        (("EHLO", "421 too busy"), true),
    ] {
        *smtp.refuse.lock().expect("lock") = Some(refuse);
        let outcome = send(&folder, &receiver, &message()).await;
        assert_eq!(
            matches!(outcome, Outcome::Retry { .. }),
            again,
            "{refuse:?} {outcome:?}"
        );
        assert_ne!(outcome, Outcome::Delivered);
        assert!(
            !format!("{outcome:?}").contains("mail-secret"),
            "{outcome:?}"
        );
    }
    // Nobody there at all.
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let port = gone.local_addr().expect("address").port();
    drop(gone);
    let receiver = format!(
        "mail: {{server: 127.0.0.1, port: {port}, security: plain, from: 'k@example.org', to: ['a@example.org']}}"
    );
    let outcome = send(&folder, &receiver, &message()).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_text_message_is_a_form_with_the_accounts_token() {
    let twilio = Stub::start().await;
    let folder = TempDir::new().expect("folder");
    secret(&folder, "token", "sms-secret");
    let receiver = format!(
        "twilio: {{account_sid: AC1, token_file: token, from: '+15005550006', to: '+15005550001', url: '{}'}}",
        twilio.url
    );
    assert_eq!(
        send(&folder, &receiver, &message()).await,
        Outcome::Delivered
    );
    let got = twilio.got().remove(0);
    assert!(
        got.head
            .starts_with("POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1"),
        "{}",
        got.head
    );
    // AC1:sms-secret
    assert!(
        got.head.contains("Basic QUMxOnNtcy1zZWNyZXQ="),
        "{}",
        got.head
    );
    assert!(
        got.body
            .starts_with("From=%2B15005550006&To=%2B15005550001&Body=slotkeeper+on+"),
        "{}",
        got.body
    );
    assert!(got.body.contains("heartbeat+a+is+overdue"), "{}", got.body);
}

#[tokio::test]
async fn a_webhook_gets_json_and_a_token_and_is_not_followed_elsewhere() {
    let (hook, elsewhere) = (Stub::start().await, Stub::start().await);
    let folder = TempDir::new().expect("folder");
    secret(&folder, "url", &format!("{}/hook-secret", hook.url));
    secret(&folder, "token", "bearer-secret");
    let receiver = "webhook: {url_file: url, token_file: token}";
    assert_eq!(
        send(&folder, receiver, &message()).await,
        Outcome::Delivered
    );
    let got = hook.got().remove(0);
    assert!(got.head.starts_with("POST /hook-secret "), "{}", got.head);
    assert!(got.head.contains("Bearer bearer-secret"), "{}", got.head);
    let body: Value = serde_json::from_str(&got.body).expect("JSON");
    assert_eq!(body["event"], "trigger");
    assert_eq!(body["id"], "heartbeat/a@5");
    assert_eq!(body["since"], 5);
    assert_eq!(body["severity"], "critical");

    for (answer, again, after) in [
        ("500 Oops", true, None),
        ("503 Busy\r\nRetry-After: 7", true, Some(7)),
        ("429 Slow\r\nRetry-After: 30", true, Some(30)),
        ("401 Who", false, None),
        ("404 Gone", false, None),
    ] {
        hook.answer(&[answer]);
        match send(&folder, receiver, &message()).await {
            Outcome::Retry { after: said, .. } => {
                assert!(again, "{answer}");
                assert_eq!(said, after.map(Duration::from_secs), "{answer}");
            }
            Outcome::Refused(why) => {
                assert!(!again, "{answer}");
                assert!(!why.contains("bearer-secret"), "{why}");
            }
            Outcome::Delivered => panic!("{answer} is no delivery"),
        }
    }
    let to = format!("307 There\r\nLocation: {}/stolen", elsewhere.url);
    hook.answer(&[&to]);
    let outcome = send(&folder, receiver, &message()).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    assert!(elsewhere.got().is_empty(), "the token went elsewhere");
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_named_by_its_file_and_never_shown() {
    let folder = TempDir::new().expect("folder");
    for (text, says) in [
        ("http://hooks.example.org/hook-secret", "use https"),
        ("hook-secret", "does not hold a URL"),
        ("ftp://hook-secret.example/", "does not hold a URL"),
        ("", "is empty"),
    ] {
        secret(&folder, "url", text);
        for receiver in ["webhook: {url_file: url}", "slack: {url_file: url}"] {
            let Outcome::Refused(why) = send(&folder, receiver, &message()).await else {
                panic!("{text} was used");
            };
            assert!(why.contains(says) && why.contains("/url"), "{why}");
            assert!(!why.contains("hook-secret"), "{why}");
        }
    }
    let Outcome::Refused(why) = send(
        &folder,
        "pagerduty: {routing_key_file: missing}",
        &message(),
    )
    .await
    else {
        panic!("there is no key");
    };
    assert!(why.contains("missing"), "{why}");
    let shown = format!("{:?}", parse(&folder, "slack: {url_file: url}"));
    assert!(!shown.contains("hook-secret"));
}

/// Runs the built binary away from the runtime's threads.
async fn run(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let mut args: Vec<String> = more.iter().map(|a| (*a).to_owned()).collect();
    let file = folder.join("slotkeeper.yml");
    args.extend(["--config.file".to_owned(), file.display().to_string()]);
    let output = tokio::task::spawn_blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        slotkeeper(&args, "")
    });
    let output = output.await.expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notify_test_tries_each_receiver_and_says_what_happened() {
    let (pagerduty, slack) = (Stub::start().await, Stub::start().await);
    let folder = TempDir::new().expect("folder");
    secret(&folder, "pd.key", "pd-secret");
    secret(&folder, "slack.url", &format!("{}/slack-secret", slack.url));
    let yaml = format!(
        "{CHAINS}notify:\n\
         - {{name: oncall, pagerduty: {{routing_key_file: pd.key, url: '{}'}}}}\n\
         - {{name: ops, slack: {{url_file: slack.url}}}}\n\
         pings: [{{name: off-site, url_file: ping.url}}]\n",
        pagerduty.url
    );
    std::fs::write(folder.path().join("slotkeeper.yml"), yaml).expect("config");

    let (code, out, err) = run(folder.path(), &["notify", "test"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(
        out,
        "oncall (pagerduty): delivered\nops (slack): delivered\n"
    );
    let events = pagerduty.json();
    assert_eq!(events[0]["event_action"], "trigger");
    assert_eq!(events[0]["payload"]["severity"], "info");
    assert_eq!(events[1]["event_action"], "resolve");
    assert_eq!(events[0]["dedup_key"], events[1]["dedup_key"]);
    assert_eq!(slack.got().len(), 1);

    slack.answer(&["403 Forbidden"]);
    let (code, out, err) = run(folder.path(), &["notify", "test", "ops"]).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        out.starts_with("ops (slack): FAILED: answered 403"),
        "{out}"
    );
    assert!(
        !format!("{out}{err}").contains("slack-secret"),
        "{out}{err}"
    );
    assert_eq!(pagerduty.got().len(), 2, "only the one that was named");

    let (code, _, err) = run(folder.path(), &["notify", "test", "nobody"]).await;
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("there are: oncall, ops"), "{err}");

    // check-config says who is told, and which files are missing or open to everybody.
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("pd.key"), open).expect("mode");
    let (code, out, _) = run(folder.path(), &["check-config"]).await;
    assert_eq!(code, Some(0), "{out}");
    for line in [
        "notify oncall: pagerduty, from warning on, at most 20 messages in 600 s, reminded every 3600 s",
        "ping off-site: every 60 s while all is well",
        "can be read by every user of this machine",
        "ping.url does not exist",
    ] {
        assert!(out.contains(line), "{line}\nin\n{out}");
    }
    assert_eq!(out.matches("can be read by").count(), 1, "{out}");
}
