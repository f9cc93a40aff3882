//! A client that costs next to nothing, so that what is measured is the server: one kept connection, one request at a
//! time, the answer's body only counted. And how listeners that play another server read a request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use slotkeeper::clock::Stopwatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A blocking connection: nothing between the socket and the stopwatch.
pub(crate) struct Blocking {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One of many at once.
pub(crate) struct Async {
    stream: tokio::net::TcpStream,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// From the first byte sent to the last byte read.
    pub(crate) took: Duration,
    pub(crate) status: u16,
    pub(crate) bytes: usize,
}

/// A GET without any `Accept-Encoding`: the identity encoding.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes()
}

/// A POST of JSON with the bearer token.
pub(crate) fn post(path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Where the body starts, how long it is, and the status, once the head is complete.
fn head(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize, u16)>> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end]).context("the head is no text")?;
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .context("no status")?;
    let length = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .context("no Content-Length")?;
    Ok(Some((end + 4, length, status)))
}

/// The answer, when `bytes` hold all of it.
fn whole(bytes: &[u8], known: &mut Option<(usize, usize, u16)>) -> anyhow::Result<bool> {
    if known.is_none() {
        *known = head(bytes)?;
    }
    Ok(known.is_some_and(|(start, length, _)| bytes.len() >= start + length))
}

fn answer(took: Duration, known: Option<(usize, usize, u16)>) -> anyhow::Result<Answer> {
    let (_, bytes, status) = known.context("no answer")?;
    Ok(Answer {
        took,
        status,
        bytes,
    })
}

// === impl Blocking ===

impl Blocking {
    pub(crate) fn open(addr: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self {
            stream,
            buffer: vec![0; 16 << 20],
        })
    }

    pub(crate) fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let watch = Stopwatch::start();
        self.stream.write_all(request)?;
        let (mut filled, mut known) = (0, None);
        while !whole(&self.buffer[..filled], &mut known)? {
            let n = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(n > 0, "the connection was closed");
            filled += n;
        }
        answer(watch.elapsed(), known)
    }
}

// === impl Async ===

impl Async {
    pub(crate) async fn open(addr: SocketAddr) -> anyhow::Result<Self> {
        let stream = tokio::net::TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; 64 << 10],
        })
    }

    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let watch = Stopwatch::start();
        self.stream.write_all(request).await?;
        let (mut filled, mut known) = (0, None);
        while !whole(&self.buffer[..filled], &mut known)? {
            let n = self.stream.read(&mut self.buffer[filled..]).await?;
            ensure!(n > 0, "the connection was closed");
            filled += n;
        }
        answer(watch.elapsed(), known)
    }
}

/// One request as it came, and where its body begins; `None` when the other side left before its end.
pub(crate) async fn request(
    stream: &mut tokio::net::TcpStream,
) -> std::io::Result<Option<(Vec<u8>, usize)>> {
    let mut request = Vec::new();
    let start = loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
        if let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&request[..start]).to_lowercase();
    let length: usize = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    while request.len() < start + length {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((request, start)))
}
