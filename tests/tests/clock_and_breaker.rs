//! Clock guard and breaker. A wrong clock or a wrong class stops deleting and raises an alarm. Deleting resumes once
//! the cause is gone or an operator says so.

use sexton::decision::{AlarmCause, AlarmId};
use sexton::limits::BreakerLimits;
use sexton::report::{Action, ClockState, EngineState};
use sexton::testing::kv::ColumnFamily;
use sexton::{Attribution, ClassSet, Durability, ErrorKind, Registration, Selector};
use sexton_proof::leaf::{EventKind, Leaf};
use sexton_proof::record::Reason;
use sexton_proof::time::Timestamp;
use sexton_tests::simulation::{Simulation, subject};
use sexton_tests::{DAY, HOUR, MINUTE, Machine, NEW_YEAR};
use std::time::Duration;

const YEAR: Duration = Duration::from_hours(365 * 24);
const CLASSES: &str = "[class.upload]\nwithin = \"3h\"\n[class.long]\nwithin = \"30d\"\n";

fn simulation() -> Simulation {
    Simulation::new(CLASSES)
}

/// Returns a host whose breaker trips at more than ten objects at short notice, or at a tenth of a class.
fn nervous_site() -> Simulation {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
    machine.options.breaker = Some(BreakerLimits { objects: 10, share_percent: 10 });
    Simulation::on(machine)
}

fn causes(sim: &Simulation) -> Vec<AlarmCause> {
    sim.engine().status().unwrap().alarms.into_iter().map(|alarm| alarm.cause).collect()
}

fn is_paused(sim: &Simulation) -> bool {
    matches!(sim.engine().status().unwrap().state, EngineState::Paused(_))
}

/// Resumes after the only alarm.
fn resume(sim: &Simulation) {
    let alarm = sim.engine().status().unwrap().alarms.remove(0);
    let attribution = Attribution::new("operator", "looked at the time server");
    sim.engine().resume(alarm.id, attribution).unwrap();
}

/// Returns the alarms and resumptions in the log, in order.
fn logged(sim: &Simulation) -> Vec<EventKind> {
    let image = sim.machine.kv.image();
    let leaves = image[&ColumnFamily::Log].values().filter_map(|entry| Leaf::parse(entry).ok());
    let mut events: Vec<_> = leaves
        .filter_map(|leaf| match leaf {
            Leaf::Event(event) => Some((event.logged, event.kind == EventKind::Resume, event.kind)),
            _ => None,
        })
        .collect();
    events.sort_by_key(|(logged, is_resume, _)| (*logged, *is_resume));
    events.into_iter().map(|(.., kind)| kind).collect()
}

/// Returns the planned actions on all objects that fall due by an instant.
fn planned(sim: &Simulation, until: Timestamp) -> Vec<Action> {
    sim.engine().plan(until).unwrap().map(|planned| planned.unwrap().action).collect()
}

#[test]
fn clock_a_year_ahead_stops_deleting_but_not_registering() {
    let sim = simulation();
    sim.put("upload", "a");
    sim.put("long", "b");
    sim.machine.clock.step_forward(YEAR);
    sim.enforce();
    sim.put("upload", "c");
    sim.pass(4 * HOUR);
    assert_eq!(sim.machine.store.len(), 3);
    assert!(is_paused(&sim));
    assert_eq!(causes(&sim), [AlarmCause::Clock]);
    assert_eq!(sim.now(), NEW_YEAR.saturating_add(4 * HOUR), "the jump of a year is not trusted");
    assert_eq!(planned(&sim, sim.now()), vec![Action::Stopped(AlarmCause::Clock); 2]);
    assert_eq!(logged(&sim), [EventKind::Alarm]);
    sim.assert_sound();
}

#[test]
fn undone_clock_step_resumes_and_is_logged() {
    let sim = simulation();
    let id = sim.put("upload", "a");
    sim.machine.clock.step_forward(YEAR);
    sim.pass(2 * HOUR);
    sim.machine.clock.step_back(YEAR);
    sim.enforce();
    assert!(!is_paused(&sim) && sim.has("a"));
    sim.pass(HOUR);
    assert_eq!(sim.receipt(id, "a").2, Reason::Due);
    assert_eq!(logged(&sim), [EventKind::Alarm, EventKind::Resume]);
    sim.assert_sound();
}

