//! Asks the configured Alertmanagers: does this alert stand, and what is silenced? Owns the HTTP clients; all are asked in
//! parallel, each for at most one second, so that a hung one costs no more than that.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Certificate, Client, Url};
use serde::Deserialize;
use tokio::sync::watch;

use super::deliveries::{Deliveries, Undelivered};
use super::matcher::equality;
use super::silences::{self, Silence, Silences};
use crate::actuator::{AlertSource, Journal, JournalError, Standing};
use crate::clock::{self, Millis, Stopwatch};
use crate::config::{AlertmanagerConfig, Config};
use crate::metrics::Task;

/// All configured Alertmanagers.
pub struct Alertmanagers {
    each: Vec<One>,
    silences: Silences,
    /// Labels of the shipped alert that a silence may name besides chain, producer, signing_key and action.
    guard_labels: Vec<(String, String)>,
    /// Since any of them answered, or the start.
    answered: Mutex<Stopwatch>,
    /// What they failed to tell people.
    deliveries: Deliveries,
}

/// One Alertmanager cannot be used as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("alertmanager {name}: {problem}")]
pub struct AlertmanagerError {
    /// Its URL without credentials.
    pub name: String,
    /// What is wrong.
    pub problem: String,
}

struct One {
    /// URL without credentials: for words and for the cache.
    name: String,
    base: Url,
    client: Client,
    token_file: Option<std::path::PathBuf>,
}

/// What one Alertmanager says of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Active,
    Suppressed(String),
    Absent,
}

/// An alert as `GET /api/v2/alerts` gives it (prometheus/alertmanager `api/v2/openapi.yaml`, `gettableAlert`).
#[derive(Deserialize)]
struct Listed {
    labels: std::collections::BTreeMap<String, String>,
    status: Status,
}

// `mutedBy` (0.28+) is left out on purpose: it says that *some* route mutes the alert at this hour, and a night's rest
// for Slack must not stop a failover.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
}

/// An answer on its way.
type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Each is given this long.
const PATIENCE: Duration = Duration::from_secs(1);
/// Silences are looked at this often.
const POLL: Duration = Duration::from_secs(15);
/// Largest answer taken.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

// === impl Alertmanagers ===

impl Alertmanagers {
    /// Makes the clients; asks nothing yet.
    pub fn new(config: &Config) -> Result<Self, AlertmanagerError> {
        Ok(Self {
            each: config
                .actuator
                .alertmanagers
                .iter()
                .map(One::new)
                .collect::<Result<_, _>>()?,
            silences: Silences::default(),
            guard_labels: config.guard.labels.clone(),
            answered: Mutex::new(Stopwatch::start()),
            deliveries: Deliveries::default(),
        })
    }

    /// Takes up the silences known before a restart.
    pub async fn restore(&self, journal: &dyn Journal) -> Result<(), JournalError> {
        let names: Vec<String> = self.each.iter().map(|one| one.name.clone()).collect();
        self.silences
            .restore(journal.kv_all(silences::KIND).await?, &names);
        Ok(())
    }

    /// Asks for silences, and for what could not be delivered, every 15 s until the shutdown.
    pub async fn run(
        self: Arc<Self>,
        journal: Arc<dyn Journal>,
        mut shutdown: watch::Receiver<bool>,
        task: Task,
    ) {
        let mut every = tokio::time::interval(POLL);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                _ = async { let _ = shutdown.wait_for(|s| *s).await; } => break,
            }
            self.poll(journal.as_ref()).await;
            task.tick();
        }
        task.retire();
    }

    /// Asks all for their silences, and for what they could not deliver, once.
    pub async fn poll(&self, journal: &dyn Journal) {
        let answers = all(&self.each, |one| one.silences()).await;
        for (one, answer) in self.each.iter().zip(answers) {
            match answer {
                Ok(fresh) => {
                    *self.answered.lock().unwrap_or_else(PoisonError::into_inner) =
                        Stopwatch::start();
                    let entries = self.silences.replace(&one.name, fresh);
                    if !entries.is_empty()
                        && let Err(error) = journal.write(entries).await
                    {
                        tracing::warn!(%error, "silences could not be kept for a restart");
                    }
                }
                // Those known of it stay in force until they end.
                Err(problem) => {
                    tracing::warn!(alertmanager = one.name, problem, "cannot read silences");
                }
            }
        }
        self.count_failures().await;
    }

    /// Reads what each failed to deliver. One that does not show its counters is not counted: that it is silent is known.
    async fn count_failures(&self) {
        let pages = all(&self.each, |one| one.get("metrics", &[])).await;
        for (one, page) in self.each.iter().zip(pages) {
            match page {
                Ok(page) => self.deliveries.note(&one.name, &page),
                Err(problem) => {
                    tracing::debug!(alertmanager = one.name, problem, "cannot read counters");
                }
            }
        }
    }

    /// The ways on which an Alertmanager gave up a message within the last minutes.
    #[must_use]
    pub fn undelivered(&self) -> Vec<Undelivered> {
        self.deliveries.list()
    }

    /// Since any of them answered (each is asked every 15 s), or the start; `None` when none is configured.
    #[must_use]
    pub fn silent_for(&self) -> Option<Duration> {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.each.is_empty()).then(|| answered.elapsed())
    }

    /// A known silence over this producer's key at `now`, in words.
    #[must_use]
    pub fn silence_at(
        &self,
        chain: &str,
        producer: &str,
        signing_key: &str,
        now: Millis,
    ) -> Option<String> {
        let mut labels = vec![
            ("chain", chain),
            ("producer", producer),
            ("signing_key", signing_key),
            ("action", "failover"),
        ];
        for (name, value) in &self.guard_labels {
            if !labels.iter().any(|(n, _)| n == name) {
                labels.push((name, value));
            }
        }
        self.silences.covering(&labels, now)
    }
}

