//! The files of deploy/, held against the tools that will read them and against the program they speak of.
//! Needs promtool, amtool and systemd-analyze (`make setup` installs them).
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
//! | `unit`, `deb`, `image`, `compose` (`stack`), `kubernetes` (`objects`) | ways to install it, each held against the program and its configuration |
//! | `places`, `derived` | what a configuration says of its place; files that follow from others |
//! | `mutants` | every check notices what it is for |

pub(crate) mod bundle;
mod compose;
mod dashboards;
mod deb;
mod derived;
mod image;
mod known;
mod kubernetes;
mod mutants;
mod objects;
mod people;
mod places;
mod profiles;
mod promql;
mod routing;
mod rule_tests;
mod rules;
mod runbooks;
mod stack;
mod unit;
