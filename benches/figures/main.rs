//! `make bench`: the figures of docs/benchmarks.md, measured on this machine, each with its target beside it.
//!
//! Arguments: `--json` prints one JSON object instead of the table, `quick` measures less and leaves out what takes a
//! minute by nature, any other word picks the measurements whose name contains it. Progress goes to stderr. The exit
//! code is 1 only when something could not be measured: a figure over its target is said, not failed, for this machine
//! may be busy.

mod alerting;
mod browser;
mod costs;
mod http;
mod meter;
mod paint;
mod report;
mod rounds;
mod scale;
mod serving;
mod switching;
mod world;

use std::process::ExitCode;

use report::{Figure, Report};

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Fewer samples, nothing that takes a minute by nature.
    pub(crate) quick: bool,
}

// === impl Effort ===

impl Effort {
    /// So many samples, or a fifth of them when quick.
    pub(crate) fn samples(self, full: usize) -> usize {
        if self.quick { full.div_ceil(5) } else { full }
    }
}

type Measurement = fn(Effort) -> anyhow::Result<Vec<Figure>>;

/// Name, whether it takes a minute by nature, and how it is measured.
const ALL: [(&str, bool, Measurement); 8] = [
    ("switch", false, switching::measure),
    ("serve", false, serving::measure),
    ("paint", false, paint::measure),
    ("black-hole", false, rounds::measure),
    ("costs", false, costs::measure),
    ("ten-thousand", true, scale::measure),
    ("alert-path", true, alerting::measure),
    ("alert-relaxed", true, alerting::measure_relaxed),
];

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let json = words.iter().any(|w| w == "--json");
    let quick = words.iter().any(|w| w == "quick" || w == "--quick");
    let picks: Vec<&String> = words
        .iter()
        .filter(|w| !["--json", "quick", "--quick"].contains(&w.as_str()))
        .collect();
    let mut report = Report::default();
    for (name, slow, measure) in ALL {
        let picked = picks.iter().any(|pick| name.contains(pick.as_str()));
        let wanted = picked || (picks.is_empty() && !(quick && slow));
        if wanted {
            eprintln!("{name}:");
            report.take(name, measure(Effort { quick }));
        }
    }
    if json {
        println!("{}", report.json());
    } else {
        println!("\n{}", report.table());
    }
    ExitCode::from(u8::from(report.failed()))
}
