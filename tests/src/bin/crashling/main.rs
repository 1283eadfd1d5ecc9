//! The process that the crash test kills: threads register files, workers enforce, the clock steps on, some files
//! are written anew, some deletions fail; until somebody kills it.
//!
//! `crashling <folder> <run> <seed> crash | finish | stall <point>`

#![allow(
    clippy::disallowed_methods,
    reason = "what the host writes needs no durability: a killed process loses nothing"
)]

mod stall;

use sexton::files::disk::DiskFiles;
use sexton::kv::rocks::{RocksKv, RocksOptions};
use sexton::store::dir::{DirStore, Identified, Identity};
use sexton::store::{Answer, Request, Store, SubBatch};
use sexton::{ClassSet, Clock, Durability, Engine, Options, OsEntropy, Pool, Seams, VirtualClock};
use sexton::{Registration, Worker, WorkerOptions};
use sexton_tests::ORIGIN;
use sexton_tests::host::{CLASSES, Dice, Journal, Line, Notebook, Places, read_journals};
use stall::{Stall, StallingFiles, StallingKv};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const REGISTERING_THREADS: usize = 3;
const STEP_MS: i64 = 500;

/// A line for the parent. Where nobody listens any more, nothing is lost.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

struct Host {
    places: Places,
    run: u32,
    seed: u64,
    engine: Arc<Engine>,
    files: Arc<Files>,
    clock: Arc<VirtualClock>,
    notebook: Notebook,
}

/// The directory store, with deletions that fail and points at which to be killed.
struct Files {
    store: DirStore,
    stall: Arc<Stall>,
}

impl Store for Files {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        if part.attempt > 1 {
            say("again");
        }
        self.stall.at("before-delete");
        // One in sixteen fails, and the same ones where the same batch comes again after a crash.
        let seed = |r: &Request<'_>| r.key.iter().fold(part.batch, |n, b| n.rotate_left(5) ^ u64::from(*b));
        let fails = |r: &Request<'_>| Dice::new(seed(r)).below(16) == 0;
        let going: Vec<Request<'_>> = part.objects.iter().copied().filter(|r| !fails(r)).collect();
        let (first, second) = going.split_at(going.len() / 2);
        let mut answers = self.store.delete(&SubBatch { objects: first, ..*part });
        self.stall.at("half-delete");
        answers.extend(self.store.delete(&SubBatch { objects: second, ..*part }));
        self.stall.at("after-delete");
        let mut answers = answers.into_iter();
        let answer = |r| if fails(r) { Some(Answer::Failed("played".into())) } else { answers.next() };
        part.objects.iter().filter_map(answer).collect()
    }
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (folder, run, seed, mode) = match words[..] {
        [folder, run, seed, ref mode @ ..] => (folder, run.parse()?, seed.parse()?, mode),
        _ => return Err("usage: crashling <folder> <run> <seed> crash | finish | stall <point>".into()),
    };
    die_with_the_parent();
    let host = match mode {
        ["crash"] | ["finish"] => Host::open(folder.as_ref(), run, seed, None)?,
        ["stall", point] => Host::open(folder.as_ref(), run, seed, Some(point))?,
        _ => return Err("the mode is crash, finish or stall <point>".into()),
    };
    host.register_what_got_no_answer()?;
    let store = Arc::clone(&host.files) as Arc<dyn Store>;
    let options = WorkerOptions { threads: 2, idle: Duration::from_millis(1) };
    let worker = Worker::start(&host.engine, &store, options)?;
    if mode == ["finish"] {
        return host.finish(worker);
    }
    host.files.stall.arm();
    thread::scope(|scope| {
        for thread in 1..=REGISTERING_THREADS {
            let host = &host;
            scope.spawn(move || stop_on_error(host.register(thread)));
        }
        scope.spawn(|| stop_on_error(host.reclaim()));
        stop_on_error(host.step_on(&worker));
    });
    Ok(())
}

/// An error of one thread ends the process: it is to be killed, never to go on in part.
fn stop_on_error(result: Result<()>) {
    if let Err(error) = result {
        let _ = writeln!(io::stderr(), "{error}");
        std::process::exit(2);
    }
}

fn die_with_the_parent() {
    let _ = thread::Builder::new().spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
}

impl Host {
    fn open(folder: &Path, run: u32, seed: u64, point: Option<&str>) -> Result<Host> {
        let places = Places::under(folder);
        let stall = Stall::new(point.unwrap_or_default(), i64::from(run % 3));
        // First of all: it puts back what stood in the quarantine.
        let files = Arc::new(Files { store: DirStore::open(&places.objects)?, stall: Arc::clone(&stall) });
        let (notebook, now_ms) = Notebook::open(&places.notes)?;
        let clock = Arc::new(VirtualClock::new(now_ms));
        let mut options = Options::new(ORIGIN);
        options.classes = ClassSet::from_toml(CLASSES)?;
        options.shards = Some(2);
        options.batch_rows = 200;
        // Few, so that runs are written every moment.
        options.recent_keys = 40;
        options.rocks = RocksOptions { write_buffer_bytes: 64 << 10, file_bytes: 16 << 10, ..options.rocks };
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let engine = if point.is_some() {
            fs::create_dir_all(&places.data)?;
            let kv = Arc::new(StallingKv(
                RocksKv::open(&places.data.join("index"), &options.rocks)?,
                Arc::clone(&stall),
            ));
            let disk = Arc::new(StallingFiles(DiskFiles::new(&places.data, Arc::new(Pool::none())), stall));
            let seams = Seams { kv, files: disk, entropy: Arc::new(OsEntropy), pool: Arc::new(Pool::none()) };
            Engine::open_with_seams(seams, &options, time)?
        } else {
            Engine::open_with_clock(&places.data, &options, time)?
        };
        let status = engine.status()?;
        say(&format!("open {} {}", status.log_size, engine.log_key()));
        Ok(Host { places, run, seed, engine: Arc::new(engine), files, clock, notebook })
    }

