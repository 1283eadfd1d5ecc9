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
//! assert_eq!(verdict.compliance(), sexton_proof::receipt::Compliance::Kept);
//! # fn clock_now(engine: &Engine) -> i64 { engine.now_ms() }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod driver;
mod enforcement;
mod engine;
mod governance;
mod model;
mod platform;
mod registration;
mod state;

pub use engine::json;
pub use platform::{fault, files, kv, store};

pub use driver::Driver;
pub use driver::job::Answers;
pub use driver::options::{DriverOptions, Handler};
pub use driver::sub_batch::{OwnedSubBatch, SubBatchId};
pub use driver::submissions::Completion;
pub use driver::worker::{Worker, WorkerOptions};
pub use enforcement::ended::KeyHistory;
pub use enforcement::feed::{FEED_MAX, FeedEntry};
pub use enforcement::planner::BATCH_PAGES_MAX;
pub use engine::check::Report;
pub use engine::open::Seams;
pub use engine::options::{Options, SHARDS_MAX};
pub use engine::plan::{Action, Plan, PlannedObject};
pub use engine::receipts::Opener;
pub use engine::status::{ClassStatus, EngineState, Status};
pub use engine::{Enforced, Engine};
pub use governance::holds::{GRACE_MAX_MS, Placed};
pub use governance::progress::{ErasureObject, Progress};
pub use governance::requests::Erasure;
pub use model::alarm::{Alarm, AlarmCause};
pub use model::breaker::{Breaker, BreakerLimits, Tripped};
pub use model::class::{ClassSet, Definition, Find, SLOT_MIN_MS, START_AHEAD_MAX_MS, START_MIN_MS};
pub use model::clock_guard::{ClockGuard, ClockLimits, ClockState, Reading, Trusted};
pub use model::hold::{Hold, HoldKind, Lifted, NewHold};
pub use model::request::{AT_ONCE, Request, RequestKind, RequestState};
pub use model::schema::{Counts, Ended};
pub use model::selector::{SELECTOR_KEYS_MAX, SUBJECT_MAX_BYTES, Selector};
pub use model::wheel::Wheel;
pub use platform::clock::{Clock, FastForwardClock, SystemClock, VirtualClock};
pub use platform::entropy::{Entropy, OsEntropy, SeededEntropy};
pub use platform::error::{Error, ErrorKind, Result};
pub use platform::pool::Pool;
pub use registration::change::{Change, Changed, Which};
pub use registration::register::{Durability, Previous, REGISTER_MAX, Registered, Registration};
pub use sexton_proof::id::{RegistrationId, SIZE_UNKNOWN};
pub use sexton_proof::window::{Calendar, Span};
pub use state::batch::{Batch, Object};
