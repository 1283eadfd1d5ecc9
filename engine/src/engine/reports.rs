//! Reports: state, status, the plan, receipts and the full check.

use crate::engine::Engine;
use crate::engine::check::{self, Report};
use crate::engine::plan::{Action, Plan};
use crate::engine::receipts::{self, Opener};
use crate::engine::status::{self, EngineState, Status};
use crate::governance::progress;
use crate::platform::error::Result;
use sexton_proof::id::RegistrationId;
use sexton_proof::note::Verifier;
use sexton_proof::time::Timestamp;
use std::sync::atomic::Ordering;

impl Engine {
    /// Returns the state of the engine, as in [`Status::state`]. Cheap: it reads nothing from disk.
    pub fn state(&self) -> EngineState {
        status::state(&self.core)
    }

    /// Returns counts, clock, alarms and log sizes as of now.
    ///
    /// It looks at every page, at the rows of pages that may be overdue, and at each object of the oldest open erasure.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::{Durability, Registration};
    /// engine.register(&[Registration::new("log-73h", b"cat.jpg")], Durability::Synced)?;
    /// let status = engine.status()?;
    /// assert_eq!(status.classes["log-73h"].live, 1);
    /// assert!(engine.needs(&status)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn status(&self) -> Result<Status> {
        status::status(&self.core, &self.resolver, self.trusted())
    }

    /// Returns the conditions of `status` that need an operator, one message each.
    ///
    /// They are: a stop, an alarm, objects that are overdue and not held, a log that could not be published, a clock
    /// that is behind, an erasure past its date, a hold past its review date.
    ///
    /// It looks at each object of erasures past their date. If held objects are past their ceiling, it looks at
    /// everything that lives.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn needs(&self, status: &Status) -> Result<Vec<String>> {
        let mut needs = status::needs(status, self.is_late(status)?);
        needs.extend(progress::overdue_messages(&self.core, &self.resolver, status.as_of));
        Ok(needs)
    }

    /// Returns `true` if an object is past its ceiling and no hold keeps it.
    fn is_late(&self, status: &Status) -> Result<bool> {
        if status.classes.values().all(|class| class.overdue == 0) {
            return Ok(false);
        }
        if status.classes.values().any(|class| class.overdue > class.held) {
            return Ok(true);
        }
        // The counts do not tell, so everything that lives has to be looked at.
        for object in self.plan(Timestamp::MAX)? {
            let object = object?;
            let is_held =
                matches!(object.action, Action::Hold(_) | Action::EndReplaced | Action::EndReleased);
            if object.ceiling.is_some_and(|ceiling| ceiling < status.as_of) && !is_held {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns every object that comes up for deletion by `until` (at least now), with what will be done to it.
    ///
    /// Objects come in the order of classes and pages, which is not the order of time. The iterator decides as
    /// [`Engine::next_batch`] does and changes nothing. It reads a bounded chunk of rows at a time and takes no lock in
    /// between, so other operations go on meanwhile. It cannot foresee the answers of the store, or a breaker that has
    /// not tripped yet.
    ///
    /// # Errors
    /// `Corrupt`, `Io`; items too. An error ends the iterator.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::report::Action;
    /// use sexton::{Durability, Registration};
    /// # use std::time::Duration;
    /// engine.register(&[Registration::new("log-73h", b"cat.jpg")], Durability::Synced)?;
    /// for object in engine.plan(engine.now().saturating_add(Duration::from_hours(73)))? {
    ///     let object = object?;
    ///     assert_eq!((&*object.key, object.action), (&b"cat.jpg"[..], Action::Delete));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plan(&self, until: Timestamp) -> Result<Plan<'_>> {
        let now = self.trusted();
        let stepped = self.clock_agreed.load(Ordering::SeqCst);
        Plan::new(&self.core, now, stepped, until.max(now.now))
    }

    /// Returns the receipt of a registration that has ended: the text of a C2SP tlog-proof file. `sexton verify` checks
    /// it offline. It publishes the log if necessary.
    ///
    /// # Errors
    /// `NotFound` if there is no such registration, it has not ended, or its openings are gone; `Invalid` if `opener` is
    /// of another object; `Forked`, `Poisoned`, `Full` if its log entry cannot be published; `Corrupt`, `Io`.
    ///
    /// ```
    /// use sexton::{Durability, Opener, Registration};
    /// use std::time::Duration;
    /// # use sexton::store::{Answer, Store, SubBatch};
    /// # use sexton::testing::VirtualClock;
    /// # use sexton::{Engine, Options, Timestamp};
    /// # use std::sync::Arc;
    /// # struct Nothing;
    /// # impl Store for Nothing {
    /// #     fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
    /// #         sub_batch.objects.iter().map(|_| Answer::Deleted).collect()
    /// #     }
    /// # }
    /// # let folder = tempfile::tempdir()?;
    /// # let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000)));
    /// # let options = Options::new("example.com/uploads");
    /// # let engine = Engine::open_with_clock(folder.path(), &options, clock.clone())?;
    ///
    /// let upload = Registration::new("log-73h", b"cat.jpg");
    /// let registered = engine.register(&[upload], Durability::Synced)?;
    /// clock.advance(Duration::from_hours(73));
    /// engine.enforce(&Nothing)?;
    /// let receipt = engine.receipt(registered[0].id, Opener::Key(b"cat.jpg"))?;
    /// assert!(receipt.starts_with("c2sp.org/tlog-proof@v1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receipt(&self, id: RegistrationId, opener: Opener<'_>) -> Result<String> {
        receipts::make(&self.core, &self.resolver, id, opener)
    }

    /// Returns the public key of the log, as it stands in a trust policy (`log <key>`).
    pub fn log_key(&self) -> Verifier {
        self.core.secrets.signer.verifier()
    }

    /// Returns a trust policy that accepts this log and asks for no witnesses.
    pub fn policy(&self) -> String {
        format!("log {}\nquorum none\n", self.log_key())
    }

    /// Checks all stored data against each other: rows, pages, wheels, evidence, the log, and its published part.
    /// Problems are in the report.
    ///
    /// It reads everything, and planning and committing wait meanwhile. If much is stored, call it while little is due.
    ///
    /// Never check a copy of the folder while the engine runs on the original: opening the copy finishes batches and
    /// signs a log of its own with the same key.
    ///
    /// # Errors
    /// `Corrupt`, `Io`, only if something cannot be read at all.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::{Durability, Registration};
    /// engine.register(&[Registration::new("log-73h", b"cat.jpg")], Durability::Synced)?;
    /// let report = engine.check()?;
    /// assert!(report.is_sound(), "{:?}", report.problems);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self) -> Result<Report> {
        check::check(&self.core)
    }
}
