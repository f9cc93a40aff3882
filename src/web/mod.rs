//! The two HTTP listeners: many may read ([`routes`] has the table), few may write ([`control`] has the other).
//! Owns sockets, TLS, authentication and pages; acts only through [`Desk`] and the webhook.

mod actuator;
mod app;
mod auth;
mod browser;
pub mod control;
mod desk;
mod events;
mod form;
mod order;
mod page;
mod patience;
mod ready;
mod reply;
pub mod routes;
mod security;
mod server;
mod session;
mod start;
mod status;
mod tls;
mod webconfig;

pub use app::{App, FOLLOWERS, Reload};
pub use auth::{Auth, Who};
pub use desk::Desk;
pub use reply::{Body, Reply};
pub use security::{Loaded, Role, Security};
pub use server::{BodyError, BoxFuture, Handler, Limits, Peer, read_body, serve};
pub use session::{Session, Sessions};
pub use start::{Listeners, StartError, start};
pub use webconfig::{ClientAuth, TlsFiles, WebConfig, WebConfigError};