impl AlertSource for Alertmanagers {
    fn standing<'a>(
        &'a self,
        labels: &'a [(String, String)],
    ) -> Pin<Box<dyn Future<Output = Standing> + Send + 'a>> {
        Box::pin(async move {
            if self.each.is_empty() {
                return Standing::NotConfigured;
            }
            let answers = all(&self.each, |one| one.alert(labels)).await;
            for (one, answer) in self.each.iter().zip(&answers) {
                if let Err(problem) = answer {
                    tracing::warn!(
                        alertmanager = one.name,
                        problem,
                        "cannot ask about an alert"
                    );
                }
            }
            judge(answers)
        })
    }

    fn cached_silence(&self, chain: &str, producer: &str, signing_key: &str) -> Option<String> {
        self.silence_at(chain, producer, signing_key, clock::now_ms())
    }
}

/// Any suppressed: suppressed. Else any active: active. Else all that answered lack it.
fn judge(answers: Vec<Result<Said, String>>) -> Standing {
    let heard: Vec<Said> = answers.into_iter().flatten().collect();
    if let Some(why) = heard.iter().find_map(|said| match said {
        Said::Suppressed(why) => Some(why.clone()),
        _ => None,
    }) {
        return Standing::Suppressed(why);
    }
    if heard.contains(&Said::Active) {
        Standing::Active
    } else if heard.is_empty() {
        Standing::Unreachable
    } else {
        Standing::Absent
    }
}

/// Asks all at once; answers in order.
async fn all<'a, T: 'a, F>(each: &'a [One], ask: impl Fn(&'a One) -> F) -> Vec<Result<T, String>>
where
    F: Future<Output = Result<T, String>> + Send + 'a,
{
    let mut asked: Vec<Asked<'a, T>> = each
        .iter()
        .map(|one| Box::pin(within(ask(one))) as _)
        .collect();
    let mut answers: Vec<Option<Result<T, String>>> = asked.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, answer) in asked.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let std::task::Poll::Ready(done) = future.as_mut().poll(cx)
            {
                *answer = Some(done);
            }
        }
        if answers.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}

async fn within<T>(ask: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(PATIENCE, ask)
        .await
        .unwrap_or_else(|_| Err("no answer within one second".into()))
}

// === impl One ===

impl One {
    fn new(config: &AlertmanagerConfig) -> Result<Self, AlertmanagerError> {
        let mut base = Url::parse(&config.url).map_err(|e| AlertmanagerError {
            // The text may hold a password: it is not repeated.
            name: "with an unreadable url".into(),
            problem: e.to_string(),
        })?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base.set_query(None);
        base.set_fragment(None);
        let mut shown = base.clone();
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        let name = shown.as_str().trim_end_matches('/').to_owned();
        let failed = |problem: String| AlertmanagerError {
            name: name.clone(),
            problem,
        };
        let mut client = Client::builder()
            .timeout(PATIENCE)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        if let Some(file) = &config.ca_file {
            client = client.tls_certs_merge(certificates(file).map_err(failed)?);
        }
        let client = client.build().map_err(|e| failed(e.to_string()))?;
        Ok(Self {
            name,
            base,
            client,
            token_file: config.token_file.clone(),
        })
    }

    async fn silences(&self) -> Result<Vec<Silence>, String> {
        silences::parse(&self.get("api/v2/silences", &[]).await?)
    }

