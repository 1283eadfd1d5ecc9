//! Wrong clocks and wrong classes: deleting stops before it is too late, asks, and goes on when it may.

use crate::site::{DAY_MS, MINUTE_MS, Site, subject};
use sexton::kv::Family;
use sexton::{
    Action, AlarmCause, BreakerLimits, ClassSet, ClockState, Durability, ErrorKind, Registration, Selector,
    State,
};
use sexton_proof::leaf::{EventKind, Leaf};
use sexton_proof::record::Reason;
use sexton_tests::{HOUR_MS, Machine, NEW_YEAR_MS};
use std::ops::ControlFlow;

const YEAR_MS: i64 = 365 * DAY_MS;
const CLASSES: &str = "[class.upload]\nwithin = \"3h\"\n[class.long]\nwithin = \"30d\"\n";

fn site() -> Site {
    Site::new(CLASSES)
}

/// A site whose breaker trips at more than ten surprises, or a tenth of a class.
fn nervous_site() -> Site {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
    machine.options.breaker = BreakerLimits { objects: 10, share_percent: 10 };
    Site::on(machine)
}

fn causes(site: &Site) -> Vec<AlarmCause> {
    site.engine().status().unwrap().alarms.into_iter().map(|alarm| alarm.cause).collect()
}

fn is_paused(site: &Site) -> bool {
    matches!(site.engine().status().unwrap().state, State::Paused(_))
}

/// Ends the only alarm.
fn resume(site: &Site) {
    let alarm = site.engine().status().unwrap().alarms.remove(0);
    site.engine().resume(&alarm.id, "looked at the time server", "operator").unwrap();
}

/// The alarms and resumptions in the log, in order.
fn logged(site: &Site) -> Vec<EventKind> {
    let image = site.machine.kv.image();
    let leaves = image[&Family::Log].values().filter_map(|entry| Leaf::parse(entry).ok());
    let mut events: Vec<_> = leaves
        .filter_map(|leaf| match leaf {
            Leaf::Event(event) => Some((event.logged_ms, event.kind == EventKind::Resume, event.kind)),
            _ => None,
        })
        .collect();
    events.sort_by_key(|(logged_ms, is_resume, _)| (*logged_ms, *is_resume));
    events.into_iter().map(|(.., kind)| kind).collect()
}

/// What would be done with every object whose time comes by then.
fn planned(site: &Site, until_ms: i64) -> Vec<Action> {
    let mut actions = Vec::new();
    site.engine()
        .plan(until_ms, &mut |forecast| {
            actions.push(forecast.action);
            ControlFlow::Continue(())
        })
        .unwrap();
    actions
}

#[test]
fn what_is_registered_while_the_clock_is_in_doubt_has_its_floor_whichever_time_is_right() {
    let kept = "[class.kept]\nkeep = \"1h\"\nwithin = \"3h\"\n[class.upload]\nwithin = \"3h\"\n";
    let site = Site::new(kept);
    let engine = site.engine();
    engine.now_ms();
    site.machine.clock.step(2 * HOUR_MS);
    let trusted_ms = engine.now_ms();
    let wall_ms = trusted_ms + 2 * HOUR_MS;
    let both = [Registration::new("kept", b"kept"), Registration::new("upload", b"upload")];
    let ids = engine.register(&both, Durability::Synced).unwrap();
    engine.next_batch().unwrap();
    resume(&site);
    assert_eq!(engine.now_ms(), wall_ms, "the wall was right");
    let mut floors = Vec::new();
    engine
        .plan(i64::MAX, &mut |one| {
            floors.push((one.id, one.floor_ms, one.ceiling_ms));
            ControlFlow::Continue(())
        })
        .unwrap();
    let of = |id| floors.iter().find(|(one, ..)| *one == id).copied().unwrap();
    assert_eq!(of(ids[0].id).1, wall_ms + HOUR_MS, "an hour from when it really came");
    assert_eq!(of(ids[1].id).2, trusted_ms + 3 * HOUR_MS, "without a floor the earlier time is the safe one");
}

