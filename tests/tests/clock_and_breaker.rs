//! Clock guard and breaker. A wrong clock or a wrong class stops deleting and raises an alarm. Deleting resumes once
//! the cause is gone or an operator says so.

use sexton::kv::ColumnFamily;
use sexton::{
    Action, AlarmCause, BreakerLimits, ClassSet, ClockState, Durability, EngineState, ErrorKind,
    Registration, Selector,
};
use sexton_proof::leaf::{EventKind, Leaf};
use sexton_proof::record::Reason;
use sexton_tests::simulation::{DAY_MS, MINUTE_MS, Simulation, subject};
use sexton_tests::{HOUR_MS, Machine, NEW_YEAR_MS};

const YEAR_MS: i64 = 365 * DAY_MS;
const CLASSES: &str = "[class.upload]\nwithin = \"3h\"\n[class.long]\nwithin = \"30d\"\n";

fn simulation() -> Simulation {
    Simulation::new(CLASSES)
}

/// Returns a host whose breaker trips at more than ten objects at short notice, or at a tenth of a class.
fn nervous_site() -> Simulation {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
    machine.options.breaker = BreakerLimits { objects: 10, share_percent: 10 };
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
    sim.engine().resume(&alarm.id, "looked at the time server", "operator").unwrap();
}

/// Returns the alarms and resumptions in the log, in order.
fn logged(sim: &Simulation) -> Vec<EventKind> {
    let image = sim.machine.kv.image();
    let leaves = image[&ColumnFamily::Log].values().filter_map(|entry| Leaf::parse(entry).ok());
    let mut events: Vec<_> = leaves
        .filter_map(|leaf| match leaf {
            Leaf::Event(event) => Some((event.logged_ms, event.kind == EventKind::Resume, event.kind)),
            _ => None,
        })
        .collect();
    events.sort_by_key(|(logged_ms, is_resume, _)| (*logged_ms, *is_resume));
    events.into_iter().map(|(.., kind)| kind).collect()
}

/// Returns the planned actions on all objects that fall due by an instant.
fn planned(sim: &Simulation, until_ms: i64) -> Vec<Action> {
    sim.engine().plan(until_ms).unwrap().map(|planned| planned.unwrap().action).collect()
}

#[test]
fn floor_holds_for_both_times_of_a_clock_in_doubt() {
    let kept = "[class.kept]\nkeep = \"1h\"\nwithin = \"3h\"\n[class.upload]\nwithin = \"3h\"\n";
    let sim = Simulation::new(kept);
    let engine = sim.engine();
    engine.now_ms();
    sim.machine.clock.step(2 * HOUR_MS);
    let trusted_ms = engine.now_ms();
    let wall_ms = trusted_ms + 2 * HOUR_MS;
    let both = [Registration::new("kept", b"kept"), Registration::new("upload", b"upload")];
    let ids = engine.register(&both, Durability::Synced).unwrap();
    engine.next_batch().unwrap();
    resume(&sim);
    assert_eq!(engine.now_ms(), wall_ms, "the wall clock was right");
    let of =
        |id| engine.plan(i64::MAX).unwrap().map(Result::unwrap).find(|planned| planned.id == id).unwrap();
    assert_eq!(of(ids[0].id).floor_ms, wall_ms + HOUR_MS, "an hour from its true arrival");
    assert_eq!(
        of(ids[1].id).ceiling_ms,
        trusted_ms + 3 * HOUR_MS,
        "without a floor the earlier time is the safe one"
    );
}

#[test]
fn clock_a_year_ahead_stops_deleting_but_not_registering() {
    let sim = simulation();
    sim.put("upload", "a");
    sim.put("long", "b");
    sim.machine.clock.step(YEAR_MS);
    sim.enforce();
    sim.put("upload", "c");
    sim.pass(4 * HOUR_MS);
    assert_eq!(sim.machine.store.len(), 3);
    assert!(is_paused(&sim));
    assert_eq!(causes(&sim), [AlarmCause::Clock]);
    assert_eq!(sim.now_ms(), NEW_YEAR_MS + 4 * HOUR_MS, "the jump of a year is not trusted");
    assert_eq!(planned(&sim, sim.now_ms()), vec![Action::Stopped(AlarmCause::Clock); 2]);
    assert_eq!(logged(&sim), [EventKind::Alarm]);
    sim.assert_sound();
}

#[test]
fn undone_clock_step_resumes_and_is_logged() {
    let sim = simulation();
    let id = sim.put("upload", "a");
    sim.machine.clock.step(YEAR_MS);
    sim.pass(2 * HOUR_MS);
    sim.machine.clock.step(-YEAR_MS);
    sim.enforce();
    assert!(!is_paused(&sim) && sim.has("a"));
    sim.pass(HOUR_MS);
    assert_eq!(sim.receipt(id, "a").2, Reason::Due);
    assert_eq!(logged(&sim), [EventKind::Alarm, EventKind::Resume]);
    sim.assert_sound();
}

