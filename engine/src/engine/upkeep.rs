//! Upkeep: publishing, reclaiming space, the feed, and the history of ended keys.

use crate::enforcement::ended::{self, KeyHistory};
use crate::enforcement::feed::{self, FeedEntry};
use crate::enforcement::reclaim;
use crate::engine::Engine;
use crate::platform::clock::Monotonic;
use crate::platform::error::{Error, ErrorKind, Result};
use crate::state::publish;

impl Engine {
    /// Publishes the log up to its last entry. Necessary only if publication failed before, or if entries must not wait
    /// for batches that are out. After `Ok` the published log survives a power failure. A repeated call is a no-op.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`. After `Err` it is unknown whether the checkpoint was published. The
    /// next publication writes the same files again.
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
    /// After `Ok` no file of the index, WAL included, holds a row of a page that settled before the call. The same holds
    /// for objects of requests that were forgotten before the call.
    ///
    /// Three things stay. Requests stay until they are forgotten. The texts of holds, lifts, alarms and resumptions stay
    /// for good. The old row of an object that moved to another page may stay until the page it left settles.
    ///
    /// The call is safe at any time, and other operations go on meanwhile. It flushes the memtables of the index and
    /// merges tables with ended objects, which takes a fraction of the time of the deletions. It is a no-op if no object
    /// ended since the last call. Call it as often as residue may last, for example once an hour.
    ///
    /// # Errors
    /// `Busy` if a scan or another merge still needs an older file; `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`. After
    /// `Err` it is unknown which rows were removed. Ended rows stay void, and the next call tries again.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// engine.reclaim()?; // nothing ended yet: a no-op
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reclaim(&self) -> Result<()> {
        // A copy under way has the rows that are to go, beside the index.
        if self.core.copying.try_lock().is_none() {
            let why = "the data folder is being copied; reclaim again afterwards";
            return Err(Error::new(ErrorKind::Busy, why));
        }
        let done = reclaim::reclaim(&self.core);
        self.core.tally.add_reclaim(done.is_ok().then(|| self.now()));
        done
    }

    /// Returns up to `max` (at most 10,000) deletions after entry `after`, in ascending order. The host passes them on to
    /// third parties. Only classes with `feed = true` are in the feed.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
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

    /// Returns the number of the last entry that the feed ever had; 0 if there was none. The feed may have forgotten it.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// assert_eq!(engine.feed_end(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn feed_end(&self) -> u64 {
        self.core.transparency.ledger.lock_read().feed
    }

    /// Forgets the feed up to entry `through`. After `Ok` that survives a power failure.
    ///
    /// # Errors
    /// `Invalid` if there is no such entry yet; `Forked`, `Poisoned`, `Full`, `Io`. After `Poisoned`, `Full` or `Io` it is
    /// unknown whether the entries were forgotten.
    pub fn acknowledge_feed(&self, through: u64) -> Result<()> {
        self.core.check_writable()?;
        feed::acknowledge(&self.core, &self.core.transparency.ledger.lock(), through)
    }

    /// Returns the history of a key that a restored backup brings back. The record of an ended object is kept for the span
    /// `remember` of its class.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::report::KeyHistory;
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
}
