//! Precedence of promises that apply to one object: every pair, in both orders if that makes a difference.

use sexton::decision::HoldKind;
use sexton::report::Action;
use sexton::{
    Attribution, Change, Durability, ErrorKind, Registration, RegistrationId, Result, Selector, Which,
};
use sexton_proof::receipt::Compliance;
use sexton_proof::time::Timestamp;
use sexton_tests::simulation::{Simulation, key};
use sexton_tests::{HOUR, NEW_YEAR};
use std::collections::BTreeSet;
use std::time::Duration;

/// Classes with slots of a second, so that an end at an hour is exact to the second.
const CLASSES: &str = r#"
[class.plain]
within = "10h"
slot = "1s"
lead = "1s"

[class.shorter]
within = "5h"
slot = "1s"
lead = "1s"

[class.longer]
within = "15h"
slot = "1s"
lead = "1s"

[class.floored]
keep = "4h"
within = "10h"
slot = "1s"
lead = "1s"

[class.later-floor]
keep = "6h"
within = "20h"
slot = "1s"
lead = "1s"

[class.rewritten]
within = "10h"
disposition = "anonymise"
slot = "1s"
lead = "1s"

[class.floored-rewritten]
keep = "4h"
within = "10h"
disposition = "anonymise"
slot = "1s"
lead = "1s"

[class.open]
within = "10h"
start = "explicit"
max_open = "20h"
slot = "1s"
lead = "1s"

[class.open-floored]
keep = "4h"
within = "10h"
start = "explicit"
max_open = "20h"
slot = "1s"
lead = "1s"

[class.open-rewritten]
within = "10h"
start = "explicit"
max_open = "20h"
disposition = "anonymise"
slot = "1s"
lead = "1s"
"#;

const WORDS: [&str; 10] = [
    "hold",
    "floor",
    "erasure",
    "ceiling",
    "release",
    "replacement",
    "anonymise",
    "closing",
    "reschedule",
    "start",
];

