//! Objects that are registered or due while the wall clock is wrong: nothing goes before its floor, and once the clock is
//! right, everything gets its true time.

use sexton::decision::{AlarmCause, HoldKind, RequestKind, RequestState};
use sexton::report::Action;
use sexton::testing::Clock;
use sexton::{
    Attribution, Change, Durability, Erasure, ErrorKind, HoldName, NewHold, Previous, Registered,
    Registration, RegistrationId, Selector, Which,
};
use sexton_proof::receipt::Compliance;
use sexton_proof::time::Timestamp;
use sexton_tests::simulation::{Simulation, instant, key, subject};
use sexton_tests::{DAY, HOUR, MINUTE, Machine, NEW_YEAR};
use std::time::Duration;

const YEAR: Duration = Duration::from_hours(365 * 24);

/// Terms of each class, for an object registered at an instant: floor and ceiling in hours.
pub(crate) const CLASSES: &str = r#"
[class.kept]
keep = "2h"
within = "5h"
slot = "1s"
lead = "1s"

[class.archive]
keep = "2h"
slot = "1s"
lead = "1s"

[class.upload]
within = "3h"
slot = "1s"
lead = "1s"

[class.open]
within = "3h"
start = "explicit"
max_open = "1h"
slot = "1s"
lead = "1s"

[class.month]
keep = "30d"
slot = "1h"
lead = "1h"

[class.remembered]
within = "3h"
slot = "1s"
lead = "1s"
remember = "30d"

[class.noticed]
within = "90d"
slot = "24h"
lead = "24h"
"#;

/// Classes whose start is read from the clock, with the hours from registration to the end.
pub(crate) const READ_FROM_CLOCK: [(&str, u32); 4] =
    [("kept", 2), ("archive", 2), ("upload", 3), ("open", 4)];

pub(crate) fn simulation() -> Simulation {
    Simulation::new(CLASSES)
}

/// Returns a simulation on a machine whose clock is wrong from the beginning.
pub(crate) fn made_at(wrong: Timestamp) -> Simulation {
    let mut machine = Machine::new();
    machine.options.classes = sexton::ClassSet::from_toml(CLASSES).unwrap();
    machine.clock.set(wrong);
    Simulation::on(machine)
}

/// Ends the only alarm about the clock, as an operator who found the wall clock right.
pub(crate) fn accept(sim: &Simulation) {
    sim.enforce();
    let alarm = sim.engine().status().unwrap().alarms.remove(0);
    assert!(alarm.cause != AlarmCause::Breaker { class: String::new() });
    let attribution = Attribution::new("operator", "compared with a time server");
    sim.engine().resume(alarm.id, attribution).unwrap();
}

/// Stores an object whose key is the name of its class, and registers it without a start.
pub(crate) fn put(sim: &Simulation, class: &str) -> Registered {
    sim.machine.store.put(class.as_bytes(), b"v1");
    let registration = Registration::new(class, class.as_bytes()).version(b"v1");
    sim.engine().register(&[registration], Durability::Synced).unwrap().remove(0)
}

/// Sets the wall clock, and nothing else.
pub(crate) fn set_right(sim: &Simulation, right: Timestamp) {
    let now = sim.machine.clock.now();
    if right < now {
        sim.machine.clock.step_back(now.since(right));
    } else {
        sim.machine.clock.step_forward(right.since(now));
    }
}

pub(crate) fn needs(sim: &Simulation) -> Vec<String> {
    sim.engine().needs(&sim.engine().status().unwrap()).unwrap()
}

/// Lets time pass until the object has gone, and returns the time of its end.
pub(crate) fn end(sim: &Simulation, id: RegistrationId, key: &str) -> Timestamp {
    for _ in 0..60 {
        if !sim.has(key) {
            break;
        }
        sim.pass(HOUR / 2);
    }
    assert!(!sim.has(key), "{key} stays for ever");
    let verdict = sim.verdict(id, key);
    assert_ne!(verdict.compliance(), Compliance::Early { by: Duration::ZERO });
    assert!(verdict.floor.is_none_or(|floor| floor <= verdict.time), "{key} went early");
    verdict.time
}

