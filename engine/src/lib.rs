//! Sexton deletes stored objects inside the time window that was promised for each, and leaves evidence that anyone can
//! verify offline.
//!
//! A host registers its objects under a **class**, which states the promise: a floor, a ceiling, or both. When an object is
//! due, the engine has its **store** delete it, together with others in a batch, and writes a tombstone into a signed
//! transparency log. A **receipt** proves the end of one object.
//!
//! # Example
//!
//! ```
//! use sexton::proof::policy::Policy;
//! use sexton::proof::receipt::{self, Compliance};
//! use sexton::store::{Answer, Store, SubBatch};
//! use sexton::testing::VirtualClock;
//! use sexton::{Durability, Engine, Opener, Options, Registration, Timestamp};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! struct Nothing; // stands for the place where the objects are stored
//! impl Store for Nothing {
//!     fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
//!         sub_batch.objects.iter().map(|_| Answer::Deleted).collect()
//!     }
//! }
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000))); // 2026-01-01
//! let engine = Engine::open_with_clock(folder, &Options::new("example.com/uploads"), clock.clone())?;
//! let upload = Registration::new("upload-3h", b"cat.jpg").start(engine.now());
//! let registered = engine.register(&[upload], Durability::Synced)?;
//!
//! clock.advance(Duration::from_secs(3 * 3_600));
//! engine.enforce(&Nothing)?;
//! let receipt = engine.receipt(registered[0].id, Opener::Key(b"cat.jpg"))?;
//!
//! let policy = Policy::parse(engine.policy())?;
//! let verdict = receipt::verify(receipt.as_bytes(), &policy, engine.now())?;
//! assert_eq!(verdict.compliance(), Compliance::Kept);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! * Deletion inside the promised window: never before the floor, never under a legal hold.
//! * Legal holds, erasure requests, closing down, changed terms, and starts that become known later.
//! * A tombstone for each deletion, in a log in C2SP formats, and receipts that are verified offline.
//! * A clock guard and a breaker, which stop deletion and raise an alarm if the time or the amount is implausible.
//! * Recovery after a crash: the same objects are handed to the store again.
//! * For hosts that must not block: [`Driver`], with one file descriptor for an event loop.
//!
//! # Limits
//!
//! * The crate stores no objects. It deletes what a [`store::Store`] stores.
//! * Deletion is logical. No receipt proves that a medium holds no remnant.
//! * One process has a data folder open at a time. Linux only.
//!
//! # Fork
//!
//! Fork workers before the first opening. [`std::process::Command`] is safe at any time, because its child executes another
//! program. Any other child has a copy of the engine's memory, but none of its threads and none of RocksDB's. In such a child:
//!
//! * Call nothing on an engine or a store of the parent, and open none. A call can wait for ever.
//! * Drop neither. Dropping can wait for ever, and releases the locks of the parent.
//! * End with `_exit`, or execute a program. [`std::process::exit`] and the return from `main` run the exit handlers of
//!   RocksDB. They join threads that the child does not have, and it dies with `SIGSEGV`.
//!
//! The child keeps the files of the locks open. So the data folder can stay locked until the child ends, even if the parent
//! has ended. Nothing here checks these rules. The C library refuses calls in a child, and leaves out the exit handlers there.
//!
//! # Where to find what
//!
//! | to | use |
//! |---|---|
//! | open an engine | [`Engine`], [`Options`] |
//! | register and change objects | [`Registration`], [`RegisterOptions`], [`Change`] |
//! | define promises | [`ClassSet`], [`class`] |
//! | delete | [`Engine::enforce`], [`Worker`], [`Driver`], or [`Batch`] by hand |
//! | say where objects are stored | [`store`]; files in a directory: [`store::dir`] |
//! | place holds, take erasures, resume after an alarm | [`decision`] |
//! | see the state and look ahead | [`Status`], [`Engine::plan`], [`report`] |
//! | tell third parties of deletions | [`Engine::feed`], [`feed`] |
//! | copy a data folder, and go on with a copy | [`Engine::back_up`], [`Engine::restore`] |
//! | prove | [`Engine::receipt`], [`Opener`]; verify: [`proof`] |
//! | test a host | [`testing`]: clocks, an index and files in memory, faults |
//!
//! The crate has no cargo features. The verifier alone is the crate `sexton-proof`, without RocksDB.

mod driver;
mod enforcement;
mod engine;
mod governance;
mod model;
mod platform;
mod registration;
mod state;

