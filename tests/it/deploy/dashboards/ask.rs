//! A query with its variables filled in, as Grafana would ask it.

use std::collections::BTreeMap;

/// What is chosen on top of a dashboard, ready to stand in a pattern.
#[derive(Debug, Clone)]
pub(crate) struct Chosen(BTreeMap<&'static str, String>);

/// The variables that queries use.
pub(crate) const VARIABLES: [&str; 4] = ["job", "instance", "chain", "producer"];

/// `$__rate_interval`: four times the data source's `timeInterval`, as Grafana has it when zoomed in.
pub(crate) const RATE_INTERVAL: &str = "60s";

// === impl Chosen ===

impl Chosen {
    /// All of each: its `allValue`.
    pub(crate) fn all() -> Self {
        Self(VARIABLES.iter().map(|v| (*v, ".+".to_owned())).collect())
    }

    /// With these values instead; several stand as Grafana writes them, `(a|b)`.
    pub(crate) fn with(mut self, variable: &'static str, values: &[String]) -> Self {
        let text = match values {
            [one] => one.clone(),
            several => format!("({})", several.join("|")),
        };
        self.0.insert(variable, text);
        self
    }

    /// The query as it reaches Prometheus, for a dashboard that shows so many seconds.
    pub(crate) fn fill(&self, query: &str, range_s: u64) -> String {
        let mut query = query
            .replace("$__rate_interval", RATE_INTERVAL)
            .replace("$__range", &format!("{range_s}s"));
        for (variable, value) in &self.0 {
            query = query.replace(&format!("${variable}"), value);
        }
        // `$1` is a piece of what a pattern matched.
        let left = query.replace("$1", "");
        assert!(!left.contains('$'), "{query}: a variable is left");
        query
    }
}

/// The labels in `{{…}}` of a legend or a text.
pub(crate) fn shown(text: &str) -> Vec<String> {
    let parts = text.split("{{").skip(1);
    parts
        .filter_map(|part| Some(part.split_once("}}")?.0.trim().to_owned()))
        .collect()
}

#[test]
fn a_query_is_filled_in_as_grafana_does() {
    let several = ["a".to_owned(), "b".to_owned()];
    let chosen = Chosen::all().with("job", &several);
    assert_eq!(
        chosen.fill(
            "rate(x{job=~\"$job\", y=~\"$chain|\"}[$__rate_interval]) / z[$__range]",
            300
        ),
        "rate(x{job=~\"(a|b)\", y=~\".+|\"}[60s]) / z[300s]"
    );
    assert_eq!(shown("{{a}} at {{ b }}"), ["a", "b"]);
}