/// A kernel that reports synchronised time does not end the alarm either.
#[test]
fn clock_alarm_survives_reopening() {
    let mut sim = simulation();
    sim.put("long", "a");
    sim.pass(HOUR);
    sim.machine.clock.step_forward(YEAR);
    sim.enforce();
    for _ in 0..3 {
        sim.lose_power();
        sim.pass(MINUTE);
        assert!(is_paused(&sim) && sim.has("a"));
        assert_eq!(causes(&sim), [AlarmCause::Clock]);
    }
    resume(&sim);
    sim.enforce();
    assert!(!sim.has("a"), "an operator accepted the time a year later");
    assert_eq!(logged(&sim), [EventKind::Alarm, EventKind::Resume]);
    sim.assert_sound();
}

/// The log commits to the reason, so the stored text cannot change afterwards.
#[test]
fn resume_needs_an_alarm_and_a_reason_and_is_committed() {
    let mut sim = simulation();
    sim.put("upload", "a");
    sim.machine.clock.step_forward(YEAR);
    sim.enforce();
    let alarm = sim.engine().status().unwrap().alarms.remove(0);
    for (reason, author, word) in
        [("", "operator", "reason"), (" ", "operator", "reason"), ("r", "", "author")]
    {
        let error = sim.engine().resume(alarm.id, Attribution::new(author, reason)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(word), "{error}");
    }
    let unknown = AlarmId::from_bytes([7; 16]);
    let error = sim.engine().resume(unknown, Attribution::new("a", "r")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(is_paused(&sim) && sim.has("a"));

    resume(&sim);
    sim.enforce();
    assert!(!is_paused(&sim) && !sim.has("a"));
    sim.assert_sound();
    sim.lose_power();
    assert!(!is_paused(&sim));

    // The log has a commitment to the text, so the check finds another text.
    let mut image = sim.machine.kv.image();
    for text in image.get_mut(&ColumnFamily::Meta).unwrap().values_mut() {
        let said = b"looked at the time server";
        if let Some(at) = text.windows(said.len()).position(|window| window == said) {
            text[at..at + said.len()].copy_from_slice(b"looked at the calendar...");
        }
    }
    sim.close();
    sim.machine.kv.restore(image);
    sim.reopen();
    assert!(!sim.engine().check().unwrap().is_sound());
}

#[test]
fn clock_a_day_back_revives_nothing_and_deletes_nothing_early() {
    let sim = simulation();
    sim.put("upload", "due");
    sim.machine.clock.advance(3 * HOUR);
    sim.put("upload", "fresh");
    sim.machine.clock.step_back(DAY);
    sim.enforce();
    assert!(!sim.has("due"), "retention expired");
    let status = sim.engine().status().unwrap();
    assert_eq!(status.clock, ClockState::Behind { by: DAY });
    assert_eq!((causes(&sim), is_paused(&sim)), (vec![AlarmCause::Behind], false));
    let needs = sim.engine().needs(&status).unwrap();
    let behind = format!("alarm: the wall clock is behind by {} ms", DAY.as_millis());
    assert!(needs.iter().any(|need| need.starts_with(&behind)), "{needs:?}");
    sim.pass(DAY);
    assert!(sim.has("fresh"), "trusted time waits until the clock has caught up");
    sim.pass(3 * HOUR);
    assert!(!sim.has("fresh"));
    assert_eq!((causes(&sim), logged(&sim)), (vec![], vec![EventKind::Alarm, EventKind::Resume]));
    assert_eq!(sim.class("upload").ended.early, 0);
    sim.assert_sound();
}

#[test]
fn slow_drift_and_suspension_raise_no_alarm() {
    let sim = simulation();
    for day in 0..100 {
        sim.put("upload", &day.to_string());
        sim.machine.clock.advance(DAY);
        if day % 10 < 9 {
            sim.machine.clock.step_forward(Duration::from_secs(40));
        } else {
            sim.machine.clock.step_back(Duration::from_secs(360));
        }
        sim.enforce();
    }
    sim.put("long", "a");
    sim.machine.clock.advance(90 * DAY); // suspended: both clocks move
    sim.enforce();
    assert!(sim.machine.store.is_empty());
    assert_eq!((causes(&sim), logged(&sim)), (vec![], vec![]));
    sim.assert_sound();
}

/// Returns a host whose machine was off for this long.
fn off_for(span: Duration, synchronised: bool) -> Simulation {
    let mut sim = simulation();
    sim.put("upload", "a");
    sim.put("long", "b");
    sim.pass(HOUR);
    sim.close();
    sim.machine.clock.advance(span);
    sim.machine.clock.set_synchronised(synchronised);
    sim.reopen();
    sim.enforce();
    sim
}

#[test]
fn synchronised_clock_is_trusted_after_three_days_off() {
    let sim = off_for(3 * DAY, true);
    assert!(!is_paused(&sim) && !sim.has("a") && sim.has("b"));
    assert_eq!(logged(&sim), []);
    sim.assert_sound();
}

#[test]
fn any_clock_is_trusted_after_half_an_hour_off() {
    let sim = off_for(HOUR / 2, false);
    sim.pass(3 * HOUR);
    assert!(!is_paused(&sim) && !sim.has("a"));
    assert_eq!(logged(&sim), []);
}

/// Deleting resumes without a person once the clock is NTP-synchronised.
#[test]
fn unsynchronised_clock_after_three_days_off_raises_an_alarm() {
    let mut sim = off_for(3 * DAY, false);
    assert!(is_paused(&sim) && sim.has("a"));
    assert_eq!(causes(&sim), [AlarmCause::TimeOff]);
    sim.reopen();
    sim.pass(HOUR);
    assert!(is_paused(&sim) && sim.has("a"));
    sim.put("upload", "c"); // registering continues

    sim.machine.clock.set_synchronised(true);
    sim.enforce();
    assert!(!is_paused(&sim) && !sim.has("a") && sim.has("b"));
    assert_eq!(sim.now(), NEW_YEAR.saturating_add(3 * DAY + 2 * HOUR));
    assert_eq!(logged(&sim), [EventKind::Alarm, EventKind::Resume]);
    sim.assert_sound();
}

#[test]
fn operator_can_accept_the_clock_after_three_days_off() {
    let mut sim = off_for(3 * DAY, false);
    resume(&sim);
    sim.lose_power();
    sim.enforce();
    assert!(!is_paused(&sim) && !sim.has("a") && sim.has("b"));
    sim.assert_sound();
}

/// Stores and registers many objects at once.
fn put_many(sim: &Simulation, class: &str, count: u32, prefix: &str, start: Timestamp) {
    for n in 0..count {
        sim.put_of(class, &format!("{prefix}/{n}"), prefix, Some(start));
    }
}

fn tripped(class: &str) -> Vec<AlarmCause> {
    vec![AlarmCause::Breaker { class: class.into() }]
}

#[test]
fn bulk_import_forecast_a_slot_ahead_trips_no_breaker() {
    let sim = nervous_site();
    put_many(&sim, "upload", 2_000, "import", NEW_YEAR);
    sim.pass(3 * HOUR);
    assert!(sim.machine.store.is_empty());
    assert_eq!(causes(&sim), []);
    sim.assert_sound();
}

#[test]
fn import_with_starts_of_last_year_trips_before_any_deletion() {
    let sim = nervous_site();
    put_many(&sim, "upload", 50, "import", NEW_YEAR.saturating_sub(YEAR));
    sim.pass(DAY);
    assert_eq!(sim.machine.store.len(), 50);
    assert_eq!(causes(&sim), tripped("upload"));
    assert!(!is_paused(&sim), "other classes go on");
    assert_eq!(planned(&sim, sim.now()), vec![Action::Stopped(tripped("upload").remove(0)); 50]);
    sim.assert_sound();
}

#[test]
fn wrong_class_file_trips_but_forecast_objects_still_go() {
    for reopen in [false, true] {
        let mut sim = nervous_site();
        put_many(&sim, "long", 200, "old", NEW_YEAR);
        sim.pass(DAY);
        // The class file says hours where it should say days.
        let wrong = ClassSet::from_toml("[class.long]\nwithin = \"3h\"\n").unwrap();
        sim.engine().define_classes(&wrong).unwrap();
        sim.machine.options.classes =
            wrong.and(ClassSet::from_toml("[class.upload]\nwithin = \"3h\"").unwrap());
        sim.engine().apply_class("long", Attribution::new("operator", "shorter now")).unwrap();
        if reopen {
            sim.lose_power();
        }
        sim.enforce();
        assert_eq!((sim.machine.store.len(), causes(&sim)), (200, tripped("long")));

        // New objects of the class fall due as forecast, so they go on time, also after a restart.
        put_many(&sim, "long", 30, "new", sim.now());
        if reopen {
            sim.lose_power();
        }
        sim.pass(3 * HOUR);
        assert_eq!((sim.machine.store.len(), causes(&sim)), (200, tripped("long")));
        assert!(sim.has("old/0") && !sim.has("new/0"));

        // An operator finds that the class file is right and resumes.
        resume(&sim);
        sim.enforce();
        assert!(sim.machine.store.is_empty() && causes(&sim).is_empty());
        assert_eq!(logged(&sim), [EventKind::Alarm, EventKind::Resume]);
        sim.assert_sound();
    }
}

#[test]
fn class_file_fixed_after_a_trip_loses_nothing() {
    let sim = nervous_site();
    put_many(&sim, "long", 200, "old", NEW_YEAR);
    sim.pass(DAY);
    sim.engine().define_classes(&ClassSet::from_toml("[class.long]\nwithin = \"3h\"\n").unwrap()).unwrap();
    sim.engine().apply_class("long", Attribution::new("operator", "shorter now")).unwrap();
    sim.enforce();
    sim.engine().define_classes(&ClassSet::from_toml("[class.long]\nwithin = \"30d\"\n").unwrap()).unwrap();
    sim.engine().apply_class("long", Attribution::new("operator", "it was a mistake")).unwrap();
    sim.enforce();
    resume(&sim);
    sim.pass(28 * DAY);
    assert_eq!(sim.machine.store.len(), 200);
    sim.pass(DAY);
    assert!(sim.machine.store.is_empty());
    assert_eq!((sim.class("long").ended.late, sim.class("long").ended.early), (0, 0));
    sim.assert_sound();
}

#[test]
fn erasure_trips_the_breaker_only_if_it_matches_many() {
    let sim = nervous_site();
    put_many(&sim, "long", 200, "crowd", NEW_YEAR);
    put_many(&sim, "long", 10, "anna", NEW_YEAR);
    sim.pass(DAY);
    sim.erase(subject("anna"));
    sim.enforce();
    assert!(!sim.has("anna/0"));
    assert_eq!(causes(&sim), []);

    sim.pass(DAY);
    sim.erase(subject("crowd"));
    sim.enforce();
    assert_eq!((sim.machine.store.len(), causes(&sim)), (200, tripped("long")));
    resume(&sim);
    sim.enforce();
    assert!(sim.machine.store.is_empty());
    sim.assert_sound();
}

#[test]
fn closing_down_gives_a_slot_of_notice_and_trips_nothing() {
    let sim = nervous_site();
    put_many(&sim, "long", 200, "crowd", NEW_YEAR);
    sim.pass(DAY);
    sim.engine()
        .close_down(Selector::Class("long".into()), Attribution::new("board", "no longer offered"))
        .unwrap();
    sim.pass(HOUR / 2);
    assert_eq!(sim.machine.store.len(), 200);
    sim.pass(HOUR);
    assert!(sim.machine.store.is_empty());
    assert_eq!(causes(&sim), []);
    sim.assert_sound();
}

#[test]
fn registering_continues_while_the_class_is_stopped() {
    let sim = nervous_site();
    put_many(&sim, "upload", 50, "import", NEW_YEAR.saturating_sub(YEAR));
    sim.enforce();
    assert_eq!(causes(&sim), tripped("upload"));
    let registration = Registration::new("upload", b"fresh");
    sim.engine().register(&[registration], Durability::Synced).unwrap();
    sim.put("long", "other");
    sim.pass(30 * DAY);
    assert!(!sim.has("other"));
    assert_eq!(sim.class("upload").live, 50);
    sim.assert_sound();
}
