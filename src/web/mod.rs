//! The two HTTP listeners: many may read, few may write.

mod auth;
mod reply;
mod security;
mod server;
mod tls;
mod webconfig;

pub use auth::{Auth, Who};
pub use reply::{Body, Reply};
pub use security::{Loaded, Role, Security};
pub use server::{BodyError, BoxFuture, Handler, Limits, Peer, read_body, serve};
pub use webconfig::{ClientAuth, TlsFiles, WebConfig, WebConfigError};
