//! Faults of clients, sockets and the clock, with the service running.

#![allow(clippy::print_stdout, reason = "a test that does less says so")]

use crate::serving::{Host, until};
use sexton::decision::AlarmCause;
use sexton::store::{Answer, Store, SubBatch};
use sexton::testing::{SystemClock, VirtualClock};
use sexton::{Durability, Engine, Options, Registration, Timestamp, Worker, WorkerOptions};
use sexton_service::api::{FindObject, GetStatus, GetTime, ListAlarms, NewObject, Register};
use sexton_service::http::{Limits, Server};
use sexton_service::{ServeOptions, Serving};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const LONG_FILE_BYTES: u64 = 1 << 30;

/// Store that notes the keys it is asked to delete.
#[derive(Default)]
struct Noting(Mutex<Vec<Vec<u8>>>);

impl Store for Noting {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        self.0.lock().unwrap().extend(sub_batch.objects.iter().map(|object| object.key.to_vec()));
        vec![Answer::Deleted; sub_batch.objects.len()]
    }
}

impl Noting {
    fn keys(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn few(connections: usize) -> Limits {
    let mut limits = Limits::default().connections(connections);
    limits.write_timeout = Duration::from_secs(2);
    limits
}

/// Address that no process listens at. Another process may take it meanwhile, which is unlikely.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn connect(host: &Host) -> UnixStream {
    UnixStream::connect(host.folder.path().join("control.sock")).unwrap()
}

/// Sends a request, perhaps with an idempotency key, and returns the status and the body of the answer.
fn call(mut stream: UnixStream, line: &str, key: Option<&str>, body: &str) -> (u16, String) {
    let length = body.len();
    let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
    let request =
        format!("{line} HTTP/1.1\r\nhost: sexton\r\n{key}connection: close\r\ncontent-length: {length}\r\n");
    // A refusal may come before the whole body is sent.
    let _ = stream.write_all(format!("{request}\r\n{body}").as_bytes());
    answer(stream)
}

fn answer(mut stream: impl Read) -> (u16, String) {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    // After a refused body the connection may end with an error.
    while let Ok(read @ 1..) = stream.read(&mut part) {
        bytes.extend_from_slice(&part[..read]);
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Reads until the service closes the connection. Returns the bytes that had arrived.
fn drain(mut stream: impl Read) -> u64 {
    let (mut part, mut all) = (vec![0; 1 << 16], 0);
    loop {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return all,
            Ok(read) => all += read as u64,
        }
    }
}

/// More clients than there are connections ask for a long answer and read nothing of it. The service goes on, holds a
/// part of each answer at most, and ends these connections.
#[test]
fn clients_that_stop_reading_keep_no_other_waiting() {
    let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000)));
    let log = free_address();
    let options = Options::new("example.com/slow")
        .breaker(sexton::limits::BreakerLimits { objects: u64::MAX, share_percent: 100 });
    let host = Host::limited(&options, clock.clone(), few(8), Some(log));
    let classes = "[class.fed]\nwithin = \"1h\"\nslot = \"1m\"\nlead = \"1m\"\nfeed = true\n";
    host.engine.define_classes(&sexton::ClassSet::from_toml(classes).unwrap()).unwrap();
    let keys: Vec<String> = (0..1_000).map(|n| format!("{n:02048}")).collect();
    let all: Vec<_> = keys.iter().map(|key| Registration::new("fed", key.as_bytes())).collect();
    host.engine.register(&all, Durability::Synced).unwrap();
    clock.advance(2 * HOUR);
    host.engine.enforce(&Noting::default()).unwrap();
    // A file of the log that is longer than all buffers between.
    let tombstones = host.folder.path().join("data/tombstones");
    File::create(tombstones.join("long")).unwrap().set_len(LONG_FILE_BYTES).unwrap();

    let slow: Vec<UnixStream> = (0..20)
        .map(|_| {
            let mut stream = connect(&host);
            stream.write_all(b"GET /v1/feed HTTP/1.1\r\nhost: sexton\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let slow_tcp: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(log).unwrap();
            stream.write_all(b"GET /tombstones/long HTTP/1.1\r\nhost: sexton\r\n\r\n").unwrap();
            stream
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(host.control().call(&GetStatus {}).unwrap()["state"], "running");
        let mut other = TcpStream::connect(log).unwrap();
        other
            .write_all(b"GET /log/checkpoint HTTP/1.1\r\nhost: sexton\r\nconnection: close\r\n\r\n")
            .unwrap();
        assert_eq!(answer(other).0, 200);
    }
    // The service has given up on them, so that they get the rest of no answer.
    thread::sleep(Duration::from_secs(5));
    for stream in slow_tcp {
        assert!(drain(stream) < LONG_FILE_BYTES / 2);
    }
    let long = call(connect(&host), "GET /v1/feed", None, "").1.len() as u64;
    for stream in slow {
        assert!(drain(stream) < long);
    }
}

/// Returns the number of idle connections to open: 10,000, or what the limit on open files leaves.
fn idle_connections() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files: usize = files.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX);
    // Both ends are in this process, and other tests have files open.
    let count = (files.saturating_sub(500) / 2).min(10_000);
    if count < 10_000 {
        println!("only {count} connections: the limit on open files is {files}");
    }
    count
}