/// Table of all pairs. The columns are: pair, class, steps, fate, reason for people.
///
/// An object is registered in the class at hour 0. Each step is an hour and an action. After a comma, due objects go
/// before the next step. Between steps joined by a plus, nothing is planned. A step with a `!` is refused. The number
/// after `lift` is the grace in hours. `replace` registers the key again, `to` reschedules to another class, and `from` to another start.
///
/// A fate has the method, the hour and the reason of the end. The number after it counts the hours past the ceiling,
/// excused by a hold (`after-hold`) or not (`late`). The fate of the newer registration follows a `/`.
///
/// The rules: a hold wins over everything, a floor over an erasure, an erasure over a ceiling and over the grace of a lifted
/// hold. A lifted event hold restarts the time of whatever it covered, also of what is to be erased. A lifted hold gives its
/// grace to whatever it covered that had fallen due before, by its present terms; the longest grace counts, up to a ceiling
/// that had not passed at the lift (`graces.rs` has more). A call that would take an object out of a hold or a waiting
/// erasure is refused (`repeated.rs`, `waiting_erasures.rs`). The order of decisions
/// does not matter. Of two ceilings the earlier counts, of two floors the later. An object that the host deleted itself has ended. Other terms replace the
/// earlier ones, and the evidence says if they were looser.
const TABLE: &str = "
hold floor           | floored           | 1 hold, 2 lift                       | deleted 4 due               | a floor counts as if there had been no hold
hold floor           | floored           | 1 hold, 7 lift                       | deleted 7 due               | the hold, as long as it stands
hold floor           | floored           | 5 hold                               | deleted 4 due               | it was gone before
hold erasure         | plain             | 1 hold, 2 erase, 5 lift              | deleted 5 erasure           | the hold, and the erasure waits for it
hold erasure         | plain             | 1 erase + 1 hold, 5 lift             | deleted 5 erasure           | the hold, though it came second
hold erasure         | plain             | 1 hold + 1 erase                     | stays                       | the hold
hold erasure         | plain             | 1 hold, 2 erase, 12 lift             | deleted 12 lifted after-hold 2 | the hold, and it is why the object is late
hold floor           | floored           | 1 hold, 6 lift 2                     | deleted 8 due               | the grace, because its floor passed under the hold
hold floor           | floored           | 1 hold, 3 lift 5                     | deleted 4 due               | no grace, because the lift came before
hold erasure         | floored           | 1 hold, 5 erase, 6 lift 2            | deleted 6 erasure           | an erasure does not wait for a grace
hold erasure         | floored           | 1 erase, 2 hold, 3 lift              | deleted 4 erasure           | the floor, then the erasure
hold erasure         | floored           | 1 erase, 2 hold-event, 6 lift        | deleted 10 erasure          | the floor, which counts from the lift
hold erasure         | floored           | 1 hold-event, 2 erase, 6 lift        | deleted 10 erasure          | the same, asked under the hold
hold erasure         | floored           | 1 hold-event, 6 lift, 7 erase        | deleted 10 erasure          | the same, asked after the hold
hold erasure         | plain             | 1 erase + 1 hold-event, 6 lift       | deleted 6 erasure           | no floor: the hold, as long as it stands
hold erasure         | plain             | 1 hold, 2 erase, 12 lift 5           | deleted 12 lifted after-hold 2 | an erasure does not wait for a grace
hold erasure         | plain             | 1 hold, 12 lift 5, 12 erase          | deleted 12 lifted after-hold 2 | the same, asked in the grace
hold ceiling         | plain             | 1 hold, 12 lift                      | deleted 12 lifted after-hold 2 | the hold
hold ceiling         | plain             | 1 hold, 9 lift                       | deleted 10 due              | a ceiling counts as if there had been no hold
hold ceiling         | floored           | 1 hold, 6 lift 9                     | deleted 10 due              | a ceiling that is still to come ends the grace
hold ceiling         | plain             | 11 hold                              | deleted 10 due              | it was gone before
hold release         | plain             | 1 hold, 2 release!                   | stays                       | the hold: the host is told not to delete it itself
hold release         | plain             | 1 hold, 2 release!, 3 lift, 4 release | released 4 host            | after the hold the host is free again
hold release         | plain             | 1 release + 1 hold                   | released 1 host             | it was gone before
hold replacement     | plain             | 1 hold, 2 replace                    | replaced 10 due / stays     | the engine cannot keep what the host overwrote; the newer one is held
hold replacement     | plain             | 1 replace, 2 hold                    | replaced 10 due / stays     | the newer one is held
hold anonymise       | rewritten         | 1 hold, 12 lift                      | anonymised 12 lifted after-hold 2 | the hold
hold anonymise       | rewritten         | 1 hold                               | stays                       | the hold
hold closing         | plain             | 1 hold, 2 close, 5 lift              | deleted 5 closed            | the hold, and the closing waits for it
hold closing         | plain             | 1 close + 1 hold, 5 lift             | deleted 5 closed            | the hold, though it came second
hold closing         | plain             | 1 hold, 2 close, 12 lift             | deleted 12 lifted after-hold 2 | the hold
hold closing         | floored           | 1 hold, 5 close, 6 lift 2            | deleted 8 closed            | the grace: a closing waits for it
hold closing         | floored           | 1 hold, 6 lift 2, 7 close            | deleted 8 closed            | the same, closed in the grace
hold closing         | floored           | 1 close, 2 hold-event, 6 lift        | deleted 10 closed           | the floor, which counts from the lift
hold closing         | floored           | 1 hold-event, 6 lift, 7 close        | deleted 10 closed           | the same, closed after the hold
hold closing         | plain             | 1 hold, 2 close, 12 lift 5           | deleted 17 lifted after-hold 7 | the grace: a closing waits for it
hold closing         | plain             | 1 hold, 12 lift 5, 13 close          | deleted 17 lifted after-hold 7 | the same, closed in the grace
hold reschedule      | plain             | 1 hold, 2 to shorter, 7 lift         | deleted 7 lifted after-hold 2 | the hold; the new ceiling had passed
hold reschedule      | plain             | 1 to shorter, 2 hold, 7 lift         | deleted 7 lifted after-hold 2 | the same
hold reschedule      | plain             | 1 hold, 2 to longer, 12 lift         | deleted 15 due              | the new ceiling is still to come
hold reschedule      | floored           | 1 hold, 2 to later-floor, 7 lift 3   | deleted 10 due              | the grace, because the new floor passed under the hold
hold reschedule      | floored           | 1 hold, 6 lift 3, 7 to later-floor   | deleted 7 due               | terms stated after the lift: a new time, without a grace
hold reschedule      | plain             | 1 hold-class, 2 to longer!           | stays                       | the hold of a class: its objects cannot go to another class
hold reschedule      | plain             | 1 hold-class, 2 from 5               | stays                       | the hold
hold start           | open              | 1 hold, 2 start, 13 lift             | deleted 13 lifted after-hold 1 | the hold
hold start           | open              | 1 start, 2 hold, 13 lift             | deleted 13 lifted after-hold 2 | the hold
hold start           | open              | 1 hold, 2 start, 5 lift              | deleted 12 due              | the start counts under a hold as well

