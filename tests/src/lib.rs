//! Fixtures of the tests that cross crates, such as an engine on in-memory seams and a store in a map.

pub mod hooked;
pub mod host;
pub mod simulation;

use parking_lot::Mutex;
use sexton::store::{Answer, Disposition, Store, SubBatch};
use sexton::testing::fault::Faults;
use sexton::testing::files::memory::MemoryFiles;
use sexton::testing::kv::Kv;
use sexton::testing::kv::memory::MemoryKv;
use sexton::testing::{Clock, Pool, Seams, SeededEntropy, VirtualClock};
use sexton::{Engine, Options, Result};
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// 2026-01-01T00:00:00Z.
pub const NEW_YEAR: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);
/// One minute.
pub const MINUTE: Duration = Duration::from_mins(1);
/// One hour.
pub const HOUR: Duration = Duration::from_hours(1);
/// 24 hours.
pub const DAY: Duration = Duration::from_hours(24);
/// Origin of every engine in the tests.
pub const ORIGIN: &str = "sexton.test/log";

/// Machine in memory, with index, files, faults, clock and objects. It outlives the engines that are opened on it.
#[derive(Clone)]
pub struct Machine {
    /// Injected faults of writes.
    pub faults: Faults,
    /// Index of the engine.
    pub kv: MemoryKv,
    /// Files beside the index.
    pub files: MemoryFiles,
    /// Clock of the machine.
    pub clock: Arc<VirtualClock>,
    /// Store with the objects.
    pub store: Arc<MapStore>,
    /// Options with which the engine is opened.
    pub options: Options,
}

impl Machine {
    /// Creates an empty machine at the beginning of 2026.
    pub fn new() -> Self {
        let faults = Faults::none();
        Machine {
            kv: MemoryKv::new(faults.clone()),
            files: MemoryFiles::new(faults.clone()),
            faults,
            clock: Arc::new(VirtualClock::new(NEW_YEAR)),
            store: Arc::default(),
            // A small memtable makes the engine write runs all the time.
            options: Options::new(ORIGIN).shards(4).memtable_keys(8),
        }
    }

    /// Opens the engine.
    pub fn open(&self) -> Result<Engine> {
        self.open_seeded(7)
    }

    /// Opens the engine with secrets that follow from `seed`.
    pub fn open_seeded(&self, seed: u64) -> Result<Engine> {
        self.open_on(Arc::new(self.kv.clone()), seed)
    }

    /// Opens the engine on another index, such as a wrapper of the machine's own.
    pub fn open_on(&self, kv: Arc<dyn Kv>, seed: u64) -> Result<Engine> {
        let (files, entropy) = (Arc::new(self.files.clone()), Arc::new(SeededEntropy::new(seed)));
        let seams = Seams { kv, files, entropy, pool: Arc::new(Pool::none()) };
        Engine::open_with_seams(seams, &self.options, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }
}

impl Default for Machine {
    fn default() -> Self {
        Machine::new()
    }
}

/// Answer of a [`MapStore`] for a key that it does not delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureMode {
    /// The deletion fails.
    Fails,
    /// The store refuses the deletion.
    Refuses,
    /// The store deletes the object, and does not say if it had it.
    Acknowledges,
}

/// Store that keeps objects in a map from key to version and records every deletion. An object that it anonymises has
/// the version [`anonymised`] afterwards.
#[derive(Default)]
pub struct MapStore {
    state: Mutex<MapState>,
}

#[derive(Default)]
struct MapState {
    objects: BTreeMap<Vec<u8>, Vec<u8>>,
    failure_modes: BTreeMap<Vec<u8>, FailureMode>,
    asked: Vec<(Vec<u8>, Disposition)>,
    deleted: Vec<Vec<u8>>,
}

/// Returns the version of an object after it was anonymised.
pub fn anonymised(version: &[u8]) -> Vec<u8> {
    [b"anonymised ", version].concat()
}

impl MapStore {
    /// Stores an object.
    pub fn put(&self, key: &[u8], version: &[u8]) {
        self.state.lock().objects.insert(key.to_vec(), version.to_vec());
    }

    /// Removes an object behind the engine's back.
    pub fn remove(&self, key: &[u8]) {
        self.state.lock().objects.remove(key);
    }

    /// Returns `true` if an object has this key.
    pub fn has(&self, key: &[u8]) -> bool {
        self.state.lock().objects.contains_key(key)
    }

    /// Returns the version of the object with this key.
    pub fn version(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.state.lock().objects.get(key).cloned()
    }

    /// Returns the number of objects.
    pub fn len(&self) -> usize {
        self.state.lock().objects.len()
    }

    /// Returns `true` if the store has no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the answer for a key from now on. With `None` the store deletes again.
    pub fn set_failure_mode(&self, key: &[u8], mode: Option<FailureMode>) {
        let mut state = self.state.lock();
        match mode {
            Some(mode) => state.failure_modes.insert(key.to_vec(), mode),
            None => state.failure_modes.remove(key),
        };
    }

    /// Returns the keys deleted so far, in order.
    pub fn deleted(&self) -> Vec<Vec<u8>> {
        self.state.lock().deleted.clone()
    }

    /// Returns the number of objects that the store was asked to delete or to anonymise.
    pub fn asked(&self) -> u64 {
        self.state.lock().asked.len() as u64
    }

    /// Returns the objects that the store was asked for, in order, each with its disposition.
    pub fn asked_for(&self) -> Vec<(Vec<u8>, Disposition)> {
        self.state.lock().asked.clone()
    }
}

impl Store for MapStore {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        let mut state = self.state.lock();
        let answer = |request: &sexton::store::StoredObject<'_>| {
            state.asked.push((request.key.to_vec(), part.disposition));
            match state.failure_modes.get(request.key) {
                Some(FailureMode::Fails) => return Answer::Failed("it is broken".into()),
                Some(FailureMode::Refuses) => return Answer::Refused("it is held".into()),
                Some(FailureMode::Acknowledges) => {
                    if state.objects.get(request.key).is_some_and(|found| found == request.version) {
                        state.objects.remove(request.key);
                        state.deleted.push(request.key.to_vec());
                    }
                    return Answer::Requested;
                }
                None => {}
            }
            let anonymises = part.disposition == Disposition::Anonymise;
            let rewritten = anonymised(request.version);
            match state.objects.get(request.key) {
                None => Answer::Absent,
                // The answer of an earlier attempt was lost.
                Some(found) if anonymises && *found == rewritten => Answer::Anonymised(rewritten.into()),
                Some(found) if found != request.version => Answer::Changed,
                Some(_) if anonymises => {
                    state.objects.insert(request.key.to_vec(), rewritten.clone());
                    Answer::Anonymised(rewritten.into())
                }
                Some(_) => {
                    state.objects.remove(request.key);
                    state.deleted.push(request.key.to_vec());
                    Answer::Deleted
                }
            }
        };
        part.objects.iter().map(answer).collect()
    }
}