#[test]
fn fresh_object_keeps_its_floor_after_a_clock_ten_years_ahead() {
    let right = NEW_YEAR;
    for accepts in [false, true] {
        let mut sim = made_at(right.saturating_add(10 * YEAR));
        sim.put("kept", "other");
        sim.enforce();
        set_right(&sim, right);
        let fresh = sim.put_of("month", "file", "", Some(right));
        sim.pass(DAY);
        sim.lose_power();
        sim.pass(DAY);
        assert!(sim.has("file"), "the object went on day 2 of 30");
        assert_eq!(sim.engine().status().unwrap().alarms[0].cause, AlarmCause::Behind);
        if accepts {
            accept(&sim);
            assert_eq!(sim.now(), right.saturating_add(2 * DAY));
            sim.lose_power();
            sim.pass(27 * DAY);
            assert!(sim.has("file"));
            sim.pass(2 * DAY);
            let verdict = sim.verdict(fresh, "file");
            assert_eq!((verdict.compliance(), verdict.start), (Compliance::Kept, right));
            assert!(sim.engine().status().unwrap().alarms.is_empty());
            assert_eq!(needs(&sim), Vec::<String>::new());
        } else {
            sim.pass(40 * DAY);
            assert!(sim.has("file"), "in doubt the object is kept");
        }
        assert_eq!(sim.class("month").ended.early, 0);
        sim.assert_sound();
    }
}

#[test]
fn folder_made_in_the_year_2100_recovers() {
    let wrong = instant("2100-06-01T00:00:00Z");
    let mut sim = made_at(wrong);
    let ids = READ_FROM_CLOCK.map(|(class, _)| sim.put(class, class));
    sim.pass(HOUR / 2);
    sim.engine().reclaim().unwrap();
    set_right(&sim, NEW_YEAR);
    sim.pass(MINUTE);
    accept(&sim);
    for (id, (class, hours)) in ids.into_iter().zip(READ_FROM_CLOCK) {
        // The object was registered half an hour before the clock was set right.
        let due = NEW_YEAR.saturating_add(hours * HOUR).saturating_sub(HOUR / 2);
        let ended = end(&sim, id, class);
        assert!(ended.since(due) <= 2 * MINUTE && due.since(ended) <= 2 * MINUTE, "{class}: {ended}");
    }
    sim.lose_power();
    let id = sim.put("kept", "later");
    let registered = sim.now();
    let ended = end(&sim, id, "later");
    assert!(ended.since(registered) >= 2 * HOUR && ended.since(registered) <= 3 * HOUR, "{ended}");
    sim.assert_sound();
}

/// The fence of a reclaim pass and its filter of the key index count on a time that goes on.
#[test]
fn registrations_after_time_went_back_have_their_own_slots_and_keys() {
    let mut sim = made_at(NEW_YEAR.saturating_add(YEAR));
    for number in 0..50 {
        sim.put("upload", &format!("old/{number}"));
    }
    sim.pass(4 * HOUR);
    sim.engine().reclaim().unwrap();
    set_right(&sim, NEW_YEAR);
    accept(&sim);
    for number in 0..50 {
        sim.put("upload", &format!("new/{number}"));
    }
    sim.engine().reclaim().unwrap();
    sim.lose_power();
    for number in 0..50 {
        assert!(sim.engine().find(format!("new/{number}").as_bytes()).unwrap().is_some());
    }
    sim.pass(3 * HOUR + MINUTE);
    assert!(sim.machine.store.is_empty(), "they wait for the slots of a wrong time");
    sim.assert_sound();
}

/// How a doubt about the clock ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The wall clock is set to the time that a correct clock shows.
    SetRight,
    /// An operator accepts the wall clock.
    Accepted,
}

