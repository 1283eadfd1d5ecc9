//! Engine on real RocksDB, with small limits so that it creates and drops many files.

mod backups;
mod class_versions;
mod durability;
mod full_disk;
mod key_lookup;
mod lost_wal;
mod race;
mod refusals;
mod residue;
mod revived;
mod worker;

use sexton::testing::files::disk::DiskFiles;
use sexton::testing::kv::rocks::RocksKv;
use sexton::testing::{Clock, OsEntropy, Pool, Seams, VirtualClock};
use sexton::{ClassSet, Durability, Engine, Options, Registration};
use sexton_tests::host::Rng;
use sexton_tests::{MapStore, NEW_YEAR, ORIGIN};
use std::sync::Arc;
use tempfile::TempDir;

/// Number of the first class that an engine defines.
const FIRST_CLASS: u32 = 1;

/// Folder, clock and a store in a map, on which a test opens and closes engines.
struct Bench {
    folder: TempDir,
    clock: Arc<VirtualClock>,
    store: Arc<MapStore>,
    options: Options,
}

impl Bench {
    fn new(classes: &str) -> Self {
        let mut options = Options::new(ORIGIN);
        options.classes = ClassSet::from_toml(classes).unwrap();
        options.shards = Some(2);
        options.memtable_keys = 1_000;
        options.rocks.write_buffer_bytes = 256 << 10;
        options.rocks.file_bytes = 64 << 10;
        options.rocks.wal_bytes = 4 << 20;
        Bench {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(VirtualClock::new(NEW_YEAR)),
            store: Arc::default(),
            options,
        }
    }

    /// Opens the engine. Returns it with a handle of its index.
    fn open(&self) -> (Engine, Arc<RocksKv>) {
        let index = self.folder.path().join("index");
        let kv = Arc::new(RocksKv::open(&index, &self.options.rocks).unwrap());
        let files = Arc::new(DiskFiles::new(self.folder.path(), Arc::new(Pool::none())));
        let seams =
            Seams { kv: kv.clone(), files, entropy: Arc::new(OsEntropy), pool: Arc::new(Pool::none()) };
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        (Engine::open_with_seams(seams, &self.options, clock).unwrap(), kv)
    }

    /// Stores objects under these keys and registers them in the class `quick`, in one call.
    fn register(&self, engine: &Engine, keys: &[String]) {
        for key in keys {
            self.store.put(key.as_bytes(), b"1");
        }
        let registrations: Vec<Registration<'_>> =
            keys.iter().map(|key| Registration::new("quick", key.as_bytes()).version(b"1")).collect();
        engine.register(&registrations, Durability::Synced).unwrap();
    }
}

/// Returns a key of `bytes` bytes that cannot be compressed, so that files fill up quickly.
fn long_key(name: &str, bytes: usize) -> String {
    let mut key = format!("{name}/");
    let mut rng = Rng::new(name.bytes().fold(7, |n, b| n.rotate_left(9) ^ u64::from(b)));
    while key.len() < bytes {
        key += &hex::encode(rng.next_u64().to_be_bytes());
    }
    key.truncate(bytes);
    key
}