floor erasure        | floored           | 1 erase                              | deleted 4 erasure           | the floor: it goes when that has passed
floor erasure        | later-floor       | 5 erase                              | deleted 6 erasure           | the floor
floor ceiling        | floored           |                                      | deleted 4 due               | both: as soon as the floor allows, before the ceiling
floor ceiling        | floored           | 1 to later-floor                     | deleted 6 due               | both
floor release        | floored           | 1 release                            | released 1 host             | what the host did itself is done
floor replacement    | floored           | 1 replace                            | replaced 4 due / deleted 5 due | each has its own floor
floor anonymise      | floored-rewritten |                                      | anonymised 4 due            | the floor: to rewrite is to delete
floor anonymise      | floored-rewritten | 1 erase                              | anonymised 4 erasure        | the floor
floor closing        | floored           | 1 close                              | deleted 4 closed            | the floor
floor reschedule     | floored           | 1 to later-floor                     | deleted 6 due               | the later floor
floor reschedule     | floored           | 1 from 2                             | deleted 6 due               | the floor counts from the new start
floor start          | open-floored      | 2 start                              | deleted 6 due               | the floor counts from the start
floor start          | open-floored      |                                      | deleted 24 due              | as if it had started when it may no longer be open

erasure ceiling      | plain             | 3 erase                              | deleted 3 erasure           | the erasure
erasure ceiling      | plain             | 11 erase                             | deleted 10 due              | it was gone before
erasure release      | plain             | 1 erase + 1 release                  | released 1 host             | what the host did itself is done
erasure release      | plain             | 1 release + 1 erase                  | released 1 host             | the same
erasure release      | floored           | 1 erase, 2 release                   | released 2 host             | the same
erasure replacement  | plain             | 1 erase + 1 replace                  | replaced 1 erasure / deleted 1 erasure | an erasure is of what is registered when it begins
erasure replacement  | plain             | 1 replace, 2 erase                   | replaced 2 erasure / deleted 2 erasure | the newer one is what is there; of the other only a row is left, and that goes
erasure replacement  | plain             | 1 erase, 2 replace                   | deleted 1 erasure / deleted 12 due | what comes later was not asked for
erasure anonymise    | rewritten         | 3 erase                              | anonymised 3 erasure        | the erasure says when, the class how
erasure closing      | plain             | 1 erase + 1 close                    | deleted 1 erasure           | the erasure: a person asked
erasure closing      | plain             | 1 close + 1 erase                    | deleted 1 erasure           | the same, in the other order
erasure closing      | floored           | 1 close, 2 erase                     | deleted 4 erasure           | the floor, then the erasure
erasure closing      | floored           | 1 erase, 2 close                     | deleted 4 erasure           | the same, in the other order
erasure reschedule   | floored           | 1 erase, 2 to later-floor            | deleted 6 erasure           | the later floor, then the erasure at once
erasure reschedule   | floored           | 1 to later-floor, 2 erase            | deleted 6 erasure           | the same
erasure reschedule   | plain             | 1 erase + 1 to longer                | deleted 1 erasure           | no other ceiling puts an erasure off
erasure reschedule   | floored           | 1 erase, 2 to longer                 | deleted 2 erasure           | the floor is gone
erasure start        | open              | 1 erase                              | deleted 1 erasure           | the erasure does not wait for a start
erasure start        | open-floored      | 1 erase, 2 start                     | deleted 6 erasure           | the floor, which counts from the start
erasure start        | open-floored      | 2 start, 3 erase                     | deleted 6 erasure           | the same

