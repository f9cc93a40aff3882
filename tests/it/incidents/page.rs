//! docs/incident-matrix.md, made from the rows and from the seconds that the last `make soak` measured
//! (tests/data/incidents.json).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::bounds::{GRACE, MARGIN, PING, Shipped};
use super::play::Measured;
use super::table::{Break, Hears, ITEMS, LINKS, Receiver, Row};

/// Seconds by row, then by who hears of what.
type Kept = BTreeMap<String, BTreeMap<String, f64>>;

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

const DATA: &str = "tests/data/incidents.json";
const PAGE: &str = "docs/incident-matrix.md";

fn name(hears: &Hears) -> String {
    format!("{}: {}", hears.who.words(), hears.what)
}

fn kept() -> Kept {
    let text = std::fs::read_to_string(file(DATA)).unwrap_or_else(|_| "{}".into());
    serde_json::from_str(&text).expect("the measured seconds")
}

/// Writes what was measured, and the page anew. Rows that were not played keep what they had.
pub(super) fn keep(measured: &[Measured]) {
    let mut all = kept();
    for (row, seconds) in measured {
        let heard = row.hears.iter().zip(seconds);
        let heard = heard.map(|(h, s)| (name(h), (s * 10.0).round() / 10.0));
        all.insert(row.name.to_owned(), heard.collect());
    }
    // A row that is gone, or was renamed, takes its figures along.
    all.retain(|row, _| super::all().any(|r| r.name == row));
    let text = serde_json::to_string_pretty(&all).expect("JSON");
    std::fs::write(file(DATA), text + "\n").expect("written");
    std::fs::write(file(PAGE), page(&all)).expect("written");
}

fn page(kept: &Kept) -> String {
    let shipped = Shipped::read();
    let mut page = format!(
        "# Incident matrix\n\n\
         Who hears of it when a part of the stack fails, by which way, and how soon. Made from the rows in \
         `tests/it/incidents`; a test\nholds the two together (`UPDATE_GOLDEN=1 cargo test incident_matrix` rewrites this page).\n\n\
         Each row is played: the whole stack is booted (a simulated chain, slotkeeper as a process, real Prometheus and \
         Alertmanager\nwith the files of `deploy/`) until it is healthy and quiet, then one thing is broken. Everybody named \
         here must hear of it in\ntime, and nobody before. Production must stay where it is, save where a row says otherwise, and \
         what is mended is told to be\nover. `make test` plays four rows; `make soak` plays all, in about twenty minutes, and \
         writes the measured seconds into this page.\n\n\
         - **by Alertmanager**: Prometheus → Alertmanager → people, with the fast profile of \
         [deploy/README.md](../deploy/README.md). What\n  is told is the name of an alert, with its page in the \
         [runbook](runbooks/README.md).\n\
         - **by slotkeeper**: its own messages, past both (`notify`). What is told are its words; \
         [escalation.md](escalation.md) says more.\n\
         - **the off-site checker** rings when it is no longer pinged (`pings`). Here slotkeeper pings every {PING} s, and the \
         checker rings\n  {GRACE} s after a ping is overdue; with your figures it is your interval and your grace.\n\n\
         *Within* is the sum of shipped settings beside it and {MARGIN} s for a busy machine; the test fails beyond it. \
         *Measured* is one\nrun on two processors with four stacks at once.\n\n\
         | What breaks | Who hears | Of what | Within | Because | Measured |\n|---|---|---|---|---|---|\n"
    );
    for row in super::all() {
        for (n, hears) in row.hears.iter().enumerate() {
            let (bound, because) = shipped.bound(hears.within);
            let what = if n == 0 {
                format!("**{}**", row.name)
            } else {
                String::new()
            };
            let told = match hears.who {
                Receiver::Pager | Receiver::Chat => {
                    format!("[{0}](runbooks/{0}.md)", hears.what)
                }
                Receiver::Own | Receiver::OffSite => hears.what.to_owned(),
            };
            let seconds = kept.get(row.name).and_then(|k| k.get(&name(hears)));
            let seconds = seconds.map_or("–".to_owned(), |s| format!("{s:.1} s"));
            let who = hears.who.words();
            writeln!(
                page,
                "| {what} | {who} | {told} | {bound} s | {because} | {seconds} |"
            )
            .expect("text");
        }
    }
    page.push_str("\n## Notes\n\n");
    for row in super::all() {
        let mut words: Vec<String> = Vec::new();
        if !row.note.is_empty() {
            words.push(row.note.to_owned());
        }
        if !row.spared.is_empty() {
            let spared: Vec<&str> = row.spared.iter().map(|r| r.words()).collect();
            words.push(format!("Not told: {}.", spared.join("; ")));
        }
        if row.in_test {
            words.push("Played by `make test`.".into());
        }
        if !words.is_empty() {
            writeln!(page, "- *{}*: {}", row.name, words.join(" ")).expect("text");
        }
    }
    page
}

#[test]
fn the_incident_matrix_is_up_to_date() {
    let fresh = page(&kept());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file(PAGE), &fresh).unwrap();
    }
    let page = std::fs::read_to_string(file(PAGE)).unwrap();
    for (n, (is, should)) in page.lines().zip(fresh.lines()).enumerate() {
        assert_eq!(is, should, "{PAGE}:{} (UPDATE_GOLDEN=1 rewrites it)", n + 1);
    }
    assert_eq!(page.lines().count(), fresh.lines().count(), "{PAGE}");
}

#[test]
fn everything_that_may_break_has_a_row_and_every_way_is_cut() {
    for item in ITEMS {
        assert!(super::all().any(|row| row.item == item), "no row: {item}");
    }
    for row in super::all() {
        assert!(ITEMS.contains(&row.item), "{}: {}", row.name, row.item);
    }
    for link in LINKS {
        let cut = |b: &Break| matches!(b, Break::Cut(l, _) if *l == link);
        assert!(
            super::all().any(|row| row.breaks.iter().any(cut)),
            "{link:?} is never cut"
        );
    }
    let mut names: Vec<&str> = super::all().map(|row| row.name).collect();
    names.sort_unstable();
    let rows = names.len();
    names.dedup();
    assert_eq!(names.len(), rows, "a name twice");
}

/// 2018-07-28 is told within a minute, as the settings are shipped.
#[test]
fn the_day_of_2018_rings_within_a_minute() {
    let shipped = Shipped::read();
    let row = super::all()
        .find(|row| row.name.contains("2018-07-28"))
        .expect("the row");
    let (soonest, _) = shipped.bound(row.hears[0].within);
    assert_eq!(row.hears[0].who, Receiver::Pager);
    assert!(soonest <= 60, "{soonest} s");
}

/// What was measured was in time.
#[test]
fn every_row_was_measured_and_in_time() {
    let (shipped, kept) = (Shipped::read(), kept());
    let late = |row: &Row, hears: &Hears| {
        let seconds = kept.get(row.name).and_then(|k| k.get(&name(hears)));
        let bound = shipped.bound(hears.within).0 as f64;
        seconds.is_none_or(|seconds| *seconds > bound)
    };
    for row in super::all() {
        for hears in row.hears {
            assert!(!late(row, hears), "{}: {}", row.name, name(hears));
        }
    }
}
