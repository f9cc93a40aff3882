//! A way between two parts that can be cut: bytes go through, or nothing does, or connections are refused.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How a way is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Connections stand and carry nothing.
    Silent,
    /// Connections are refused.
    Refused,
}

/// A listener that passes everything on to one address. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) at: SocketAddr,
    cut: watch::Sender<Option<Manner>>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let at = listener.local_addr().expect("address");
        let (cut, state) = watch::channel(None);
        Self {
            at,
            cut,
            task: tokio::spawn(accept(listener, at, target, state)),
        }
    }

    pub(crate) fn cut(&self, manner: Option<Manner>) {
        self.cut.send_replace(manner);
    }
}

/// Listens, save while connections are refused: the port stays taken meanwhile.
async fn accept(
    listener: TcpListener,
    at: SocketAddr,
    target: SocketAddr,
    mut state: watch::Receiver<Option<Manner>>,
) {
    let mut listener = Some(listener);
    loop {
        let refused = *state.borrow_and_update() == Some(Manner::Refused);
        if refused {
            drop(listener.take());
            let held = bound(at);
            if state.changed().await.is_err() {
                return;
            }
            drop(held);
            continue;
        }
        let here = match listener.take() {
            Some(here) => here,
            None => bound(at).listen(1024).expect("its port again"),
        };
        tokio::select! {
            accepted = here.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(pass(stream, target, state.clone()));
                }
            }
            changed = state.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        listener = Some(here);
    }
}

fn bound(at: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("socket");
    socket.set_reuseaddr(true).expect("option");
    socket.bind(at).expect("its own port");
    socket
}

/// One connection. Cut in silence it stands and carries nothing; it ends when the way is whole again, or refused.
async fn pass(mut from: TcpStream, target: SocketAddr, mut state: watch::Receiver<Option<Manner>>) {
    let whole = state.borrow_and_update().is_none();
    if whole {
        let carried = async {
            // Nobody listens there: as good as refused.
            if let Ok(mut to) = TcpStream::connect(target).await {
                let _ = copy_bidirectional(&mut from, &mut to).await;
            }
        };
        tokio::pin!(carried);
        loop {
            tokio::select! {
                () = &mut carried => return,
                changed = state.changed() => {
                    if changed.is_err() || *state.borrow() == Some(Manner::Refused) {
                        return;
                    }
                    if state.borrow().is_some() {
                        break;
                    }
                }
            }
        }
    }
    // Both ends stay open until then.
    while state.changed().await.is_ok() {
        if *state.borrow() != Some(Manner::Silent) {
            return;
        }
    }
}