/// Every class × every wrong time × every end of the doubt × a restart: the object goes at its true time.
#[test]
fn objects_registered_in_doubt_get_their_true_time() {
    let steps = [40 * DAY, 7_970 * YEAR].map(|span| (span, true)).into_iter();
    for (span, is_ahead) in steps.chain([(DAY, false), (YEAR, false)]) {
        for end_of_doubt in [End::SetRight, End::Accepted] {
            for restarts in [false, true] {
                let what = format!("{span:?} ahead: {is_ahead}, {end_of_doubt:?}, restart: {restarts}");
                let mut sim = simulation();
                sim.put("upload", "before");
                sim.enforce();
                let wrong = match is_ahead {
                    true => NEW_YEAR.saturating_add(span),
                    false => NEW_YEAR.saturating_sub(span),
                };
                set_right(&sim, wrong);
                sim.enforce();
                sim.machine.clock.advance(10 * MINUTE);
                let ids = READ_FROM_CLOCK.map(|(class, _)| put(&sim, class).id);
                if restarts {
                    sim.lose_power();
                }
                let registered = match end_of_doubt {
                    End::SetRight => {
                        set_right(&sim, NEW_YEAR.saturating_add(10 * MINUTE));
                        sim.enforce();
                        // After a restart only an operator can tell that the clock is right again.
                        if restarts && !sim.engine().status().unwrap().alarms.is_empty() {
                            accept(&sim);
                        }
                        NEW_YEAR.saturating_add(10 * MINUTE)
                    }
                    End::Accepted => {
                        accept(&sim);
                        wrong.saturating_add(10 * MINUTE)
                    }
                };
                assert_eq!(sim.now(), registered, "{what}");
                for (id, (class, hours)) in ids.into_iter().zip(READ_FROM_CLOCK) {
                    if sim.has(class) {
                        assert_eq!(put(&sim, class).previous, Previous::Identical, "{what}");
                    }
                    let due = registered.saturating_add(hours * HOUR);
                    let ended = end(&sim, id, class);
                    // After a restart the time off counts as well, so an object may go later, never earlier.
                    let late = if restarts { 12 * MINUTE } else { 2 * MINUTE };
                    let is_due = ended.since(due) <= late && due.since(ended) <= 2 * MINUTE;
                    assert!(is_due, "{what}: {class} went at {ended}, not at {due}");
                }
                assert_eq!(needs(&sim), Vec::<String>::new(), "{what}");
                assert_eq!(sim.class("kept").ended.early, 0, "{what}");
                sim.assert_sound();
            }
        }
    }
}

/// Returns a simulation that was off, and was opened again after `wake` set its clock. The clock is not NTP-synchronised.
fn after_time_off(wake: impl FnOnce(&Simulation)) -> Simulation {
    let mut sim = simulation();
    sim.put("upload", "before");
    sim.pass(HOUR);
    sim.close();
    sim.machine.clock.set_synchronised(false);
    wake(&sim);
    sim.reopen();
    sim
}

/// Asserts that an object of the class `kept` with the key "a" goes in time for its registration at `registered`.
fn assert_ends_in_time(sim: &Simulation, id: RegistrationId, registered: Timestamp) {
    let ended = end(sim, id, "a");
    let due = registered.saturating_add(2 * HOUR);
    assert!(ended >= due && ended.since(due) <= HOUR, "went at {ended}, and {due} is due");
    sim.assert_sound();
}

/// A machine without a battery starts in 1970. Its clock is set a little before the kernel reports it as synchronised.
#[test]
fn object_registered_in_1970_keeps_its_floor_once_the_clock_is_set() {
    let sim = after_time_off(|sim| set_right(sim, Timestamp::from_unix_ms(1_000)));
    sim.enforce();
    let id = sim.put("kept", "a");
    sim.machine.clock.advance(MINUTE);
    let truth = NEW_YEAR.saturating_add(3 * DAY);
    set_right(&sim, truth);
    sim.enforce();
    sim.machine.clock.set_synchronised(true);
    sim.enforce();
    assert_ends_in_time(&sim, id, truth.saturating_sub(MINUTE));
}

/// The service registers after a long time off, an operator accepts the clock with a command, and the service goes on.
#[test]
fn clock_accepted_in_an_opening_of_its_own_gives_true_starts() {
    let mut sim = after_time_off(|sim| sim.machine.clock.advance(40 * DAY));
    sim.enforce();
    let id = sim.put("kept", "a");
    let registered = sim.machine.clock.now();
    sim.lose_power();
    let alarm = sim.engine().status().unwrap().alarms.remove(0);
    sim.engine().resume(alarm.id, Attribution::new("operator", "the clock is right")).unwrap();
    sim.lose_power();
    assert_ends_in_time(&sim, id, registered);
}

