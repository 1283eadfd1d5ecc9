//! Registering over the socket of a service beside registering in the process, and beside the fsync of the disk.
//!
//! The client writes requests that were made before, and does not parse the answers. Its own CPU time is excluded.

use super::Group;
use crate::comparison::{Comparison, ComparisonResult, FigureOf};
use crate::contest::{Contestant, Figures, Setup, run_contest};
use crate::statistics::Target;
use crate::{CALL, CLASSES, Ours, Result, THREADS, Workload, in_parallel, thread_cpu, timed};
use sexton::class::Find;
use sexton::{Durability, Registration};
use sexton_proof::leaf::Openings;
use sexton_service::api::{Bytes, NewObject, Operation, REGISTER_OBJECTS_MAX, Register};
use sexton_service::http::Server;
use sexton_service::{ServeOptions, Serving};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Comparisons of the service.
pub(super) const GROUP: Group = Group { comparisons, run: run_group };

const SOCKET: &str = "socket";
const SINGLE: &str = "single";
const REGISTER: &str = "register";
const CPU: &str = "cpu";
const P99: &str = "p99";
const P50: &str = "p50";
const OBJECTS: usize = 1_000_000;
const PER_SLOT: usize = 1_000;
const SINGLES: usize = 4_000;

fn comparisons() -> Vec<Comparison> {
    let beside = |name, unit, ours, reference, what| Comparison::new(name, unit, ours, reference, what);
    let single = |figure| FigureOf(SINGLE, figure);
    vec![
        beside(
            "service/register",
            "objects/s",
            FigureOf(SOCKET, REGISTER),
            FigureOf("in-process", REGISTER),
            "batches of 1,000 over the socket, by key, without the client's CPU time",
        )
        .with_target(Target::Ratio(0.5)),
        beside(
            "service/register/with-client",
            "objects/s",
            FigureOf(SOCKET, "with client"),
            FigureOf("in-process", REGISTER),
            "batches of 1,000 over the socket, by key, with the client's CPU time",
        ),
        beside(
            "service/register/cpu",
            "µs/object",
            FigureOf(SOCKET, CPU),
            FigureOf("in-process", CPU),
            "CPU time for each object of these, without the client's",
        ),
        beside(
            "service/single/p99",
            "µs",
            single(P99),
            single("fsync p99"),
            "single objects over the socket",
        )
        .labelled("fsync")
        .with_target(Target::RatioAtMost(3.0)),
        beside("service/single/p50", "µs", single(P50), single("fsync p50"), "the median of these")
            .labelled("fsync"),
        beside(
            "service/single/in-process-p99",
            "µs",
            single("in-process p99"),
            single("fsync p99"),
            "single objects in the process",
        )
        .labelled("fsync"),
    ]
}

fn run_group(setup: &Setup, comparisons: &[Comparison]) -> Result<Vec<ComparisonResult>> {
    let work = &Workload::new(setup.scaled(OBJECTS, CALL * CLASSES), PER_SLOT);
    let singles = setup.scaled(SINGLES, 100);
    let contestants = vec![
        Contestant::new(SOCKET, move |folder: &Path| register_batches(folder, work)),
        Contestant::new("in-process", move |folder: &Path| {
            let ours = Ours::open(folder, Find::Key, Openings::Operator)?;
            let cost = timed(|| ours.register(work))?;
            Ok(Figures::from([(REGISTER, rate(work, cost.wall)), (CPU, micros_each(work, cost.cpu))]))
        }),
        Contestant::new(SINGLE, move |folder: &Path| register_singles(folder, singles)),
    ];
    Ok(run_contest(setup, contestants, comparisons))
}

/// Engine behind a socket.
struct Served {
    ours: Ours,
    serving: Serving,
    folder: std::path::PathBuf,
}

impl Served {
    fn start(folder: &Path) -> Result<Served> {
        let data = folder.join("data");
        let ours = Ours::open(&data, Find::Key, Openings::Operator)?;
        let options = ServeOptions::default().register(folder.join("register.sock"), 0o600);
        let serving = Serving::start(Server::new(Arc::clone(&ours.engine)), &data, &options)?;
        Ok(Served { ours, serving, folder: folder.to_owned() })
    }

    fn connect(&self) -> Result<Connection> {
        Ok(Connection(BufReader::new(UnixStream::connect(self.folder.join("register.sock"))?)))
    }

    fn stop(self) {
        self.serving.stop(Duration::from_secs(60));
    }
}

/// Connection that is kept from request to request.
struct Connection(BufReader<UnixStream>);

impl Connection {
    /// Sends a request, and reads the answer without looking at it.
    fn call(&mut self, request: &[u8]) -> Result<()> {
        self.0.get_mut().write_all(request)?;
        let (mut line, mut length, mut status) = (String::new(), 0_u64, String::new());
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                _ if line.trim_end().is_empty() => break,
                Some(("content-length", value)) => length = value.parse()?,
                Some(_) => {}
                None => status.clone_from(&line),
            }
        }
        let mut body = Vec::new();
        self.0.by_ref().take(length).read_to_end(&mut body)?;
        match status.contains(" 200 ") {
            true => Ok(()),
            false => Err(format!("{}: {}", status.trim_end(), String::from_utf8_lossy(&body)).into()),
        }
    }
}