#[test]
fn a_clock_that_jumps_a_year_ahead_stops_deleting_while_registering_goes_on() {
    let site = site();
    site.put("upload", "a");
    site.put("long", "b");
    site.machine.clock.step(YEAR_MS);
    site.enforce();
    site.put("upload", "c");
    site.pass(4 * HOUR_MS);
    assert_eq!(site.machine.store.len(), 3);
    assert!(is_paused(&site));
    assert_eq!(causes(&site), [AlarmCause::Clock]);
    assert_eq!(site.now_ms(), NEW_YEAR_MS + 4 * HOUR_MS, "the year is not believed");
    assert_eq!(planned(&site, site.now_ms()), vec![Action::Stopped(AlarmCause::Clock); 2]);
    assert_eq!(logged(&site), [EventKind::Alarm]);
    site.assert_sound();
}

#[test]
fn a_step_that_is_undone_resumes_by_itself_and_both_are_on_record() {
    let site = site();
    let id = site.put("upload", "a");
    site.machine.clock.step(YEAR_MS);
    site.pass(2 * HOUR_MS);
    site.machine.clock.step(-YEAR_MS);
    site.enforce();
    assert!(!is_paused(&site) && site.has("a"));
    site.pass(HOUR_MS);
    assert_eq!(site.receipt(id, "a").2, Reason::Due);
    assert_eq!(logged(&site), [EventKind::Alarm, EventKind::Resume]);
    site.assert_sound();
}

#[test]
fn reopening_does_not_end_the_alarm_that_a_step_raised_whatever_the_kernel_says() {
    let mut site = site();
    site.put("long", "a");
    site.pass(HOUR_MS);
    site.machine.clock.step(YEAR_MS);
    site.enforce();
    for _ in 0..3 {
        site.lose_power();
        site.pass(MINUTE_MS);
        assert!(is_paused(&site) && site.has("a"));
        assert_eq!(causes(&site), [AlarmCause::Clock]);
    }
    resume(&site);
    site.enforce();
    assert!(!site.has("a"), "a person has looked: it is a year later");
    assert_eq!(logged(&site), [EventKind::Alarm, EventKind::Resume]);
    site.assert_sound();
}

#[test]
fn resuming_needs_a_reason_and_an_alarm_and_what_was_said_cannot_be_changed_later() {
    let mut site = site();
    site.put("upload", "a");
    site.machine.clock.step(YEAR_MS);
    site.enforce();
    let alarm = site.engine().status().unwrap().alarms.remove(0);
    for (reason, author, word) in
        [("", "operator", "reason"), (" ", "operator", "reason"), ("r", "", "author")]
    {
        let error = site.engine().resume(&alarm.id, reason, author).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(word), "{error}");
    }
    let error = site.engine().resume(&[7; 16], "r", "a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(is_paused(&site) && site.has("a"));

    resume(&site);
    site.enforce();
    assert!(!is_paused(&site) && !site.has("a"));
    site.assert_sound();
    site.lose_power();
    assert!(!is_paused(&site));

    // The log has a commitment to the text, so another text is found out.
    let mut image = site.machine.kv.image();
    for text in image.get_mut(&Family::Meta).unwrap().values_mut() {
        let said = b"looked at the time server";
        if let Some(at) = text.windows(said.len()).position(|window| window == said) {
            text[at..at + said.len()].copy_from_slice(b"looked at the calendar...");
        }
    }
    site.close();
    site.machine.kv.restore(image);
    site.reopen();
    assert!(!site.engine().check().unwrap().is_sound());
}

#[test]
fn a_clock_that_goes_back_a_day_un_expires_nothing_and_deletes_nothing_early() {
    let site = site();
    site.put("upload", "due");
    site.machine.clock.advance(3 * HOUR_MS);
    site.put("upload", "fresh");
    site.machine.clock.step(-DAY_MS);
    site.enforce();
    assert!(!site.has("due"), "its time had come");
    let status = site.engine().status().unwrap();
    assert_eq!(status.clock, ClockState::Behind { by_ms: DAY_MS });
    let needs = site.engine().needs(&status).unwrap();
    assert!(needs.iter().any(|need| need.starts_with("the clock is behind by 86400000 ms")), "{needs:?}");
    site.pass(DAY_MS);
    assert!(site.has("fresh"), "time stood still until the clock had caught up");
    site.pass(3 * HOUR_MS);
    assert!(!site.has("fresh"));
    assert_eq!((causes(&site), logged(&site)), (vec![], vec![]));
    assert_eq!(site.class("upload").ended.early, 0);
    site.assert_sound();
}

