//! The dashboards: what Grafana would refuse, ignore or show wrongly, without a Grafana.
//!
//! | file | owns |
//! |---|---|
//! | `model` | the JSON and the provisioning files as types |
//! | `lint` | the rules of grafana/dashboard-linter, and the exceptions in `.lint` |
//! | `queries` | what the queries read exists, and what is shown comes out of them |
//! | `whole` | what holds for the dashboards together: variables, links, runbooks, layout, provisioning |
//! | `ask` | a query with its variables filled in, as Grafana would ask it |
//! | `drawn` | the panels in a browser |
//! | `story` | every query on a real Prometheus that watched a producer being moved |

mod ask;
mod drawn;
pub(crate) mod lint;
pub(crate) mod model;
pub(crate) mod queries;
mod story;
pub(crate) mod whole;

use super::bundle::Bundle;

/// As errors are collected everywhere here.
pub(crate) fn verdict(wrong: Vec<String>) -> Result<(), String> {
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

/// The files are what Grafana reads.
pub(crate) fn schema(bundle: &Bundle) -> Result<(), String> {
    model::dashboards(bundle)?;
    model::provisioning(bundle)?;
    Ok(())
}

fn holds(check: fn(&Bundle) -> Result<(), String>) {
    check(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn dashboards_and_provisioning_are_what_grafana_reads() {
    holds(schema);
    holds(whole::provisioning);
}

#[test]
fn dashboards_pass_the_rules_of_the_linter() {
    holds(lint::lint);
}

#[test]
fn dashboards_read_metrics_and_labels_that_exist_and_show_what_comes_out() {
    holds(queries::expressions);
    holds(queries::tables);
    holds(queries::units);
}

#[test]
fn dashboards_hang_together_and_lead_to_the_runbooks() {
    holds(whole::together);
    holds(whole::layout);
    holds(whole::runbooks);
}