/// Another command moves the recorded time on before anything was planned.
#[test]
fn doubt_whose_outcome_is_lost_never_gives_an_early_start() {
    let mut sim = after_time_off(|sim| sim.machine.clock.advance(40 * DAY));
    let id = sim.put("kept", "a");
    let registered = sim.machine.clock.now();
    sim.close();
    sim.machine.clock.set_synchronised(true);
    sim.reopen();
    sim.hold("other", key("nothing"));
    sim.lose_power();
    assert_ends_in_time(&sim, id, registered);
}

/// The last time of the wall clock counts, and the objects keep their distance from it.
#[test]
fn wall_clock_set_twice_in_a_doubt_gives_true_starts() {
    let later = |days: u32| NEW_YEAR.saturating_add(days * DAY);
    let earlier = |days: u32| NEW_YEAR.saturating_sub(days * DAY);
    let pairs = [
        (earlier(1), earlier(2)),
        (earlier(2), earlier(1)),
        (later(1), later(40)),
        (later(40), later(1)),
        (later(40), earlier(1)),
        (earlier(1), later(40)),
        (later(4_000), earlier(4_000)),
    ];
    for (first, second) in pairs {
        for restarts in [false, true] {
            let what = format!("{first}, then {second}, restart: {restarts}");
            let mut sim = simulation();
            sim.machine.clock.set_synchronised(false);
            sim.put("upload", "before");
            sim.enforce();
            set_right(&sim, first);
            sim.enforce();
            let ids = READ_FROM_CLOCK.map(|(class, _)| put(&sim, class).id);
            sim.machine.clock.advance(5 * MINUTE);
            sim.enforce();
            if restarts {
                sim.lose_power();
            }
            set_right(&sim, second);
            sim.enforce();
            sim.machine.clock.advance(5 * MINUTE);
            accept(&sim);
            let registered = second.saturating_sub(5 * MINUTE);
            for (id, (class, hours)) in ids.into_iter().zip(READ_FROM_CLOCK) {
                let due = registered.saturating_add(hours * HOUR);
                let ended = end(&sim, id, class);
                let is_early = class != "upload" && class != "open" && ended < due;
                assert!(
                    !is_early && due.since(ended) <= 2 * MINUTE,
                    "{what}: {class} went at {ended}, not at {due}"
                );
                // After a restart the time off counts as well.
                assert!(ended.since(due) <= 12 * MINUTE, "{what}: {class} went at {ended}, not at {due}");
                if !restarts {
                    assert!(ended.since(due) <= 2 * MINUTE, "{what}: {class} went at {ended}, not at {due}");
                }
            }
            assert_eq!(needs(&sim), Vec::<String>::new(), "{what}");
            sim.assert_sound();
        }
    }
}

/// The wall clock was right after all: it went back by an hour and caught up by itself.
#[test]
fn clock_that_catches_up_by_itself_had_been_right() {
    let sim = simulation();
    sim.pass(2 * HOUR);
    let stopped = sim.now();
    sim.machine.clock.step_back(HOUR);
    sim.enforce();
    sim.machine.clock.advance(10 * MINUTE);
    let id = sim.put("kept", "a");
    sim.pass(HOUR);
    assert!(sim.engine().status().unwrap().alarms.is_empty());
    let ended = end(&sim, id, "a");
    assert!(ended >= stopped.saturating_sub(50 * MINUTE).saturating_add(2 * HOUR), "{ended}");
    assert_eq!(sim.verdict(id, "a").start, stopped.saturating_sub(50 * MINUTE));
    sim.assert_sound();
}