/// A kernel that reports synchronised time does not end the alarm either.
#[test]
fn clock_alarm_survives_reopening() {
    let mut sim = simulation();
    sim.put("long", "a");
    sim.pass(HOUR_MS);
    sim.machine.clock.step(YEAR_MS);
    sim.enforce();
    for _ in 0..3 {
        sim.lose_power();
        sim.pass(MINUTE_MS);
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
    sim.machine.clock.step(YEAR_MS);
    sim.enforce();
    let alarm = sim.engine().status().unwrap().alarms.remove(0);
    for (reason, author, word) in
        [("", "operator", "reason"), (" ", "operator", "reason"), ("r", "", "author")]
    {
        let error = sim.engine().resume(&alarm.id, reason, author).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(word), "{error}");
    }
    let error = sim.engine().resume(&[7; 16], "r", "a").unwrap_err();
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
    sim.machine.clock.advance(3 * HOUR_MS);
    sim.put("upload", "fresh");
    sim.machine.clock.step(-DAY_MS);
    sim.enforce();
    assert!(!sim.has("due"), "retention expired");
    let status = sim.engine().status().unwrap();
    assert_eq!(status.clock, ClockState::Behind { by_ms: DAY_MS });
    let needs = sim.engine().needs(&status).unwrap();
    assert!(needs.iter().any(|need| need.starts_with("the clock is behind by 86400000 ms")), "{needs:?}");
    sim.pass(DAY_MS);
    assert!(sim.has("fresh"), "trusted time waits until the clock has caught up");
    sim.pass(3 * HOUR_MS);
    assert!(!sim.has("fresh"));
    assert_eq!((causes(&sim), logged(&sim)), (vec![], vec![]));
    assert_eq!(sim.class("upload").ended.early, 0);
    sim.assert_sound();
}

#[test]
fn slow_drift_and_suspension_raise_no_alarm() {
    let sim = simulation();
    for day in 0..100 {
        sim.put("upload", &day.to_string());
        sim.machine.clock.advance(DAY_MS);
        sim.machine.clock.step(if day % 10 < 9 { 40_000 } else { -360_000 });
        sim.enforce();
    }
    sim.put("long", "a");
    sim.machine.clock.advance(90 * DAY_MS); // suspended: both clocks move
    sim.enforce();
    assert!(sim.machine.store.is_empty());
    assert_eq!((causes(&sim), logged(&sim)), (vec![], vec![]));
    sim.assert_sound();
}

/// Returns a host whose machine was off for this long.
fn off_for(ms: i64, synchronised: bool) -> Simulation {
    let mut sim = simulation();
    sim.put("upload", "a");
    sim.put("long", "b");
    sim.pass(HOUR_MS);
    sim.close();
    sim.machine.clock.advance(ms);
    sim.machine.clock.set_synchronised(synchronised);
    sim.reopen();
    sim.enforce();
    sim
}

#[test]
fn synchronised_clock_is_trusted_after_three_days_off() {
    let sim = off_for(3 * DAY_MS, true);
    assert!(!is_paused(&sim) && !sim.has("a") && sim.has("b"));
    assert_eq!(logged(&sim), []);
    sim.assert_sound();
}

#[test]
fn any_clock_is_trusted_after_half_an_hour_off() {
    let sim = off_for(HOUR_MS / 2, false);
    sim.pass(3 * HOUR_MS);
    assert!(!is_paused(&sim) && !sim.has("a"));
    assert_eq!(logged(&sim), []);
}

/// Deleting resumes without a person once the clock is NTP-synchronised.
#[test]
fn unsynchronised_clock_after_three_days_off_raises_an_alarm() {
    let mut sim = off_for(3 * DAY_MS, false);
    assert!(is_paused(&sim) && sim.has("a"));
    assert_eq!(causes(&sim), [AlarmCause::TimeOff]);
    sim.reopen();
    sim.pass(HOUR_MS);
    assert!(is_paused(&sim) && sim.has("a"));
    sim.put("upload", "c"); // registering continues

    sim.machine.clock.set_synchronised(true);
    sim.enforce();
    assert!(!is_paused(&sim) && !sim.has("a") && sim.has("b"));
    assert_eq!(sim.now_ms(), NEW_YEAR_MS + 3 * DAY_MS + 2 * HOUR_MS);
    assert_eq!(logged(&sim), [EventKind::Alarm, EventKind::Resume]);
    sim.assert_sound();
}

#[test]
fn operator_can_accept_the_clock_after_three_days_off() {
    let mut sim = off_for(3 * DAY_MS, false);
    resume(&sim);
    sim.lose_power();
    sim.enforce();
    assert!(!is_paused(&sim) && !sim.has("a") && sim.has("b"));
    sim.assert_sound();
}