#[test]
fn idle_connections_make_room_for_others() {
    const MAX: usize = 64;
    let host = Host::limited(&Options::new("example.com/idle"), Arc::new(SystemClock), few(MAX), None);
    let count = idle_connections();
    let mut idle = Vec::new();
    for number in 0..count {
        idle.push(connect(&host));
        if number % 1_000 == 0 {
            host.control().call(&GetTime {}).unwrap();
        }
    }
    for _ in 0..10 {
        host.control().call(&GetTime {}).unwrap();
    }
    // The others are closed, so that the service holds a bounded number.
    for stream in &idle {
        stream.set_nonblocking(true).unwrap();
    }
    let is_open = |mut stream: &UnixStream| matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    until(|| idle.iter().filter(|stream| is_open(stream)).count() <= MAX);
    host.control().call(&GetStatus {}).unwrap();
}

/// A body of 1 GB is refused after its head, or after its first 8 MiB if the head does not state its length.
#[test]
fn body_of_a_gigabyte_is_refused_early() {
    let host = Host::start();
    for (length, sent_max) in
        [("content-length: 1073741824", 4 << 20), ("transfer-encoding: chunked", 24 << 20)]
    {
        let stream = connect(&host);
        let mut writing = stream.try_clone().unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let head = format!("POST /v1/objects/register HTTP/1.1\r\nhost: sexton\r\n{length}\r\n\r\n");
        let is_chunked = length.starts_with("transfer");
        let writer = thread::Builder::new().name("writer".into()).spawn(move || {
            let part = vec![b' '; 1 << 16];
            let framed = [b"10000\r\n", &*part, b"\r\n"].concat();
            let part = if is_chunked { framed } else { part };
            if writing.write_all(head.as_bytes()).is_err() {
                return;
            }
            while count.load(Ordering::SeqCst) < 1 << 30 && writing.write_all(&part).is_ok() {
                count.fetch_add(part.len(), Ordering::SeqCst);
            }
        });
        let mut text = Vec::new();
        let mut part = [0; 4096];
        // The connection may end with an error after the answer, because a part of the body was not read.
        while let Ok(read @ 1..) = (&stream).read(&mut part) {
            text.extend_from_slice(&part[..read]);
        }
        drop(stream);
        writer.unwrap().join().unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("HTTP/1.1 413 ") && text.contains("\"too-long\""), "{length}: {text}");
        let sent = sent.load(Ordering::SeqCst);
        assert!(sent < sent_max, "{length}: the service took {sent} bytes");
    }
    assert_eq!(host.control().call(&GetStatus {}).unwrap()["state"], "running");
}

/// Bodies that do not end take their bytes of the memory for bodies, and a refusal is clear.
#[test]
fn bodies_of_many_clients_take_bounded_memory() {
    let host = Host::start();
    let part = vec![b' '; 7 << 20];
    let mut halves = Vec::new();
    for _ in 0..18 {
        let mut stream = connect(&host);
        let head = "POST /v1/objects/register HTTP/1.1\r\nhost: sexton\r\ncontent-length: 8000000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&part).unwrap();
        halves.push(stream);
    }
    let refused = || {
        let (status, body) = call(connect(&host), "POST /v1/objects/register", None, &" ".repeat(5 << 20));
        assert!(status == 400 || body.contains("too-many-requests"), "{status} {body}");
        status == 429
    };
    until(refused);
    drop(halves);
    until(|| !refused());
}

fn serve(engine: &Arc<Engine>, data: &Path, options: &ServeOptions) -> Result<Serving, String> {
    Serving::start(Server::new(Arc::clone(engine)), data, options).map_err(|error| error.to_string())
}

#[test]
fn place_of_a_listener_that_is_taken_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let engine = Arc::new(Engine::open(&data, &Options::new("example.com/taken")).unwrap());
    let path = folder.path().join("control.sock");
    let control = ServeOptions::default().control(&path, 0o600);
    let is_served = |result: Result<Serving, String>| {
        let client = sexton_service::http::client::Client::new(&path).unwrap();
        client.call(&GetTime {}).unwrap();
        result.unwrap().stop(HOUR);
    };

    File::create(&path).unwrap().write_all(b"a file").unwrap();
    let error = serve(&engine, &data, &control).err().unwrap();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("exists and is no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
    fs::remove_file(&path).unwrap();

    let other = UnixListener::bind(&path).unwrap();
    let error = serve(&engine, &data, &control).err().unwrap();
    assert!(error.contains("another process listens at"), "{error}");
    UnixStream::connect(&path).unwrap();
    // Nothing listens at the socket of a service that was killed.
    drop(other);
    assert!(path.exists());
    is_served(serve(&engine, &data, &control));

    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    for options in [control.clone().metrics(address), control.clone().public_log(address)] {
        let error = serve(&engine, &data, &options).err().unwrap();
        assert!(error.contains(&format!("cannot listen at {address}")), "{error}");
        assert!(!path.exists(), "the socket stayed");
    }
    drop(port);
    is_served(serve(&engine, &data, &control.metrics(address)));
}

