//! What the tests that cross crates share: an engine over memory, and a store that is a map.

pub mod hooked;
pub mod host;

use parking_lot::Mutex;
use sexton::fault::Faults;
use sexton::files::memory::MemoryFiles;
use sexton::kv::Kv;
use sexton::kv::memory::MemoryKv;
use sexton::store::{Answer, Disposition, Store, SubBatch};
use sexton::{Clock, Engine, Options, Pool, Result, Seams, SeededEntropy, VirtualClock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// 2026-01-01T00:00:00Z.
pub const NEW_YEAR_MS: i64 = 1_767_225_600_000;
/// An hour.
pub const HOUR_MS: i64 = 3_600_000;
/// The origin of every engine in the tests.
pub const ORIGIN: &str = "sexton.test/log";

/// A machine that can be switched off and on: index, files, faults, clock and the objects, all in memory.
#[derive(Clone)]
pub struct Machine {
    /// Which write goes wrong.
    pub faults: Faults,
    /// The index.
    pub kv: MemoryKv,
    /// The files beside it.
    pub files: MemoryFiles,
    /// Its clock.
    pub clock: Arc<VirtualClock>,
    /// The objects.
    pub store: Arc<MapStore>,
    /// How the engine is opened.
    pub options: Options,
}

impl Machine {
    /// A new machine at the beginning of 2026.
    pub fn new() -> Self {
        let faults = Faults::none();
        Machine {
            kv: MemoryKv::new(faults.clone()),
            files: MemoryFiles::new(faults.clone()),
            faults,
            clock: Arc::new(VirtualClock::new(NEW_YEAR_MS)),
            store: Arc::default(),
            // So few that runs are written all the time.
            options: Options { shards: Some(4), recent_keys: 8, ..Options::new(ORIGIN) },
        }
    }

    /// Opens the engine on it.
    pub fn open(&self) -> Result<Engine> {
        self.open_seeded(7)
    }

    /// The same with other secrets.
    pub fn open_seeded(&self, seed: u64) -> Result<Engine> {
        self.open_on(Arc::new(self.kv.clone()), seed)
    }

    /// The same on another index, such as one around its own.
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

/// How a [`MapStore`] answers for a key, other than by deleting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It fails.
    Fails,
    /// It refuses.
    Refuses,
}

/// Objects in a map from key to version, and every deletion with its instant. What is to be anonymised is
/// [`anonymised`] afterwards.
#[derive(Default)]
pub struct MapStore {
    state: Mutex<MapState>,
}

#[derive(Default)]
struct MapState {
    objects: BTreeMap<Vec<u8>, Vec<u8>>,
    moods: BTreeMap<Vec<u8>, Mood>,
    asked: Vec<(Vec<u8>, Disposition)>,
    deleted: Vec<Vec<u8>>,
}

/// What is stored in the place of an object of this version once it was anonymised.
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

    /// Whether an object is there.
    pub fn has(&self, key: &[u8]) -> bool {
        self.state.lock().objects.contains_key(key)
    }

    /// The version of an object that is there.
    pub fn version(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.state.lock().objects.get(key).cloned()
    }

    /// How many objects are there.
    pub fn len(&self) -> usize {
        self.state.lock().objects.len()
    }

    /// Whether none is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From here on it answers so for this key; `None`: it deletes.
    pub fn set_mood(&self, key: &[u8], mood: Option<Mood>) {
        let mut state = self.state.lock();
        match mood {
            Some(mood) => state.moods.insert(key.to_vec(), mood),
            None => state.moods.remove(key),
        };
    }

    /// The keys deleted so far, in order.
    pub fn deleted(&self) -> Vec<Vec<u8>> {
        self.state.lock().deleted.clone()
    }

    /// How many objects it was asked to delete or to anonymise.
    pub fn asked(&self) -> u64 {
        self.state.lock().asked.len() as u64
    }

    /// Those objects, in order, and what was to be done with each.
    pub fn asked_for(&self) -> Vec<(Vec<u8>, Disposition)> {
        self.state.lock().asked.clone()
    }
}

impl Store for MapStore {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        let mut state = self.state.lock();
        let answer = |request: &sexton::store::Request<'_>| {
            state.asked.push((request.key.to_vec(), part.disposition));
            match state.moods.get(request.key) {
                Some(Mood::Fails) => return Answer::Failed("it is broken".into()),
                Some(Mood::Refuses) => return Answer::Refused("it is held".into()),
                None => {}
            }
            let anonymises = part.disposition == Disposition::Anonymise;
            let rewritten = anonymised(request.version);
            match state.objects.get(request.key) {
                None => Answer::Absent,
                // Asked again after an attempt of which nobody heard.
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
