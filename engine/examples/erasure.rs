//! Erasure: a person asks for the deletion of their data, and gets it before the ceiling, with a receipt.
//!
//! Run it with `cargo run -p sexton --example erasure`.

#![expect(clippy::print_stdout, reason = "an example shows its steps")]

use sexton::decision::{Progress, RequestState};
use sexton::store::{Answer, Store, SubBatch};
use sexton::testing::VirtualClock;
use sexton::{Attribution, Durability, Engine, Erasure, Opener, Options, Registration, Selector, Timestamp};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// 2026-01-01T00:00:00Z, at which the virtual clock starts.
const START: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);
const DAY: Duration = Duration::from_hours(24);

/// Stands for the place where the objects are stored.
struct Nothing;

impl Store for Nothing {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        sub_batch.objects.iter().map(|_| Answer::Deleted).collect()
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(VirtualClock::new(START));
    let engine =
        Engine::open_with_clock(folder.path(), &Options::new("example.com/accounts"), clock.clone())?;

    // Two photos of Anna, and one of Ben. Their class promises deletion within 30 days.
    let photos = [
        Registration::new("data-30d", b"anna/1.jpg").subject(b"anna"),
        Registration::new("data-30d", b"anna/2.jpg").subject(b"anna"),
        Registration::new("data-30d", b"ben/1.jpg").subject(b"ben"),
    ];
    engine.register(&photos, Durability::Synced)?;

    // Anna asks for erasure. She can change her mind for a day, and has an answer within 14 days.
    clock.advance(DAY);
    let data = Selector::Subject(b"anna".to_vec());
    let by = Attribution::new("support", "request by mail");
    let erasure = Erasure::new(data, engine.now(), by).within("14d".parse()?).cancellable(DAY);
    let request = engine.erase(erasure)?;
    assert_eq!(engine.enforce(&Nothing)?.objects, 0, "the request can still be cancelled");

    // A day later it is final. Her photos are deleted; Ben's stays.
    clock.advance(DAY);
    assert_eq!(engine.enforce(&Nothing)?.objects, 2);

    // The answer to Anna: what became of each object, with a receipt.
    for object in engine.erasure_objects(request.number)? {
        let Progress::Ended { method, .. } = object.progress else { return Err("an object lives".into()) };
        let receipt = engine.receipt(object.id, Opener::Key(&object.key))?;
        println!("{}: {method}, receipt of {} bytes", String::from_utf8_lossy(&object.key), receipt.len());
    }
    assert_eq!(engine.requests()?[0].state, RequestState::Finished);

    // Once she has the receipts, the request is forgotten, with her name in it.
    engine.forget_request(request.number)?;
    engine.reclaim()?;
    Ok(())
}