ceiling release      | plain             | 9 release                            | released 9 host             | what the host did itself is done
ceiling release      | plain             | 11 release!                          | deleted 10 due              | it was gone before
ceiling replacement  | plain             | 9 replace                            | replaced 10 due / deleted 19 due | each has its own ceiling
ceiling anonymise    | rewritten         |                                      | anonymised 10 due           | the ceiling says when, the class how
ceiling closing      | plain             | 3 close                              | deleted 3 closed            | the closing
ceiling reschedule   | plain             | 3 to shorter                         | deleted 5 due               | the earlier ceiling
ceiling reschedule   | plain             | 3 to longer                          | deleted 15 due              | other terms take the place of the earlier ones
ceiling reschedule   | plain             | 7 to shorter                         | deleted 7 due late 2        | the earlier ceiling, which had passed: at once
ceiling reschedule   | plain             | 3 from 2                             | deleted 12 due              | the ceiling counts from the new start
ceiling start        | open              | 2 start                              | deleted 12 due              | the ceiling counts from the start
ceiling start        | open              |                                      | deleted 30 due              | of two ceilings the earlier: it may not stay open for ever
ceiling start        | open              | 21 start!                            | deleted 30 due              | the same

release replacement  | plain             | 1 release + 1 replace                | replaced 1 host / deleted 11 due | the newer one has its own time
release replacement  | plain             | 1 replace, 2 release                 | replaced 10 due / released 2 host | the newer one is what was released
release anonymise    | rewritten         | 1 release                            | released 1 host             | what the host did itself is done
release closing      | plain             | 1 release + 1 close                  | released 1 host             | the same
release closing      | plain             | 1 close + 1 release                  | released 1 host             | the same
release closing      | floored           | 1 close, 2 release                   | released 2 host             | the same
release reschedule   | plain             | 1 release + 1 to longer!             | released 1 host             | the same
release reschedule   | plain             | 1 to shorter, 2 release              | released 2 host             | the same
release start        | open              | 1 release + 1 start                  | released 1 host             | the same
release start        | open              | 1 start, 2 release                   | released 2 host             | the same

replacement anonymise | rewritten        | 1 replace                            | replaced 10 due / anonymised 11 due | what was overwritten is not there to be rewritten
replacement closing  | plain             | 1 replace, 2 close                   | replaced 2 closed / deleted 2 closed | the newer one is what is there; of the other only a row is left, and that goes
replacement closing  | open              | 1 replace, 2 close                   | replaced 2 closed / deleted 2 closed | the same, whatever else they waited for
replacement closing  | plain             | 1 close + 1 replace!                 | deleted 1 closed            | a closed class takes nothing
replacement reschedule | plain           | 1 replace, 2 to shorter              | replaced 10 due / deleted 6 due | the newer one is what is meant
replacement reschedule | plain           | 1 to shorter, 2 replace              | replaced 5 due / deleted 12 due | the newer one has its own terms
replacement start    | open              | 1 replace, 2 start                   | replaced 30 due / deleted 12 due | the newer one is what has started
replacement start    | open              | 1 start, 2 replace                   | replaced 11 due / deleted 32 due | the newer one is open

anonymise closing    | rewritten         | 3 close                              | anonymised 3 closed         | the closing says when, the class how
anonymise reschedule | rewritten         | 3 to plain                           | deleted 10 due              | the class that it is in at its end
anonymise reschedule | plain             | 3 to rewritten                       | anonymised 10 due           | the same
anonymise start      | open-rewritten    | 2 start                              | anonymised 12 due           | the start says when, the class how
closing reschedule   | floored           | 1 close, 2 to later-floor            | deleted 6 closed            | it stays asked for; the later floor counts
closing reschedule   | floored           | 1 to later-floor, 2 close            | deleted 6 due               | it was in another class by then
closing start        | open              | 1 close                              | deleted 1 closed            | the closing does not wait for a start
closing start        | open-floored      | 1 close, 2 start                     | deleted 6 closed            | the floor, which counts from the start
closing start        | open-floored      | 2 start, 3 close                     | deleted 6 closed            | the same
reschedule start     | open              | 1 from 3, 2 start!                   | deleted 13 due              | rescheduling sets the start
reschedule start     | open              | 2 start, 3 from 5                    | deleted 15 due              | the later word
reschedule start     | open              | 1 to open-floored, 2 start           | deleted 6 due               | the new terms from the start
";

