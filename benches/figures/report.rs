//! Figures as they are printed: a value, the target beside it, and what the value includes. Judges nothing but "within
//! the target or over it"; the exit code does not depend on that, for a busy machine is no regression.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

/// One measured figure.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    value: f64,
    /// Upper limit; `None` = for information.
    target: Option<f64>,
    note: String,
}

/// Everything measured, and everything that could not be.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    failures: Vec<String>,
}

/// Sorted durations.
#[derive(Debug, Clone)]
pub(crate) struct Samples(Vec<Duration>);

// === impl Figure ===

impl Figure {
    /// A figure for information.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            unit,
            value,
            target: None,
            note: String::new(),
        }
    }

    /// With an upper limit.
    pub(crate) fn at_most(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    /// With a word on what it includes.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn verdict(&self) -> &'static str {
        match self.target {
            None => "",
            Some(target) if self.value <= target => "PASS",
            Some(_) => "over",
        }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "value": self.value, "unit": self.unit, "target": self.target,
            "verdict": self.verdict(), "note": self.note,
        })
    }
}

// === impl Report ===

impl Report {
    /// Takes in what a measurement brought, or why it brought nothing.
    pub(crate) fn take(&mut self, name: &str, measured: anyhow::Result<Vec<Figure>>) {
        match measured {
            Ok(figures) => {
                for figure in &figures {
                    eprintln!("  {}", line(figure));
                }
                self.figures.extend(figures);
            }
            Err(error) => {
                eprintln!("  could not be measured: {error:#}");
                self.failures.push(format!("{name}: {error:#}"));
            }
        }
    }

    /// True when something could not be measured.
    pub(crate) fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        for figure in &self.figures {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{}", line(figure));
        }
        for failure in &self.failures {
            let _ = writeln!(out, "NOT MEASURED  {failure}");
        }
        out
    }

    /// For machines.
    pub(crate) fn json(&self) -> Value {
        json!({
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
            "failures": self.failures,
        })
    }
}

fn line(figure: &Figure) -> String {
    let target = figure
        .target
        .map_or_else(|| "-".to_owned(), |t| format!("<= {t} {}", figure.unit));
    let value = format!(
        "{:.*} {}",
        decimals(figure.value),
        figure.value,
        figure.unit
    );
    let text = format!(
        "{:<58} {value:>14} {target:>14} {:<5} {}",
        figure.name,
        figure.verdict(),
        figure.note
    );
    text.trim_end().to_owned()
}

/// Three digits that mean something, whole numbers whole.
fn decimals(value: f64) -> usize {
    match value.abs() {
        v if v.fract() == 0.0 || v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    }
}

// === impl Samples ===

impl Samples {
    /// Of at least one duration.
    pub(crate) fn new(mut all: Vec<Duration>) -> anyhow::Result<Self> {
        anyhow::ensure!(!all.is_empty(), "nothing was measured");
        all.sort_unstable();
        Ok(Self(all))
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The nearest-rank quantile, in milliseconds.
    pub(crate) fn ms(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent)
            .div_ceil(100)
            .clamp(1, self.0.len());
        self.0[rank - 1].as_secs_f64() * 1e3
    }

    /// The same in microseconds.
    pub(crate) fn us(&self, percent: usize) -> f64 {
        self.ms(percent) * 1e3
    }

    /// The longest, in milliseconds.
    pub(crate) fn max_ms(&self) -> f64 {
        self.ms(100)
    }
}
