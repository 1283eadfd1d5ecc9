//! `status`, `plan` and `feed`.

use crate::run::copy_folder;
use crate::yard::{DAY_MS, HOUR_MS, WHY, Yard, instant, now_ms};
use std::fs;

#[test]
fn a_status_counts_and_is_fine_as_long_as_nobody_is_needed() {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["a", "b"]);
    yard.registered("slow", 0, &["c"]);
    yard.hold("case 7", &["--key", "a"]);
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let told = yard.json(&["status", "DATA"]);
    assert_eq!(
        (&told["state"], &told["clock"], &told["holds"]),
        (&"running".into(), &"agrees".into(), &1.into())
    );
    assert_eq!(told["needs"], serde_json::json!([]));
    let files = &told["classes"]["files"];
    let count = |name: &str| files[name].as_u64().unwrap();
    assert_eq!([count("registered"), count("live"), count("held"), count("deleted")], [2, 1, 1, 1]);
    assert_eq!([count("registered_bytes"), count("deleted_bytes"), count("overdue")], [2, 1, 0]);
    assert_eq!([count("absent"), count("released"), count("late"), count("early")], [0; 4]);
    assert_eq!(files["closed"], false);
    let text = yard.ok(&["status", "DATA"]).stdout;
    assert!(
        text.starts_with("sexton.test/yard as of ") && text.contains("legal holds that stand: 1"),
        "{text}"
    );
    assert!(text.contains("slow\n  1 registered, 1 registered bytes, 1 live\n"), "{text}");
}

#[test]
fn what_is_overdue_needs_a_person_and_what_a_hold_keeps_does_not() {
    let yard = Yard::new();
    yard.registered("short", 2 * HOUR_MS, &["late"]);
    let ran = yard.run(&["status", "DATA", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.json()["classes"]["short"]["overdue"], 1);
    assert_eq!(
        ran.json()["needs"][0],
        "overdue: 1 are past their ceiling; `sexton plan` lists them, the log says why"
    );
    assert!(yard.run(&["status", "DATA"]).stdout.contains("the longest overdue had to go by "));
    yard.hold("case 7", &["--key", "late"]);
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let told = yard.json(&["status", "DATA"]);
    let short = &told["classes"]["short"];
    assert_eq!((&short["overdue"], &short["held"]), (&1.into(), &1.into()));
    assert!(yard.has("late"));
}

#[test]
fn a_log_that_is_not_the_published_one_needs_a_person() {
    let yard = Yard::new();
    copy_folder(&yard.path("data"), &yard.path("backup"));
    yard.hold("case 7", &["--class", "files"]);
    fs::remove_dir_all(yard.path("backup").join("log")).unwrap();
    copy_folder(&yard.path("data").join("log"), &yard.path("backup").join("log"));
    fs::copy(yard.path("data").join("head"), yard.path("backup").join("head")).unwrap();
    let ran = yard.run(&["status", "@backup", "--json"]);
    assert_eq!((ran.code, &ran.json()["state"]), (1, &"forked".into()), "{ran:?}");
    assert!(ran.json()["needs"][0].as_str().unwrap().starts_with("forked: "), "{ran:?}");
    let hold = ["hold", "place", "@backup", "--name", "x", "--key", "a", "--review", "2999-12-31"];
    let hold = [&hold[..], &WHY].concat();
    let refused = yard.run(&hold);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
    yard.run(&[&hold[..], &["--dry-run"]].concat()).assert_refused("nothing can be changed: ");
}

#[test]
fn a_plan_shows_what_goes_when_why_and_what_keeps_it() {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["a", "b"]);
    yard.registered("slow", 0, &["c"]);
    yard.hold("case 7", &["--key", "b"]);
    let soon = yard.json(&["plan", "DATA"]);
    assert_eq!((&soon["found"], soon["objects"].as_array().unwrap().len()), (&2.into(), 2));
    assert_eq!(soon["until_ms"].as_i64().unwrap() - soon["as_of_ms"].as_i64().unwrap(), DAY_MS);
    let object =
        |key: &str| soon["objects"].as_array().unwrap().iter().find(|one| one["key"] == key).unwrap();
    assert_eq!((&object("a")["action"], &object("a")["reason"]), (&"delete".into(), &"due".into()));
    assert_eq!((&object("b")["action"], &object("b")["hold"]), (&"hold".into(), &"case 7".into()));
    assert_eq!(object("a")["key_hex"], "61");
    let start_ms = now_ms() - HOUR_MS;
    assert!((object("a")["ceiling_ms"].as_i64().unwrap() - start_ms - DAY_MS).abs() < 60_000);

    let far = yard.ok(&["plan", "DATA", "--until", "+1y", "--limit", "2"]).stdout;
    assert_eq!(far.lines().count(), 3, "{far}");
    assert!(far.contains("  files  b  keep, hold \"case 7\" (its time had come; not before "), "{far}");
    assert!(far.ends_with("and 1 more; --limit shows more of them\n"), "{far}");
    let until = instant(now_ms() + 101 * DAY_MS);
    let summary = yard.ok(&["plan", "DATA", "--until", &until, "--summary"]).stdout;
    assert!(summary.contains("           1  slow  delete, from ") && !summary.contains("more"), "{summary}");
    let told = yard.json(&["plan", "DATA", "--until", &until, "--summary"]);
    assert_eq!(
        (told["objects"].as_array().unwrap().len(), told["summary"].as_array().unwrap().len()),
        (0, 3)
    );

    assert!(yard.ok(&["plan", "DATA", "--until", "1999-01-01T00:00:00Z"]).stdout.contains("files  a"));
    yard.run(&["plan", "DATA", "--until", "+99999999999d"]).assert_refused("a span is a number from 1");
    yard.run(&["plan", "DATA", "--until", "+1000000y"]).assert_refused("+1000000y from now");
    yard.run(&["plan", "DATA", "--until", "tomorrow"]).assert_refused("or + and a span, like +30d");
    assert!(Yard::new().ok(&["plan", "DATA"]).stdout.starts_with("nothing until "));
}

