//! Quickstart: an upload is registered, deleted in its promised window, and proved to be gone.
//!
//! Run it with `cargo run -p sexton --example quickstart`.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "an example shows its steps")]

use sexton::proof::policy::Policy;
use sexton::proof::receipt::{self, Compliance};
use sexton::store::{Answer, Store, SubBatch};
use sexton::testing::VirtualClock;
use sexton::{Durability, Engine, Opener, Options, Registration, Timestamp};
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// 2026-01-01T00:00:00Z, at which the virtual clock starts.
const START: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);

/// A folder of uploads. It shows the shape of a store; `sexton::store::dir::DirStore` is one to rely on.
struct Uploads(PathBuf);

impl Store for Uploads {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        let delete = |key: &[u8]| match fs::remove_file(self.0.join(String::from_utf8_lossy(key).as_ref())) {
            Ok(()) => Answer::Deleted,
            Err(error) => Answer::Failed(error.to_string().into()),
        };
        sub_batch.objects.iter().map(|object| delete(object.key)).collect()
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let uploads = Uploads(folder.path().join("uploads"));
    fs::create_dir(&uploads.0)?;

    // The origin names the log of this engine. The clock is virtual, so that three hours pass at once; a service calls
    // `Engine::open`, which reads the system clock.
    let clock = Arc::new(VirtualClock::new(START));
    let options = Options::new("example.com/uploads");
    let engine = Engine::open_with_clock(&folder.path().join("data"), &options, clock.clone())?;

    // An upload arrives: it is stored, and registered in the class that promises three hours.
    fs::write(uploads.0.join("cat.jpg"), b"a picture of a cat")?;
    let upload = Registration::new("upload-3h", b"cat.jpg").start(engine.now());
    let registered = engine.register(&[upload], Durability::Synced)?;
    println!("registered as {}", registered[0].id);

    // Three hours later it is due. A service leaves this to `Worker` or `Driver`.
    clock.advance(Duration::from_hours(3));
    let enforced = engine.enforce(&uploads)?;
    println!("{} object deleted", enforced.objects);
    assert!(!uploads.0.join("cat.jpg").exists());

    // The receipt proves the deletion to everyone who trusts the key of the log.
    let receipt = engine.receipt(registered[0].id, Opener::Key(b"cat.jpg"))?;
    let policy = Policy::parse(engine.policy())?;
    let verdict = receipt::verify(receipt.as_bytes(), &policy, engine.now())?;
    assert_eq!(verdict.compliance(), Compliance::Kept);
    println!("the receipt is valid: deleted in its window");
    Ok(())
}
