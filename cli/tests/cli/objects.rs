//! `start`, `reschedule`, `release`, `reconcile` and `enforce`.

use crate::yard::{DAY_MS, HOUR_MS, SECOND_MS, WHY, Yard, instant, now_ms};
use sexton::Registration;
use std::os::unix::fs::symlink;

#[test]
fn an_open_object_is_started_once() {
    let yard = Yard::new();
    yard.register(Registration::new("files", b"a"));
    let at_ms = now_ms() / 1_000 * 1_000;
    let at = instant(at_ms);
    let words = ["start", "DATA", "--key", "a", "--at", &at];
    let (text, json) = yard.dry(&words);
    assert!(text.stdout.starts_with("would be started: registration "), "{text:?}");
    let told = yard.json(&words);
    let bounds = [Some(at_ms + SECOND_MS), Some(at_ms + DAY_MS)];
    assert_eq!([told["floor_ms"].as_i64(), told["ceiling_ms"].as_i64()], bounds);
    assert_eq!([json["floor_ms"].as_i64(), json["ceiling_ms"].as_i64()], bounds);
    yard.ok(&words);
    let other = instant(at_ms - HOUR_MS);
    yard.run(&["start", "DATA", "--key", "a", "--at", &other]).assert_refused("its start is known already");
    yard.refused(&["start", "DATA", "--key", "b", "--at", &at], "no live registration has this key");
    yard.refused(&["start", "DATA", "--key", "a", "--at", "soon"], "an instant is RFC 3339");
    yard.refused(&["start", "DATA", "--at", &at], "required");
    yard.refused(&["start", "DATA", "--id", "12", "--at", &at], "invalid value '12' for '--id <ID>'");
}

#[test]
fn an_object_is_put_under_another_class_or_start() {
    let yard = Yard::new();
    yard.registered("files", -DAY_MS, &["a"]);
    let start = instant(now_ms() - HOUR_MS);
    let words = ["reschedule", "DATA", "--key", "a", "--class", "slow", "--start", &start];
    let (_, json) = yard.dry(&words);
    let told = yard.json(&words);
    assert_eq!((&told["ceiling_ms"], &told["floor_ms"]), (&json["ceiling_ms"], &serde_json::Value::Null));
    assert!((told["ceiling_ms"].as_i64().unwrap() - now_ms() + HOUR_MS - 100 * DAY_MS).abs() < 60_000);
    let id = told["id"].as_str().unwrap();
    let by_id = ["reschedule", "DATA", "--id", id, "--class", "short"];
    let (text, json) = yard.dry(&by_id);
    assert!(text.stdout.contains("what the class makes of the start that it has"), "{text:?}");
    assert_eq!(json["ceiling_ms"], serde_json::Value::Null);
    assert!(yard.ok(&by_id).stdout.contains("not after "));

    yard.refused(&["reschedule", "DATA", "--key", "a", "--class", "nothing"], "unknown class \"nothing\"");
    yard.refused(
        &["reschedule", "DATA", "--key", "a", "--class", "unfound"],
        "cannot go from one to the other",
    );
    yard.refused(
        &["reschedule", "DATA", "--key", "a", "--start", "1970-01-01T00:00:00Z"],
        "before 1990-01-01",
    );
    yard.refused(&["reschedule", "DATA", "--key", "a", "--start", "2999-01-01T00:00:00Z"], "ten years ahead");
    yard.refused(&["reschedule", "DATA", "--key", "a"], "required");
}

#[test]
fn what_the_host_deleted_itself_is_released_unless_a_hold_covers_it() {
    let yard = Yard::new();
    yard.register(Registration::new("slow", b"a\xff"));
    yard.registered("slow", 0, &["held"]);
    yard.hold("case 7", &["--key", "held"]);
    let words = ["release", "DATA", "--key", "61ff", "--hex"];
    let (text, _) = yard.dry(&words);
    assert!(text.stdout.starts_with("would be released: "), "{text:?}");
    assert!(yard.ok(&words).stdout.starts_with("released: registration "));
    yard.refused(&["release", "DATA", "--key", "held"], "legal hold \"case 7\" covers it; lift it first");
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert_eq!(yard.json(&["status", "DATA"])["classes"]["slow"]["released"], 1);
    yard.refused(&["release", "DATA", "--key", "a"], "no live registration has this key");
}

#[test]
fn a_ticket_is_given_anew_where_terms_change() {
    let yard = Yard::new();
    let start_ms = Some(now_ms());
    yard.register(Registration { start_ms, ..Registration::new("tickets", b"t") });
    let start = instant(now_ms() + HOUR_MS);
    let told = yard.json(&["reschedule", "DATA", "--key", "t", "--start", &start]);
    assert!(told["ticket_hex"].as_str().is_some_and(|ticket| ticket.len() > 64), "{told}");
}

