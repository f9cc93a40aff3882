//! The shipped monitoring files, held against the tools that will read them and against the program they speak of.
//! Needs promtool and amtool (`make setup` installs them).
//!
//! | file | owns |
//! |---|---|
//! | `bundle` | the files as texts that a test can break |
//! | `promql`, `known` | what an expression reads and what comes out; which metrics there are (dashboards use the same) |
//! | `rules`, `rule_tests` | the rules; the tests of the rules |
//! | `runbooks` | the pages for people |
//! | `routing`, `people` | Alertmanager: routes, inhibitions, messages; the same run for real |
//! | `profiles` | the fast and the relaxed pace, and the pair |
//! | `dashboards` | Grafana: the dashboards and what provisions them |
//! | `mutants` | every check notices what it is for |

pub(crate) mod bundle;
mod dashboards;
mod known;
mod mutants;
mod people;
mod profiles;
mod promql;
mod routing;
mod rule_tests;
mod rules;
mod runbooks;
