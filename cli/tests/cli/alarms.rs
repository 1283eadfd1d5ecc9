//! `alarm`, and the clock.

use crate::run::open;
use crate::sandbox::{CLASSES, HOUR_MS, Sandbox, WHY, now};
use sexton::limits::{BreakerLimits, ClockLimits};
use sexton::report::{Action, EngineState, PlannedObject};
use sexton::store::dir::{DirStore, Identity};
use sexton::store::{Answer, Store, SubBatch};
use sexton::testing::{Clock, SystemClock, VirtualClock};
use sexton::{ClassSet, Durability, Options, Registration};
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

/// Store that must not be called.
struct Unused;

impl Store for Unused {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        part.objects.iter().map(|_| Answer::Failed("the store must not be called".into())).collect()
    }
}

/// Returns a sandbox in which one object at short notice tripped the breaker.
fn alarmed() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    let breaker = BreakerLimits { objects: 0, share_percent: 0 };
    let engine = sandbox.engine_with(&Options::default().breaker(breaker), Arc::new(SystemClock));
    engine.enforce(&Unused).unwrap();
    assert_eq!(engine.status().unwrap().alarms.len(), 1);
    drop(engine);
    sandbox
}

#[test]
fn alarm_is_shown_until_resumed_and_stops_deletion() {
    let sandbox = alarmed();
    let ran = sandbox.run(&["status", "DATA", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let alarm = &ran.json()["alarms"][0];
    assert_eq!(alarm["cause"], "short notice in class \"files\"");
    assert!(ran.json()["needs"][0].as_str().unwrap().starts_with("alarm: class files: "), "{ran:?}");
    let id = alarm["id"].as_str().unwrap();
    assert!(sandbox.run(&["status", "DATA"]).stdout.contains(&format!("alarm {id} since ")));
    assert_eq!(sandbox.json(&["alarm", "list", "DATA"]), serde_json::json!([alarm]));
    assert!(sandbox.ok(&["alarm", "list", "DATA"]).stdout.starts_with(&format!("alarm {id} since ")));
    let plan = sandbox.ok(&["plan", "DATA"]).stdout;
    assert!(plan.starts_with(&format!("alarm {id} since ")), "{plan}");
    assert!(plan.contains("stopped, alarm: short notice in class \"files\""), "{plan}");
    assert_eq!(sandbox.run(&["enforce", "DATA", "--dir", "FILES"]).code, 1);
    assert!(sandbox.has("a"));

    let words = [&["alarm", "resume", "DATA", &id[..6]], &WHY[..]].concat();
    let (text, _) = sandbox.dry(&words);
    assert_eq!(text.stdout, format!("alarm {id} (short notice in class \"files\") would be ended\n"));
    let value = sandbox.json(&words);
    assert_eq!(value["resumed"][0]["id"], id);
    assert_eq!(sandbox.json(&["alarm", "list", "DATA"]), serde_json::json!([]));
    assert_eq!(sandbox.ok(&["alarm", "list", "DATA"]).stdout, "no alarm stands\n");
    sandbox.ok(&["status", "DATA"]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!sandbox.has("a"));
}

#[test]
fn resume_without_matching_alarm_is_refused() {
    let sandbox = alarmed();
    sandbox.refused(
        &[&["alarm", "resume", "DATA", "xyz"], &WHY[..]].concat(),
        "no alarm stands whose id begins with \"xyz\"",
    );
    sandbox.refused(&["alarm", "resume", "DATA", "--all"], "required");
    sandbox.refused(&["alarm", "resume", "DATA", "--reason", "", "--author", "Ada"], "it has 0 bytes");
    sandbox.ok(&[&["alarm", "resume", "DATA"], &WHY[..]].concat());
    sandbox.refused(&[&["alarm", "resume", "DATA"], &WHY[..]].concat(), "no alarm stands");
    assert_eq!(
        sandbox.ok(&[&["alarm", "resume", "DATA", "--all"], &WHY[..]].concat()).stdout,
        "no alarm stands\n"
    );
}

#[test]
fn status_with_clock_behind_says_by_how_much() {
    let sandbox = Sandbox::new();
    let clock = Arc::new(VirtualClock::new(now().saturating_add(50 * HOUR)));
    let engine = sandbox.engine_with(&Options::default(), clock);
    engine.define_classes(&ClassSet::from_toml("[class.late]\nwithin = '9d'\n").unwrap()).unwrap();
    drop(engine);
    let ran = sandbox.run(&["status", "DATA", "--json"]);
    assert_eq!(ran.json()["clock"], "behind", "{ran:?}");
    assert!((ran.json()["clock_off_ms"].as_i64().unwrap() - 50 * HOUR_MS).abs() < 60_000, "{ran:?}");
    let text = sandbox.run(&["status", "DATA"]).stdout;
    assert!(text.contains("the clock is behind by 49 h 59 min"), "{text}");
}

#[test]
fn clock_step_ahead_stops_deletion_until_resumed() {
    let sandbox = Sandbox::new();
    sandbox.file("a", 4 * HOUR_MS);
    let store = DirStore::open(&sandbox.path("files")).unwrap();
    let version = store.identify(b"a", Identity::Exact).unwrap().unwrap().version;
    // The clock was three hours behind, and stepped to now while the engine was open.
    let clock = Arc::new(VirtualClock::new(now().saturating_sub(3 * HOUR)));
    let options = Options::new("sexton.test/old");
    let engine = open(&sandbox.path("old"), &options, Arc::clone(&clock) as Arc<dyn Clock>);
    engine.define_classes(&ClassSet::from_toml(CLASSES).unwrap()).unwrap();
    engine.accept_root(store.id(), &sandbox.path("files")).unwrap();
    let start = now().saturating_sub(4 * HOUR);
    let file = Registration::new("files", b"a").version(&version).start(start);
    engine.register(&[file], Durability::Synced).unwrap();
    assert!(engine.now() < now().saturating_sub(2 * HOUR));
    clock.step_forward(3 * HOUR);
    engine.enforce(&Unused).unwrap();
    drop(engine);
    let ran = sandbox.run(&["status", "@old", "--json"]);
    assert_eq!((ran.code, &ran.json()["state"]), (1, &"paused".into()), "{ran:?}");
    assert_eq!(
        ran.json()["needs"].as_array().unwrap().len(),
        1,
        "the pause repeats the message of its alarm: {ran:?}"
    );
    assert_eq!(
        (&ran.json()["alarms"][0]["cause"], &ran.json()["clock"]),
        (&"clock".into(), &"ahead".into()),
        "{ran:?}"
    );
    assert!(sandbox.ok(&["plan", "@old"]).stdout.contains("stopped, alarm: "));
    assert_eq!(sandbox.run(&["enforce", "@old", "--dir", "FILES"]).code, 1);
    assert!(sandbox.has("a"));
    sandbox.ok(&[&["alarm", "resume", "@old", "--all"], &WHY[..]].concat());
    sandbox.ok(&["enforce", "@old", "--dir", "FILES"]);
    assert!(!sandbox.has("a"));
    sandbox.ok(&["status", "@old"]);
}

/// Returns a sandbox with more objects at short notice than the breaker lets pass.
fn crowded() -> Sandbox {
    let sandbox = Sandbox::new();
    let keys: Vec<String> = (0..10_001).map(|n| format!("{n}")).collect();
    let start = now().saturating_sub(HOUR);
    let engine = sandbox.engine();
    for keys in keys.chunks(1_000) {
        let registrations: Vec<Registration<'_>> =
            keys.iter().map(|key| Registration::new("files", key.as_bytes()).start(start)).collect();
        engine.register(&registrations, Durability::Buffered).unwrap();
    }
    engine.sync().unwrap();
    drop(engine);
    sandbox.ok(&["reconcile", "DATA", "--dir", "FILES", "--class", "slow"]);
    sandbox
}

/// The plan says so too.
#[test]
fn dry_run_foresees_the_breaker() {
    let sandbox = crowded();
    let before = sandbox.everything();
    let words = ["enforce", "DATA", "--dir", "FILES"];
    let dry = sandbox.run(&[&words[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, 1, "{dry:?}");
    let shown =
        "      10,001  files  stopped, alarm: short notice in class \"files\"\n10,001 would be stopped\n";
    assert_eq!(dry.stdout, shown);
    assert_eq!(sandbox.everything(), before);
    assert!(sandbox.ok(&["plan", "DATA", "--summary"]).stdout.contains("stopped, alarm: "));

    let ran = sandbox.run(&words);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.starts_with("      10,001 due, but deletion is stopped\n"), "{ran:?}");
    assert!(!ran.stdout.contains("nothing was due"), "{ran:?}");
}

#[test]
fn status_and_dry_run_foresee_a_pause_of_the_clock() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    let (status, dry, ran) = with_step(&sandbox, 3 * HOUR);
    assert_eq!((status.0.as_str(), status.1), ("paused", 1));
    assert!(dry, "the plan shows the object as stopped");
    assert_eq!(ran, 0, "nothing is deleted");
}

#[test]
fn limits_are_stored_and_named_by_what_stops() {
    let sandbox = crowded();
    let set = |more: &[&'static str]| [&["limits", "DATA"], more, &WHY[..]].concat();
    let words = ["enforce", "DATA", "--dir", "FILES"];
    let dry = sandbox.run(&[&words[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, 1, "{dry:?}");
    let ran = sandbox.run(&words);
    assert!(
        ran.stdout
            .contains("Limits, of which the larger counts: breaker_objects 10000, breaker_share_percent 10"),
        "{ran:?}"
    );
    assert_eq!(ran.stdout.matches("look at what made them due").count(), 1, "said once: {ran:?}");
    let status = sandbox.run(&["status", "DATA"]).stdout;
    assert_eq!(status.matches("look at what made them due").count(), 1, "said once: {status}");
    let alarm = &sandbox.json(&["alarm", "list", "DATA"])[0];
    assert_eq!(alarm["limits"], serde_json::json!(["breaker_objects", "breaker_share_percent"]));
    sandbox.ok(&[&["alarm", "resume", "DATA"], &WHY[..]].concat());

    let defaults = sandbox.json(&["limits", "DATA"]);
    assert_eq!((&defaults["breaker_objects"], &defaults["set"]), (&10_000.into(), &serde_json::Value::Null));
    let (_, dry) = sandbox.dry(&set(&["--breaker-objects", "20000", "--time-off", "26h"]));
    assert_eq!(dry["breaker_objects"], 20_000);
    assert_eq!(sandbox.json(&["limits", "DATA"]), defaults);
    let value = sandbox.json(&set(&["--breaker-objects", "20000", "--time-off", "26h"]));
    assert_eq!(
        (&value["clock_time_off_max_ms"], &value["set"]["author"]),
        (&(26 * HOUR_MS).into(), &"Ada".into())
    );
    assert_eq!(sandbox.json(&["limits", "DATA"])["breaker_objects"], 20_000);
    assert!(sandbox.ok(&["limits", "DATA"]).stdout.contains("breaker objects     20,000  at short notice"));
    let value = sandbox.json(&set(&["--reset", "--breaker-share", "5"]));
    assert_eq!((&value["breaker_objects"], &value["breaker_share_percent"]), (&10_000.into(), &5.into()));
    assert_eq!(sandbox.json(&set(&["--reset"]))["set"], serde_json::Value::Null);

    sandbox.refused(&["limits", "DATA", "--time-off", "26h"], "required");
    sandbox.refused(&[&["limits", "DATA"], &WHY[..]].concat(), "required");
    sandbox.refused(&set(&["--breaker-share", "101"]), "101 is not in 0..=100");
    sandbox.refused(&set(&["--time-off", "3661d"]), "clock_time_off_max of 316310400000 ms; at most");
}

/// Without NTP a machine that runs once a day would pause at every run.
#[test]
fn time_off_limit_lets_a_daily_run_pass() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    let clock = || {
        let clock = Arc::new(VirtualClock::new(now().saturating_add(24 * HOUR)));
        clock.set_synchronised(false);
        clock
    };
    let engine = sandbox.engine_with(&Options::default(), clock());
    let status = engine.status().unwrap();
    let needs = engine.needs(&status).unwrap();
    assert_eq!(needs.len(), 1, "{needs:?}");
    assert!(needs[0].starts_with("paused: the machine was off, or its clock was set"), "{needs:?}");
    assert!(needs[0].contains("Limit clock_time_off_max: 3600 s. Compare `date -u`"), "{needs:?}");
    drop(engine);
    sandbox.ok(&[&["limits", "DATA", "--time-off", "26h"], &WHY[..]].concat());
    let engine = sandbox.engine_with(&Options::default(), clock());
    assert_eq!(engine.state(), EngineState::Running);
    assert_eq!(engine.enforce(&Unused).unwrap().objects, 1);
    drop(engine);
    // Options of the host override the stored limit.
    let host = Options::default().clock(ClockLimits::default());
    let engine = sandbox.engine_with(&host, Arc::new(VirtualClock::new(now().saturating_add(72 * HOUR))));
    assert_eq!(engine.limits().clock, ClockLimits::default());
}

/// Opens the data folder three hours later with a clock that is not synchronised. Returns the word for its state and the
/// number of its needs, if the plan shows that all is stopped, and the number of objects that enforcing handed out.
fn with_step(sandbox: &Sandbox, off: Duration) -> ((String, usize), bool, u64) {
    let clock = Arc::new(VirtualClock::new(now().saturating_add(off)));
    clock.set_synchronised(false);
    let engine = sandbox.engine_with(&Options::default(), clock);
    let status = engine.status().unwrap();
    let needs = engine.needs(&status).unwrap();
    let is_stopped =
        |object: sexton::Result<PlannedObject>| matches!(object.unwrap().action, Action::Stopped(_));
    let all_stopped = engine.plan(engine.now()).unwrap().all(is_stopped);
    let word = status.state.word_and_reason().0.to_owned();
    ((word, needs.len()), all_stopped, engine.enforce(&Unused).unwrap().objects)
}
