//! Reports: state, status, the plan, receipts and the full check.

use crate::engine::Engine;
use crate::engine::check::{self, Report};
use crate::engine::plan::{Action, Plan};
use crate::engine::status::{self, EngineState, Status};
use crate::governance::progress;
use crate::platform::error::Result;
use sexton_proof::note::Verifier;
use sexton_proof::time::Timestamp;

impl Engine {
    /// Returns the state of the engine, as in [`Status::state`]. Cheap: it reads the clock, and nothing from disk.
    pub fn state(&self) -> EngineState {
        status::state(&self.core, self.core.glance())
    }

    /// Returns counts, clock, alarms and log sizes as of now.
    ///
    /// Looks at every page, at the rows of pages that may be overdue, and at each object of the oldest open erasure.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
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
        status::status(&self.core, &self.resolver, self.core.glance(), self.limits)
    }

    /// Returns the conditions of `status` that need an operator, one message each.
    ///
    /// The conditions are a stop, an alarm, a failed publication, a clock that is behind, and an overdue object without a
    /// hold. An erasure past its date and a hold past its review date are conditions as well.
    ///
    /// Looks at each object of erasures past their date. If held objects are past their ceiling, looks at every live
    /// object.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
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
        // Both overdue and held objects exist, so only the plan of all live objects decides.
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

    /// Returns every object that comes up for deletion by `until` (at least now), with its treatment.
    ///
    /// Objects come in the order of classes and pages, which is not the order of time. The iterator decides as
    /// [`Engine::next_batch`] does and changes nothing. It reads a bounded chunk of rows at a time and takes no lock in
    /// between, so other operations go on meanwhile. It foresees the stops of the next enforcement, of clock and breaker.
    /// It cannot foresee the answers of the store, or a breaker that trips later.
    ///
    /// # Errors
    /// `Io`, `Corrupt`; items too. An error ends the iterator.
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
        let now = self.core.glance();
        Plan::new(&self.core, now, until.max(now.now))
    }

    /// Returns the public key of the log, as it stands in a trust policy (`log <key>`).
    pub fn log_key(&self) -> Verifier {
        self.core.identity.log_key.clone()
    }

    /// Returns a trust policy that accepts this log and asks for no witnesses. It also accepts the former logs of a data folder
    /// that was restored from a copy.
    pub fn policy(&self) -> String {
        let identity = &self.core.identity;
        let formers = identity.formers.iter().rev().map(|former| &former.log_key);
        let mut policy = String::new();
        for log_key in std::iter::once(&identity.log_key).chain(formers) {
            policy.push_str(&format!("log {log_key}\n"));
        }
        policy + "quorum none\n"
    }

    /// Checks all stored data against each other: rows, pages, wheels, evidence, the log, and its published part.
    /// Problems are in the report.
    ///
    /// Reads all stored data, and planning and committing wait meanwhile. On a large index, call it while little is due.
    ///
    /// Check a copy only if [`Engine::back_up`] made it. Opening any other copy finishes batches and signs a log of its own with
    /// the key of the original.
    ///
    /// # Errors
    /// `Io`, `Corrupt` if stored data cannot be read. A readable contradiction is a problem in the report.
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
