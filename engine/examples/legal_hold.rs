//! Legal hold: an object is kept past its ceiling while a court needs it, and deleted after the hold is lifted.
//!
//! Run it with `cargo run -p sexton --example legal_hold`.

#![expect(clippy::print_stdout, reason = "an example shows its steps")]

use sexton::store::{Answer, Store, SubBatch};
use sexton::{Action, Durability, Engine, HoldKind, NewHold, Options, Registration, Selector, VirtualClock};
use std::error::Error;
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

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

    // A log file of Anna's account. Its class promises deletion within 73 hours.
    let file = Registration { subject: b"anna", ..Registration::new("log-73h", b"anna/2026-01-01.log") };
    engine.register(&[file], Durability::Synced)?;

    // A court orders that Anna's data be kept. The hold covers everything of the subject, now and later.
    let placed = engine.place_hold(NewHold {
        name: "case-7".into(),
        selector: Selector::Subject(b"anna".to_vec()),
        kind: HoldKind::Temporary,
        reason: "order of the district court".into(),
        author: "legal department".into(),
        review_ms: engine.now_ms() + 30 * DAY_MS,
    })?;
    assert!(placed.too_late.is_empty(), "nothing was on its way to deletion");

    // The plan shows that the hold keeps the object, and enforcement asks the store for nothing.
    clock.advance(73 * HOUR_MS);
    for object in engine.plan(engine.now_ms())? {
        assert_eq!(object?.action, Action::Hold("case-7".into()));
    }
    assert_eq!(engine.enforce(&Nothing)?.objects, 0);

    // The order is withdrawn. The object is past its ceiling, so it is deleted after a day of grace.
    clock.advance(DAY_MS);
    engine.lift_hold("case-7", "order withdrawn", "legal department", DAY_MS)?;
    engine.enforce(&Nothing)?;
    clock.advance(DAY_MS + HOUR_MS);
    assert_eq!(engine.enforce(&Nothing)?.objects, 1);
    let ended = engine.status()?.classes["log-73h"].ended;
    println!("{} object deleted, late because of a hold: {}", ended.deleted, ended.late_after_hold);
    Ok(())
}
