//! The quickstart of the README, word for word.
#![allow(clippy::print_stdout, reason = "it shows what it got")]

use sexton::store::dir::{DirStore, Identity};
use sexton::{Durability, Engine, Opener, Options, Registration};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all("uploads")?;
    std::fs::File::create("uploads/cat.jpg")?;
    let store = DirStore::open("uploads".as_ref())?;
    let engine = Engine::open("sexton-data".as_ref(), &Options::new("example.com/uploads"))?;

    // A file of four hours ago, in a class that promises deletion within three.
    let file = store.identify(b"cat.jpg", Identity::Exact)?.ok_or("no such file")?;
    let start = engine.now().saturating_sub(Duration::from_hours(4));
    let upload = Registration::new("upload-3h", b"cat.jpg").version(&file.version).start(start);
    let registered = engine.register(&[upload], Durability::Synced)?;

    engine.enforce(&store)?; // a service: Worker::start or Driver, and Engine::reclaim once an hour
    let receipt = engine.receipt(registered[0].id, Opener::Key(b"cat.jpg"))?;
    println!("{receipt}"); // `sexton verify` says: authentic, and deleted an hour too late
    Ok(())
}
