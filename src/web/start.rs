//! Brings both listeners up, or says why not: files that cannot be used, addresses that cannot be bound, and a control
//! listener beyond loopback that anybody could command.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::app::App;
use super::control::Control;
use super::routes::Public;
use super::security::{Role, Security};
use super::server::{Handler, Limits, serve};
use crate::watch::Snapshot;

/// A listener serves these requests before its accept loop counts as stalled.
const STALL: Duration = Duration::from_secs(15);

/// Both listeners, running.
#[derive(Debug)]
pub struct Listeners {
    /// Where the public one listens.
    pub web: SocketAddr,
    /// Where the control one listens.
    pub control: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

/// A listener could not be brought up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{listener} listener: {problem}")]
pub struct StartError {
    /// `web` or `control`.
    pub listener: &'static str,
    /// What is in the way and what to do.
    pub problem: String,
}

// === impl Listeners ===

impl Listeners {
    /// Waits until both have drained (after the shutdown).
    pub async fn stopped(self) {
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// Brings both up. They end when [`App::shutdown`] says so.
pub async fn start(app: App, limits: Limits) -> Result<Listeners, StartError> {
    let web = app.config.web.clone();
    let control = app.config.control.clone();
    let in_web = |problem| StartError {
        listener: "web",
        problem,
    };
    let in_control = |problem| StartError {
        listener: "control",
        problem,
    };
    let web_security =
        Security::load(Role::Public, web.config_file.as_deref(), None).map_err(in_web)?;
    let control_security = Security::load(
        Role::Control,
        control.config_file.as_deref(),
        control.token_file.as_deref(),
    )
    .map_err(in_control)?;
    let web_listener = bind(&web.listen).await.map_err(in_web)?;
    let control_listener = bind(&control.listen).await.map_err(in_control)?;
    let (web_addr, control_addr) = (
        addr(&web_listener).map_err(in_web)?,
        addr(&control_listener).map_err(in_control)?,
    );
    let loaded = control_security.current();
    if !loaded.auth.is_configured() {
        if !control_addr.ip().is_loopback() {
            return Err(in_control(format!(
                "{control_addr} is not loopback and nothing is configured to authenticate: anybody could move production. Set control.token_file (or basic_auth_users or client certificates in control.config_file)"
            )));
        }
        tracing::warn!(
            listen = %control_addr,
            "the control listener has no authentication: every user of this machine can move production; set control.token_file"
        );
    } else if loaded.tls.is_none() && !control_addr.ip().is_loopback() {
        tracing::warn!(
            listen = %control_addr,
            "the control listener has no TLS: its token crosses the network in the clear; set tls_server_config in control.config_file"
        );
    }
    let app = Arc::new(app);
    for snapshots in app.snapshots.values() {
        tokio::spawn(warm(Arc::clone(&app), snapshots.clone()));
    }
    tokio::spawn(warm_actuator(Arc::clone(&app)));
    let spawn = |listener, security, handler: Arc<dyn Handler>, name: &str| {
        let task = app.metrics.tasks.register(name, STALL);
        tokio::spawn(serve(
            listener,
            limits,
            Arc::new(security),
            handler,
            app.shutdown.clone(),
            task,
        ))
    };
    let public = Arc::new(Public(Arc::clone(&app)));
    let commands = Arc::new(Control {
        app: Arc::clone(&app),
        limits,
    });
    Ok(Listeners {
        web: web_addr,
        control: control_addr,
        tasks: [
            spawn(web_listener, web_security, public, "listener/web"),
            spawn(
                control_listener,
                control_security,
                commands,
                "listener/control",
            ),
        ],
    })
}

/// Renders each snapshot's metrics as soon as it is there, away from the event loop. Ends with the snapshots or the
/// process.
async fn warm(app: Arc<App>, mut snapshots: watch::Receiver<Arc<Snapshot>>) {
    let mut shutdown = app.shutdown.clone();
    loop {
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { return },
            () = async { let _ = shutdown.wait_for(|stop| *stop).await; } => return,
        }
        let (metrics, snapshot) = (
            Arc::clone(&app.metrics),
            Arc::clone(&snapshots.borrow_and_update()),
        );
        let _ = tokio::task::spawn_blocking(move || metrics.warm(&snapshot)).await;
    }
}

/// The same for the actuator's figures.
async fn warm_actuator(app: Arc<App>) {
    let mut figures = app.desk.state();
    let mut shutdown = app.shutdown.clone();
    loop {
        tokio::select! {
            changed = figures.changed() => if changed.is_err() { return },
            () = async { let _ = shutdown.wait_for(|stop| *stop).await; } => return,
        }
        let (metrics, now) = (
            Arc::clone(&app.metrics),
            Arc::clone(&figures.borrow_and_update()),
        );
        let _ = tokio::task::spawn_blocking(move || metrics.warm_actuator(&now)).await;
    }
}

async fn bind(listen: &str) -> Result<TcpListener, String> {
    // `:10061` means every address, as in Prometheus' own flags.
    let address = if listen.starts_with(':') {
        format!("[::]{listen}")
    } else {
        listen.to_owned()
    };
    TcpListener::bind(&address)
        .await
        .map_err(|e| format!("cannot listen on {listen}: {e}; is another slotkeeper running?"))
}

fn addr(listener: &TcpListener) -> Result<SocketAddr, String> {
    listener.local_addr().map_err(|e| e.to_string())
}