struct Line<'a> {
    text: &'a str,
    pair: [&'a str; 2],
    class: &'a str,
    steps: Vec<Step<'a>>,
    fate: &'a str,
    newer: Option<&'a str>,
}

struct Step<'a> {
    hour: u32,
    act: &'a str,
    with: Option<&'a str>,
    refused: bool,
}

fn lines() -> Vec<Line<'static>> {
    let line = |text: &'static str| {
        let [pair, class, steps, fate, _why] = text.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{text:?} has no five columns")
        };
        let (first, second) = pair.split_once(' ').unwrap();
        let (fate, newer) = fate.split_once(" / ").map_or((fate, None), |(fate, newer)| (fate, Some(newer)));
        let steps =
            steps.split([',', '+']).map(str::trim).filter(|step| !step.is_empty()).map(step).collect();
        Line { text, pair: [first, second], class, steps, fate, newer }
    };
    TABLE.lines().filter(|text| !text.is_empty()).map(line).collect()
}

fn step(text: &str) -> Step<'_> {
    let refused = text.ends_with('!');
    let mut words = text.trim_end_matches('!').split(' ');
    let hour = words.next().unwrap().parse().unwrap();
    Step { hour, act: words.next().unwrap(), with: words.next(), refused }
}

fn at(hour: u32) -> Timestamp {
    NEW_YEAR.saturating_add(hour * HOUR)
}

/// Registers the object, or registers it again. It is open if its class has an explicit start.
fn register(sim: &Simulation, class: &str) -> Result<RegistrationId> {
    let version = sim.now().to_be_bytes();
    let registration = Registration::new(class, b"object").version(&version);
    let id = sim.engine().register(&[registration], Durability::Synced)?[0].id;
    sim.machine.store.put(b"object", &version);
    Ok(id)
}

/// Takes a step. Returns the newer registration if the step makes one.
fn act(sim: &Simulation, line: &Line<'_>, step: &Step<'_>) -> Result<Option<RegistrationId>> {
    let of = Which::Key(b"object");
    let change = |change| sim.change(change).map(|_| None);
    match (step.act, step.with) {
        ("hold", None) => {
            sim.hold("case", key("object"));
            Ok(None)
        }
        ("hold-class", None) => {
            sim.hold("case", Selector::Class(line.class.into()));
            Ok(None)
        }
        ("hold-event", None) => {
            sim.hold_of("case", key("object"), HoldKind::Event);
            Ok(None)
        }
        ("lift", grace) => {
            sim.lift("case", grace.map_or(0, |hours| hours.parse().unwrap()) * HOUR);
            Ok(None)
        }
        ("erase", None) => {
            sim.erase(key("object"));
            Ok(None)
        }
        ("close", None) => {
            let class = Selector::Class(line.class.into());
            sim.engine().close_down(class, Attribution::new("board", "no longer offered")).map(|_| None)
        }
        ("release", None) => {
            change(Change::Release { of })?;
            sim.machine.store.remove(b"object");
            Ok(None)
        }
        ("replace", None) => register(sim, line.class).map(Some),
        ("start", None) => change(Change::Start { of, start: at(step.hour) }),
        ("to", class) => change(Change::Reschedule { of, class, start: None }),
        ("from", Some(hour)) => {
            change(Change::Reschedule { of, class: None, start: Some(at(hour.parse().unwrap())) })
        }
        other => panic!("unknown action {other:?}"),
    }
}

/// Returns a span in hours, rounded to the nearest one.
fn whole_hours(span: Duration) -> u32 {
    u32::try_from((span + HOUR / 2).as_secs() / HOUR.as_secs()).unwrap()
}

