//! Legal hold: an object is kept past its ceiling while a court needs it, and deleted after the hold is lifted.
//!
//! Run it with `cargo run -p sexton --example legal_hold`.

#![expect(clippy::print_stdout, reason = "an example shows its steps")]

use sexton::decision::HoldKind;
use sexton::report::Action;
use sexton::store::{Answer, Store, SubBatch};
use sexton::testing::VirtualClock;
use sexton::{
    Attribution, Durability, Engine, HoldName, NewHold, Options, Registration, Selector, Timestamp,
};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// 2026-01-01T00:00:00Z, at which the virtual clock starts.
const START: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);
const HOUR: Duration = Duration::from_hours(1);
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

    // A log file of Anna's account. Its class promises deletion within 73 hours.
    let file = Registration::new("log-73h", b"anna/2026-01-01.log").subject(b"anna");
    engine.register(&[file], Durability::Synced)?;

    // A court orders that Anna's data be kept. The hold covers everything of the subject, now and later.
    let name = HoldName::new("case-7")?;
    let data = Selector::Subject(b"anna".to_vec());
    let order = Attribution::new("legal department", "order of the district court");
    let review = engine.now().saturating_add(30 * DAY);
    let placed = engine.place_hold(NewHold::new(name.clone(), data, HoldKind::Temporary, order, review))?;
    assert!(placed.too_late.is_empty(), "nothing was on its way to deletion");

    // The plan shows that the hold keeps the object, and enforcement asks the store for nothing.
    clock.advance(73 * HOUR);
    for object in engine.plan(engine.now())? {
        assert_eq!(object?.action, Action::Hold(name.clone()));
    }
    assert_eq!(engine.enforce(&Nothing)?.objects, 0);

    // The order is withdrawn. The object is past its ceiling, so it is deleted after a day of grace.
    clock.advance(DAY);
    engine.lift_hold(&name, Attribution::new("legal department", "order withdrawn"), DAY)?;
    engine.enforce(&Nothing)?;
    clock.advance(DAY + HOUR);
    assert_eq!(engine.enforce(&Nothing)?.objects, 1);
    let ended = engine.status()?.classes["log-73h"].ended;
    println!("{} object deleted, late because of a hold: {}", ended.deleted, ended.late_after_hold);
    Ok(())
}
