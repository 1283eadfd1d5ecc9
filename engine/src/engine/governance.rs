//! Governance: legal holds, erasures and other requests, accepted roots, and resumption after alarms.

use crate::engine::Engine;
use crate::engine::load;
use crate::governance::coverage;
use crate::governance::holds::{self, Placed};
use crate::governance::limits;
use crate::governance::progress::{self, ErasureObject, ErasureObjects};
use crate::governance::requests::{self, Erasure};
use crate::governance::{clock, pauses, roots};
use crate::model::alarm::{Alarm, AlarmId};
use crate::model::guard_limits::{GuardLimits, StoredLimits};
use crate::model::hold::{Hold, HoldName, NewHold};
use crate::model::request::Request;
use crate::model::schema::{AcceptedRoot, RootSource};
use crate::model::selector::Selector;
use crate::model::text::Attribution;
use crate::platform::error::Result;
use crate::platform::store::dir::RootId;
use sexton_proof::id::RegistrationId;
use std::path::Path;
use std::time::Duration;

impl Engine {
    /// Places a legal hold. Objects that it covers, now and later, are not deleted until it is lifted.
    ///
    /// After `Ok` the hold survives a power failure. [`Placed::too_late`] lists covered objects that were on their way to
    /// deletion already.
    ///
    /// # Errors
    /// `Invalid` if the selector is empty, a text is missing, the review date lies in the past by both clocks, the name is
    /// taken, or the class is unknown; `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`. After `Poisoned`, `Full` or
    /// `Io` it is unknown whether the hold was placed.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::decision::HoldKind;
    /// use sexton::{Attribution, HoldName, NewHold, Selector};
    /// use std::time::Duration;
    ///
    /// let name = HoldName::new("case-7")?;
    /// let covered = Selector::Class("log-73h".into());
    /// let review = engine.now().saturating_add(Duration::from_hours(30 * 24));
    /// let order = Attribution::new("legal", "court order");
    /// let hold = NewHold::new(name.clone(), covered, HoldKind::Temporary, order, review);
    /// assert!(engine.place_hold(hold)?.too_late.is_empty());
    ///
    /// engine.lift_hold(&name, Attribution::new("legal", "order withdrawn"), Duration::ZERO)?;
    /// assert!(engine.holds()[0].lifted.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn place_hold(&self, hold: NewHold) -> Result<Placed> {
        holds::place(&self.core, hold)
    }

    /// Lifts the hold called `name`.
    ///
    /// Objects that fell due before are deleted after `grace`, at most [`GRACE_MAX`](crate::decision::GRACE_MAX), or in time
    /// for a ceiling that is still to come. Other objects are deleted on time. The promise of objects
    /// under an event hold counts from now. After `Ok` the lift survives a power failure; the next planning finds the
    /// objects.
    ///
    /// # Errors
    /// `Invalid` if a text is missing or the grace too long; `NotFound` if no such hold stands; `Busy` while the clock is in
    /// doubt; `Forked`, `Poisoned`, `Full`, `Io`. After `Poisoned`, `Full` or `Io` it is unknown whether the hold was lifted.
    pub fn lift_hold(&self, name: &HoldName, attribution: Attribution, grace: Duration) -> Result<Hold> {
        holds::lift(&self.core, name, attribution, grace)
    }

    /// Returns all legal holds, lifted ones included.
    pub fn holds(&self) -> Vec<Hold> {
        self.core.governance.holds.read().iter().cloned().collect()
    }

    /// Records an erasure: a person's request that their data be deleted before the ceiling.
    ///
    /// After `Ok` it survives a power failure. Once it can no longer be cancelled, the next planning finds its objects.
    /// Each is deleted as soon as its floor allows and no hold covers it. Objects registered later are not covered.
    ///
    /// # Errors
    /// `Invalid` with the value and the bound; `NotFound` if no live object belongs to the subject, which takes reading
    /// every row; `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`. After `Poisoned`, `Full` or `Io` it is unknown whether
    /// the erasure was recorded.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::{Attribution, Durability, Erasure, Registration, Selector};
    /// use std::time::Duration;
    ///
    /// let photo = Registration::new("data-30d", b"anna/photo.jpg").subject(b"anna");
    /// engine.register(&[photo], Durability::Synced)?;
    ///
    /// let data = Selector::Subject(b"anna".to_vec());
    /// let erasure = Erasure::new(data, engine.now(), Attribution::new("support", "asked by mail"))
    ///     .within("30d".parse()?)
    ///     .cancellable(Duration::from_hours(24));
    /// let request = engine.erase(erasure)?;
    /// engine.cancel_erasure(request.number)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn erase(&self, erasure: Erasure) -> Result<Request> {
        requests::erase(&self.core, erasure)
    }

    /// Returns `true` if `selector` covers a live object. It reads rows until it finds one.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn is_known(&self, selector: &Selector) -> Result<bool> {
        requests::is_known(&self.core, selector)
    }

    /// Counts the live objects that `selector` covers now. Other operations go on meanwhile and may change the number.
    ///
    /// The key index answers for keys, and the schedule for a class and for everything, where registrations that are
    /// replaced or released count until their slot. A prefix and a subject take reading every row. So do keys in classes
    /// with `find = "none"`. A caller that must not wait places its hold first and counts in another thread.
    ///
    /// # Errors
    /// `Invalid` if the selector could match nothing; `Io`, `Corrupt`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::{Durability, Registration, Selector};
    /// engine.register(&[Registration::new("log-73h", b"anna/1").subject(b"anna")], Durability::Synced)?;
    /// assert_eq!(engine.count_live(&Selector::Subject(b"anna".to_vec()))?, 1);
    /// assert_eq!(engine.count_live(&Selector::keys([b"anna/2"]))?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn count_live(&self, selector: &Selector) -> Result<u64> {
        coverage::count_live(&self.core, selector)
    }

    /// Cancels an erasure that can still be cancelled. A repeated call is a no-op. After `Ok` it survives a power
    /// failure.
    ///
    /// # Errors
    /// `Invalid` if the request is no erasure; `NotFound`; `TooLate` if it is final; `Forked`, `Poisoned`, `Full`, `Io`.
    /// After `Poisoned`, `Full` or `Io` it is unknown whether the erasure was cancelled.
    pub fn cancel_erasure(&self, number: u32) -> Result<Request> {
        requests::cancel(&self.core, number)
    }

    /// Returns all requests (erasures, closings, applied classes, lifts) with their progress. It looks at each object of
    /// open requests.
    ///
    /// # Errors
    /// `Poisoned`, `Full`, `Io`, `Corrupt`.
    pub fn requests(&self) -> Result<Vec<Request>> {
        progress::all_requests(&self.core, &self.resolver, self.now())
    }

    /// Returns at most `max` requests with numbers above `after`, in ascending order, as [`Engine::requests`] does.
    ///
    /// # Errors
    /// `Poisoned`, `Full`, `Io`, `Corrupt`.
    pub fn requests_after(&self, after: u32, max: usize) -> Result<Vec<Request>> {
        progress::requests_after(&self.core, &self.resolver, after, max, self.now())
    }

    /// Returns one request with its progress. It looks at each object of an open request.
    ///
    /// # Errors
    /// `NotFound`, `Poisoned`, `Full`, `Io`, `Corrupt`.
    pub fn request(&self, number: u32) -> Result<Request> {
        progress::request(&self.core, &self.resolver, number, self.now())
    }

    /// Returns at most `max` objects of an erasure, of those that were listed after `after`. `None` begins the list.
    ///
    /// The list has the ids under which the objects were found. An object that moved meanwhile may be listed twice, and
    /// both entries then have its present id.
    ///
    /// # Errors
    /// `NotFound`, `Io`, `Corrupt`.
    pub fn erasure_objects_after(
        &self,
        number: u32,
        after: Option<RegistrationId>,
        max: usize,
    ) -> Result<ErasureObjects> {
        progress::objects_after(&self.core, &self.resolver, number, after, max, self.now())
    }

    /// Returns the objects of an erasure found so far, each with what it waits for or how it ended.
    ///
    /// # Errors
    /// `NotFound`, `Io`, `Corrupt`.
    pub fn erasure_objects(&self, number: u32) -> Result<Vec<ErasureObject>> {
        progress::objects(&self.core, &self.resolver, number, self.now())
    }

    /// Forgets a request that is over, with its subject and the keys of its objects. After `Ok` that survives a power
    /// failure; [`Engine::reclaim`] removes it from the files.
    ///
    /// # Errors
    /// `Invalid` if it is open; `NotFound`; `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`. After `Poisoned`, `Full` or
    /// `Io` it is unknown whether the request was forgotten.
    pub fn forget_request(&self, number: u32) -> Result<()> {
        progress::forget(&self.core, &self.resolver, number, self.now())
    }

    /// Closes down a class ([`Selector::Class`]) or everything ([`Selector::Everything`]).
    ///
    /// A closed class takes no registrations. Its objects are deleted with a slot's notice, at their floor, or when no
    /// hold covers them. After `Ok` that survives a power failure.
    ///
    /// # Errors
    /// `Invalid` if the class is unknown, a text is missing, or the selector is neither of the two; `Forked`, `Poisoned`,
    /// `Full`, `Io`. After `Poisoned`, `Full` or `Io` it is unknown whether the classes were closed down.
    ///
    /// ```
    /// use sexton::{Attribution, Durability, ErrorKind, Registration, Selector};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// let end = Attribution::new("operations", "the service ends");
    /// engine.close_down(Selector::Class("log-73h".into()), end)?;
    /// let refused = engine.register(&[Registration::new("log-73h", b"late.log")], Durability::Synced);
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_down(&self, selector: Selector, attribution: Attribution) -> Result<Request> {
        requests::close(&self.core, selector, attribution)
    }

    /// Applies the newest version of a class to objects registered under earlier versions. Otherwise they keep their
    /// bounds. After `Ok` that survives a power failure; the next planning finds the objects.
    ///
    /// # Errors
    /// `Invalid` if the class is unknown, a text is missing, or the versions differ in `find` or `openings`; `Forked`,
    /// `Poisoned`, `Full`, `Io`. After `Poisoned`, `Full` or `Io` it is unknown whether the request was recorded.
    pub fn apply_class(&self, name: &str, attribution: Attribution) -> Result<Request> {
        requests::apply_class(&self.core, name, attribution)
    }

    /// Returns the limits of the guards that are in effect: those of the options, otherwise the stored ones.
    pub fn limits(&self) -> GuardLimits {
        self.limits
    }

    /// Returns the limits of the guards that are stored in the data folder, if an operator set any.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn stored_limits(&self) -> Result<Option<StoredLimits>> {
        load::limits(&*self.core.kv)
    }

    /// Stores the limits of the guards in the data folder, from the next opening on. Options of the host override them.
    /// `None` restores the defaults. After `Ok` they survive a power failure.
    ///
    /// # Errors
    /// `Invalid` if a limit is out of its bounds or a text is missing; `Forked`, `Poisoned`, `Full`, `Io`. After
    /// `Poisoned`, `Full` or `Io` it is unknown which limits are stored.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// let mut limits = engine.limits();
    /// limits.breaker.objects = 200_000;
    /// engine.set_limits(Some(limits), sexton::Attribution::new("operations", "large imports"))?;
    /// # drop(engine);
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// assert_eq!(engine.limits().breaker.objects, 200_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_limits(&self, limits: Option<GuardLimits>, attribution: Attribution) -> Result<()> {
        limits::store(&self.core, limits, attribution)
    }

    /// Records that the operator accepted a root, a folder in which objects of this engine are stored.
    ///
    /// `path` is for people: it says where the root was. After `Ok` the root survives a power failure in
    /// [`roots`](Self::roots). A root that was accepted before keeps its record.
    ///
    /// The engine itself does not open roots. A host that opens its root by this list finds out if the disk is not mounted,
    /// or if the folder belongs to another engine.
    ///
    /// # Errors
    /// `Invalid` if the path is empty or has more than 4,096 bytes; `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`. After
    /// `Poisoned`, `Full` or `Io` it is unknown whether the root was recorded.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::store::dir::DirStore;
    /// # let uploads = tempfile::tempdir()?;
    /// # let uploads = uploads.path();
    ///
    /// let store = DirStore::open(uploads)?; // once; from then on `reopen`, and a comparison with the list
    /// engine.accept_root(store.id(), uploads)?;
    /// assert_eq!(engine.roots()?[0].id, store.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept_root(&self, id: RootId, path: &Path) -> Result<()> {
        roots::accept(&self.core, id, path)
    }

    /// Records that the operator accepted a root for a source of objects, as [`accept_root`](Self::accept_root) does.
    ///
    /// A source has one root. One that served it before stays accepted and serves no source from now on. Its objects
    /// stay owed. After `Ok` that and the decision survive a power failure.
    ///
    /// # Errors
    /// `Invalid` if the path is empty or has more than 4,096 bytes, if a text is empty or too long, or if the root serves a
    /// source of another name or prefix; `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`. After `Poisoned`, `Full` or `Io` it is unknown whether the
    /// root was recorded.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::Attribution;
    /// use sexton::decision::RootSource;
    /// use sexton::store::dir::DirStore;
    /// # let uploads = tempfile::tempdir()?;
    /// # let uploads = uploads.path();
    ///
    /// let store = DirStore::open(uploads)?;
    /// let decision = Attribution::new("Ada Lovelace", "new server");
    /// engine.accept_root_for(store.id(), uploads, RootSource::new("uploads")?, decision)?;
    /// assert_eq!(engine.roots()?[0].source, Some(RootSource::new("uploads")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept_root_for(
        &self,
        id: RootId,
        path: &Path,
        source: RootSource,
        attribution: Attribution,
    ) -> Result<()> {
        roots::accept_for(&self.core, id, path, source, attribution)
    }

    /// Returns the roots that were accepted for this engine, the first one first.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn roots(&self) -> Result<Vec<AcceptedRoot>> {
        roots::all(&self.core)
    }

    /// Stops all deletion for a time, for example during maintenance of the store. It resumes by itself, or with
    /// [`Engine::resume`]. Ceilings pass meanwhile: the status tells what is overdue.
    ///
    /// After `Ok`, the pause survives a power failure, and its alarm is in the log. Batches that are out finish.
    ///
    /// # Errors
    /// `Invalid` if the length is 0 or longer than [`PAUSE_MAX`](crate::decision::PAUSE_MAX), a text is empty or too long, or a
    /// pause stands; `Forked`, `Poisoned`, `Full`, `Io`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::Attribution;
    /// use std::time::Duration;
    /// let alarm = engine.pause(Duration::from_secs(3_600), &Attribution::new("Ada Lovelace", "the disk is moved"))?;
    /// engine.resume(alarm.id, Attribution::new("Ada Lovelace", "the disk is back"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pause(&self, length: Duration, attribution: &Attribution) -> Result<Alarm> {
        pauses::pause(&self.core, length, attribution)
    }

    /// Ends an alarm, so that deletion goes on. The log records it with `attribution`.
    ///
    /// After a clock alarm the clock is accepted as it stands. If it is behind, the engine's time goes back, and objects that
    /// were registered after that time get a true start. After a breaker alarm the objects at short notice count as
    /// expected. After `Ok` the end of the alarm survives a power failure.
    ///
    /// # Errors
    /// `Invalid` if a text is missing, or the clock that is to be accepted shows a year before 1970 or after 9998; `NotFound`
    /// if no such alarm stands; `Busy` if time would go back while batches are out; `Forked`, `Poisoned`, `Full`, `Io`. After
    /// `Poisoned`, `Full` or `Io` it is unknown whether the alarm was ended. If its cause stands, the next planning raises
    /// another one.
    pub fn resume(&self, alarm: AlarmId, attribution: Attribution) -> Result<Alarm> {
        clock::resume(&self.core, alarm, attribution)
    }
}