/// Engine on a virtual clock, a deleting thread, and a server.
fn with_worker() -> (Host, Arc<VirtualClock>, Arc<Noting>, Worker) {
    let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000)));
    let host = Host::with(&[], &Options::new("example.com/clock"), clock.clone());
    let store = Arc::new(Noting::default());
    let shared: Arc<dyn Store> = store.clone();
    let worker = Worker::start(&host.engine, &shared, WorkerOptions::default()).unwrap();
    (host, clock, store, worker)
}

fn register(host: &Host, key: &str) {
    let object = NewObject { key: Some(key.into()), class: "log-73h".into(), ..NewObject::default() };
    let request = Register { objects: vec![object], only_missing: false, dry_run: false };
    host.register().call(&request).unwrap();
}

fn alarms(host: &Host) -> usize {
    host.control().call(&ListAlarms {}).unwrap()["alarms"].as_array().unwrap().len()
}

#[test]
fn clock_that_steps_ahead_while_serving_deletes_nothing() {
    let (host, clock, store, worker) = with_worker();
    register(&host, "a");
    clock.step_forward(30 * 24 * HOUR);
    until(|| alarms(&host) == 1);
    assert!(matches!(host.engine.status().unwrap().alarms[0].cause, AlarmCause::Clock));
    let status = host.control().call(&GetStatus {}).unwrap();
    assert_eq!(status["state"], "paused");
    assert!(status["needs"][0].as_str().unwrap().contains("stepped ahead"), "{status}");
    register(&host, "b");
    assert_eq!(store.keys(), 0);

    // The clock is set right. The alarm ends by itself, and both objects go in time.
    clock.step_back(30 * 24 * HOUR);
    until(|| alarms(&host) == 0);
    clock.advance(72 * HOUR);
    until(|| host.control().call(&GetStatus {}).unwrap()["state"] == "running");
    assert_eq!(store.keys(), 0, "an object went before its slot");
    clock.advance(HOUR);
    until(|| store.keys() == 2);
    until(|| host.engine.status().unwrap().classes["log-73h"].live == 0);
    let class = &host.engine.status().unwrap().classes["log-73h"];
    assert_eq!((class.ended.early, class.ended.late), (0, 0));
    worker.stop().unwrap();
}

#[test]
fn clock_that_steps_back_while_serving_deletes_nothing_early() {
    let (host, clock, store, worker) = with_worker();
    register(&host, "a");
    clock.step_back(48 * HOUR);
    until(|| alarms(&host) == 1);
    let status = host.control().call(&GetStatus {}).unwrap();
    assert!(status["needs"].to_string().contains("the wall clock is behind"), "{status}");
    register(&host, "b");
    assert_eq!(store.keys(), 0);
    clock.step_forward(48 * HOUR);
    until(|| alarms(&host) == 0);
    clock.advance(73 * HOUR);
    until(|| store.keys() == 2);
    worker.stop().unwrap();
    assert_eq!(host.engine.status().unwrap().classes["log-73h"].ended.early, 0);
}

/// An erasure with a key is not made twice, across a restart of the service. A registration is, and is the same.
#[test]
fn request_with_a_key_is_not_done_twice_across_a_restart() {
    let mut host = Host::start();
    let anna = Registration::new("log-73h", b"a").subject(b"anna").version(b"1");
    host.engine.register(&[anna], Durability::Synced).unwrap();
    let erase = |host: &Host, key: &str, subject: &str| {
        let body = format!(
            "{{\"on\": {{\"subject\": \"{subject}\"}}, \"decision\": {{\"author\": \"Ada\", \"reason\": \"mail\"}}}}"
        );
        call(connect(host), "POST /v1/erasures/request", Some(key), &body)
    };
    let register = |host: &Host| {
        let body = "{\"objects\": [{\"key\": \"b\", \"class\": \"log-73h\", \"version\": \"1\"}]}";
        call(connect(host), "POST /v1/objects/register", Some("r1"), body)
    };
    let first = erase(&host, "e1", "anna");
    assert_eq!(first.0, 200, "{}", first.1);
    assert_eq!(erase(&host, "e1", "anna"), first);
    let refused = erase(&host, "e2", "nobody");
    assert_eq!(refused.0, 404, "{}", refused.1);
    let registered = register(&host);
    assert_eq!(register(&host), registered);

    host.restart();
    let (status, body) = erase(&host, "e1", "anna");
    assert!(status == 409 && body.contains("\"began-before\""), "{body}");
    assert_eq!(host.engine.requests().unwrap().len(), 1);
    // A request that was refused changed nothing, so it can be sent again.
    assert_eq!(erase(&host, "e2", "nobody").0, 404);
    let (status, body) = register(&host);
    assert!(status == 200 && body.contains("\"identical\""), "{body}");
    let id =
        |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["objects"][0]["id"].clone();
    assert_eq!(id(&body), id(&registered.1));
    let found = host.control().call(&FindObject { key: Some("b".into()), ..FindObject::default() }).unwrap();
    assert_eq!(found["live"][0]["id"], id(&body));
}
