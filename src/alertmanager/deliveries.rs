//! Does Alertmanager get rid of what it has to tell? Its own counters say (`/metrics`). They are read here, because the alert
//! that says so (SlotkeeperPipelineWebhookFailing) has to go through the very Alertmanager that cannot deliver.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;

/// A failure counts for this long: Alertmanager tries again each `group_interval`, which is shorter.
const WINDOW: Duration = Duration::from_secs(5 * 60);

/// The counter of messages given up, by integration.
const COUNTER: &str = "alertmanager_notifications_failed_total{";

/// One way to people, or to us, that Alertmanager lately failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// URL of the Alertmanager, without credentials.
    pub alertmanager: String,
    /// `pagerduty`, `slack`, `webhook` …
    pub integration: String,
    /// Since the last failure was seen.
    pub ago: Duration,
}

/// Counters as last read, by Alertmanager and integration.
#[derive(Debug, Default)]
pub(super) struct Deliveries(Mutex<BTreeMap<(String, String), Count>>);

#[derive(Debug)]
struct Count {
    failed: f64,
    /// Since it last grew; `None`: it has not since we look.
    grew: Option<Stopwatch>,
}

// === impl Deliveries ===

impl Deliveries {
    /// Takes the counters of one Alertmanager. What is seen for the first time was before us.
    pub(super) fn note(&self, alertmanager: &str, page: &[u8]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (integration, failed) in parse(page) {
            let count = counts
                .entry((alertmanager.to_owned(), integration))
                .or_insert(Count { failed, grew: None });
            // A counter that fell began anew, with the Alertmanager: what it has since is since then.
            let before = if failed < count.failed {
                0.0
            } else {
                count.failed
            };
            if failed > before {
                count.grew = Some(Stopwatch::start());
            }
            count.failed = failed;
        }
    }

    /// Those that failed lately.
    pub(super) fn list(&self) -> Vec<Undelivered> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .filter_map(|((alertmanager, integration), count)| {
                let ago = count.grew?.elapsed();
                (ago <= WINDOW).then(|| Undelivered {
                    alertmanager: alertmanager.clone(),
                    integration: integration.clone(),
                    ago,
                })
            })
            .collect()
    }
}

/// Messages given up so far, by integration: newer Alertmanagers count by reason and receiver as well, summed here.
fn parse(page: &[u8]) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    for line in String::from_utf8_lossy(page).lines() {
        let Some((labels, value)) = line
            .strip_prefix(COUNTER)
            .and_then(|rest| rest.rsplit_once("} "))
        else {
            continue;
        };
        let integration = labels
            .split("integration=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        if let (Some(integration), Ok(failed)) = (integration, value.trim().parse::<f64>()) {
            *out.entry(integration.to_owned()).or_insert(0.0) += failed;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(deliveries: &Deliveries) -> Vec<String> {
        let list = deliveries.list();
        list.into_iter().map(|u| u.integration).collect()
    }

    #[test]
    fn a_counter_that_grows_while_we_look_is_a_failure() {
        let deliveries = Deliveries::default();
        let page = |slack: u32, pager: u32| {
            format!(
                "# TYPE alertmanager_notifications_failed_total counter\n\
                 alertmanager_notifications_failed_total{{integration=\"pagerduty\"}} {pager}\n\
                 alertmanager_notifications_failed_total{{integration=\"slack\"}} {slack}\n\
                 alertmanager_notifications_total{{integration=\"slack\"}} 99\n"
            )
        };
        deliveries.note("http://am", page(3, 0).as_bytes());
        assert!(failing(&deliveries).is_empty(), "those were before us");
        deliveries.note("http://am", page(4, 0).as_bytes());
        assert_eq!(failing(&deliveries), ["slack"]);
        assert_eq!(deliveries.list()[0].alertmanager, "http://am");
        // Alertmanager was restarted and fails again.
        deliveries.note("http://am", page(0, 1).as_bytes());
        assert_eq!(failing(&deliveries), ["pagerduty", "slack"]);
    }

    #[test]
    fn reasons_and_receivers_are_summed() {
        let page = b"alertmanager_notifications_failed_total{integration=\"slack\",reason=\"other\",receiver_name=\"chat/{x} 1\"} 1\n\
            alertmanager_notifications_failed_total{integration=\"slack\",reason=\"clientError\"} 2e0\n\
            alertmanager_notifications_failed_total{reason=\"none\"} 7\n\
            alertmanager_notifications_failed_total{integration=\"mail\"} many\n";
        assert_eq!(parse(page), BTreeMap::from([("slack".to_owned(), 3.0)]));
        assert!(parse(b"<html>not found</html>").is_empty());
    }
}