#[test]
fn files_that_were_never_registered_are_and_those_that_were_are_left_alone() {
    let yard = Yard::new();
    yard.file("a", HOUR_MS);
    yard.file("b", 3 * HOUR_MS);
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "slow"];
    // Not even a mark of use stays in the folder.
    let (text, json) = yard.dry(&words);
    assert!(text.stdout.contains("2 would be registered"), "{text:?}");
    assert_eq!((&json["registered"], &json["known"]), (&2.into(), &0.into()));
    let told = yard.json(&words);
    assert_eq!((&told["registered"], &told["refused"]), (&2.into(), &serde_json::json!([])));
    yard.file("c", 0);
    let (_, json) = yard.dry(&words);
    assert_eq!((&json["registered"], &json["known"]), (&1.into(), &2.into()));
    let text = yard.ok(&words).stdout;
    assert!(text.contains("           2 known already\n           1 registered\n"), "{text}");

    // An explicit start is the last modification.
    yard.registered("short", 7 * DAY_MS, &["old"]);
    let plan = yard.json(&["plan", "DATA"]);
    let ceiling_ms = plan["objects"][0]["ceiling_ms"].as_i64().unwrap();
    assert!((ceiling_ms - now_ms() + 7 * DAY_MS - HOUR_MS).abs() < 60_000, "{plan}");
}

#[test]
fn a_file_that_is_refused_does_not_keep_the_others_out() {
    let yard = Yard::new();
    for n in 0..30 {
        let age_ms = if n % 10 == 3 { 50 * 365 * DAY_MS } else { HOUR_MS };
        yard.file(&format!("{n:02}"), age_ms);
    }
    symlink("/etc/passwd", yard.path("files").join("link")).unwrap();
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "short", "--json"];
    let dry = yard.run(&[&words[..], &["--dry-run"]].concat());
    let ran = yard.run(&words);
    assert_eq!((dry.code, ran.code), (1, 1), "{ran:?}");
    assert_eq!(dry.json()["refused"], ran.json()["refused"]);
    let refused: Vec<_> = ran.json()["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(refused, ["03", "13", "23"]);
    assert!(ran.json()["refused"][0]["why"].as_str().unwrap().contains("before 1990-01-01"));
    assert_eq!(ran.json()["registered"], 27);

    yard.refused(&["reconcile", "DATA", "--dir", "FILES", "--class", "nothing"], "unknown class");
    yard.refused(&["reconcile", "DATA", "--dir", "FILES", "--class", "unfound"], "does not find by key");
    yard.refused(&["reconcile", "DATA", "--dir", "@missing", "--class", "slow"], "name an existing folder");
}

#[test]
fn enforcing_deletes_what_is_due_and_tells_what_could_not_be() {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["a", "b", "changed", "gone"]);
    yard.registered("slow", 0, &["later"]);
    yard.put("files/changed", "somebody wrote to it");
    std::fs::remove_file(yard.path("files").join("gone")).unwrap();
    let words = ["enforce", "DATA", "--dir", "FILES"];
    let (text, json) = yard.dry(&words);
    assert_eq!(text.stdout, "           4  files  delete\n");
    assert_eq!(json["would"][0]["objects"], 4);
    let told = yard.json(&words);
    let answers = &told["answers"];
    assert_eq!([&answers["deleted"], &answers["absent"], &answers["changed"]], [&2, &1, &1]);
    assert_eq!((&told["problems"][0]["key"], &told["kept_by_holds"]), (&"changed".into(), &0.into()));
    assert!(!yard.has("a") && !yard.has("b") && yard.has("changed") && yard.has("later"));
    assert!(yard.ok(&words).stdout.starts_with("nothing was due\nnext: "));
}

#[test]
fn what_is_overdue_after_enforcing_is_1_and_a_disk_that_is_not_mounted_is_refused() {
    let yard = Yard::new();
    yard.registered("short", 2 * HOUR_MS, &["late"]);
    yard.put("files/late", "somebody wrote to it");
    std::fs::create_dir(yard.path("empty")).unwrap();
    yard.run(&["enforce", "DATA", "--dir", "@empty"]).assert_refused("mount the disk");
    yard.run(&["enforce", "DATA", "--dir", "@missing", "--dry-run"]).assert_refused("is not a folder");
    let ran = yard.run(&["enforce", "DATA", "--dir", "FILES"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("changed: late: another file stands there"), "{ran:?}");
    assert!(ran.stdout.contains("overdue: 1 are past their ceiling"), "{ran:?}");
    let erase = [&["erase", "request", "DATA", "--key", "late", "--immediate"], &WHY[..]].concat();
    yard.ok(&erase);
}
