//! Registration: registers, changes and finds objects, and defines classes.

use crate::enforcement::ended::KeyHistory;
use crate::engine::Engine;
use crate::model::class::{ClassSet, Definition};
use crate::model::text::{Attribution, Decided};
use crate::platform::error::Result;
use crate::registration::change::{self, Change, Changed, LiveObject};
use crate::registration::classes;
use crate::registration::register::{
    self, Durability, RegisterMode, RegisterOptions, Registered, Registration,
};
use crate::state::locator::KeyLookup;
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Reason;

impl Engine {
    /// Registers all of `registrations`, or none if one is invalid. Answers come in their order.
    ///
    /// After `Ok` with [`Durability::Synced`] they survive a power failure; with [`Durability::Buffered`] they survive
    /// the end of the process. Calls of many threads share their fsyncs.
    ///
    /// After `Invalid` nothing was registered, nor after `Held` if the hold or erasure came before the call. After another
    /// error some may be registered. It is safe to repeat the call if the class finds by key and the version is not empty.
    ///
    /// # Errors
    /// `Invalid` with the value and the bound; `Held` if a hold on its class or its subject covers the object, or a waiting
    /// erasure of its subject does, and it is registered under another one; `Forked`, `Poisoned`; `Full` below
    /// `Options::disk_reserve_bytes`; `Io`, `Corrupt`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::{Durability, Registration};
    /// let upload = Registration::new("log-73h", b"cat.jpg").version(b"etag-1").size(18_204);
    /// let registered = engine.register(&[upload], Durability::Synced)?;
    /// assert_eq!(engine.find(b"cat.jpg")?, Some(registered[0].id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// With [`RegisterOptions::only_missing`] the call reconciles a store with the engine. Keys that have a live
    /// registration stay as they are.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::{Durability, Previous, RegisterOptions, Registration};
    /// let upload = Registration::new("log-73h", b"cat.jpg");
    /// engine.register(&[upload], Durability::Synced)?;
    /// let again = engine.register(&[upload], RegisterOptions::new().only_missing())?;
    /// assert_eq!(again[0].previous, Previous::Kept);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn register(
        &self,
        registrations: &[Registration<'_>],
        options: impl Into<RegisterOptions>,
    ) -> Result<Vec<Registered>> {
        let RegisterOptions { durability, only_missing } = options.into();
        let mode = RegisterMode { only_missing, reason: Reason::Due };
        register::register(&self.core, registrations, durability, mode)
    }

    /// Registers objects that a backup brought back after their end, so that they are deleted again at once, with the
    /// reason `restored`.
    ///
    /// Class and start are those of the ended object; those of `registrations` are ignored. The answer is `None` if the
    /// object lives or is unknown.
    ///
    /// After `Ok` with [`Durability::Synced`] the registrations survive a power failure; with [`Durability::Buffered`]
    /// they survive the end of the process.
    ///
    /// # Errors
    /// `Invalid` with the value and the bound; `Forked`, `Poisoned`; `Full` below `Options::disk_reserve_bytes`; `Io`,
    /// `Corrupt`. After `Err` other than `Invalid` some may be registered. The call can be repeated.
    pub fn delete_again(
        &self,
        registrations: &[Registration<'_>],
        durability: Durability,
    ) -> Result<Vec<Option<Registered>>> {
        let mut found = Vec::new();
        for (index, registration) in registrations.iter().enumerate() {
            if let KeyHistory::Ended(ended) = self.ended(registration.key)? {
                found.push((index, self.core.classes.get(ended.class())?, ended.start));
            }
        }
        let again: Vec<Registration<'_>> = found
            .iter()
            .map(|(index, class, start)| {
                Registration { class: &class.definition.name, ..registrations[*index] }.start(*start)
            })
            .collect();
        let mode = RegisterMode { only_missing: true, reason: Reason::Restored };
        let done = register::register(&self.core, &again, durability, mode)?;
        let mut answers = vec![None; registrations.len()];
        for ((index, ..), registered) in found.into_iter().zip(done) {
            answers[index] = Some(registered);
        }
        Ok(answers)
    }

    /// Makes all earlier calls under [`Durability::Buffered`] durable. After `Ok` they survive a power failure.
    ///
    /// # Errors
    /// `Poisoned`, `Full`, `Io`. It is then unknown which calls survive a power failure.
    pub fn sync(&self) -> Result<()> {
        self.core.writer.sync(self.core.writer.so_far())
    }

    /// Applies each of `changes`, and returns an answer or an error for each, in their order. All share one fsync.
    ///
    /// After `Ok` with [`Durability::Synced`] the applied changes survive a power failure; with
    /// [`Durability::Buffered`] they survive the end of the process. A change that is repeated is answered as applied.
    ///
    /// # Errors
    /// For the call: `Forked`, `Poisoned`, `Full`, `Io`. After `Err` other than `Forked` it is unknown which changes were
    /// applied.
    ///
    /// For one change: `Invalid`; `NotFound`; `Held` if a legal hold or a waiting erasure forbids the change; `TooLate` if the
    /// object is on its way to deletion or gone; `Busy` if the object keeps moving; `Full`, `Io`, `Corrupt`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::{Change, Durability, Registration, Which};
    /// engine.register(&[Registration::new("log-73h", b"cat.jpg")], Durability::Synced)?;
    /// # use std::time::Duration;
    /// let of = Which::Key(b"cat.jpg");
    /// let longer = Change::Reschedule { of, class: Some("data-30d"), start: None };
    /// let changed = engine.change(&[longer], Durability::Synced)?.remove(0)?;
    /// let in_29_days = engine.now().saturating_add(Duration::from_hours(29 * 24));
    /// assert!(changed.ceiling.is_some_and(|ceiling| ceiling > in_29_days));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn change(&self, changes: &[Change<'_>], durability: Durability) -> Result<Vec<Result<Changed>>> {
        change::change(&self.core, &self.resolver, changes, durability)
    }

