//! Time that changes between the moment at which an operation reads it and the moment at which it writes.

use crate::engine::Engine;
use crate::engine::open::Seams;
use crate::engine::options::Options;
use crate::governance::requests::Erasure;
use crate::model::alarm::AlarmId;
use crate::model::class::ClassSet;
use crate::model::hold::{HoldKind, HoldName, NewHold};
use crate::model::selector::Selector;
use crate::model::text::Attribution;
use crate::platform::clock::{Clock, VirtualClock};
use crate::platform::entropy::SeededEntropy;
use crate::platform::error::{ErrorKind, Result};
use crate::platform::fault::Faults;
use crate::platform::files::memory::MemoryFiles;
use crate::platform::kv::memory::MemoryKv;
use crate::platform::pool::Pool;
use crate::platform::store::dir::RootId;
use crate::platform::store::{Answer, Store, SubBatch};
use crate::registration::change::{Change, Which};
use crate::registration::register::{Durability, Registration};
use crate::state::time::hook;
use sexton_proof::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);
const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(365 * 24);
/// Time for which a test waits for a thread that ought to be blocked.
const BLOCKED: Duration = Duration::from_millis(100);

const CLASSES: &str = r#"
[class.upload]
within = "3h"
slot = "1s"
lead = "1s"
remember = "30d"

[class.archive]
keep = "2h"
slot = "1s"
lead = "1s"

[class.empty]
within = "3h"

[class.open]
within = "3h"
start = "explicit"
max_open = "1h"
"#;

/// Store that deletes everything.
struct Deletes;

impl Store for Deletes {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        sub_batch.objects.iter().map(|_| Answer::Deleted).collect()
    }
}

fn seams() -> Seams {
    let faults = Faults::none();
    Seams {
        kv: Arc::new(MemoryKv::new(faults.clone())),
        files: Arc::new(MemoryFiles::new(faults)),
        entropy: Arc::new(SeededEntropy::new(7)),
        pool: Arc::new(Pool::none()),
    }
}

fn open(seams: Seams, clock: &Arc<VirtualClock>) -> Arc<Engine> {
    let options = Options::new("sexton.test/log").shards(2).classes(ClassSet::from_toml(CLASSES).unwrap());
    Arc::new(Engine::open_with_seams(seams, &options, Arc::clone(clock) as Arc<dyn Clock>).unwrap())
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().name(name.into()).spawn(run).unwrap()
}

fn who() -> Attribution {
    Attribution::new("operator", "compared with a time server")
}

fn register(engine: &Engine, class: &str, key: &str) {
    let registration = Registration::new(class, key.as_bytes()).subject(b"anna");
    engine.register(&[registration], Durability::Synced).unwrap();
}

/// Returns an engine whose time is a year ahead of the clock, with objects and decisions, and the alarm about the clock.
fn behind_by_a_year() -> (Arc<Engine>, AlarmId) {
    let clock = Arc::new(VirtualClock::new(NEW_YEAR.saturating_add(YEAR)));
    let engine = open(seams(), &clock);
    register(&engine, "upload", "ended");
    clock.advance(3 * HOUR);
    engine.enforce(&Deletes).unwrap();
    for (class, key) in [("upload", "a"), ("archive", "b"), ("open", "c"), ("upload", "d")] {
        register(&engine, class, key);
    }
    engine.place_hold(hold("case", &engine)).unwrap();
    engine.erase(erasure(&engine)).unwrap();
    let cancelled = engine.erase(erasure(&engine)).unwrap().number;
    engine.cancel_erasure(cancelled).unwrap();
    engine.close_down(Selector::Class("empty".into()), who()).unwrap();
    assert!(engine.next_batch().unwrap().is_none());
    clock.step_back(YEAR + 3 * HOUR);
    assert!(engine.next_batch().unwrap().is_none());
    let alarm = engine.status().unwrap().alarms.remove(0).id;
    (engine, alarm)
}

fn hold(name: &str, engine: &Engine) -> NewHold {
    let review = engine.now().saturating_add(24 * HOUR);
    let name = HoldName::new(name).unwrap();
    NewHold::new(name, Selector::Subject(b"bob".to_vec()), HoldKind::Temporary, who(), review)
}

fn erasure(engine: &Engine) -> Erasure {
    Erasure::new(Selector::keys([b"a"]), engine.now(), who()).cancellable(HOUR)
}

type Operation = Box<dyn FnOnce(&Engine) -> Result<()>>;
type Prepare = fn(&Engine) -> Operation;

