//! Engine driven for a host that must not block. The driver completes submitted calls and hands out due objects in
//! sub-batches.

mod answers;
mod budget;
mod failures;
mod submissions;
mod threads;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use sexton::drive::OwnedSubBatch;
use sexton::store::Answer;
use sexton::testing::Clock;
use sexton::{Driver, DriverOptions, Durability, Engine, Opener, Registration, RegistrationId};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, Compliance};
use sexton_proof::time::Timestamp;
use sexton_tests::{HOUR, Machine, NEW_YEAR};
use std::sync::Arc;
use std::time::Duration;

/// Time limit of a run that ends because there is nothing to do.
const AMPLE: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(5);

fn options() -> DriverOptions {
    DriverOptions::default().threads(false).sub_batch_objects(3).answer_timeout(ANSWER)
}

fn keys(n: usize) -> Vec<String> {
    (0..n).map(|at| format!("object {at}")).collect()
}

fn uploads(keys: &[String]) -> Vec<Registration<'_>> {
    let upload = |key| Registration::new("upload-3h", key).version(b"v").start(NEW_YEAR);
    keys.iter().map(|key| upload(key.as_bytes())).collect()
}

/// Returns a machine on which `n` uploads are due, driven in the thread of the test.
fn due(n: usize) -> (Machine, Driver, Vec<RegistrationId>) {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    let names = keys(n);
    let ids = engine.register(&uploads(&names), Durability::Synced).unwrap();
    machine.clock.advance(3 * HOUR);
    let driver = Driver::start(engine, options(), None).unwrap();
    driver.run(AMPLE).unwrap();
    (machine, driver, ids.into_iter().map(|registered| registered.id).collect())
}

fn now(machine: &Machine) -> Timestamp {
    machine.clock.now()
}

fn take_all(driver: &Driver) -> Vec<OwnedSubBatch> {
    std::iter::from_fn(|| driver.next_sub_batch().unwrap()).collect()
}

fn all(handed: &OwnedSubBatch, answer: &Answer) -> Vec<(u32, Answer)> {
    (0..u32::try_from(handed.len()).unwrap()).map(|index| (index, answer.clone())).collect()
}

fn ended(engine: &Engine) -> u64 {
    engine.status().unwrap().classes["upload-3h"].ended.ended()
}

fn is_readable(driver: &Driver) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::from_borrowed_fd(driver.event_fd(), PollFlags::IN)], Some(&now)).unwrap() == 1
}

/// Waits until there is a sub-batch or a completion to take. Panics if none comes within a minute.
fn wait(driver: &Driver) {
    let long = Timespec { tv_sec: 60, tv_nsec: 0 };
    let mut polled = [PollFd::from_borrowed_fd(driver.event_fd(), PollFlags::IN)];
    assert_eq!(poll(&mut polled, Some(&long)).unwrap(), 1, "nothing came");
}

fn assert_sound(engine: &Engine) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

fn assert_kept(engine: &Engine, id: RegistrationId, key: &str) {
    let receipt = engine.receipt(id, Opener::Key(key.as_bytes())).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    assert_eq!(
        receipt::verify(receipt.as_bytes(), &policy, engine.now()).unwrap().compliance(),
        Compliance::Kept
    );
}
