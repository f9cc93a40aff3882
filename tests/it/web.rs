//! Both listeners over real loopback sockets, with a stand-in for the actuator.

mod auth;
mod control;
mod followers;
pub(crate) mod harness;
mod memory;
mod public;
mod server;
mod tls;
mod webhook;