#[test]
fn a_clock_that_drifts_slowly_and_a_machine_that_was_suspended_raise_no_alarm() {
    let site = site();
    for day in 0..100 {
        site.put("upload", &day.to_string());
        site.machine.clock.advance(DAY_MS);
        site.machine.clock.step(if day % 10 < 9 { 40_000 } else { -360_000 });
        site.enforce();
    }
    site.put("long", "a");
    site.machine.clock.advance(90 * DAY_MS); // suspended: both clocks move
    site.enforce();
    assert!(site.machine.store.is_empty());
    assert_eq!((causes(&site), logged(&site)), (vec![], vec![]));
    site.assert_sound();
}

/// A site that was off for so long.
fn off_for(ms: i64, synchronised: bool) -> Site {
    let mut site = site();
    site.put("upload", "a");
    site.put("long", "b");
    site.pass(HOUR_MS);
    site.close();
    site.machine.clock.advance(ms);
    site.machine.clock.set_synchronised(synchronised);
    site.reopen();
    site.enforce();
    site
}

#[test]
fn after_three_days_off_a_synchronised_clock_is_believed() {
    let site = off_for(3 * DAY_MS, true);
    assert!(!is_paused(&site) && !site.has("a") && site.has("b"));
    assert_eq!(logged(&site), []);
    site.assert_sound();
}

#[test]
fn after_half_an_hour_off_any_clock_is_believed() {
    let site = off_for(HOUR_MS / 2, false);
    site.pass(3 * HOUR_MS);
    assert!(!is_paused(&site) && !site.has("a"));
    assert_eq!(logged(&site), []);
}

#[test]
fn after_three_days_off_an_unsynchronised_clock_asks_and_goes_on_by_itself_once_it_is_synchronised() {
    let mut site = off_for(3 * DAY_MS, false);
    assert!(is_paused(&site) && site.has("a"));
    assert_eq!(causes(&site), [AlarmCause::TimeOff]);
    site.reopen();
    site.pass(HOUR_MS);
    assert!(is_paused(&site) && site.has("a"));
    site.put("upload", "c"); // registering goes on

    site.machine.clock.set_synchronised(true);
    site.enforce();
    assert!(!is_paused(&site) && !site.has("a") && site.has("b"));
    assert_eq!(site.now_ms(), NEW_YEAR_MS + 3 * DAY_MS + 2 * HOUR_MS);
    assert_eq!(logged(&site), [EventKind::Alarm, EventKind::Resume]);
    site.assert_sound();
}

#[test]
fn after_three_days_off_a_person_can_vouch_for_the_clock() {
    let mut site = off_for(3 * DAY_MS, false);
    resume(&site);
    site.lose_power();
    site.enforce();
    assert!(!is_paused(&site) && !site.has("a") && site.has("b"));
    site.assert_sound();
}

/// Stores and registers many objects at once.
fn put_many(site: &Site, class: &str, count: u32, prefix: &str, start_ms: i64) {
    for n in 0..count {
        site.put_of(class, &format!("{prefix}/{n}"), prefix, Some(start_ms));
    }
}

fn tripped(class: &str) -> Vec<AlarmCause> {
    vec![AlarmCause::Breaker { class: class.into() }]
}

#[test]
fn a_bulk_import_that_makes_a_peak_does_not_trip_the_breaker() {
    let site = nervous_site();
    put_many(&site, "upload", 2_000, "import", NEW_YEAR_MS);
    site.pass(3 * HOUR_MS);
    assert!(site.machine.store.is_empty());
    assert_eq!(causes(&site), []);
    site.assert_sound();
}

#[test]
fn an_import_with_instants_of_last_year_trips_it_before_anything_is_deleted() {
    let site = nervous_site();
    put_many(&site, "upload", 50, "import", NEW_YEAR_MS - YEAR_MS);
    site.pass(DAY_MS);
    assert_eq!(site.machine.store.len(), 50);
    assert_eq!(causes(&site), tripped("upload"));
    assert!(!is_paused(&site), "other classes go on");
    assert_eq!(planned(&site, site.now_ms()), vec![Action::Stopped(tripped("upload").remove(0)); 50]);
    site.assert_sound();
}

