//! Core: the state of an open engine that every layer above works on.

use crate::model::alarm::{Alarm, AlarmId};
use crate::model::breaker::Breaker;
use crate::model::clock_guard::Trusted;
use crate::model::hold::HoldSet;
use crate::model::request::Request;
use crate::model::request_rules::Sweep;
use crate::model::schema::{Counts, FormerLog};
use crate::platform::clock::Monotonic;
use crate::platform::entropy::Entropy;
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::files::Files;
use crate::platform::kv::{Kv, WriteSet};
use crate::platform::pool::Pool;
use crate::state::batch::{BatchPool, Unanswered};
use crate::state::classes::ClassRegistry;
use crate::state::doubts::Doubts;
use crate::state::failures::Failures;
use crate::state::keyring::{Key, KeyRing};
use crate::state::lock_order::{OrderedMutex, OrderedRwLock, Rank};
use crate::state::log::Log;
use crate::state::requests::Requests;
use crate::state::schedule::Schedule;
use crate::state::tally::Tally;
use crate::state::time::{Steady, TrustedTime};
use crate::state::writer::{PoisoningMutex, Writer};
use sexton_proof::id::ClassId;
use sexton_proof::note::{Signer, Verifier};
use sexton_proof::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// State of an open engine. [`Rank`] is the order in which its locks are taken.
pub(crate) struct Core {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) time: TrustedTime,
    pub(crate) identity: Identity,
    pub(crate) secrets: Secrets,
    pub(crate) limits: EngineLimits,
    pub(crate) classes: ClassRegistry,
    pub(crate) schedule: Schedule,
    pub(crate) batches: Batches,
    pub(crate) transparency: Transparency,
    pub(crate) governance: Governance,
    pub(crate) residue: Residue,
    pub(crate) tally: Tally,
    pub(crate) failures: Failures,
    /// Lock of the one copy of the data folder that may be under way.
    pub(crate) copying: OrderedMutex<()>,
}

/// Facts about this engine that no operation changes.
pub(crate) struct Identity {
    /// Origin line of the log.
    pub(crate) origin: String,
    /// Fencing epoch. It grows with every opening, so a store can refuse requests of an earlier one.
    pub(crate) epoch: u64,
    /// Public key of the log. Its name is the origin.
    pub(crate) log_key: Verifier,
    /// Logs with whose entries this one begins, the shortest first, if the data folder was restored from a copy.
    pub(crate) formers: Vec<FormerLog>,
    /// Reason why nothing may be written, signed or deleted.
    pub(crate) read_only: Option<ReadOnly>,
}

/// Reason why an engine is open for reading only.
pub(crate) enum ReadOnly {
    /// The index and the published log contradict each other.
    Forked(String),
    /// The data folder is a copy.
    Copy(String),
}

impl Identity {
    /// Returns the former log in which an entry was published; `None` if this log published it.
    pub(crate) fn former_of(&self, entry: u64) -> Option<&FormerLog> {
        self.formers.iter().find(|former| entry < former.entries)
    }
}

/// Private keys.
pub(crate) struct Secrets {
    /// Keys that blind commitments, one for each class and month.
    pub(crate) keyring: KeyRing,
    /// Key that signs checkpoints. A copy has none.
    pub(crate) signer: Option<Signer>,
    /// Key under which the feed is encrypted.
    pub(crate) feed: Key,
}

/// Limits on one batch and on the number of batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineLimits {
    pub(crate) batch_objects: u32,
    pub(crate) max_batches_in_flight: u64,
    pub(crate) disk_reserve_bytes: u64,
    /// Rows that a sweep scans before due batches get their turn again.
    pub(crate) sweep_rows: u32,
    /// Entries that a shard's memtable holds before it is flushed.
    pub(crate) memtable_keys: usize,
}

/// Batches on their way through deletion.
pub(crate) struct Batches {
    /// Lock under which pages are chosen for a batch. Holds and requests are placed under it.
    pub(crate) planner: PoisoningMutex<Planner>,
    /// Batches handed out and not committed yet.
    pub(crate) in_flight: AtomicU64,
    pub(crate) pool: Arc<BatchPool>,
}

/// State that changes when a batch is planned.
pub(crate) struct Planner {
    /// Number of the last batch.
    pub(crate) last_batch: u64,
    /// Intents without an answer, of an earlier opening or of this one. They are handed over again first.
    pub(crate) unfinished: VecDeque<Unanswered>,
    /// Sweep under way, if any: it finds the objects of requests.
    pub(crate) sweep: Option<Sweep>,
    /// Rows that the sweep scanned since due batches had their turn.
    pub(crate) swept_rows: u32,
    pub(crate) breaker: Breaker,
    /// Instant that was last recorded on disk.
    pub(crate) clock_recorded: Timestamp,
    /// Classes whose absent objects an operator accepted, with the instant.
    pub(crate) absence_accepted: BTreeMap<String, Timestamp>,
}

impl Steady for Planner {}

