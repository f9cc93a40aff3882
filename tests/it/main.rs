//! The one integration test binary; each area is a module.
#![allow(clippy::unwrap_used)]

mod actuator;
mod captures;
mod commands;
mod config;
mod deploy;
mod devnet;
mod fixtures;
mod key_files;
mod node_answers;
mod signing;
mod tidy;
mod tx_sign;
mod vectors;
mod web_metrics;
