//! Event loop: a service with one thread drives the engine beside its sockets, and never waits for a disk.
//!
//! Run it with `cargo run -p sexton --example event_loop`.

#![expect(clippy::print_stdout, reason = "an example shows its steps")]

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use sexton::drive::{Answers, OwnedSubBatch};
use sexton::store::Answer;
use sexton::testing::VirtualClock;
use sexton::{Driver, DriverOptions, Durability, Engine, Options, Registration, Timestamp};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// 2026-01-01T00:00:00Z, at which the virtual clock starts.
const START: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);

/// Most time that the driver may take in one round of the loop. Serving clients waits meanwhile.
const BUDGET: Duration = Duration::from_millis(5);
/// Sleep if the driver foresees no work.
const IDLE: Duration = Duration::from_hours(1);

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(VirtualClock::new(START));
    let options = Options::new("example.com/uploads");
    let engine = Arc::new(Engine::open_with_clock(folder.path(), &options, clock.clone())?);

    // Without threads the driver works only in `run`. Without a handler, the loop takes sub-batches itself.
    let driver = Driver::start(engine, DriverOptions::default().threads(false), None)?;

    // A client uploads a file. The call returns at once; token 1 stands for the client.
    let upload = Registration::new("upload-3h", b"cat.jpg").start(driver.engine().now());
    driver.submit(1, &[upload], Durability::Synced)?;

    let mut is_registered = false;
    let mut deleted = 0;
    while deleted == 0 {
        // The work of the engine, a slice at a time.
        let next = driver.run(BUDGET)?;

        // Completions: the client may now be told that its upload is safe.
        while let Some(completion) = driver.next_completion()? {
            if let Answers::Registered(registered) = completion.result? {
                println!("client {}: registered as {}", completion.token, registered[0].id);
                is_registered = true;
            }
        }

        // Sub-batches: due objects to be deleted. Answers may also come later, in any order.
        while let Some(sub_batch) = driver.next_sub_batch()? {
            let answers = delete(&sub_batch);
            deleted += driver.answer(sub_batch.id(), answers)?;
        }

        // Sleep until the engine has work again, or the descriptor is readable. A service adds its sockets here.
        let sleep = next.map_or(IDLE, |next| next.since(driver.engine().now()));
        let event = PollFd::from_borrowed_fd(driver.event_fd(), PollFlags::IN);
        poll(&mut [event], Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        if is_registered {
            // In this example time passes at once; a service gives `sleep` to `poll`.
            clock.advance(sleep);
        }
    }

    // Stopping commits what was answered.
    driver.stop();
    let ended = driver.engine().status()?.classes["upload-3h"].ended;
    assert_eq!((deleted, ended.deleted), (1, 1));
    println!("{deleted} object deleted");
    Ok(())
}

/// Deletes the objects of a sub-batch. It must be durable before it is answered.
fn delete(sub_batch: &OwnedSubBatch) -> Vec<(u32, Answer)> {
    (0_u32..).zip(sub_batch.objects()).map(|(index, _object)| (index, Answer::Deleted)).collect()
}
