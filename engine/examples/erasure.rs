//! Erasure: a person asks for the deletion of their data, and gets it before the ceiling, with a receipt.
//!
//! Run it with `cargo run -p sexton --example erasure`.

#![expect(clippy::print_stdout, reason = "an example shows its steps")]

use sexton::store::{Answer, Store, SubBatch};
use sexton::{
    Calendar, Durability, Engine, Erasure, Opener, Options, Progress, Registration, RequestState, Selector,
    VirtualClock,
};
use std::error::Error;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

/// Stands for the place where the objects are stored.
struct Nothing;

impl Store for Nothing {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        sub_batch.objects.iter().map(|_| Answer::Deleted).collect()
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(VirtualClock::new(1_767_225_600_000)); // 2026-01-01
    let engine =
        Engine::open_with_clock(folder.path(), &Options::new("example.com/accounts"), clock.clone())?;

    // Two photos of Anna, and one of Ben. Their class promises deletion within 30 days.
    let photos = [("anna", "anna/1.jpg"), ("anna", "anna/2.jpg"), ("ben", "ben/1.jpg")];
    let photos = photos.map(|(subject, key)| Registration {
        subject: subject.as_bytes(),
        ..Registration::new("data-30d", key.as_bytes())
    });
    engine.register(&photos, Durability::Synced)?;

    // Anna asks for erasure. She can change her mind for a day, and has an answer within 14 days.
    clock.advance(DAY_MS);
    let request = engine.erase(Erasure {
        selector: Selector::Subject(b"anna".to_vec()),
        reason: "request by mail".into(),
        author: "support".into(),
        received_ms: engine.now_ms(),
        cancellable_ms: DAY_MS,
        within: Some("14d".parse()?),
        calendar: Calendar::default(),
    })?;
    assert_eq!(engine.enforce(&Nothing)?.objects, 0, "the request can still be cancelled");

    // A day later it is final. Her photos are deleted; Ben's stays.
    clock.advance(DAY_MS);
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