#[test]
fn floor_is_judged_by_the_earlier_of_both_clocks() {
    let sim = simulation();
    let [kept, upload] = ["kept", "upload"].map(|class| sim.put(class, class));
    sim.machine.clock.set(NEW_YEAR.saturating_add(4 * HOUR));
    sim.engine().now();
    sim.machine.clock.step_back(3 * HOUR);
    sim.enforce();
    assert!(sim.has("kept"), "by the wall clock an hour has passed, and the floor is two");
    assert!(!sim.has("upload"), "without a floor the object is overdue by the trusted time");
    let planned: Vec<Action> =
        sim.engine().plan(Timestamp::MAX).unwrap().map(|planned| planned.unwrap().action).collect();
    assert_eq!(planned, [Action::Stopped(AlarmCause::Behind)]);
    sim.pass(3 * HOUR);
    assert!(!sim.has("kept"));
    for (id, key) in [(kept, "kept"), (upload, "upload")] {
        assert_ne!(sim.receipt(id, key).0, Compliance::Early { by: HOUR });
    }
    sim.assert_sound();
}

/// A batch that was handed out before the clock went back comes again with its intent.
#[test]
fn batch_of_a_wrong_time_does_not_go_early_when_it_comes_again() {
    let mut sim = made_at(NEW_YEAR.saturating_add(YEAR));
    let id = sim.put_of("kept", "a", "", Some(NEW_YEAR));
    let batch = sim.engine().next_batch().unwrap().unwrap();
    assert_eq!(batch.len(), 1);
    drop(batch);
    sim.close();
    set_right(&sim, NEW_YEAR.saturating_add(MINUTE));
    sim.reopen();
    sim.enforce();
    assert!(sim.has("a"));
    accept(&sim);
    let ended = end(&sim, id, "a");
    assert!(
        ended >= NEW_YEAR.saturating_add(2 * HOUR) && ended <= NEW_YEAR.saturating_add(3 * HOUR),
        "{ended}"
    );
    sim.assert_sound();
}

#[test]
fn time_does_not_go_back_while_batches_are_out() {
    let sim = made_at(NEW_YEAR.saturating_add(YEAR));
    sim.put_of("upload", "a", "", Some(NEW_YEAR));
    let batch = sim.engine().next_batch().unwrap().unwrap();
    set_right(&sim, NEW_YEAR);
    sim.engine().next_batch().unwrap();
    let before = sim.engine().status().unwrap();
    let resume = || sim.engine().resume(before.alarms[0].id, Attribution::new("a", "r"));
    assert_eq!(resume().unwrap_err().kind(), ErrorKind::Busy);
    let after = sim.engine().status().unwrap();
    assert_eq!(
        (after.alarms, after.log_size, after.as_of),
        (before.alarms.clone(), before.log_size, before.as_of)
    );
    sim.engine().complete(batch).unwrap();
    resume().unwrap();
    assert_eq!(sim.now(), NEW_YEAR);
    sim.assert_sound();
}

/// The clock of the desk was wrong as well. Once it is right, the erasure counts as received now.
#[test]
fn receipt_stated_by_a_wrong_clock_does_not_delay_the_erasure() {
    let mut sim = simulation();
    sim.put_of("archive", "a", "anna", None);
    sim.enforce();
    set_right(&sim, NEW_YEAR.saturating_add(10 * YEAR));
    let erasure = Erasure::new(subject("anna"), sim.machine.clock.now(), Attribution::new("desk", "asked"));
    let erasure = erasure.within("30d".parse().unwrap()).cancellable(HOUR);
    let number = sim.engine().erase(erasure).unwrap().number;
    set_right(&sim, NEW_YEAR);
    sim.enforce();
    sim.lose_power();
    let request = sim.engine().requests().unwrap().into_iter().find(|r| r.number == number).unwrap();
    assert_eq!((request.received, request.ready), (NEW_YEAR, NEW_YEAR.saturating_add(HOUR)));
    assert_eq!(request.answer_by, Some(NEW_YEAR.saturating_add(30 * DAY)));
    sim.pass(3 * HOUR);
    assert!(!sim.has("a"));
    sim.assert_sound();
}