/// Stores and registers many objects at once.
fn put_many(sim: &Simulation, class: &str, count: u32, prefix: &str, start_ms: i64) {
    for n in 0..count {
        sim.put_of(class, &format!("{prefix}/{n}"), prefix, Some(start_ms));
    }
}

fn tripped(class: &str) -> Vec<AlarmCause> {
    vec![AlarmCause::Breaker { class: class.into() }]
}

#[test]
fn bulk_import_forecast_a_slot_ahead_trips_no_breaker() {
    let sim = nervous_site();
    put_many(&sim, "upload", 2_000, "import", NEW_YEAR_MS);
    sim.pass(3 * HOUR_MS);
    assert!(sim.machine.store.is_empty());
    assert_eq!(causes(&sim), []);
    sim.assert_sound();
}

#[test]
fn import_with_starts_of_last_year_trips_before_any_deletion() {
    let sim = nervous_site();
    put_many(&sim, "upload", 50, "import", NEW_YEAR_MS - YEAR_MS);
    sim.pass(DAY_MS);
    assert_eq!(sim.machine.store.len(), 50);
    assert_eq!(causes(&sim), tripped("upload"));
    assert!(!is_paused(&sim), "other classes go on");
    assert_eq!(planned(&sim, sim.now_ms()), vec![Action::Stopped(tripped("upload").remove(0)); 50]);
    sim.assert_sound();
}

#[test]
fn wrong_class_file_trips_but_forecast_objects_still_go() {
    for reopen in [false, true] {
        let mut sim = nervous_site();
        put_many(&sim, "long", 200, "old", NEW_YEAR_MS);
        sim.pass(DAY_MS);
        // The class file says hours where it should say days.
        let wrong = ClassSet::from_toml("[class.long]\nwithin = \"3h\"\n").unwrap();
        sim.engine().define_classes(&wrong).unwrap();
        sim.machine.options.classes =
            wrong.and(ClassSet::from_toml("[class.upload]\nwithin = \"3h\"").unwrap());
        sim.engine().apply_class("long", "shorter now", "operator").unwrap();
        if reopen {
            sim.lose_power();
        }
        sim.enforce();
        assert_eq!((sim.machine.store.len(), causes(&sim)), (200, tripped("long")));

        // New objects of the class fall due as forecast, so they go on time, also after a restart.
        put_many(&sim, "long", 30, "new", sim.now_ms());
        if reopen {
            sim.lose_power();
        }
        sim.pass(3 * HOUR_MS);
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
    put_many(&sim, "long", 200, "old", NEW_YEAR_MS);
    sim.pass(DAY_MS);
    sim.engine().define_classes(&ClassSet::from_toml("[class.long]\nwithin = \"3h\"\n").unwrap()).unwrap();
    sim.engine().apply_class("long", "shorter now", "operator").unwrap();
    sim.enforce();
    sim.engine().define_classes(&ClassSet::from_toml("[class.long]\nwithin = \"30d\"\n").unwrap()).unwrap();
    sim.engine().apply_class("long", "it was a mistake", "operator").unwrap();
    sim.enforce();
    resume(&sim);
    sim.pass(28 * DAY_MS);
    assert_eq!(sim.machine.store.len(), 200);
    sim.pass(DAY_MS);
    assert!(sim.machine.store.is_empty());
    assert_eq!((sim.class("long").ended.late, sim.class("long").ended.early), (0, 0));
    sim.assert_sound();
}

#[test]
fn erasure_trips_the_breaker_only_if_it_matches_many() {
    let sim = nervous_site();
    put_many(&sim, "long", 200, "crowd", NEW_YEAR_MS);
    put_many(&sim, "long", 10, "anna", NEW_YEAR_MS);
    sim.pass(DAY_MS);
    sim.erase(subject("anna"));
    sim.enforce();
    assert!(!sim.has("anna/0"));
    assert_eq!(causes(&sim), []);

    sim.pass(DAY_MS);
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
    put_many(&sim, "long", 200, "crowd", NEW_YEAR_MS);
    sim.pass(DAY_MS);
    sim.engine().close_down(Selector::Class("long".into()), "no longer offered", "board").unwrap();
    sim.pass(HOUR_MS / 2);
    assert_eq!(sim.machine.store.len(), 200);
    sim.pass(HOUR_MS);
    assert!(sim.machine.store.is_empty());
    assert_eq!(causes(&sim), []);
    sim.assert_sound();
}

#[test]
fn registering_continues_while_the_class_is_stopped() {
    let sim = nervous_site();
    put_many(&sim, "upload", 50, "import", NEW_YEAR_MS - YEAR_MS);
    sim.enforce();
    assert_eq!(causes(&sim), tripped("upload"));
    let registration = Registration::new("upload", b"fresh");
    sim.engine().register(&[registration], Durability::Synced).unwrap();
    sim.put("long", "other");
    sim.pass(30 * DAY_MS);
    assert!(!sim.has("other"));
    assert_eq!(sim.class("upload").live, 50);
    sim.assert_sound();
}