/// Returns the bytes of the request that registers these objects.
fn request(registrations: &[Registration<'_>]) -> Result<Vec<u8>> {
    let object = |registration: &Registration<'_>| NewObject {
        key_base64: Some(Bytes(registration.key.to_vec())),
        class: registration.class.to_owned(),
        version_base64: Some(Bytes(registration.version.to_vec())),
        start_ms: registration.start.map(sexton::Timestamp::unix_ms),
        digest_base64: Some(Bytes(registration.digest.to_vec())),
        size: registration.size,
        ..NewObject::default()
    };
    let objects = registrations.iter().map(object).collect();
    let body = serde_json::to_vec(&Register { objects, only_missing: false, dry_run: false })?;
    let (path, length) = (Register::PATH, body.len());
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: sexton\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    Ok([head.as_bytes(), &body].concat())
}

/// Registers the workload over the socket, with a connection for each thread.
fn register_batches(folder: &Path, work: &Workload) -> Result<Figures> {
    const { assert!(CALL <= REGISTER_OBJECTS_MAX) };
    let served = Served::start(folder)?;
    let requests: Vec<Vec<u8>> =
        (0..work.calls()).map(|call| request(&work.registrations(call))).collect::<Result<_>>()?;
    let connections: Vec<Connection> = (0..THREADS).map(|_| served.connect()).collect::<Result<_>>()?;
    let (free, own) = (Mutex::new(connections), Mutex::new(Duration::ZERO));
    let poisoned = "a client thread panicked";
    let cost = timed(|| {
        in_parallel(requests.len(), |call| {
            let mut connection = free.lock().map_err(|_| poisoned)?.pop().ok_or("no connection is free")?;
            let used = thread_cpu(|| connection.call(&requests[call]))?;
            free.lock().map_err(|_| poisoned)?.push(connection);
            *own.lock().map_err(|_| poisoned)? += used;
            Ok(())
        })
    })?;
    served.stop();
    let own = own.into_inner().map_err(|_| poisoned)?;
    // The threads run at the same time, so that each second of the run has at most this share of theirs.
    let share = own / u32::try_from(THREADS)?;
    Ok(Figures::from([
        (REGISTER, rate(work, cost.wall.saturating_sub(share))),
        ("with client", rate(work, cost.wall)),
        (CPU, micros_each(work, cost.cpu.saturating_sub(own))),
    ]))
}

fn rate(work: &Workload, wall: Duration) -> f64 {
    work.len() as f64 / wall.as_secs_f64()
}

fn micros_each(work: &Workload, cpu: Duration) -> f64 {
    cpu.as_secs_f64() * 1e6 / work.len() as f64
}

/// Registers objects one by one, over the socket and in the process, each after an fsync of a file beside them.
fn register_singles(folder: &Path, singles: usize) -> Result<Figures> {
    let served = Served::start(folder)?;
    let work = Workload::new(2 * singles, PER_SLOT);
    let objects: Vec<Registration<'_>> =
        (0..work.calls()).flat_map(|call| work.registrations(call)).take(2 * singles).collect();
    let (over_socket, in_process) = objects.split_at(singles);
    let requests: Vec<Vec<u8>> = over_socket.chunks(1).map(request).collect::<Result<_>>()?;
    let mut connection = served.connect()?;
    let mut file = File::create(folder.join("fsync"))?;
    let [mut fsyncs, mut calls, mut direct] = [const { Vec::<f64>::new() }; 3];
    for (request, object) in requests.iter().zip(in_process) {
        fsyncs.push(micros(|| {
            file.write_all(&[1; 4096])?;
            Ok(file.sync_data()?)
        })?);
        calls.push(micros(|| connection.call(request))?);
        direct.push(micros(|| {
            served.ours.engine.register(std::slice::from_ref(object), Durability::Synced)?;
            Ok(())
        })?);
    }
    served.stop();
    for times in [&mut fsyncs, &mut calls, &mut direct] {
        times.sort_unstable_by(f64::total_cmp);
    }
    Ok(Figures::from([
        (P99, part(&calls, 99)),
        (P50, part(&calls, 50)),
        ("fsync p99", part(&fsyncs, 99)),
        ("fsync p50", part(&fsyncs, 50)),
        ("in-process p99", part(&direct, 99)),
    ]))
}

fn micros(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    Ok(timed(work)?.wall.as_secs_f64() * 1e6)
}

/// Returns the value that this percentage of the sorted values does not exceed.
fn part(sorted: &[f64], percent: usize) -> f64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_a_value_of_the_sample() {
        let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!([50, 99, 100].map(|percent| part(&sorted, percent)), [100.0, 198.0, 200.0]);
        assert!(part(&[], 99).is_nan());
    }
}