#[test]
fn the_feed_is_read_from_a_number_on_and_forgotten_up_to_one() {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["a", "b", "c"]);
    yard.registered("slow", 0, &["untold"]);
    yard.ok(&[&["erase", "request", "DATA", "--key", "untold"], &WHY[..]].concat());
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let told = yard.json(&["feed", "DATA", "--max", "2"]);
    assert_eq!((told["entries"].as_array().unwrap().len(), &told["next_after"]), (2, &2.into()));
    assert_eq!(
        (&told["entries"][0]["number"], &told["entries"][0]["method"]),
        (&1.into(), &"deleted".into())
    );
    assert_eq!(
        (&told["entries"][0]["class"], &told["entries"][0]["reason"]),
        (&"files".into(), &"due".into())
    );
    let rest = yard.ok(&["feed", "DATA", "--after", "2"]).stdout;
    assert_eq!(rest.lines().count(), 1, "{rest}");
    assert!(rest.starts_with("       3  ") && rest.trim_end().ends_with("deleted (due)"), "{rest}");

    let (text, json) = yard.dry(&["feed", "DATA", "--acknowledge", "2"]);
    assert_eq!(
        (text.stdout.as_str(), &json["acknowledged"]),
        ("the entries up to 2 would be forgotten\n", &2.into())
    );
    yard.refused(&["feed", "DATA", "--acknowledge", "4"], "entry 4 was ");
    assert_eq!(yard.json(&["feed", "DATA", "--acknowledge", "2"])["dry_run"], false);
    assert_eq!(yard.json(&["feed", "DATA"])["entries"][0]["number"], 3);
    assert_eq!(yard.ok(&["feed", "DATA", "--after", "3"]).stdout, "nothing behind 3\n");
    yard.run(&["feed", "DATA", "--max", "10001"]).assert_refused("10001");
}
