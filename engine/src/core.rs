//! The pieces of an open engine, which the steps of floor 3 work on.

use crate::alarm::Alarm;
use crate::batch::{Returns, Unanswered};
use crate::breaker::Breaker;
use crate::class::Class;
use crate::effect::Sweep;
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::files::Files;
use crate::hold::HoldSet;
use crate::index::Index;
use crate::keyring::{Key, KeyRing};
use crate::kv::Kv;
use crate::log::Log;
use crate::pool::Pool;
use crate::request::Request;
use crate::schema::Counts;
use crate::writer::{PoisoningMutex, Writer};
use parking_lot::{Mutex, RwLock};
use sexton_proof::id::ClassId;
use sexton_proof::note::Signer;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// What every step needs.
pub(crate) struct Core {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) index: Index,
    pub(crate) keyring: KeyRing,
    pub(crate) signer: Signer,
    /// The log's origin line.
    pub(crate) origin: String,
    /// Grows with every opening: a store can refuse what an earlier opening still sends.
    pub(crate) epoch: u64,
    pub(crate) limits: Limits,
    pub(crate) classes: RwLock<Classes>,
    /// Read by every call that registers, written while a class is closed down.
    pub(crate) closing: RwLock<()>,
    /// Held while something is appended to the log: one committer.
    pub(crate) ledger: PoisoningMutex<Ledger>,
    /// Held while the log is published, from before the ledger is looked at. Commits go on meanwhile, and who comes next
    /// publishes them all.
    pub(crate) published: Mutex<Published>,
    /// Held while pages are chosen: one planner. Holds and requests are placed under it.
    pub(crate) planner: PoisoningMutex<Planner>,
    /// Batches handed out and not yet committed.
    pub(crate) in_flight: AtomicU64,
    /// What comes back of batches.
    pub(crate) returns: Arc<Returns>,
    /// How often something ended or was forgotten, which leaves traces in the index's files.
    pub(crate) traces: AtomicU64,
    /// Up to which of them files were cleared; held while they are.
    pub(crate) cleared: Mutex<u64>,
    /// Why nothing may be signed or deleted, where that is so.
    pub(crate) forked: Option<String>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) holds: RwLock<HoldSet>,
    pub(crate) requests: Mutex<BTreeMap<u32, Request>>,
    /// The number of the last request ever taken.
    pub(crate) last_request: AtomicU32,
    /// What stopped deleting and waits for a person.
    pub(crate) alarms: Mutex<BTreeMap<[u8; 16], Alarm>>,
    /// The key under which the feed is encrypted.
    pub(crate) feed_key: Key,
}

/// Bounds on one batch and on how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) batch_rows: u32,
    pub(crate) batches_in_flight: u64,
    pub(crate) disk_reserve_bytes: u64,
    /// Keys of a shard that are found in memory until they are written out.
    pub(crate) recent_keys: usize,
}

/// What grows by commits.
pub(crate) struct Ledger {
    pub(crate) log: Log,
    pub(crate) counts: BTreeMap<ClassId, Counts>,
    /// The number of the last entry of the feed.
    pub(crate) feed: u64,
}

/// What of the log others can see.
pub(crate) struct Published {
    /// The size of the log that was last published.
    pub(crate) size: u64,
    /// When it was last published in the course of enforcing, or tried, by the monotonic clock.
    pub(crate) tried_ms: Option<i64>,
    /// Why the last publication failed, where it did.
    pub(crate) error: Option<String>,
}

/// What grows by plans.
pub(crate) struct Planner {
    /// The number of the last batch.
    pub(crate) last_batch: u64,
    /// What was not answered, in an earlier opening or in this one, to be handed over again.
    pub(crate) unfinished: VecDeque<Unanswered>,
    /// What looks for the objects of requests, where one is under way.
    pub(crate) sweep: Option<Sweep>,
    pub(crate) breaker: Breaker,
    /// The instant that was last recorded on disk.
    pub(crate) clock_recorded_ms: i64,
}

/// The class versions of the engine.
#[derive(Default)]
pub(crate) struct Classes {
    by_id: BTreeMap<ClassId, Arc<Class>>,
    /// The version that new registrations of a name fall under.
    current: BTreeMap<String, ClassId>,
    /// Names that take no registrations any more.
    closed: BTreeSet<String>,
}

impl Classes {
    pub(crate) fn add(&mut self, class: Arc<Class>) {
        self.current.insert(class.definition.name.clone(), class.id);
        self.by_id.insert(class.id, class);
    }

    pub(crate) fn current(&self, name: &str) -> Option<&Arc<Class>> {
        self.by_id.get(self.current.get(name)?)
    }

    /// The newest version of the class of that name.
    pub(crate) fn known(&self, name: &str) -> Result<&Arc<Class>> {
        self.current(name).ok_or_else(|| {
            Error::invalid(format!("unknown class {name:?}; known are: {}", self.names().join(", ")))
        })
    }

    pub(crate) fn close(&mut self, names: &[String]) {
        self.closed.extend(names.iter().cloned());
    }

    pub(crate) fn closed(&self) -> &BTreeSet<String> {
        &self.closed
    }

    pub(crate) fn is_closed(&self, name: &str) -> bool {
        self.closed.contains(name)
    }

    pub(crate) fn by_id(&self, id: ClassId) -> Result<&Arc<Class>> {
        self.by_id.get(&id).ok_or_else(|| {
            Error::corrupt(format!("class {id} is not known; see Backups in docs/operations.md"))
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Class>> {
        self.by_id.values()
    }

    pub(crate) fn last_id(&self) -> ClassId {
        self.by_id.last_key_value().map_or(0, |(id, _)| *id)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.current.keys().map(String::as_str).collect()
    }
}

impl Core {
    /// Refuses where writing, signing or deleting must not go on.
    pub(crate) fn check_writable(&self) -> Result<()> {
        match &self.forked {
            Some(why) => Err(Error::new(ErrorKind::Forked, why.clone())),
            None => self.writer.check(),
        }
    }

    /// Refuses where taking more in would use up the room that deleting needs.
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

    pub(crate) fn class(&self, id: ClassId) -> Result<Arc<Class>> {
        self.classes.read().by_id(id).cloned()
    }
}