    /// Defines classes, as opening with them in [`Options::classes`](field@crate::Options::classes) does. A class whose
    /// definition differs from the stored one becomes a new version; objects keep the version they were registered
    /// under. After `Ok` the classes survive a power failure.
    ///
    /// # Errors
    /// `Invalid` if a class changes its `find` rule while objects live in it, or cannot be logged; `Forked`, `Poisoned`;
    /// `Full` below `Options::disk_reserve_bytes`; `Io`. After `Err` it is unknown which of the classes were defined. The
    /// call can be repeated.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// let classes = "[class.note]\nkeep = \"30d\"\nwithin = \"60d\"\n";
    /// engine.define_classes(&sexton::ClassSet::from_toml(classes)?)?;
    /// assert!(engine.classes().iter().any(|(class, version)| class.name == "note" && *version == 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn define_classes(&self, classes: &ClassSet) -> Result<()> {
        self.core.check_writable()?;
        if !classes::changed(&self.core, classes).is_empty() {
            self.core.check_room()?;
        }
        classes::define_classes(&self.core, classes, None)
    }

    /// Defines classes as [`Engine::define_classes`] does, as the decision of an operator. Reason and author are kept with
    /// each new class version.
    ///
    /// # Errors
    /// `Invalid` if a text is missing; otherwise those of [`Engine::define_classes`].
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::{Attribution, ClassSet};
    /// let classes = ClassSet::from_toml("[class.note]\nkeep = \"30d\"\nwithin = \"60d\"\n")?;
    /// engine.set_classes(&classes, &Attribution::new("legal", "policy of 2026"))?;
    /// let decided = engine.class_decision("note")?;
    /// assert!(decided.is_some_and(|decided| decided.attribution.reason == "policy of 2026"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_classes(&self, classes: &ClassSet, attribution: &Attribution) -> Result<()> {
        self.core.check_writable()?;
        attribution.check()?;
        if !classes::changed(&self.core, classes).is_empty() {
            self.core.check_room()?;
        }
        classes::define_classes(&self.core, classes, Some(attribution))
    }

    /// Returns the decision to define the newest version of a class. `None` if it was defined without one, as by opening
    /// with it.
    ///
    /// # Errors
    /// `Invalid` if the class is unknown; `Io`, `Corrupt`.
    pub fn class_decision(&self, name: &str) -> Result<Option<Decided>> {
        classes::decision(&self.core, name)
    }

    /// Returns the newest version of each class, with its version number (from 1 for each name).
    pub fn classes(&self) -> Vec<(Definition, u32)> {
        let classes = self.core.classes.read();
        let newest = classes.names().into_iter().filter_map(|name| classes.current(name));
        newest.map(|class| (class.definition.clone(), class.version)).collect()
    }

    /// Returns the live registration of a key. `None` if there is none, or if its class does not find by key.
    ///
    /// # Errors
    /// `Invalid` if several versions of the key live ([`Engine::versions`] lists them); `Io`, `Corrupt`.
    pub fn find(&self, key: &[u8]) -> Result<Option<RegistrationId>> {
        let lookup = KeyLookup::of(&self.core, key)?;
        let mut shard = lookup.lock(&self.core);
        lookup.only(&self.core, &mut shard, |id, _| Ok(id))
    }

    /// Returns the live registration of a version of a key. `None` if there is none, or if its class does not find by key.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn find_version(&self, key: &[u8], version: &[u8]) -> Result<Option<RegistrationId>> {
        let lookup = KeyLookup::of(&self.core, key)?;
        let mut shard = lookup.lock(&self.core);
        lookup.version(&self.core, &mut shard, version)
    }

    /// Returns the live registration of a key with its class and version. `None` if there is none, or if its class does not
    /// find by key.
    ///
    /// # Errors
    /// `Invalid` if several versions of the key live; `Io`, `Corrupt`.
    pub fn live(&self, key: &[u8]) -> Result<Option<LiveObject>> {
        change::live(&self.core, key)
    }

    /// Returns all live registrations of a key, in the order of their ids. Only a class with `find = "version"` has more than one
    /// of a key.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn versions(&self, key: &[u8]) -> Result<Vec<LiveObject>> {
        change::versions(&self.core, key)
    }
}
