//! Process that the crash test kills. Threads register files, workers enforce, and the clock steps on. Some files are
//! written again, and some deletions fail.
//!
//! `crash_child <folder> <run> <seed> crash | finish | stall <point>`

#![allow(
    clippy::disallowed_methods,
    reason = "what the host writes needs no durability: a killed process loses nothing"
)]

mod stall;

use sexton::store::dir::{DirStore, Identified, Identity};
use sexton::store::{Answer, Store, StoredObject, SubBatch};
use sexton::testing::files::disk::DiskFiles;
use sexton::testing::kv::rocks::RocksKv;
use sexton::testing::{Clock, OsEntropy, Pool, Seams, VirtualClock};
use sexton::{ClassSet, Durability, Engine, Options};
use sexton::{Registration, Worker, WorkerOptions};
use sexton_proof::time::Timestamp;
use sexton_tests::ORIGIN;
use sexton_tests::host::{CLASSES, Journal, Line, Places, Rng, SavedClock, read_journals};
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
const STEP: Duration = Duration::from_millis(500);

/// Writes a line for the parent. A closed pipe is no error.
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
    saved_clock: SavedClock,
}

/// Directory store with deletions that fail and points at which the process stalls.
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
        // One deletion in sixteen fails. The choice depends on batch and key, so a repeated batch fails alike.
        let seed =
            |r: &StoredObject<'_>| r.key.iter().fold(part.batch, |n, b| n.rotate_left(5) ^ u64::from(*b));
        let fails = |r: &StoredObject<'_>| Rng::new(seed(r)).below(16) == 0;
        let going: Vec<StoredObject<'_>> = part.objects.iter().copied().filter(|r| !fails(r)).collect();
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
        _ => return Err("usage: crash_child <folder> <run> <seed> crash | finish | stall <point>".into()),
    };
    die_with_the_parent();
    let host = match mode {
        ["crash"] | ["finish"] => Host::open(folder.as_ref(), run, seed, None)?,
        ["stall", point] => Host::open(folder.as_ref(), run, seed, Some(point))?,
        _ => return Err("the mode is crash, finish or stall <point>".into()),
    };
    host.retry_unanswered()?;
    let store = Arc::clone(&host.files) as Arc<dyn Store>;
    let options = WorkerOptions::default().threads(2).idle(Duration::from_millis(1));
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

/// Ends the process if a thread failed, because the process must not continue without one of its threads.
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
        // Opened first, because opening moves files back out of the quarantine.
        let files = Arc::new(Files { store: DirStore::open(&places.objects)?, stall: Arc::clone(&stall) });
        let (saved_clock, now) = SavedClock::open(&places.notes)?;
        let clock = Arc::new(VirtualClock::new(now));
        let mut options = Options::new(ORIGIN);
        options.classes = ClassSet::from_toml(CLASSES)?;
        options.shards = Some(2);
        options.batch_objects = 200;
        // A small memtable makes the engine write runs all the time.
        options.memtable_keys = 40;
        options.rocks.write_buffer_bytes = 64 << 10;
        options.rocks.file_bytes = 16 << 10;
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
        Ok(Host { places, run, seed, engine: Arc::new(engine), files, clock, saved_clock })
    }

    fn step_to(&self, now: Timestamp) -> Result<()> {
        self.saved_clock.write(now)?;
        self.clock.set(now);
        Ok(())
    }

    fn step_on(&self, worker: &Worker) -> Result<()> {
        while !worker.has_failed() {
            self.step_to(self.engine.now().saturating_add(STEP))?;
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

    /// Registers the files that still exist and whose registration by an earlier run got no answer. The version is
    /// equal, so this is a safe retry if the class finds by key.
    fn retry_unanswered(&self) -> Result<()> {
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
        let mut rng = Rng::new(self.seed + thread as u64);
        let mut mine: Vec<String> = Vec::new();
        for round in 0_u32.. {
            let class = ["quick", "kept", "free"][usize::try_from(rng.below(3))?];
            // A file that this run writes again is another object under its key. A class that does not find by key
            // could not tell the two registrations apart.
            let again = class != "free" && !mine.is_empty() && rng.below(3) == 0;
            let keys: Vec<String> = if again {
                vec![mine[usize::try_from(rng.below(mine.len() as u64))?].clone()]
            } else {
                let name = |n| format!("{}/{:04}-{thread}-{round}-{n}", round % 5, self.run);
                (0..1 + rng.below(12)).map(name).collect()
            };
            journal.append(keys.iter().map(|key| Line::Try { class: class.into(), key: key.clone() }))?;
            let mut files = Vec::new();
            for key in keys {
                self.write(&key, thread)?;
                files.push((key.clone(), self.identify(&key)?));
                if class != "free" && !again {
                    mine.push(key);
                }
            }
            // Both survive a kill. Only a power loss would tell them apart.
            let durability = if rng.below(2) == 0 { Durability::Synced } else { Durability::Buffered };
            self.register_files(&mut journal, class, &files, durability)?;
            if durability == Durability::Buffered {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// Writes a file in the notes and renames it to its path, where it replaces an older file.
    fn write(&self, key: &str, thread: usize) -> Result<()> {
        let beside = self.places.notes.join(format!("new-{thread}"));
        fs::write(&beside, key)?;
        let path = self.places.objects.join(key);
        fs::create_dir_all(path.parent().unwrap_or(&self.places.objects))?;
        fs::rename(beside, path)?;
        Ok(())
    }

    /// Identifies a file. Its name can be missing for a moment while the store compares it with the older file.
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
        let described =
            |(key, file): &'_ (String, Identified)| (key.clone(), file.version.clone(), file.size);
        let files: Vec<_> = files.iter().map(described).collect();
        let registrations: Vec<Registration<'_>> = files
            .iter()
            .map(|(key, version, size)| Registration::new(class, key.as_bytes()).version(version).size(*size))
            .collect();
        let registered = self.engine.register(&registrations, durability)?;
        let ack = |((key, ..), registered): (&(String, Vec<u8>, u64), sexton::Registered)| Line::Ack {
            class: class.into(),
            key: key.clone(),
            id: registered.id,
        };
        journal.append(files.iter().zip(registered).map(ack))?;
        Ok(())
    }

    /// Lets the clock run until every registered file has gone. Nothing more is registered meanwhile.
    fn finish(&self, worker: Worker) -> Result<()> {
        while let Some(due) = self.engine.next_due() {
            if worker.has_failed() {
                return worker.stop().map_err(Into::into);
            }
            self.step_to(self.engine.now().max(due))?;
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
