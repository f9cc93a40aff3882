//! A tiny HTTP server on loopback that gives canned answers and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a request looked like: "METHOD path", authorization, body.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

/// A server that gives each request the next answer of its list; the last one again and again.
pub(crate) struct Canned {
    pub(crate) address: String,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

/// Starts it.
pub(crate) fn serve(answers: Vec<(u16, String)>) -> Canned {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let answer = answers.get(n).or(answers.last()).cloned();
            let (Ok(stream), Some((status, body))) = (stream, answer) else {
                return;
            };
            let _ = reply(stream, status, &body, &log);
        }
    });
    Canned { address, seen }
}

fn reply(
    stream: TcpStream,
    status: u16,
    body: &str,
    log: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    let mut authorization = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut request = vec![0; length];
    reader.read_exact(&mut request)?;
    let line = first
        .rsplit_once(' ')
        .map_or(first.clone(), |(l, _)| l.to_owned());
    log.lock().unwrap().push(Seen {
        line,
        authorization,
        body: String::from_utf8_lossy(&request).into_owned(),
    });
    write!(
        reader.get_mut(),
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