    async fn alert(&self, labels: &[(String, String)]) -> Result<Said, String> {
        let mut query: Vec<(&str, String)> = ["active", "silenced", "inhibited", "unprocessed"]
            .map(|state| (state, "true".to_owned()))
            .to_vec();
        for (name, value) in labels.iter().filter(|(_, v)| !v.is_empty()) {
            query.push(("filter", equality(name, value)));
        }
        read_alerts(&self.get("api/v2/alerts", &query).await?, labels)
    }

    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<u8>, String> {
        let mut url = self.base.join(path).map_err(|e| e.to_string())?;
        if !query.is_empty() {
            url.query_pairs_mut()
                .extend_pairs(query.iter().map(|(k, v)| (*k, v.as_str())));
        }
        let mut request = self.client.get(url);
        if let Some(file) = &self.token_file {
            // Read each time: tokens are rotated.
            let token = std::fs::read_to_string(file)
                .map_err(|e| format!("token file {}: {e}", file.display()))?;
            request = request.bearer_auth(token.trim());
        }
        let mut answer = request
            .send()
            .await
            .map_err(|e| e.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!("answered {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer
            .chunk()
            .await
            .map_err(|e| e.without_url().to_string())?
        {
            if body.len().saturating_add(piece.len()) > MAX_ANSWER {
                return Err("answered more than 8 MiB".into());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(file).map_err(|e| format!("ca_file {}: {e}", file.display()))?;
    let found = Certificate::from_pem_bundle(&pem)
        .map_err(|e| format!("ca_file {}: {e}", file.display()))?;
    if found.is_empty() {
        return Err(format!(
            "ca_file {} has no certificate in it",
            file.display()
        ));
    }
    Ok(found)
}

fn read_alerts(answer: &[u8], labels: &[(String, String)]) -> Result<Said, String> {
    let alerts: Vec<Listed> = serde_json::from_slice(answer).map_err(|e| e.to_string())?;
    let ours = alerts.iter().filter(|alert| {
        labels
            .iter()
            .filter(|(_, v)| !v.is_empty())
            .all(|(name, value)| alert.labels.get(name) == Some(value))
    });
    let mut said = Said::Absent;
    for alert in ours {
        let status = &alert.status;
        if !status.silenced_by.is_empty() {
            return Ok(Said::Suppressed(format!(
                "silenced by {}",
                status.silenced_by.join(", ")
            )));
        }
        if !status.inhibited_by.is_empty() {
            return Ok(Said::Suppressed(format!(
                "inhibited by {}",
                status.inhibited_by.join(", ")
            )));
        }
        if status.state == "suppressed" {
            return Ok(Said::Suppressed("suppressed".into()));
        }
        // Active, or not yet processed: it is there and nothing holds it back.
        said = Said::Active;
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(state: &str, silenced: &str, inhibited: &str) -> Said {
        let answer = format!(
            r#"[{{"labels":{{"a":"b","replica":"1"}},"annotations":{{}},"status":{{"state":"{state}","silencedBy":[{silenced}],"inhibitedBy":[{inhibited}],"mutedBy":["night"]}}}},
               {{"labels":{{"a":"c"}},"status":{{"state":"suppressed","silencedBy":["x"],"inhibitedBy":[]}}}}]"#
        );
        read_alerts(
            answer.as_bytes(),
            &[("a".into(), "b".into()), ("e".into(), String::new())],
        )
        .unwrap()
    }

    #[test]
    fn the_state_of_our_alert_counts_and_of_no_other() {
        assert_eq!(said("active", "", ""), Said::Active);
        assert_eq!(said("unprocessed", "", ""), Said::Active);
        assert_eq!(
            said("suppressed", "\"s1\"", ""),
            Said::Suppressed("silenced by s1".into())
        );
        assert_eq!(
            said("suppressed", "", "\"i1\""),
            Said::Suppressed("inhibited by i1".into())
        );
        assert_eq!(
            said("suppressed", "", ""),
            Said::Suppressed("suppressed".into())
        );
        assert_eq!(read_alerts(b"[]", &[]).unwrap(), Said::Absent);
        assert!(read_alerts(b"{}", &[]).is_err());
    }

    #[test]
    fn one_suppressed_outweighs_all_active_and_silence_is_no_answer() {
        let s = || Ok(Said::Suppressed("s".into()));
        let (a, n, e) = (
            || Ok(Said::Active),
            || Ok(Said::Absent),
            || Err("x".to_owned()),
        );
        for (answers, standing) in [
            (vec![a(), s(), e()], Standing::Suppressed("s".into())),
            (vec![a(), n(), e()], Standing::Active),
            (vec![n(), e()], Standing::Absent),
            (vec![e(), e()], Standing::Unreachable),
        ] {
            assert_eq!(judge(answers), standing);
        }
    }
}