/// Returns the fate in the words of the table. Instants are whole hours and may be off by two seconds.
fn fate(sim: &Simulation, id: RegistrationId) -> String {
    let text = match sim.engine().receipt(id, sexton::Opener::Key(b"object")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return "stays".into(),
        other => other.unwrap(),
    };
    let policy = sexton_proof::policy::Policy::parse(sim.engine().policy()).unwrap();
    let verdict = sexton_proof::receipt::verify(text.as_bytes(), &policy, sim.engine().now()).unwrap();
    let hours = |span: Duration| {
        let hours = whole_hours(span);
        assert!(span.abs_diff(hours * HOUR) <= Duration::from_secs(2), "{span:?} is not at an hour");
        hours
    };
    let ended = format!("{} {} {}", verdict.method, hours(verdict.time.since(NEW_YEAR)), verdict.reason);
    match verdict.compliance() {
        Compliance::Kept | Compliance::NotADeletion(_) => ended,
        Compliance::AfterHold { by } => format!("{ended} after-hold {}", hours(by)),
        Compliance::Late { by } => format!("{ended} late {}", hours(by)),
        Compliance::Early { by } => format!("{ended} early {}", hours(by)),
    }
}

/// Returns the planned fates of all live registrations, in the words of the table.
fn foreseen(sim: &Simulation) -> Vec<String> {
    let mut lines = Vec::new();
    for planned in sim.engine().plan(at(60)).unwrap() {
        let planned = planned.unwrap();
        let how = match planned.action {
            Action::Delete => "deleted",
            Action::Anonymise => "anonymised",
            Action::EndReplaced => "replaced",
            Action::EndReleased => "released",
            Action::Hold(_) => "stays",
            other => panic!("{other:?}"),
        };
        let hour = whole_hours(planned.at.max(sim.now()).since(NEW_YEAR));
        let at = if how == "stays" { String::new() } else { format!(" {hour} {}", planned.reason) };
        lines.push(format!("{how}{at}"));
    }
    lines
}

/// Runs a line of the table. Returns the difference from its fate, if there is one.
fn play(line: &Line<'_>) -> Option<String> {
    let sim = Simulation::new(CLASSES);
    let first = register(&sim, line.class).unwrap();
    let mut newer = None;
    for step in &line.steps {
        if at(step.hour) > sim.now() {
            sim.pass_until(at(step.hour));
        }
        match act(&sim, line, step) {
            Ok(id) if !step.refused => newer = newer.or(id),
            Err(_) if step.refused => {}
            Ok(_) => return Some(format!("{} at {} was not refused", step.act, step.hour)),
            Err(error) => return Some(format!("{} at {}: {error}", step.act, step.hour)),
        }
    }
    let foreseen = foreseen(&sim);
    let open: Vec<RegistrationId> =
        [Some(first), newer].into_iter().flatten().filter(|id| fate(&sim, *id) == "stays").collect();
    sim.pass_until(at(60));
    sim.assert_sound();
    for id in open {
        let fate = fate(&sim, id);
        if !foreseen.iter().any(|line| fate.starts_with(line)) {
            return Some(format!("the plan foresaw {foreseen:?}, not {fate:?}"));
        }
    }
    let found = (fate(&sim, first), newer.map(|id| fate(&sim, id)));
    let expected = (line.fate.to_owned(), line.newer.map(str::to_owned));
    // An object that stays or was anonymised is still there. Any other one is gone.
    let kept = line.newer.unwrap_or(line.fate);
    let there = kept == "stays" || kept.starts_with("anonymised");
    if found == expected && sim.has("object") == there {
        return None;
    }
    Some(format!("found {found:?}, and the object is {}there", if sim.has("object") { "" } else { "not " }))
}

#[test]
fn rule_in_the_table_wins_over_the_other_and_is_planned() {
    let wrong: Vec<String> =
        lines().iter().filter_map(|line| play(line).map(|why| format!("{}\n    {why}", line.text))).collect();
    assert!(wrong.is_empty(), "{} lines are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn table_has_every_pair() {
    let pairs: BTreeSet<[&str; 2]> = lines().iter().map(|line| line.pair).collect();
    let expected: BTreeSet<[&str; 2]> = (0..WORDS.len())
        .flat_map(|first| (first + 1..WORDS.len()).map(move |second| [WORDS[first], WORDS[second]]))
        .collect();
    assert_eq!(pairs, expected);
}
