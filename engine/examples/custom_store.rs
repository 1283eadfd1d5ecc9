//! Custom store: what a `Store` must do so that its answers can stand in evidence.
//!
//! Run it with `cargo run -p sexton --example custom_store`.

#![expect(clippy::print_stdout, reason = "an example shows its steps")]

use sexton::store::{Answer, Store, StoredObject, SubBatch};
use sexton::testing::VirtualClock;
use sexton::{Durability, Engine, Options, Registration, Timestamp};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// 2026-01-01T00:00:00Z, at which the virtual clock starts.
const START: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);

/// A blob store in memory. Each object has a version, as an ETag in an object store.
#[derive(Default)]
struct Blobs(Mutex<BTreeMap<Vec<u8>, Blob>>);

struct Blob {
    version: Vec<u8>,
    is_locked: bool,
}

impl Blobs {
    fn put(&self, key: &[u8], version: &[u8], is_locked: bool) {
        let mut blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.insert(key.to_vec(), Blob { version: version.to_vec(), is_locked });
    }

    fn delete_one(&self, object: &StoredObject<'_>) -> Answer {
        let mut blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match blobs.get(object.key) {
            // After a crash the engine asks again for objects that may be gone. That is not an error.
            None => Answer::Absent,
            // Another object took the place of the registered one. It must stay.
            Some(blob) if blob.version != object.version => Answer::Changed,
            // The store has a reason of its own to keep it. The engine asks again later.
            Some(blob) if blob.is_locked => Answer::Refused("the object is locked".into()),
            Some(_) => {
                // A store on disk makes the deletion durable here, before it answers.
                blobs.remove(object.key);
                Answer::Deleted
            }
        }
    }
}

impl Store for Blobs {
    /// Several threads may call it at once. It gives one answer for each object, in their order, and never panics.
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        // A store that several engines share refuses a smaller `sub_batch.epoch` than it has seen.
        sub_batch.objects.iter().map(|object| self.delete_one(object)).collect()
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(VirtualClock::new(START));
    let engine = Engine::open_with_clock(folder.path(), &Options::new("example.com/blobs"), clock.clone())?;

    // Four objects are registered with their versions.
    let blobs = Blobs::default();
    for key in [b"a", b"b", b"c", b"d"] {
        let registration = Registration::new("log-73h", key).version(b"1");
        engine.register(&[registration], Durability::Synced)?;
    }
    blobs.put(b"a", b"1", false);
    blobs.put(b"b", b"2", false); // overwritten by a host that did not register it
    blobs.put(b"c", b"1", true);
    // `d` was deleted by other means.

    clock.advance(Duration::from_hours(73));
    engine.enforce(&blobs)?;

    let status = engine.status()?.classes["log-73h"];
    println!("deleted {}, absent {}, still owed {}", status.ended.deleted, status.ended.absent, status.live);
    assert_eq!((status.ended.deleted, status.ended.absent, status.live), (1, 1, 2));

    // The owed objects come again after a while. The lock is gone by then.
    blobs.put(b"c", b"1", false);
    clock.advance(Duration::from_hours(1));
    engine.enforce(&blobs)?;
    assert_eq!(engine.status()?.classes["log-73h"].live, 1, "the overwritten object stays");
    Ok(())
}
