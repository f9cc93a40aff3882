//! Looking at a rig: the devnet's record, slotkeeper's own pages, and waiting until they say something.

use std::time::Duration;

use serde_json::Value;
use slotkeeper::clock::Stopwatch;
use slotkeeper::devnet::Truth;

use super::{ALICE, PATIENCE, Rig};

impl Rig {
    /// The devnet's record.
    pub(crate) fn truth(&self) -> Truth {
        self.devnet.truth()
    }

    /// Which key the chain names.
    pub(crate) fn registered(&self) -> String {
        self.truth().registered[ALICE].clone()
    }

    /// Transactions that reached the main branch and changed alice's key.
    pub(crate) fn switches(&self) -> Vec<String> {
        self.truth()
            .transactions
            .iter()
            .filter(|tx| tx.on_main && tx.via != "operator")
            .map(|tx| tx.txid.clone())
            .collect()
    }

    /// Waits until `what` holds, by looking; panics with `name` when it never does.
    pub(crate) async fn until(&self, name: &str, mut what: impl FnMut(&Self) -> bool) {
        let watch = Stopwatch::start();
        while !what(self) {
            assert!(
                watch.elapsed() < PATIENCE,
                "never happened: {name}; status {}; the last decision {}",
                self.get("/api/v1/status").await,
                self.get("/api/v1/decisions").await["decisions"][0]
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until slotkeeper is armed, able, and both nodes are ready.
    pub(crate) async fn until_able(&self) {
        self.until_status("armed and able", |status| {
            let alice = &status["producers"][0];
            alice["armed"] == true
                && alice["able"] == true
                && alice["keys"]
                    .as_array()
                    .is_some_and(|keys| keys.iter().all(|k| k["ready"] == true))
        })
        .await;
    }

    /// Waits until so many attempts occupy the producer: one does until its expiry has passed, so that nothing comes twice.
    pub(crate) async fn until_open_attempts(&self, n: f64) {
        let watch = Stopwatch::start();
        loop {
            let page = self.metrics().await;
            if series(&page, "slotkeeper_actuator_open_attempts", &[]) == Some(n) {
                return;
            }
            assert!(watch.elapsed() < PATIENCE, "never {n} open attempts");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until `/api/v1/status` says so.
    pub(crate) async fn until_status(&self, name: &str, what: impl Fn(&Value) -> bool) {
        let watch = Stopwatch::start();
        loop {
            let status = self.get("/api/v1/status").await;
            if what(&status) {
                return;
            }
            assert!(
                watch.elapsed() < PATIENCE,
                "never happened: {name}; status {status}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for `n` more slots of alice to pass, produced or not.
    pub(crate) async fn slots_of_alice(&self, n: usize) {
        let count = |rig: &Self| {
            rig.truth()
                .slots
                .iter()
                .filter(|s| s.scheduled == ALICE)
                .count()
        };
        let before = count(self);
        self.until("slots of alice pass", |rig| count(rig) >= before + n)
            .await;
    }

    fn web(&self) -> String {
        match &self.app {
            Some(app) => app.web_address().to_string(),
            None => format!("127.0.0.1:{}", self.config.ports.0),
        }
    }

    fn control(&self) -> String {
        match &self.app {
            Some(app) => app.control_address().to_string(),
            None => format!("127.0.0.1:{}", self.config.ports.1),
        }
    }

    /// GET on the public listener; `Null` when there is no answer or no JSON.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.web());
        match reqwest::get(url).await {
            Ok(answer) => answer.json().await.unwrap_or(Value::Null),
            Err(_) => Value::Null,
        }
    }

    /// The metrics page.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.web());
        reqwest::get(url)
            .await
            .expect("metrics")
            .text()
            .await
            .expect("text")
    }

    /// POST on the control listener.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.try_post(path, body).await.expect("control answers")
    }

    /// [`Self::post`], `None` when nobody answers.
    pub(crate) async fn try_post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let url = format!("http://{}{path}", self.control());
        let answer = reqwest::Client::new()
            .post(url)
            .bearer_auth("test-token")
            .json(body)
            .send()
            .await
            .ok()?;
        Some((
            answer.status().as_u16(),
            answer.json().await.unwrap_or(Value::Null),
        ))
    }

    /// The witness object's address and properties, as the chain has them now.
    pub(crate) fn properties(&self) -> (String, String, u32, u16) {
        self.devnet.with_chain(|chain| {
            let head = chain.head();
            let w = head.witness(ALICE).expect("alice");
            (
                w.url.clone(),
                w.account_creation_fee.clone(),
                w.maximum_block_size,
                w.interest_rate,
            )
        })
    }
}

/// The value of one series of a metrics page: the first line that starts with `name` and contains all `labels`.
pub(crate) fn series(page: &str, name: &str, labels: &[&str]) -> Option<f64> {
    page.lines()
        .find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        })
        .and_then(|line| line.rsplit(' ').next())
        .and_then(|value| value.parse().ok())
}
