//! Upkeep: publishing, cleaning up, telling third parties, and recognising objects that a backup brought back.

use crate::enforcement::ended::{self, KeyHistory};
use crate::enforcement::feed::{self, FeedEntry};
use crate::enforcement::reclaim;
use crate::engine::Engine;
use crate::platform::clock::Monotonic;
use crate::platform::error::Result;
use crate::registration::register::{self, Durability, RegisterMode, Registered, Registration};
use crate::state::publish;
use sexton_proof::record::Reason;

impl Engine {
    /// Publishes the log up to its last entry. Necessary only if publication failed before, or if entries are not to
    /// wait for batches that are out. A repeated call is a no-op.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`, `Io`, `Full`.
    pub fn publish(&self) -> Result<()> {
        publish::publish(&self.core, &mut self.core.transparency.published.lock())
    }

    /// Publishes entries that batches left unpublished. Called if there is nothing else to do.
    pub(crate) fn publish_rest(&self) {
        publish::publish_rest(&self.core, self.monotonic());
    }

    /// Returns the instant at which a failed publication is tried again.
    pub(crate) fn publish_again(&self) -> Option<Monotonic> {
        publish::again_at(&self.core)
    }

    /// Frees the disk space of ended objects and removes their rows from the files of the index.
    ///
    /// After `Ok` no file of the index, WAL included, holds a row of a page that had settled before the call, or an
    /// object of a request that was forgotten before it.
    ///
    /// Three things stay. Requests stay until they are forgotten. The texts of holds, lifts, alarms and resumptions stay
    /// for good. The old row of an object that moved to another page may stay until the page it left settles.
    ///
    /// The call is safe at any time, and other operations go on meanwhile. It flushes the memtables of the index and
    /// merges tables in which something ended, which takes a fraction of the time of the deletions. It is a no-op if
    /// nothing ended since the last call. Call it as often as residue may last, once an hour for example.
    ///
    /// # Errors
    /// `Busy` if a scan or another merge still needs an older file; `Io`, `Poisoned`. Ended rows stay void, and the next
    /// call tries again.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// engine.reclaim()?; // nothing ended yet: a no-op
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reclaim(&self) -> Result<()> {
        let now = self.now();
        reclaim::reclaim(&self.core, now)?;
        ended::forget_expired(&self.core, now)
    }

    /// Returns up to `max` (at most 10,000) deletions after entry `after`, in ascending order, for third parties that
    /// are to be told. Only classes with `feed = true` are in the feed.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// let deletions = engine.feed(0, 100)?;
    /// if let Some(last) = deletions.last() {
    ///     // Tell the third parties here, then forget these entries.
    ///     engine.acknowledge_feed(last.number)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn feed(&self, after: u64, max: usize) -> Result<Vec<FeedEntry>> {
        feed::read(&self.core, after, max)
    }

    /// Forgets the feed up to entry `through`. After `Ok` that survives a power failure.
    ///
    /// # Errors
    /// `Invalid` if there is no such entry yet; `Forked`, `Poisoned`, `Io`.
    pub fn acknowledge_feed(&self, through: u64) -> Result<()> {
        self.core.check_writable()?;
        feed::acknowledge(&self.core, &self.core.transparency.ledger.lock(), through)
    }

    /// Returns what is known of a key that a restored backup brings back. Ended objects are remembered for as long as
    /// their class says (`remember`).
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::decision::KeyHistory;
    /// use sexton::{Durability, Registration};
    /// engine.register(&[Registration::new("log-73h", b"cat.jpg")], Durability::Synced)?;
    /// assert!(matches!(engine.ended(b"cat.jpg")?, KeyHistory::Live(_)));
    /// assert_eq!(engine.ended(b"dog.jpg")?, KeyHistory::Unknown);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ended(&self, key: &[u8]) -> Result<KeyHistory> {
        let now = self.now();
        ended::history_of(&self.core, key, now)
    }

    /// Registers objects that a backup brought back after their end, so that they are deleted again at once, with the
    /// reason `restored`.
    ///
    /// Class and start are those of the ended object; those of `registrations` are ignored. `None` answers an object
    /// that lives, or that is unknown.
    ///
    /// # Errors
    /// As [`Engine::register`].
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
        let mode = RegisterMode { only_missing: true, reason: Reason::Restored, ..RegisterMode::USUAL };
        let done = register::register(&self.core, &again, durability, mode, self.now())?;
        let mut answers = vec![None; registrations.len()];
        for ((index, ..), registered) in found.into_iter().zip(done) {
            answers[index] = Some(registered);
        }
        Ok(answers)
    }
}
