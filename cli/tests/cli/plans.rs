//! `status`, `plan` and `feed`.

use crate::run::copy_folder;
use crate::sandbox::{DAY_MS, HOUR_MS, Sandbox, WHY, instant, now_ms};
use std::fs;

#[test]
fn status_without_needs_is_0_and_counts() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b"]);
    sandbox.registered("slow", 0, &["c"]);
    sandbox.hold("case 7", &["--key", "a"]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let value = sandbox.json(&["status", "DATA"]);
    assert_eq!(
        (&value["state"], &value["clock"], &value["holds"]),
        (&"running".into(), &"agrees".into(), &1.into())
    );
    assert_eq!(value["needs"], serde_json::json!([]));
    let files = &value["classes"]["files"];
    let count = |name: &str| files[name].as_u64().unwrap();
    assert_eq!([count("registered"), count("live"), count("held"), count("deleted")], [2, 1, 1, 1]);
    assert_eq!([count("registered_bytes"), count("deleted_bytes"), count("overdue")], [2, 1, 0]);
    assert_eq!([count("absent"), count("released"), count("late"), count("early")], [0; 4]);
    assert_eq!(files["closed"], false);
    let text = sandbox.ok(&["status", "DATA"]).stdout;
    assert!(
        text.starts_with("sexton.test/sandbox as of ") && text.contains("standing legal holds: 1"),
        "{text}"
    );
    assert!(text.contains("slow\n  1 registered, 1 registered bytes, 1 live\n"), "{text}");
}

