//! Alarms, and `resume`.

use crate::run::open;
use crate::yard::{CLASSES, HOUR_MS, WHY, Yard, now_ms};
use sexton::store::dir::{DirStore, Identity};
use sexton::store::{Answer, Store, SubBatch};
use sexton::{BreakerLimits, ClassSet, Clock, Durability, Options, Registration, SystemClock, VirtualClock};
use std::sync::Arc;

/// A store that is never asked.
struct Nothing;

impl Store for Nothing {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        part.objects.iter().map(|_| Answer::Failed("nobody was to ask".into())).collect()
    }
}

/// A yard with an object for which the surprise was too great.
fn alarmed() -> Yard {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["a"]);
    let breaker = BreakerLimits { objects: 0, share_percent: 0 };
    let engine = yard.engine_with(&Options { breaker, ..Options::default() }, Arc::new(SystemClock));
    engine.enforce(&Nothing).unwrap();
    assert_eq!(engine.status().unwrap().alarms.len(), 1);
    drop(engine);
    yard
}

#[test]
fn an_alarm_is_shown_everywhere_until_a_person_has_looked() {
    let yard = alarmed();
    let ran = yard.run(&["status", "DATA", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let alarm = &ran.json()["alarms"][0];
    assert_eq!(alarm["cause"], "surprise in class \"files\"");
    assert!(ran.json()["needs"][0].as_str().unwrap().starts_with("alarm: class files: "), "{ran:?}");
    let id = alarm["id"].as_str().unwrap();
    assert!(yard.run(&["status", "DATA"]).stdout.contains(&format!("alarm {id} since ")));
    let plan = yard.ok(&["plan", "DATA"]).stdout;
    assert!(plan.starts_with(&format!("alarm {id} since ")), "{plan}");
    assert!(plan.contains("stopped, alarm: surprise in class \"files\""), "{plan}");
    assert_eq!(yard.run(&["enforce", "DATA", "--dir", "FILES"]).code, 1);
    assert!(yard.has("a"));

    let words = [&["resume", "DATA", &id[..6]], &WHY[..]].concat();
    let (text, _) = yard.dry(&words);
    assert_eq!(text.stdout, format!("alarm {id} (surprise in class \"files\") would be ended\n"));
    let told = yard.json(&words);
    assert_eq!(told["resumed"][0]["id"], id);
    yard.ok(&["status", "DATA"]);
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!yard.has("a"));
}

#[test]
fn an_alarm_that_does_not_stand_cannot_be_ended() {
    let yard = alarmed();
    yard.refused(
        &[&["resume", "DATA", "xyz"], &WHY[..]].concat(),
        "no alarm stands whose id begins with \"xyz\"",
    );
    yard.refused(&["resume", "DATA", "--all"], "required");
    yard.refused(&["resume", "DATA", "--reason", "", "--author", "Ada"], "it has 0 bytes");
    yard.ok(&[&["resume", "DATA"], &WHY[..]].concat());
    yard.refused(&[&["resume", "DATA"], &WHY[..]].concat(), "no alarm stands");
    assert_eq!(yard.ok(&[&["resume", "DATA", "--all"], &WHY[..]].concat()).stdout, "no alarm stands\n");
}

#[test]
fn a_clock_that_went_back_is_told() {
    let yard = Yard::new();
    let ahead_ms = 50 * HOUR_MS;
    let clock = Arc::new(VirtualClock::new(now_ms() + ahead_ms));
    let engine = yard.engine_with(&Options::default(), clock);
    engine.define(&ClassSet::from_toml("[class.late]\nwithin = '9d'\n").unwrap()).unwrap();
    drop(engine);
    let ran = yard.run(&["status", "DATA", "--json"]);
    assert_eq!(ran.json()["clock"], "behind", "{ran:?}");
    assert!((ran.json()["clock_off_ms"].as_i64().unwrap() - ahead_ms).abs() < 60_000, "{ran:?}");
    let text = yard.run(&["status", "DATA"]).stdout;
    assert!(text.contains("the clock is behind by 49 h 59 min"), "{text}");
}

#[test]
fn a_clock_that_stepped_ahead_stops_everything_until_a_person_accepts_it() {
    let yard = Yard::new();
    yard.file("a", 4 * HOUR_MS);
    let store = DirStore::open(&yard.path("files")).unwrap();
    let version = store.identify(b"a", Identity::Exact).unwrap().unwrap().version;
    drop(store);
    // The clock stood three hours ago, and stepped to now while the engine was open.
    let clock = Arc::new(VirtualClock::new(now_ms() - 3 * HOUR_MS));
    let options = Options::new("sexton.test/old");
    let engine = open(&yard.path("old"), &options, Arc::clone(&clock) as Arc<dyn Clock>);
    engine.define(&ClassSet::from_toml(CLASSES).unwrap()).unwrap();
    let start_ms = Some(now_ms() - 4 * HOUR_MS);
    let file = Registration { version: &version, start_ms, ..Registration::new("files", b"a") };
    engine.register(&[file], Durability::Synced).unwrap();
    assert!(engine.now_ms() < now_ms() - 2 * HOUR_MS);
    clock.step(3 * HOUR_MS);
    engine.enforce(&Nothing).unwrap();
    drop(engine);
    let ran = yard.run(&["status", "@old", "--json"]);
    assert_eq!((ran.code, &ran.json()["state"]), (1, &"paused".into()), "{ran:?}");
    assert_eq!(
        ran.json()["needs"].as_array().unwrap().len(),
        1,
        "the pause says what its alarm says: {ran:?}"
    );
    assert_eq!(
        (&ran.json()["alarms"][0]["cause"], &ran.json()["clock"]),
        (&"clock".into(), &"ahead".into()),
        "{ran:?}"
    );
    assert!(yard.ok(&["plan", "@old"]).stdout.contains("stopped, alarm: "));
    assert_eq!(yard.run(&["enforce", "@old", "--dir", "FILES"]).code, 1);
    assert!(yard.has("a"));
    yard.ok(&[&["resume", "@old", "--all"], &WHY[..]].concat());
    yard.ok(&["enforce", "@old", "--dir", "FILES"]);
    assert!(!yard.has("a"));
    yard.ok(&["status", "@old"]);
}