    fn step_to(&self, now_ms: i64) -> Result<()> {
        self.notebook.write(now_ms)?;
        self.clock.set(now_ms);
        Ok(())
    }

    fn step_on(&self, worker: &Worker) -> Result<()> {
        while !worker.has_failed() {
            self.step_to(self.engine.now_ms() + STEP_MS)?;
            thread::sleep(Duration::from_millis(10));
        }
        Err("a worker has ended by itself".into())
    }

    fn reclaim(&self) -> Result<()> {
        loop {
            self.engine.reclaim()?;
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the last runs asked for and got no answer to is registered now, if it is there: the same version, so a
    /// safe retry where the class finds by key.
    fn register_what_got_no_answer(&self) -> Result<()> {
        let mut open: BTreeMap<String, String> = BTreeMap::new();
        for line in read_journals(&self.places.notes)? {
            match line {
                Line::Try { class, key } => open.insert(key, class),
                Line::Ack { key, .. } => open.remove(&key),
            };
        }
        let mut journal = Journal::create(&self.places.notes, self.run, 0)?;
        for (key, class) in open {
            if let Some(file) = self.files.store.identify(key.as_bytes(), Identity::Exact)? {
                journal.append([Line::Try { class: class.clone(), key: key.clone() }])?;
                self.register_files(&mut journal, &class, &[(key, file)], Durability::Synced)?;
            }
        }
        Ok(())
    }

    fn register(&self, thread: usize) -> Result<()> {
        let mut journal = Journal::create(&self.places.notes, self.run, thread)?;
        let mut dice = Dice::new(self.seed + thread as u64);
        let mut mine: Vec<String> = Vec::new();
        for round in 0_u32.. {
            let class = ["quick", "kept", "free"][usize::try_from(dice.below(3))?];
            // A file of this run written anew: another object under the same key. The class that does not find by
            // key could not tell the two registrations apart.
            let anew = class != "free" && !mine.is_empty() && dice.below(3) == 0;
            let keys: Vec<String> = if anew {
                vec![mine[usize::try_from(dice.below(mine.len() as u64))?].clone()]
            } else {
                let name = |n| format!("{}/{:04}-{thread}-{round}-{n}", round % 5, self.run);
                (0..1 + dice.below(12)).map(name).collect()
            };
            journal.append(keys.iter().map(|key| Line::Try { class: class.into(), key: key.clone() }))?;
            let mut files = Vec::new();
            for key in keys {
                self.write(&key, thread)?;
                files.push((key.clone(), self.identify(&key)?));
                if class != "free" && !anew {
                    mine.push(key);
                }
            }
            // Both survive a kill; only the loss of power would tell them apart.
            let durability = if dice.below(2) == 0 { Durability::Synced } else { Durability::Buffered };
            self.register_files(&mut journal, class, &files, durability)?;
            if durability == Durability::Buffered {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// Writes a file beside its place and renames it there, in the place of an older one where there is one.
    fn write(&self, key: &str, thread: usize) -> Result<()> {
        let beside = self.places.notes.join(format!("new-{thread}"));
        fs::write(&beside, key)?;
        let place = self.places.objects.join(key);
        fs::create_dir_all(place.parent().unwrap_or(&self.places.objects))?;
        fs::rename(beside, place)?;
        Ok(())
    }

    /// Its name can be missing for a moment, while the store looks whether it is the older file.
    fn identify(&self, key: &str) -> Result<Identified> {
        for _ in 0..1_000 {
            if let Some(file) = self.files.store.identify(key.as_bytes(), Identity::Exact)? {
                return Ok(file);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(format!("{key} was deleted before it was registered").into())
    }

    fn register_files(
        &self,
        journal: &mut Journal,
        class: &str,
        files: &[(String, Identified)],
        durability: Durability,
    ) -> Result<()> {
        let item =
            |(key, file): &'_ (String, Identified)| (key.clone(), file.version.clone(), file.size_bytes);
        let files: Vec<_> = files.iter().map(item).collect();
        let items: Vec<Registration<'_>> = files
            .iter()
            .map(|(key, version, size_bytes)| Registration {
                version,
                size_bytes: *size_bytes,
                ..Registration::new(class, key.as_bytes())
            })
            .collect();
        let registered = self.engine.register(&items, durability)?;
        let ack = |((key, ..), one): (&(String, Vec<u8>, u64), sexton::Registered)| Line::Ack {
            class: class.into(),
            key: key.clone(),
            id: one.id,
        };
        journal.append(files.iter().zip(registered).map(ack))?;
        Ok(())
    }

    /// No more registering: the clock goes on until everything is gone.
    fn finish(&self, worker: Worker) -> Result<()> {
        while let Some(due_ms) = self.engine.next_due_ms() {
            if worker.has_failed() {
                return worker.stop().map_err(Into::into);
            }
            self.step_to(self.engine.now_ms().max(due_ms))?;
            thread::sleep(Duration::from_millis(1));
        }
        worker.stop()?;
        let report = self.engine.check()?;
        if !report.is_sound() {
            return Err(format!("the full check found {:#?}", report.problems).into());
        }
        say(&format!("finished {}", self.engine.status()?.log_size));
        Ok(())
    }
}