#[test]
fn a_wrong_class_file_applied_to_everything_trips_it_and_what_was_forecast_still_goes() {
    for reopen in [false, true] {
        let mut site = nervous_site();
        put_many(&site, "long", 200, "old", NEW_YEAR_MS);
        site.pass(DAY_MS);
        // Somebody wrote h for d.
        let wrong = ClassSet::from_toml("[class.long]\nwithin = \"3h\"\n").unwrap();
        site.engine().define(&wrong).unwrap();
        site.machine.options.classes =
            wrong.and(ClassSet::from_toml("[class.upload]\nwithin = \"3h\"").unwrap());
        site.engine().apply_class("long", "shorter now", "operator").unwrap();
        if reopen {
            site.lose_power();
        }
        site.enforce();
        assert_eq!((site.machine.store.len(), causes(&site)), (200, tripped("long")));

        // New objects of the class, which everybody expected, go on their time, also after a restart.
        put_many(&site, "long", 30, "new", site.now_ms());
        if reopen {
            site.lose_power();
        }
        site.pass(3 * HOUR_MS);
        assert_eq!((site.machine.store.len(), causes(&site)), (200, tripped("long")));
        assert!(site.has("old/0") && !site.has("new/0"));

        // A person looks, finds that it was meant so, and resumes.
        resume(&site);
        site.enforce();
        assert!(site.machine.store.is_empty() && causes(&site).is_empty());
        assert_eq!(logged(&site), [EventKind::Alarm, EventKind::Resume]);
        site.assert_sound();
    }
}

#[test]
fn a_wrong_class_file_that_tripped_it_can_be_put_right_without_loss() {
    let site = nervous_site();
    put_many(&site, "long", 200, "old", NEW_YEAR_MS);
    site.pass(DAY_MS);
    site.engine().define(&ClassSet::from_toml("[class.long]\nwithin = \"3h\"\n").unwrap()).unwrap();
    site.engine().apply_class("long", "shorter now", "operator").unwrap();
    site.enforce();
    site.engine().define(&ClassSet::from_toml("[class.long]\nwithin = \"30d\"\n").unwrap()).unwrap();
    site.engine().apply_class("long", "it was a mistake", "operator").unwrap();
    site.enforce();
    resume(&site);
    site.pass(28 * DAY_MS);
    assert_eq!(site.machine.store.len(), 200);
    site.pass(DAY_MS);
    assert!(site.machine.store.is_empty());
    assert_eq!((site.class("long").ended.late, site.class("long").ended.early), (0, 0));
    site.assert_sound();
}

#[test]
fn erasing_one_small_subject_never_trips_it_and_erasing_a_crowd_does() {
    let site = nervous_site();
    put_many(&site, "long", 200, "crowd", NEW_YEAR_MS);
    put_many(&site, "long", 10, "anna", NEW_YEAR_MS);
    site.pass(DAY_MS);
    site.erase(subject("anna"));
    site.enforce();
    assert!(!site.has("anna/0"));
    assert_eq!(causes(&site), []);

    site.pass(DAY_MS);
    site.erase(subject("crowd"));
    site.enforce();
    assert_eq!((site.machine.store.len(), causes(&site)), (200, tripped("long")));
    resume(&site);
    site.enforce();
    assert!(site.machine.store.is_empty());
    site.assert_sound();
}

#[test]
fn closing_down_is_announced_a_slot_ahead_and_so_does_not_trip_it() {
    let site = nervous_site();
    put_many(&site, "long", 200, "crowd", NEW_YEAR_MS);
    site.pass(DAY_MS);
    site.engine().close_down(Selector::Class("long".into()), "no longer offered", "board").unwrap();
    site.pass(HOUR_MS / 2);
    assert_eq!(site.machine.store.len(), 200);
    site.pass(HOUR_MS);
    assert!(site.machine.store.is_empty());
    assert_eq!(causes(&site), []);
    site.assert_sound();
}

#[test]
fn registering_goes_on_while_a_class_is_stopped() {
    let site = nervous_site();
    put_many(&site, "upload", 50, "import", NEW_YEAR_MS - YEAR_MS);
    site.enforce();
    assert_eq!(causes(&site), tripped("upload"));
    let item = Registration::new("upload", b"fresh");
    site.engine().register(&[item], Durability::Synced).unwrap();
    site.put("long", "other");
    site.pass(30 * DAY_MS);
    assert!(!site.has("other"));
    assert_eq!(site.class("upload").live, 50);
    site.assert_sound();
}