/// Operations that write or delete by the time. A function makes each, after it prepared the engine.
const OPERATIONS: [(&str, Prepare); 20] = [
    ("register", |_| {
        Box::new(|engine| engine.register(&[Registration::new("upload", b"x")], Durability::Synced).map(drop))
    }),
    ("delete_again", |_| {
        let ended = [Registration::new("", b"ended")];
        Box::new(move |engine| engine.delete_again(&ended, Durability::Synced).map(drop))
    }),
    ("start", |engine| {
        let start = engine.now();
        change(Change::Start { of: Which::Key(b"c"), start })
    }),
    ("reschedule", |_| {
        change(Change::Reschedule { of: Which::Key(b"b"), class: Some("upload"), start: None })
    }),
    ("content", |_| change(Change::Content { of: Which::Key(b"b"), version: b"2", size: None, start: None })),
    ("release", |_| change(Change::Release { of: Which::Key(b"b") })),
    ("define_classes", |_| {
        let classes = ClassSet::from_toml("[class.new]\nwithin = \"1h\"\n").unwrap();
        Box::new(move |engine| engine.define_classes(&classes))
    }),
    ("place_hold", |engine| {
        let hold = hold("other", engine);
        Box::new(move |engine| engine.place_hold(hold).map(drop))
    }),
    ("lift_hold", |_| {
        let name = HoldName::new("case").unwrap();
        Box::new(move |engine| {
            let refused = engine.lift_hold(&name, who(), Duration::ZERO).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Busy);
            Ok(())
        })
    }),
    ("erase", |engine| {
        let erasure = erasure(engine);
        Box::new(|engine| engine.erase(erasure).map(drop))
    }),
    ("cancel_erasure", |_| Box::new(|engine| engine.cancel_erasure(1).map(drop))),
    ("requests", |_| Box::new(|engine| engine.requests().map(drop))),
    ("forget_request", |_| Box::new(|engine| engine.forget_request(3))),
    ("close_down", |_| {
        Box::new(|engine| engine.close_down(Selector::Class("archive".into()), who()).map(drop))
    }),
    ("apply_class", |_| Box::new(|engine| engine.apply_class("archive", who()).map(drop))),
    ("set_limits", |_| Box::new(|engine| engine.set_limits(Some(engine.limits()), who()))),
    ("accept_root", |_| Box::new(|engine| engine.accept_root(RootId::from_bytes([7; 16]), Path::new("/a")))),
    ("reclaim", |_| Box::new(Engine::reclaim)),
    ("next_batch", |engine| {
        let due = Registration::new("upload", b"due").start(NEW_YEAR);
        engine.register(&[due], Durability::Synced).unwrap();
        Box::new(|engine| {
            let batch = engine.next_batch()?.unwrap();
            engine.complete(batch).map(drop)
        })
    }),
    ("complete", |engine| {
        let due = Registration::new("upload", b"due").start(NEW_YEAR);
        engine.register(&[due], Durability::Synced).unwrap();
        let batch = engine.next_batch().unwrap().unwrap();
        Box::new(|engine| engine.complete(batch).map(drop))
    }),
];

fn change(change: Change<'static>) -> Operation {
    Box::new(move |engine| engine.change(&[change], Durability::Synced)?.remove(0).map(drop))
}

/// From the moment at which an operation reads the time until it has written, no operator takes time back.
#[test]
fn time_does_not_go_back_between_reading_and_writing() {
    for (name, prepare) in OPERATIONS {
        let (engine, alarm) = behind_by_a_year();
        let operation = prepare(&engine);
        let (go, may_go) = mpsc::channel();
        let (done, finished) = mpsc::channel();
        let in_operator = Arc::clone(&engine);
        let operator = spawn("operator", move || {
            may_go.recv().unwrap();
            let result = in_operator.resume(alarm, who()).map(drop).map_err(|error| error.kind());
            let _ = done.send(result);
            result
        });
        hook::after_read(move || {
            go.send(()).unwrap();
            let result = finished.recv_timeout(BLOCKED);
            // With a batch out it is refused at once.
            let is_kept = matches!(result, Err(RecvTimeoutError::Timeout) | Ok(Err(ErrorKind::Busy)));
            assert!(is_kept, "{name}: {result:?}");
        });
        operation(&engine).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!hook::is_set(), "{name} reads no time");
        match operator.join().unwrap() {
            Ok(()) => assert_eq!(engine.now(), NEW_YEAR, "{name}"),
            Err(kind) => assert_eq!(kind, ErrorKind::Busy, "{name}"),
        }
        assert!(engine.check().unwrap().is_sound(), "{name}");
    }
}

/// The machine was off for ten years, and its clock is NTP-synchronised only after an object was registered. Planning begins
/// in between, so it sees the true time and, a moment later, the object.
#[test]
fn object_of_an_undecided_doubt_is_kept() {
    for class in ["upload", "archive"] {
        let clock = Arc::new(VirtualClock::new(NEW_YEAR));
        let seams = seams();
        drop(open(seams.clone(), &clock));
        clock.set_synchronised(false);
        clock.step_forward(10 * YEAR);
        let engine = open(seams, &clock);
        let (read, has_read) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let host = Arc::clone(&engine);
        let registering = spawn("host", move || {
            hook::after_read(move || {
                read.send(()).unwrap();
                may_go_on.recv().unwrap();
            });
            register(&host, class, "fresh");
        });
        has_read.recv().unwrap();
        clock.set_synchronised(true);
        hook::after_read(move || {
            go_on.send(()).unwrap();
            registering.join().unwrap();
        });
        let ended = |engine: &Engine| engine.status().unwrap().classes[class].ended.deleted;
        engine.enforce(&Deletes).unwrap();
        assert_eq!(ended(&engine), 0, "{class}: deleted at once");
        clock.advance(HOUR);
        engine.enforce(&Deletes).unwrap();
        assert_eq!(ended(&engine), 0, "{class}: deleted after an hour");
        clock.advance(2 * HOUR);
        engine.enforce(&Deletes).unwrap();
        assert_eq!(ended(&engine), 1, "{class}");
        assert!(engine.check().unwrap().is_sound());
    }
}
