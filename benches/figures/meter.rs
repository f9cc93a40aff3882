//! A listener before each endpoint that counts what really goes over the wire: HTTP requests, `find_witnesses` calls in
//! them, and the names of the longest.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::http;

/// What went over the wire to one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) requests: AtomicUsize,
    pub(crate) finds: AtomicUsize,
    pub(crate) names: AtomicUsize,
    /// Requests with more than one `find_witnesses` in them.
    pub(crate) doubled: AtomicUsize,
    trouble: Mutex<Option<String>>,
}

/// Puts a meter before `upstream`; it ends with the runtime.
pub(crate) fn before(
    runtime: &Runtime,
    upstream: SocketAddr,
) -> anyhow::Result<(SocketAddr, Arc<Meter>)> {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let addr = listener.local_addr()?;
    let meter = Arc::new(Meter::default());
    let theirs = Arc::clone(&meter);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let meter = Arc::clone(&theirs);
            tokio::spawn(async move {
                if let Err(error) = pass(stream, upstream, &meter).await {
                    meter.lock().get_or_insert(format!("{error:#}"));
                }
            });
        }
    });
    Ok((addr, meter))
}

/// One request there, its answer back. The endpoint closes after each reply.
async fn pass(mut client: TcpStream, upstream: SocketAddr, meter: &Meter) -> anyhow::Result<()> {
    let Some((request, start)) = http::request(&mut client).await? else {
        return Ok(());
    };
    meter.count(&request[start..])?;
    let mut node = TcpStream::connect(upstream).await?;
    node.write_all(&request).await?;
    // Whoever asked may have gone away.
    let _ = tokio::io::copy(&mut node, &mut client).await;
    let _ = client.shutdown().await;
    Ok(())
}

// === impl Meter ===

impl Meter {
    fn count(&self, body: &[u8]) -> anyhow::Result<()> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let body: Value = serde_json::from_slice(body)?;
        let calls = match &body {
            Value::Array(calls) => calls.as_slice(),
            one => std::slice::from_ref(one),
        };
        let finds: Vec<&Value> = calls
            .iter()
            .filter(|c| {
                c["method"]
                    .as_str()
                    .is_some_and(|m| m.contains("find_witnesses"))
            })
            .collect();
        self.finds.fetch_add(finds.len(), Ordering::Relaxed);
        self.doubled
            .fetch_add(usize::from(finds.len() > 1), Ordering::Relaxed);
        for call in finds {
            let names = call["params"]["owners"].as_array().map_or(0, Vec::len);
            self.names.fetch_max(names, Ordering::Relaxed);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What went wrong first, if anything: then the counts cannot be trusted.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.lock().clone()
    }
}