pub use driver::Driver;
pub use driver::options::DriverOptions;
pub use driver::worker::{Worker, WorkerOptions};
pub use engine::options::Options;
pub use engine::receipts::Opener;
pub use engine::status::Status;
pub use engine::{Enforced, Engine};
pub use governance::requests::Erasure;
pub use model::class::ClassSet;
pub use model::hold::{HoldName, NewHold};
pub use model::selector::Selector;
pub use model::text::Attribution;
pub use platform::error::{Error, ErrorKind, Result};
pub use registration::change::{Change, Changed, Which};
pub use registration::register::{Durability, Previous, RegisterOptions, Registered, Registration};
pub use sexton_proof::id::RegistrationId;
pub use sexton_proof::time::Timestamp;
pub use sexton_proof::window::Span;
pub use state::batch::{Batch, Object};

pub use engine::json;
pub use platform::panics::log_panics;
pub use platform::store;
pub use sexton_proof as proof;

/// Classes: definitions and their limits.
pub mod class {
    pub use crate::model::class::{Definition, SLOT_MIN, START_AHEAD_MAX, START_MIN};
    pub use sexton_proof::leaf::Find;
    pub use sexton_proof::window::Calendar;
}

/// Decisions of people: holds, requests, accepted roots, and alarms that wait for a decision.
pub mod decision {
    pub use crate::governance::holds::{GRACE_MAX, Placed};
    pub use crate::governance::pauses::PAUSE_MAX;
    pub use crate::governance::progress::{ErasureObject, ErasureObjects, Progress};
    pub use crate::model::alarm::{Alarm, AlarmCause, AlarmId};
    pub use crate::model::hold::{Hold, HoldId, HoldKind, Lifted};
    pub use crate::model::key_list::KeyList;
    pub use crate::model::request::{AT_ONCE, Request, RequestKind, RequestState};
    pub use crate::model::schema::{AcceptedRoot, RootSource};
    pub use crate::model::selector::{SELECTOR_KEYS_MAX_BYTES, SUBJECT_MAX_BYTES};
    pub use crate::model::text::Decided;
    pub use crate::model::time_back::{Jump, TimeBack};
}

/// Driving an engine from an event loop: sub-batches, handlers and completions of a [`Driver`].
pub mod drive {
    pub use crate::driver::job::Answers;
    pub use crate::driver::options::Handler;
    pub use crate::driver::sub_batch::{OwnedSubBatch, SubBatchId};
    pub use crate::driver::submissions::Completion;
}

/// Feed: the deletions that third parties are to be told of.
pub mod feed {
    pub use crate::enforcement::feed::{FEED_MAX, FeedEntry};
}

/// Reports: details of a [`Status`], of the plan, of the self-check, of measures, and of what ended under a key.
pub mod report {
    pub use crate::enforcement::ended::KeyHistory;
    pub use crate::engine::check::Report;
    pub use crate::engine::measures::Measures;
    pub use crate::engine::plan::{Action, Plan, PlannedObject};
    pub use crate::engine::status::{ClassStatus, EngineState};
    pub use crate::model::clock_guard::ClockState;
    pub use crate::model::outcomes::{Distribution, Outcomes};
    pub use crate::model::schema::{Counts, Ended};
    pub use crate::platform::kv::IndexUsage;
    pub use crate::registration::change::LiveObject;
    pub use crate::state::failures::Failure;
    pub use crate::state::tally::{ClassTally, ReclaimTally};
    pub use sexton_proof::record::Cause;
}

/// Copies of data folders: [`Engine::back_up`], and [`Engine::restore`].
pub mod backup {
    pub use crate::engine::backup::Backup;
    pub use crate::model::copy_mark::CopyOf;
}

/// Limits and guards of [`Options`].
pub mod limits {
    pub use crate::enforcement::planner::BATCH_PAGES_MAX;
    pub use crate::engine::options::SHARDS_MAX;
    pub use crate::model::breaker::BreakerLimits;
    pub use crate::model::clock_guard::ClockLimits;
    pub use crate::model::guard_limits::{GuardLimits, StoredLimits};
    pub use crate::platform::kv::rocks::RocksOptions;
    pub use crate::registration::register::REGISTER_MAX;
}

/// Seams, for tests of a host and of the engine itself: clocks, entropy, an index and files in memory, and faults.
///
/// With the in-memory implementations a whole history runs in a millisecond, and one seed gives one history.
pub mod testing {
    pub use crate::engine::open::Seams;
    pub use crate::model::breaker::{Breaker, Tripped};
    pub use crate::model::clock_guard::{ClockGuard, Reading, Trusted};
    pub use crate::model::schema::StoredLinks;
    pub use crate::model::wheel::Wheel;
    pub use crate::platform::clock::{Clock, FastForwardClock, Monotonic, SystemClock, VirtualClock};
    pub use crate::platform::entropy::{Entropy, OsEntropy, SeededEntropy};
    pub use crate::platform::pool::Pool;
    pub use crate::platform::{fault, files, kv};
}
