//! slotkeeper keeps a block producer producing.
//!
//! It watches a chain through several endpoints, notices missed slots, lets ordinary Prometheus and Alertmanager
//! configuration (or its own guard) decide that a fault stands, and moves production to a healthy standby by changing
//! the registered signing key on chain: once, provably, and never in silence.
//!
//! # Observation
//!
//! tick → [`chain::Chain::survey`] → [`rpc`] asks every endpoint → [`chain::Chain::read`] → agreement →
//! [`watch::ledger`] → [`watch::Snapshot`] → [`metrics`], [`guard`], [`web`] status
//!
//! # Actuation
//!
//! webhook ([`alertmanager`]), [`guard`] or operator → request → journal → answer → decide on a *fresh* agreed view →
//! interlocks → target → draft → sign → recover and compare → journal, durable → broadcast the same bytes everywhere →
//! read back → included → effective → irreversible ([`actuator`]); on Antelope minutes may lie between the two
//!
//! # The rooms (arrows point down only)
//!
//! | room | owns |
//! |---|---|
//! | [`cli`] | one file per subcommand |
//! | [`demo`] | a small world to show a failover in, with real Prometheus and Alertmanager; [`demo::nodeos`] on real nodes |
//! | [`app`] | one running slotkeeper: builds every room, wires them, stops them in order |
//! | [`web`] | the two listeners, authentication, status page |
//! | [`notify`] | direct escalation to people when Alertmanager cannot be relied on |
//! | [`guard`], [`alertmanager`] | where requests come from |
//! | [`actuator`] | decide, interlocks, attempts, journal: the only room that can broadcast |
//! | [`watch`] | poll loop, slot ledger, snapshot |
//! | [`metrics`] | every metric name, once |
//! | [`rpc`] | one endpoint, the pool, agreement |
//! | [`config`] | raw YAML → validated configuration |
//! | [`chain`], [`keys`] | pure: bytes, signatures, what replies mean; [`chain::graphene`] and [`chain::antelope`] |
//! | [`devnet`] | a simulated chain with real dialects, for the demo and the tests |

pub mod actuator;
pub mod alertmanager;
pub mod app;
pub mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod devnet;
pub mod guard;
pub mod hex;
pub mod keys;
pub mod metrics;
pub mod notify;
pub mod rpc;
pub mod watch;
pub mod web;
