//! Sexton keeps time over stored objects, deletes each one inside the window that was promised for it, and leaves a
//! tombstone that anybody can check.
//!
//! ```
//! use sexton::{Durability, Engine, Opener, Options, Registration, VirtualClock};
//! use sexton::store::{Answer, Store, SubBatch};
//! use std::sync::Arc;
//!
//! struct Nothing; // stands for the place where the objects live
//! impl Store for Nothing {
//!     fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
//!         part.objects.iter().map(|_| Answer::Deleted).collect()
//!     }
//! }
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let clock = Arc::new(VirtualClock::new(1_767_225_600_000)); // 2026-01-01
//! let engine = Engine::open_with_clock(folder, &Options::new("example.com/uploads"), clock.clone())?;
//! let upload = Registration { start_ms: Some(clock_now(&engine)), ..Registration::new("upload-3h", b"cat.jpg") };
//! let registered = engine.register(&[upload], Durability::Synced)?;
//!
//! clock.advance(3 * 3_600_000);
//! engine.enforce(&Nothing)?;
//! let receipt = engine.receipt(registered[0].id, Opener::Key(b"cat.jpg"))?;
//!
//! let policy = sexton_proof::policy::Policy::parse(engine.policy())?;
//! let verdict = sexton_proof::receipt::verify(receipt.as_bytes(), &policy)?;
//! assert_eq!(verdict.outcome(), sexton_proof::receipt::Outcome::Kept);
//! # fn clock_now(engine: &Engine) -> i64 { engine.now_ms() }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alarm;
mod alarms;
mod answers;
mod batch;
mod breaker;
mod change;
mod check;
mod class;
mod clock;
mod commit;
mod core;
mod dispatch;
mod driver;
mod effect;
mod engine;
mod entropy;
mod error;
mod event;
mod evidence;
pub mod fault;
mod feed;
pub mod files;
mod guard;
mod hold;
mod index;
pub mod json;
mod keyring;
pub mod kv;
mod legal;
mod locator;
mod log;
mod options;
mod place;
mod plan;
mod pool;
mod preview;
mod publish;
mod receipts;
mod recent;
mod reclaim;
mod recovery;
mod register;
mod request;
mod requests;
mod schema;
mod screen;
mod selector;
mod signal;
mod status;
pub mod store;
mod submit;
mod sweep;
mod trail;
mod wheel;
mod worker;
mod writer;

pub use alarm::{Alarm, AlarmCause};
pub use answers::{Item, Progress};
pub use batch::{Batch, Object, Part};
pub use breaker::{Breaker, BreakerLimits, Tripped};
pub use change::{Change, Changed, Which};
pub use check::Report;
pub use class::{ClassSet, Definition, Find, SLOT_MIN_MS, START_AHEAD_MAX_MS, START_MIN_MS};
pub use clock::{Clock, FastForwardClock, SystemClock, VirtualClock};
pub use dispatch::{Handed, SubBatchId};
pub use driver::{Driver, DriverOptions, Handler};
pub use engine::{Enforced, Engine};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use error::{Error, ErrorKind, Result};
pub use evidence::Outcome;
pub use feed::{FEED_MAX, FeedEntry};
pub use guard::{ClockGuard, ClockLimits, ClockState, Reading, Trusted};
pub use hold::{Hold, HoldKind, Lifted, NewHold};
pub use legal::{GRACE_MAX_MS, Placed};
pub use options::{Options, SHARDS_MAX};
pub use plan::BATCH_PAGES_MAX;
pub use pool::Pool;
pub use preview::{Action, Forecast};
pub use receipts::Opener;
pub use recovery::Seams;
pub use register::{Durability, Earlier, REGISTER_MAX, Registered, Registration};
pub use request::{AT_ONCE, Request, RequestKind, RequestState};
pub use requests::Erasure;
pub use schema::Counts;
pub use screen::{Ended, Screened};
pub use selector::{SELECTOR_KEYS_MAX, SUBJECT_MAX_BYTES, Selector};
pub use sexton_proof::id::{RegistrationId, SIZE_UNKNOWN};
pub use sexton_proof::window::{Calendar, Span};
pub use status::{ClassStatus, State, Status};
pub use submit::{Answers, Completion};
pub use wheel::Wheel;
pub use worker::{Worker, WorkerOptions};
