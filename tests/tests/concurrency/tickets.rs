//! Tickets that are handed out while their registrations move.

use sexton::{Change, ClassSet, Durability, Engine, Previous, Registration, Which};
use sexton_proof::commitment::Opening;
use sexton_tests::{HOUR, Machine, NEW_YEAR};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const CLASSES: &str = r#"
[class.ticketed]
within = "30d"
openings = "ticket"
"#;

/// Moves the object to and fro until `is_done`.
fn reschedule(engine: &Engine, is_done: &AtomicBool) {
    for hours in (0..24).cycle() {
        if is_done.load(Ordering::Relaxed) {
            return;
        }
        let (of, start) = (Which::Key(b"a"), Some(NEW_YEAR.saturating_add(hours * HOUR)));
        let change = Change::Reschedule { of, class: None, start };
        engine.change(&[change], Durability::Buffered).unwrap().remove(0).unwrap();
    }
}

#[test]
fn ticket_of_a_retry_opens_the_object_while_it_moves() {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
    let engine = machine.open().unwrap();
    let registration = Registration::new("ticketed", b"a").version(b"v1");
    engine.register(&[registration], Durability::Synced).unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| reschedule(&engine, &is_done));
        for _ in 0..5_000 {
            let answer = engine.register(&[registration], Durability::Buffered).unwrap().remove(0);
            let ticket = answer.ticket.and_then(|ticket| Opening::decode(&ticket).ok());
            let opened = ticket.map(|opening| (opening.key, opening.version));
            if opened != Some((b"a".to_vec(), b"v1".to_vec())) || answer.previous != Previous::Identical {
                is_done.store(true, Ordering::Relaxed);
                panic!("{:?} with {opened:?}", answer.previous);
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
}
