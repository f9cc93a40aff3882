//! A line that can be cut or held still, and a page of somebody else.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Everything passes.
    Up,
    /// Connections stay and nothing passes.
    Still,
    /// Connections break, and new ones too.
    Cut,
}

/// A relay on a port of its own.
pub(super) struct Relay {
    pub(super) origin: String,
    line: watch::Sender<Line>,
}

impl Relay {
    pub(super) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (line, state) = watch::channel(Line::Up);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *state.borrow() != Line::Cut {
                    tokio::spawn(carry(near, target, state.clone()));
                }
            }
        });
        Self { origin, line }
    }

    pub(super) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn carry(near: TcpStream, target: SocketAddr, state: watch::Receiver<Line>) {
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = pour(near_read, far_write, state.clone()) => {}
        () = pour(far_read, near_write, state) => {}
    }
}

async fn pour(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<Line>,
) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut piece) => read,
            _ = state.wait_for(|line| *line == Line::Cut) => return,
        };
        let n = match read {
            Ok(n) if n > 0 => n,
            _ => return,
        };
        // What comes while the line is still waits here; on a line that is cut, nobody gets it.
        match state.wait_for(|line| *line != Line::Still).await {
            Ok(line) if *line == Line::Up => {}
            _ => return,
        }
        if to.write_all(&piece[..n]).await.is_err() {
            return;
        }
    }
}

/// Serves one HTML page to whoever asks, as another site would.
pub(super) async fn say(html: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let html = html.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{html}",
                    html.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    origin
}
