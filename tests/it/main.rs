//! The one integration test binary; each area is a module.
#![allow(clippy::unwrap_used)]

mod actuator;
mod bad_input;
mod captures;
mod commands;
mod config;
mod crash;
mod demo;
mod deploy;
mod devnet;
mod faults;
mod fixtures;
mod guard;
mod key_files;
mod never;
mod node_answers;
mod once;
mod operator;
mod pipeline;
mod quorum_lost;
mod recordings;
mod rig;
mod rpc_devnet;
mod rpc_endpoint;
mod rpc_pool;
mod rpc_server;
mod signing;
mod standalone;
mod tidy;
mod tx_broadcast;
mod tx_sign;
mod vectors;
mod watcher;
mod web;
mod web_metrics;
mod webhooks;
