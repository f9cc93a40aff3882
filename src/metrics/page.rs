//! Text exposition format 0.0.4, written straight into strings: one body per metric, so that several chains can add
//! to one family and the families still come out whole. Owns escaping and number formats; touches nothing.

use std::fmt::Write as _;

use super::names::{Kind, Name, TABLE};

/// Content type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Sample lines by metric. Empty families leave no trace on the page.
#[derive(Debug, Clone)]
pub struct Bodies(Vec<String>);

/// A value to write: counters are whole numbers, gauges need not be.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// Whole and not negative.
    Whole(u64),
    /// Any number.
    Real(f64),
}

// === impl Bodies ===

impl Default for Bodies {
    fn default() -> Self {
        Self(vec![String::new(); TABLE.len()])
    }
}

impl Bodies {
    /// Adds one sample. `labels` are values in the order of the metric's table row.
    pub fn put(&mut self, name: Name, labels: &[&str], value: impl Into<Value>) {
        self.sample(name, "", labels, None, value.into());
    }

    /// Bytes of all samples.
    fn size(&self) -> usize {
        self.0.iter().map(String::len).sum()
    }

    /// Adds a histogram: cumulative `buckets` under `bounds`, then `+Inf`, sum and count.
    pub fn histogram(
        &mut self,
        name: Name,
        labels: &[&str],
        bounds: &[f64],
        buckets: &[u64],
        sum: f64,
        count: u64,
    ) {
        let mut bound_text = String::new();
        for (i, bound) in bounds.iter().enumerate() {
            bound_text.clear();
            let _ = write!(bound_text, "{bound}");
            let cumulative = buckets.get(i).copied().unwrap_or(0);
            self.sample(
                name,
                "_bucket",
                labels,
                Some(&bound_text),
                cumulative.into(),
            );
        }
        self.sample(name, "_bucket", labels, Some("+Inf"), count.into());
        self.sample(name, "_sum", labels, None, sum.into());
        self.sample(name, "_count", labels, None, count.into());
    }

    fn sample(
        &mut self,
        name: Name,
        suffix: &str,
        labels: &[&str],
        le: Option<&str>,
        value: Value,
    ) {
        let metric = name.metric();
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        debug_assert_eq!(le.is_some(), suffix == "_bucket");
        debug_assert_eq!(metric.kind == Kind::Histogram, !suffix.is_empty());
        let out = &mut self.0[name as usize];
        out.push_str(metric.name);
        out.push_str(suffix);
        let mut open = '{';
        for (label, value) in metric.labels.iter().zip(labels) {
            out.push(open);
            open = ',';
            out.push_str(label);
            out.push_str("=\"");
            escape(out, value);
            out.push('"');
        }
        if let Some(le) = le {
            out.push(open);
            open = ',';
            out.push_str("le=\"");
            out.push_str(le);
            out.push('"');
        }
        if open == ',' {
            out.push('}');
        }
        match value {
            Value::Whole(v) => {
                let _ = write!(out, " {v}");
            }
            // Prometheus writes whole floats without a fraction; so does Rust's Display.
            Value::Real(v) if v.is_nan() => out.push_str(" NaN"),
            Value::Real(v) if v.is_infinite() => {
                out.push_str(if v > 0.0 { " +Inf" } else { " -Inf" });
            }
            Value::Real(v) => {
                let _ = write!(out, " {v}");
            }
        }
        out.push('\n');
    }
}

/// Joins the parts into one page: each family once, with its help and type, then the samples of every part.
#[must_use]
pub(super) fn join(parts: &[&Bodies]) -> String {
    let size: usize = parts.iter().map(|p| p.size()).sum();
    let mut page = String::with_capacity(size.saturating_add(16 * 1024));
    for (i, metric) in TABLE.iter().enumerate() {
        if parts.iter().all(|p| p.0[i].is_empty()) {
            continue;
        }
        page.push_str("# HELP ");
        page.push_str(metric.name);
        page.push(' ');
        page.push_str(metric.help);
        page.push_str("\n# TYPE ");
        page.push_str(metric.name);
        page.push(' ');
        page.push_str(metric.kind.as_str());
        page.push('\n');
        for part in parts {
            page.push_str(&part.0[i]);
        }
    }
    page
}

fn escape(out: &mut String, value: &str) {
    if !value.bytes().any(|b| matches!(b, b'\\' | b'"' | b'\n')) {
        out.push_str(value);
        return;
    }
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

// === impl Value ===

impl From<u64> for Value {
    fn from(v: u64) -> Self {
        Self::Whole(v)
    }
}

impl From<u32> for Value {
    fn from(v: u32) -> Self {
        Self::Whole(v.into())
    }
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Whole(v.into())
    }
}

impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Real(v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_two_chains_stay_in_one_family() {
        let (mut a, mut b) = (Bodies::default(), Bodies::default());
        a.put(Name::ChainHead, &["steem"], 7_u64);
        b.put(Name::ChainHead, &["hive"], 9_u64);
        let page = join(&[&a, &b]);
        assert_eq!(page.matches("# TYPE").count(), 1);
        assert!(page.ends_with(
            "slotkeeper_chain_head_block_number{chain=\"steem\"} 7\n\
             slotkeeper_chain_head_block_number{chain=\"hive\"} 9\n"
        ));
    }

    #[test]
    fn label_values_cannot_break_the_line() {
        let mut a = Bodies::default();
        a.put(Name::TaskLastTick, &["a\"b\\c\nd"], 1.5);
        assert!(join(&[&a]).ends_with("{task=\"a\\\"b\\\\c\\nd\"} 1.5\n"));
    }

    #[test]
    fn a_histogram_has_buckets_sum_and_count() {
        let mut a = Bodies::default();
        a.histogram(
            Name::ActuatorStage,
            &["c", "sent"],
            &[0.1, 1.0],
            &[1, 2],
            3.5,
            4,
        );
        let page = join(&[&a]);
        for line in [
            "slotkeeper_actuator_stage_duration_seconds_bucket{chain=\"c\",stage=\"sent\",le=\"0.1\"} 1",
            "slotkeeper_actuator_stage_duration_seconds_bucket{chain=\"c\",stage=\"sent\",le=\"1\"} 2",
            "slotkeeper_actuator_stage_duration_seconds_bucket{chain=\"c\",stage=\"sent\",le=\"+Inf\"} 4",
            "slotkeeper_actuator_stage_duration_seconds_sum{chain=\"c\",stage=\"sent\"} 3.5",
            "slotkeeper_actuator_stage_duration_seconds_count{chain=\"c\",stage=\"sent\"} 4",
        ] {
            assert!(page.lines().any(|l| l == line), "{line}\nin\n{page}");
        }
    }
}