/// The transparency log, as committed and as published.
pub(crate) struct Transparency {
    /// Lock under which entries are appended: one committer at a time.
    pub(crate) ledger: PoisoningMutex<Ledger>,
    /// Lock under which the log is published, taken before the ledger is read. Other threads may commit meanwhile. The
    /// next publication covers their entries.
    pub(crate) published: OrderedMutex<Published>,
}

/// State that changes with every commit.
pub(crate) struct Ledger {
    pub(crate) log: Log,
    pub(crate) counts: BTreeMap<ClassId, Counts>,
    /// Number of the last feed entry.
    pub(crate) feed: u64,
}

impl Ledger {
    /// Appends `entry` to the log, in one atomic durable write with what `stage` adds for the index that it gets. Returns
    /// that index. The caller holds the ledger's lock since it chose `logged`, so no entry comes in between.
    ///
    /// A crash before the write leaves neither the entry nor what was staged; a crash after it leaves both.
    pub(crate) fn append_durably(
        &mut self,
        writer: &Writer,
        entry: &[u8],
        logged: Timestamp,
        stage: impl FnOnce(&mut WriteSet, u64) -> Result<()>,
    ) -> Result<u64> {
        let mut log = self.log.clone();
        let mut set = WriteSet::default();
        let index = log.append(&mut set, entry, logged)?;
        stage(&mut set, index)?;
        writer.write_durably(set)?;
        self.log = log;
        Ok(index)
    }
}

/// Published part of the log.
pub(crate) struct Published {
    /// Size of the log at the last publication.
    pub(crate) size: u64,
    /// Instant of the last publication, or attempt, while enforcing.
    pub(crate) tried: Option<Monotonic>,
    /// Error of the last publication, if it failed.
    pub(crate) error: Option<String>,
}

/// Decisions of people, and alarms that wait for one.
pub(crate) struct Governance {
    pub(crate) holds: OrderedRwLock<HoldSet>,
    pub(crate) requests: OrderedMutex<Requests>,
    /// Number of the last request ever taken.
    pub(crate) last_request: AtomicU32,
    /// Alarms that stop deletion until an operator resumes it.
    pub(crate) alarms: OrderedMutex<BTreeMap<AlarmId, Alarm>>,
    pub(crate) doubts: Doubts,
}

impl Governance {
    pub(crate) fn new(
        holds: HoldSet,
        requested: Vec<Request>,
        last_request: u32,
        alarms: Vec<Alarm>,
        doubts: Doubts,
    ) -> Self {
        let mut requests = Requests::default();
        requested.into_iter().for_each(|request| requests.insert(request.number, request));
        let alarms = alarms.into_iter().map(|alarm| (alarm.id, alarm)).collect();
        Governance {
            holds: OrderedRwLock::new(Rank::Holds, holds),
            requests: OrderedMutex::new(Rank::Requests, requests),
            last_request: AtomicU32::new(last_request),
            alarms: OrderedMutex::new(Rank::Alarms, alarms),
            doubts,
        }
    }
}

/// Data of ended objects that is still in the files of the index.
pub(crate) struct Residue {
    /// Number of commits that ended objects, and of requests that were forgotten.
    created: AtomicU64,
    /// Value of `created` up to which files were cleared. A reclaim pass holds the lock.
    pub(crate) cleared: OrderedMutex<Cleared>,
}

/// Number of additions to the residue up to which files were cleared.
pub(crate) struct Cleared(pub(crate) u64);

impl Steady for Cleared {}

impl Residue {
    /// Creates the counters. An earlier opening may have left residue, so the first reclaim pass has work.
    pub(crate) fn new() -> Self {
        Residue { created: AtomicU64::new(1), cleared: OrderedMutex::new(Rank::Reclaim, Cleared(0)) }
    }

    /// Counts a commit that ended objects, or a request that was forgotten.
    pub(crate) fn add(&self) {
        self.created.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the number of additions so far.
    pub(crate) fn created(&self) -> u64 {
        self.created.load(Ordering::SeqCst)
    }
}

impl Core {
    /// Reads the trusted time for a write or a decision. The caller has locked `state`, so the time does not go back before
    /// the lock is released.
    pub(crate) fn now(&self, _state: &impl Steady) -> Trusted {
        let now = self.glance();
        #[cfg(test)]
        crate::state::time::hook::run();
        now
    }

    /// Reads the trusted time for an answer to the host. It may go back at any moment, so nothing is written by it.
    pub(crate) fn glance(&self) -> Trusted {
        let now = self.time.read();
        self.governance.doubts.decide(now);
        now
    }

    /// Refuses if writing, signing or deleting must not go on.
    pub(crate) fn check_writable(&self) -> Result<()> {
        match &self.identity.read_only {
            Some(ReadOnly::Forked(why) | ReadOnly::Copy(why)) => {
                Err(Error::new(ErrorKind::Forked, why.clone()))
            }
            None => self.writer.check(),
        }
    }

    /// Refuses if a registration would use up the disk space that deletions need.
    pub(crate) fn check_room(&self) -> Result<()> {
        let (free, reserve) = (self.files.free_bytes()?, self.limits.disk_reserve_bytes);
        if free >= reserve {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Full,
            format!(
                "the disk has {free} bytes free and {reserve} are kept for deleting; free some, or add disk"
            ),
        ))
    }
}