/// Returns a machine whose clock agreed at [`NEW_YEAR`] and was set wrong, or right, by a day since. An hour passed.
fn in_doubt(ahead: bool) -> Simulation {
    let sim = simulation();
    sim.enforce();
    let step = if ahead { NEW_YEAR.saturating_add(DAY) } else { NEW_YEAR.saturating_sub(DAY) };
    set_right(&sim, step);
    sim.machine.clock.advance(HOUR);
    sim
}

/// A review date that has passed by one clock only may lie in the future.
#[test]
fn review_date_in_doubt_is_judged_by_the_earlier_clock() {
    for (ahead, earliest) in
        [(true, NEW_YEAR.saturating_add(HOUR)), (false, NEW_YEAR.saturating_sub(DAY - HOUR))]
    {
        let sim = in_doubt(ahead);
        let place = |name: &str, review| {
            let who = Attribution::new("counsel", "order");
            let name = HoldName::new(name).unwrap();
            let hold = NewHold::new(name, Selector::Everything, HoldKind::Temporary, who, review);
            sim.engine().place_hold(hold).map(drop).map_err(|error| error.kind())
        };
        assert_eq!(place("past", earliest), Err(ErrorKind::Invalid), "{ahead}");
        assert_eq!(place("next", earliest.saturating_add(MINUTE)), Ok(()), "{ahead}");
    }
}

/// A receipt that is in the future by one clock only may be true.
#[test]
fn receipt_in_doubt_is_judged_by_the_later_clock() {
    for (ahead, latest) in
        [(true, NEW_YEAR.saturating_add(DAY + HOUR)), (false, NEW_YEAR.saturating_add(HOUR))]
    {
        let sim = in_doubt(ahead);
        let erase = |received| {
            let who = Attribution::new("desk", "asked");
            let erasure = Erasure::new(key("a"), received, who);
            sim.engine().erase(erasure).map(drop).map_err(|error| error.kind())
        };
        assert_eq!(erase(latest.saturating_add(MINUTE)), Err(ErrorKind::Invalid), "{ahead}");
        assert_eq!(erase(latest), Ok(()), "{ahead}");
    }
}

#[test]
fn start_that_the_host_stated_by_a_wrong_clock_is_listed() {
    let sim = made_at(NEW_YEAR.saturating_add(YEAR));
    let wrong = sim.now();
    sim.put_of("kept", "stated", "", Some(wrong));
    sim.put("kept", "read");
    set_right(&sim, NEW_YEAR);
    accept(&sim);
    sim.enforce();
    let needs_now = needs(&sim);
    assert!(
        needs_now.iter().any(|need| need.starts_with("the clock was wrong, and 1 object")),
        "{needs_now:?}"
    );
    let requests = sim.engine().requests().unwrap();
    let back = requests.iter().find(|request| matches!(request.kind, RequestKind::Back { .. })).unwrap();
    assert_eq!((back.state, back.objects), (RequestState::Found, 1));
    let listed = sim.engine().erasure_objects(back.number).unwrap();
    assert_eq!(listed.iter().map(|object| &object.key[..]).collect::<Vec<_>>(), [b"stated"]);

    let of = Which::Key(b"stated");
    sim.change(Change::Reschedule { of, class: None, start: Some(NEW_YEAR) }).unwrap();
    assert_eq!(needs(&sim), Vec::<String>::new());
    sim.pass(3 * HOUR);
    assert!(!sim.has("stated") && !sim.has("read"));
    let requests = sim.engine().requests().unwrap();
    assert!(requests.iter().all(|request| request.state == RequestState::Finished), "{requests:?}");
    sim.assert_sound();
}

