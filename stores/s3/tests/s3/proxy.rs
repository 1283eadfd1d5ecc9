//! Proxy between store and server that loses, delays and replaces answers.

use parking_lot::Mutex;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    bytes: Vec<u8>,
}

impl Request {
    /// Returns `true` for a bulk deletion.
    pub(crate) fn is_bulk_deletion(&self) -> bool {
        self.method == "POST" && self.target.contains("?delete")
    }

    /// Returns `true` for any deletion.
    pub(crate) fn is_deletion(&self) -> bool {
        self.method == "DELETE" || self.is_bulk_deletion()
    }
}

/// Treatment of a request.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// The server gets it and answers.
    Pass,
    /// The server does not get it. The proxy answers with this status, these header lines and this body.
    Answer(u16, &'static str, &'static str),
    /// The server does not get it, and the connection breaks.
    Drop,
    /// The server gets it, and the connection breaks before the answer.
    LoseAnswer,
    /// The server gets it, and the answer ends in the middle.
    CutAnswer,
    /// The server gets it, and the answer waits for this long.
    Delay(Duration),
}

type Rule = Box<dyn FnMut(&Request) -> Action + Send>;

/// Proxy that runs until the test process ends.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    state: Arc<State>,
}

struct State {
    upstream: String,
    rule: Mutex<Rule>,
    seen: Mutex<Vec<Request>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Proxy {
    /// Starts a proxy that passes everything on.
    pub(crate) fn new(upstream: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            upstream: upstream.into(),
            rule: Mutex::new(Box::new(|_| Action::Pass)),
            seen: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let shared = state.clone();
        let accept = move || {
            for connection in listener.incoming() {
                let (shared, connection) = (shared.clone(), connection.unwrap());
                // A broken connection is what the tests are about.
                let serve = move || drop(shared.serve(connection));
                thread::Builder::new().spawn(serve).unwrap();
            }
        };
        thread::Builder::new().spawn(accept).unwrap();
        Proxy { endpoint, state }
    }

    /// Treats requests by this rule from now on, and forgets those seen before.
    pub(crate) fn set(&self, rule: impl FnMut(&Request) -> Action + Send + 'static) {
        *self.state.rule.lock() = Box::new(rule);
        self.state.seen.lock().clear();
        self.state.most_at_once.store(0, Ordering::SeqCst);
    }

    /// Returns the requests since the rule was set.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.state.seen.lock().clone()
    }

    /// Returns the most requests that were under way at a time since the rule was set.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state.most_at_once.load(Ordering::SeqCst)
    }
}

impl State {
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        if let Some(request) = read_request(&mut client)? {
            let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(now, Ordering::SeqCst);
            let answer = self.answer(&request);
            // The client may send the next request as soon as it has the answer.
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            client.write_all(&answer?)?;
            client.shutdown(Shutdown::Both)?;
        }
        Ok(())
    }

    /// Returns what is sent to the client.
    fn answer(&self, request: &Request) -> std::io::Result<Vec<u8>> {
        self.seen.lock().push(request.clone());
        let action = (self.rule.lock())(request);
        match action {
            Action::Pass => self.ask(request),
            Action::Drop => Ok(Vec::new()),
            Action::LoseAnswer => self.ask(request).map(|_| Vec::new()),
            Action::CutAnswer => {
                let mut answer = self.ask(request)?;
                let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
                answer.truncate(body + (answer.len() - body) / 2);
                Ok(answer)
            }
            Action::Delay(span) => {
                let answer = self.ask(request)?;
                thread::sleep(span);
                Ok(answer)
            }
            Action::Answer(status, headers, body) => {
                let length = body.len();
                // An answer to HEAD has no body.
                let body = if request.method == "HEAD" { "" } else { body };
                let head = format!(
                    "HTTP/1.1 {status} S\r\n{headers}content-length: {length}\r\nconnection: close\r\n"
                );
                Ok(format!("{head}\r\n{body}").into_bytes())
            }
        }
    }

    /// Hands a request to the server and returns its answer.
    fn ask(&self, request: &Request) -> std::io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(&self.upstream)?;
        let line = request.bytes.windows(2).position(|two| two == b"\r\n").unwrap_or(0) + 2;
        server.write_all(&request.bytes[..line])?;
        // The answer ends with the connection.
        server.write_all(b"connection: close\r\n")?;
        server.write_all(&request.bytes[line..])?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

fn read_request(client: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16_384];
    let mut length = None;
    loop {
        if length.is_none()
            && let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let body =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            length = Some(end + 4 + body.unwrap_or(0));
        }
        if length.is_some_and(|length| bytes.len() >= length) {
            break;
        }
        match client.read(&mut buffer)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
    let first = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(first).into_owned();
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    Ok(Some(Request { method, target, bytes }))
}