#[test]
fn overdue_object_needs_operator_unless_held() {
    let sandbox = Sandbox::new();
    sandbox.registered("short", 2 * HOUR_MS, &["late"]);
    let ran = sandbox.run(&["status", "DATA", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.json()["classes"]["short"]["overdue"], 1);
    assert_eq!(ran.json()["needs"][0], "overdue: 1 object is past its ceiling; `sexton plan` lists them");
    assert!(sandbox.run(&["status", "DATA"]).stdout.contains("the oldest overdue ceiling was "));
    sandbox.hold("case 7", &["--key", "late"]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let value = sandbox.json(&["status", "DATA"]);
    let short = &value["classes"]["short"];
    assert_eq!((&short["overdue"], &short["held"]), (&1.into(), &1.into()));
    assert!(sandbox.has("late"));
}

#[test]
fn forked_log_needs_operator_and_takes_no_changes() {
    let sandbox = Sandbox::new();
    copy_folder(&sandbox.path("data"), &sandbox.path("backup"));
    sandbox.hold("case 7", &["--class", "files"]);
    fs::remove_dir_all(sandbox.path("backup").join("log")).unwrap();
    copy_folder(&sandbox.path("data").join("log"), &sandbox.path("backup").join("log"));
    fs::copy(sandbox.path("data").join("head"), sandbox.path("backup").join("head")).unwrap();
    let ran = sandbox.run(&["status", "@backup", "--json"]);
    assert_eq!((ran.code, &ran.json()["state"]), (1, &"forked".into()), "{ran:?}");
    assert!(ran.json()["needs"][0].as_str().unwrap().starts_with("forked: "), "{ran:?}");
    let hold = ["hold", "place", "@backup", "--name", "x", "--key", "a", "--review", "2999-12-31"];
    let hold = [&hold[..], &WHY].concat();
    let refused = sandbox.run(&hold);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
    sandbox.run(&[&hold[..], &["--dry-run"]].concat()).assert_refused("the engine takes no changes: ");
}

#[test]
fn plan_shows_action_reason_and_hold() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b"]);
    sandbox.registered("slow", 0, &["c"]);
    sandbox.hold("case 7", &["--key", "b"]);
    let soon = sandbox.json(&["plan", "DATA"]);
    assert_eq!((&soon["found"], soon["objects"].as_array().unwrap().len()), (&2.into(), 2));
    assert_eq!(soon["until_ms"].as_i64().unwrap() - soon["as_of_ms"].as_i64().unwrap(), DAY_MS);
    let object =
        |key: &str| soon["objects"].as_array().unwrap().iter().find(|object| object["key"] == key).unwrap();
    assert_eq!((&object("a")["action"], &object("a")["reason"]), (&"delete".into(), &"due".into()));
    assert_eq!((&object("b")["action"], &object("b")["hold"]), (&"hold".into(), &"case 7".into()));
    assert_eq!(object("a")["key_hex"], "61");
    let start_ms = now_ms() - HOUR_MS;
    assert!((object("a")["ceiling_ms"].as_i64().unwrap() - start_ms - DAY_MS).abs() < 60_000);

    let far = sandbox.ok(&["plan", "DATA", "--until", "+1y", "--limit", "2"]).stdout;
    assert_eq!(far.lines().count(), 3, "{far}");
    assert!(far.contains("  files  b  keep, hold \"case 7\" (retention expired; not before "), "{far}");
    assert!(far.ends_with("and 1 more; --limit shows more of them\n"), "{far}");
    let until = instant(now_ms() + 101 * DAY_MS);
    let summary = sandbox.ok(&["plan", "DATA", "--until", &until, "--summary"]).stdout;
    assert!(summary.contains("           1  slow  delete, from ") && !summary.contains("more"), "{summary}");
    let value = sandbox.json(&["plan", "DATA", "--until", &until, "--summary"]);
    assert_eq!(
        (value["objects"].as_array().unwrap().len(), value["summary"].as_array().unwrap().len()),
        (0, 3)
    );

    assert!(sandbox.ok(&["plan", "DATA", "--until", "1999-01-01T00:00:00Z"]).stdout.contains("files  a"));
    sandbox.run(&["plan", "DATA", "--until", "+99999999999d"]).assert_refused("a span is a number from 1");
    sandbox.run(&["plan", "DATA", "--until", "+1000000y"]).assert_refused("+1000000y from now");
    sandbox.run(&["plan", "DATA", "--until", "tomorrow"]).assert_refused("or + and a span, like +30d");
    assert!(Sandbox::new().ok(&["plan", "DATA"]).stdout.starts_with("nothing until "));
}

#[test]
fn feed_is_read_after_and_forgotten_through_a_number() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b", "c"]);
    sandbox.registered("slow", 0, &["untold"]);
    sandbox.ok(&[&["erase", "request", "DATA", "--key", "untold"], &WHY[..]].concat());
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let value = sandbox.json(&["feed", "read", "DATA", "--max", "2"]);
    assert_eq!((value["entries"].as_array().unwrap().len(), &value["next_after"]), (2, &2.into()));
    assert_eq!(
        (&value["entries"][0]["number"], &value["entries"][0]["method"]),
        (&1.into(), &"deleted".into())
    );
    assert_eq!(
        (&value["entries"][0]["class"], &value["entries"][0]["reason"]),
        (&"files".into(), &"due".into())
    );
    let rest = sandbox.ok(&["feed", "read", "DATA", "--after", "2"]).stdout;
    assert_eq!(rest.lines().count(), 1, "{rest}");
    assert!(rest.starts_with("       3  ") && rest.trim_end().ends_with("deleted (due)"), "{rest}");

    let (text, json) = sandbox.dry(&["feed", "ack", "DATA", "2"]);
    assert_eq!(
        (text.stdout.as_str(), &json["acknowledged"]),
        ("the entries up to 2 would be forgotten\n", &2.into())
    );
    sandbox.refused(&["feed", "ack", "DATA", "4"], "entry 4 was not given yet; the last one is 3");
    assert_eq!(sandbox.json(&["feed", "ack", "DATA", "2"])["dry_run"], false);
    assert_eq!(sandbox.json(&["feed", "read", "DATA"])["entries"][0]["number"], 3);
    assert_eq!(sandbox.ok(&["feed", "read", "DATA", "--after", "3"]).stdout, "no entries after 3\n");
    // Entries that are forgotten already can be acknowledged again, in a dry run too.
    sandbox.ok(&["feed", "ack", "DATA", "3"]);
    sandbox.dry(&["feed", "ack", "DATA", "3"]);
    sandbox.ok(&["feed", "ack", "DATA", "2"]);
    sandbox.refused(&["feed", "ack", "DATA", "4"], "entry 4 was not given yet; the last one is 3");
    sandbox.run(&["feed", "read", "DATA", "--max", "10001"]).assert_refused("10001");
}