/// Decisions that were made by the wrong time take effect by the true one.
#[test]
fn decisions_made_by_a_wrong_clock_do_not_wait_for_its_time() {
    let sim = made_at(NEW_YEAR.saturating_add(YEAR));
    let held = sim.put("upload", "held");
    sim.put_of("archive", "erased", "anna", None);
    sim.put("upload", "failing");
    sim.hold("case", key("held"));
    let erasure = Erasure::new(subject("anna"), sim.now(), Attribution::new("desk", "asked"));
    sim.engine().erase(erasure.cancellable(HOUR)).unwrap();
    sim.machine.store.set_failure_mode(b"failing", Some(sexton_tests::FailureMode::Fails));
    sim.pass(4 * HOUR);
    assert_eq!(sim.class("upload").held, 1);
    set_right(&sim, NEW_YEAR);
    accept(&sim);
    sim.machine.store.set_failure_mode(b"failing", None);
    sim.enforce();
    sim.pass(2 * HOUR);
    assert!(!sim.has("failing"), "its retry waits for the wrong time");
    assert!(!sim.has("erased"), "the erasure waits for the wrong time");
    assert!(sim.has("held"));
    sim.lift("case", Duration::ZERO);
    sim.pass(Duration::from_secs(3));
    assert!(!sim.has("held"));
    assert!(sim.engine().receipt(held, sexton::Opener::Key(b"held")).is_ok());
    sim.assert_sound();
}

#[test]
fn hold_is_not_lifted_while_the_clock_is_in_doubt() {
    for (ahead, kind) in [(true, HoldKind::Event), (true, HoldKind::Temporary), (false, HoldKind::Event)] {
        let sim = simulation();
        sim.put("kept", "a");
        sim.hold_of("case", Selector::Everything, kind);
        sim.enforce();
        let step = if ahead { NEW_YEAR.saturating_add(DAY) } else { NEW_YEAR.saturating_sub(DAY) };
        set_right(&sim, step);
        let name = HoldName::new("case").unwrap();
        let lift = || sim.engine().lift_hold(&name, Attribution::new("counsel", "over"), Duration::ZERO);
        assert_eq!(lift().unwrap_err().kind(), ErrorKind::Busy);
        set_right(&sim, NEW_YEAR);
        lift().unwrap();
    }
}

#[test]
fn registration_in_each_new_doubt_belongs_to_that_doubt() {
    let sim = simulation();
    let mut ids = Vec::new();
    for (number, key) in ["first", "second"].into_iter().enumerate() {
        sim.machine.clock.step_forward(10 * DAY);
        sim.enforce();
        ids.push((sim.put("kept", key), key, sim.machine.clock.now()));
        sim.machine.clock.step_back(10 * DAY);
        sim.enforce();
        sim.pass(MINUTE);
        let requests = sim.engine().requests().unwrap();
        assert_eq!(requests.len(), number + 1);
        assert!(requests.iter().all(|request| request.objects == 1 && !request.is_open()), "{requests:?}");
    }
    for (id, key, wrong) in ids {
        let ended = end(&sim, id, key);
        let true_start = wrong.saturating_sub(10 * DAY);
        assert_eq!(sim.verdict(id, key).start, true_start);
        assert!(ended.since(true_start) <= 2 * HOUR + 2 * MINUTE);
    }
    sim.assert_sound();
}

#[test]
fn floor_holds_for_both_times_until_the_doubt_ends() {
    let kept = "[class.kept]\nkeep = \"1h\"\nwithin = \"3h\"\n[class.upload]\nwithin = \"3h\"\n";
    let sim = Simulation::new(kept);
    let engine = sim.engine();
    engine.now();
    sim.machine.clock.step_forward(2 * HOUR);
    let trusted = engine.now();
    let wall = trusted.saturating_add(2 * HOUR);
    let both = [Registration::new("kept", b"kept"), Registration::new("upload", b"upload")];
    let ids = engine.register(&both, Durability::Synced).unwrap();
    let of = |id| {
        engine.plan(Timestamp::MAX).unwrap().map(Result::unwrap).find(|planned| planned.id == id).unwrap()
    };
    assert_eq!(of(ids[0].id).floor, Some(wall.saturating_add(HOUR)), "by either clock");
    let earlier = trusted.saturating_add(3 * HOUR);
    assert_eq!(of(ids[1].id).ceiling, Some(earlier), "without a floor the earlier time is the safe one");
    accept(&sim);
    assert_eq!(engine.now(), wall, "the wall clock was right");
    assert_eq!(of(ids[0].id).floor, Some(wall.saturating_add(HOUR)), "an hour from its true arrival");
    assert_eq!(of(ids[1].id).ceiling, Some(wall.saturating_add(3 * HOUR)));
}
