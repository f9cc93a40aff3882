//! The pages say what the code says: every reason has its row, every test named as a proof exists.

use slotkeeper::actuator::interlocks::{self, Binds, Denied};

use super::{root, sources};

#[test]
fn tidy_every_reason_is_explained() {
    let page = std::fs::read_to_string(root().join("docs/interlocks.md")).unwrap();
    let written: Vec<[String; 3]> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            [
                cells[0].replace('`', ""),
                cells[2].to_owned(),
                cells[3].to_owned(),
            ]
        })
        .collect();
    let built: Vec<[String; 3]> = interlocks::ALL
        .iter()
        .map(|interlock| {
            let waits = match interlock.denied {
                Denied::Waits => "yes",
                Denied::Ends => "no",
            };
            let overridden = match interlock.operator {
                Binds::Warns => "yes",
                Binds::Denies => "no",
                Binds::Never => "not asked",
            };
            [
                interlock.name.as_str().to_owned(),
                waits.to_owned(),
                overridden.to_owned(),
            ]
        })
        .collect();
    assert_eq!(
        written, built,
        "docs/interlocks.md: one row for each, in order of precedence: name, waits, override"
    );
}

#[test]
fn tidy_the_tests_that_prove_the_invariants_exist() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let invariants = page
        .split("\n## ")
        .find(|s| s.starts_with("Invariants"))
        .unwrap();
    let named = named_tests("ARCHITECTURE.md", invariants);
    assert!(named >= 10, "only {named} tests are named");
}

#[test]
fn tidy_the_tests_that_prove_the_table_of_chains_exist() {
    let page = std::fs::read_to_string(root().join("docs/chains.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| **")).collect();
    for chain in [
        "Steem",
        "Hive",
        "Blurt",
        "Golos",
        "BitShares",
        "EOS/Vaulta",
        "WAX",
        "Telos",
    ] {
        let row = rows
            .iter()
            .find(|r| r.starts_with(&format!("| **{chain}**")));
        let row = row.unwrap_or_else(|| panic!("{chain} has no row"));
        // The head of a table is skipped.
        let named = named_tests("docs/chains.md", &format!("| head |\n{row}\n"));
        assert!(named >= 1, "{chain} names no test");
    }
    assert_eq!(rows.len(), 8);
}

/// How many tests the last column of a table names; each of them exists.
fn named_tests(page: &str, table: &str) -> usize {
    let code: String = sources("src")
        .into_iter()
        .chain(sources("tests"))
        .map(|s| s.text)
        .collect();
    let mut named = 0;
    for row in table.lines().filter(|l| l.starts_with("| ")).skip(1) {
        let proof = row.trim_matches('|').rsplit('|').next().unwrap();
        for name in proof.split('`').skip(1).step_by(2) {
            named += 1;
            assert!(
                code.contains(&format!("fn {name}(")),
                "{page} names {name}, which is no test"
            );
        }
    }
    named
}
