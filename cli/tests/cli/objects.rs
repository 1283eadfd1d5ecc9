//! `object`, `reconcile` and `enforce`.

use crate::sandbox::{DAY_MS, HOUR_MS, SECOND_MS, Sandbox, WHY, instant, now, now_ms};
use sexton::Registration;
use std::os::unix::fs::symlink;

#[test]
fn object_without_start_is_started_once() {
    let sandbox = Sandbox::new();
    sandbox.register(Registration::new("files", b"a"));
    let at_ms = now_ms() / 1_000 * 1_000;
    let at = instant(at_ms);
    let words = ["object", "start", "DATA", "--key", "a", "--at", &at];
    let (text, json) = sandbox.dry(&words);
    assert!(text.stdout.starts_with("would be started: registration "), "{text:?}");
    let value = sandbox.json(&words);
    let bounds = [Some(at_ms + SECOND_MS), Some(at_ms + DAY_MS)];
    assert_eq!([value["floor_ms"].as_i64(), value["ceiling_ms"].as_i64()], bounds);
    assert_eq!([json["floor_ms"].as_i64(), json["ceiling_ms"].as_i64()], bounds);
    sandbox.ok(&words);
    let other = instant(at_ms - HOUR_MS);
    sandbox
        .run(&["object", "start", "DATA", "--key", "a", "--at", &other])
        .assert_refused("is known already");
    sandbox.refused(
        &["object", "start", "DATA", "--key", "b", "--at", &at],
        "no live registration has this key",
    );
    sandbox.refused(&["object", "start", "DATA", "--key", "a", "--at", "soon"], "expected RFC 3339");
    sandbox.refused(&["object", "start", "DATA", "--at", &at], "required");
    sandbox.refused(
        &["object", "start", "DATA", "--id", "12", "--at", &at],
        "invalid value '12' for '--id <ID>'",
    );
}

#[test]
fn version_of_a_key_is_released_by_name() {
    let sandbox = Sandbox::new();
    sandbox.register(Registration::new("versions", b"a").version(b"v1"));
    sandbox.register(Registration::new("versions", b"a").version(b"v2"));
    sandbox.refused(&["object", "release", "DATA", "--key", "a"], "2");
    let words = ["object", "release", "DATA", "--key", "a", "--object-version"];
    sandbox.refused(&[&words[..], &["v3"]].concat(), "no live registration has this key and version");
    sandbox.ok(&[&words[..], &["v1"]].concat());
    sandbox.ok(&["object", "release", "DATA", "--hex", "--key", "61", "--object-version", "7632"]);
    let id = "0".repeat(40);
    sandbox
        .refused(&["object", "release", "DATA", "--id", &id, "--object-version", "v1"], "--object-version");
}

#[test]
fn reschedule_changes_class_or_start() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", -DAY_MS, &["a"]);
    let start = instant(now_ms() - HOUR_MS);
    let words = ["object", "reschedule", "DATA", "--key", "a", "--class", "slow", "--start", &start];
    let (_, json) = sandbox.dry(&words);
    let value = sandbox.json(&words);
    assert_eq!((&value["ceiling_ms"], &value["floor_ms"]), (&json["ceiling_ms"], &serde_json::Value::Null));
    assert!((value["ceiling_ms"].as_i64().unwrap() - now_ms() + HOUR_MS - 100 * DAY_MS).abs() < 60_000);
    let id = value["id"].as_str().unwrap();
    let by_id = ["object", "reschedule", "DATA", "--id", id, "--class", "short"];
    let (text, json) = sandbox.dry(&by_id);
    assert!(text.stdout.contains("would follow from the class and its present start"), "{text:?}");
    assert_eq!(json["ceiling_ms"], serde_json::Value::Null);
    assert!(sandbox.ok(&by_id).stdout.contains("not after "));

    sandbox.refused(
        &["object", "reschedule", "DATA", "--key", "a", "--class", "nothing"],
        "unknown class \"nothing\"",
    );
    sandbox.refused(
        &["object", "reschedule", "DATA", "--key", "a", "--class", "unfound"],
        "cannot go from one to the other",
    );
    sandbox.refused(
        &["object", "reschedule", "DATA", "--key", "a", "--start", "1970-01-01T00:00:00Z"],
        "before 1990-01-01",
    );
    sandbox.refused(
        &["object", "reschedule", "DATA", "--key", "a", "--start", "2999-01-01T00:00:00Z"],
        "ten years ahead",
    );
    sandbox.refused(&["object", "reschedule", "DATA", "--key", "a"], "required");
}

#[test]
fn release_ends_object_unless_a_hold_covers_it() {
    let sandbox = Sandbox::new();
    sandbox.register(Registration::new("slow", b"a\xff"));
    sandbox.registered("slow", 0, &["held"]);
    sandbox.hold("case 7", &["--key", "held"]);
    let words = ["object", "release", "DATA", "--key", "61ff", "--hex"];
    let (text, _) = sandbox.dry(&words);
    assert!(text.stdout.starts_with("would be released: "), "{text:?}");
    assert!(sandbox.ok(&words).stdout.starts_with("released: registration "));
    sandbox.refused(
        &["object", "release", "DATA", "--key", "held"],
        "legal hold \"case 7\" covers it; lift it first",
    );
    let (dry, _) = sandbox.dry(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(dry.stdout.contains("           1  slow  end, released\n"), "{dry:?}");
    let ran = sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(ran.stdout.starts_with("           1 ended, released\n"), "{ran:?}");
    assert_eq!(sandbox.json(&["status", "DATA"])["classes"]["slow"]["released"], 1);
    sandbox.refused(&["object", "release", "DATA", "--key", "a"], "no live registration has this key");
}

#[test]
fn reschedule_of_ticket_object_gives_a_new_ticket() {
    let sandbox = Sandbox::new();
    sandbox.register(Registration::new("tickets", b"t").start(now()));
    let start = instant(now_ms() + HOUR_MS);
    let value = sandbox.json(&["object", "reschedule", "DATA", "--key", "t", "--start", &start]);
    assert!(value["ticket_hex"].as_str().is_some_and(|ticket| ticket.len() > 64), "{value}");
}

#[test]
fn reconcile_registers_only_unknown_files() {
    let sandbox = Sandbox::new();
    sandbox.file("a", HOUR_MS);
    sandbox.file("b", 3 * HOUR_MS);
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "slow"];
    // The dry run leaves no mark of use in the folder.
    let (text, json) = sandbox.dry(&words);
    assert!(text.stdout.contains("2 would be registered"), "{text:?}");
    assert_eq!((&json["registered"], &json["known"]), (&2.into(), &0.into()));
    let value = sandbox.json(&words);
    assert_eq!((&value["registered"], &value["refused"]), (&2.into(), &serde_json::json!([])));
    sandbox.file("c", 0);
    let (_, json) = sandbox.dry(&words);
    assert_eq!((&json["registered"], &json["known"]), (&1.into(), &2.into()));
    let text = sandbox.ok(&words).stdout;
    assert!(text.contains("           2 already known\n           1 registered\n"), "{text}");
}

/// A forged modification time neither keeps a file for ever nor deletes it at once.
#[test]
fn reconcile_bounds_starts_by_birth_and_now() {
    let sandbox = Sandbox::new();
    let began_ms = now_ms();
    sandbox.file("future", -3_000 * DAY_MS);
    sandbox.file("old", 7 * DAY_MS);
    sandbox.file("usual", 0);
    sandbox.put("files/usual", "as it is");
    let start = |class: &'static str, rule: Option<&'static str>| {
        let words = ["reconcile", "DATA", "--dir", "FILES", "--class", class];
        let rule = rule.map_or(vec![], |rule| vec!["--start", rule]);
        [&words[..], &rule].concat()
    };
    let (text, json) = sandbox.dry(&start("short", None));
    let lines = [
        "starts at ",
        ": future: modified at ",
        "and that is in the future\n",
        "and that is before its birth\n",
    ];
    assert!(lines.iter().all(|line| text.stdout.contains(line)), "{text:?}");
    assert_eq!((&json["registered"], &json["bounded"]), (&3.into(), &2.into()));
    for (class, rule, bounded) in [
        ("short", None, 2),
        ("short", Some("discovered"), 0),
        ("slow", None, 0),
        ("slow", Some("modified"), 2),
    ] {
        let sandbox = Sandbox::new();
        sandbox.file("future", -3_000 * DAY_MS);
        sandbox.file("old", 7 * DAY_MS);
        let value = sandbox.json(&start(class, rule));
        assert_eq!(
            (&value["bounded"], &value["registered"]),
            (&bounded.into(), &2.into()),
            "{class} {rule:?}"
        );
        let listed: Vec<_> =
            value["first_bounded"].as_array().unwrap().iter().map(|file| file["key"].clone()).collect();
        assert_eq!(listed, if bounded > 0 { vec!["future", "old"] } else { vec![] });
        let plan = sandbox.json(&["plan", "DATA", "--until", "+200d"]);
        let within_ms = if class == "short" { HOUR_MS } else { 100 * DAY_MS };
        for object in plan["objects"].as_array().unwrap() {
            let start_ms = object["ceiling_ms"].as_i64().unwrap() - within_ms;
            assert!((began_ms - SECOND_MS..=now_ms()).contains(&start_ms), "{class} {rule:?}: {plan}");
        }
        assert_eq!(plan["objects"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn first_reconcile_of_a_root_says_what_goes_at_once() {
    let sandbox = Sandbox::without_root();
    sandbox.file("a", 0);
    sandbox.file("b", 0);
    // They are due after a second.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "files"];
    let (text, json) = sandbox.dry(&words);
    assert!(
        text.stdout.ends_with("2 objects of the class would go at once, at the next enforcement\n"),
        "{text:?}"
    );
    let at_once = serde_json::json!({ "objects": 2, "stopped_by_breaker": 0 });
    assert_eq!(json["at_once"], at_once);
    assert_eq!(sandbox.json(&words)["at_once"], at_once);
    assert_eq!(sandbox.json(&words)["at_once"], serde_json::Value::Null);
}

#[test]
fn reconcile_with_refused_files_registers_the_others() {
    let sandbox = Sandbox::new();
    // A key of more than 2,048 bytes is too long.
    let long = ["d".repeat(250).as_str(); 8].join("/");
    for n in 0..30 {
        let folder = if n % 10 == 3 { format!("{long}/{}", "e".repeat(50)) } else { "f".into() };
        sandbox.file(&format!("{folder}/{n:02}"), HOUR_MS);
    }
    symlink("/etc/passwd", sandbox.path("files").join("link")).unwrap();
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "short", "--json"];
    let dry = sandbox.run(&[&words[..], &["--dry-run"]].concat());
    let ran = sandbox.run(&words);
    assert_eq!((dry.code, ran.code), (1, 1), "{ran:?}");
    assert_eq!(dry.json()["refused"], ran.json()["refused"]);
    let refused: Vec<_> = ran.json()["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["key"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(refused, ["03", "13", "23"]);
    assert!(ran.json()["refused"][0]["why"].as_str().unwrap().contains("has 2061 bytes"), "{ran:?}");
    assert_eq!(ran.json()["registered"], 27);

    sandbox.refused(&["reconcile", "DATA", "--dir", "FILES", "--class", "nothing"], "unknown class");
    sandbox.refused(&["reconcile", "DATA", "--dir", "FILES", "--class", "unfound"], "does not find by key");
    sandbox
        .refused(&["reconcile", "DATA", "--dir", "@missing", "--class", "slow"], "name an existing folder");
}

/// A file that was written again or grew stays its object. Another file under its key is a new one.
#[test]
fn reconcile_takes_changed_files_as_they_are() {
    // A replaced registration has the earlier ceiling of both.
    let starts_ms = |sandbox: &Sandbox| -> Vec<i64> {
        let plan = sandbox.json(&["plan", "DATA", "--until", "+200d"]);
        let mut latest_ms = std::collections::BTreeMap::new();
        for object in plan["objects"].as_array().unwrap() {
            let of_key = latest_ms.entry(object["key"].as_str().unwrap().to_owned()).or_insert(0);
            *of_key = object["ceiling_ms"].as_i64().unwrap().max(*of_key);
        }
        latest_ms.into_values().collect()
    };
    for rule in [&["--start", "modified"][..], &["--start", "discovered"], &["--appended"]] {
        let sandbox = Sandbox::new();
        for key in ["grown", "other", "same"] {
            sandbox.file(key, 0);
        }
        let words = [&["reconcile", "DATA", "--dir", "FILES", "--class", "short"][..], rule].concat();
        sandbox.ok(&words);
        sandbox.hold("case 7", &["--key", "grown", "--key", "other"]);
        let before_ms = starts_ms(&sandbox);
        std::thread::sleep(std::time::Duration::from_millis(50));
        sandbox.put("files/grown", "as it is now");
        // The new file may get the inode number of the old one.
        std::fs::remove_file(sandbox.path("files").join("other")).unwrap();
        sandbox.put("files/other", "another file");

        let is_exact = !rule.contains(&"--appended");
        let counts = |value: &serde_json::Value| {
            ["known", "registered", "changed", "replaced"].map(|field| value[field].as_u64().unwrap())
        };
        let expected = [u64::from(!is_exact) + 1, 0, u64::from(is_exact), 1];
        assert_eq!(counts(&sandbox.dry(&words).1), expected, "{rule:?}");
        assert_eq!(counts(&sandbox.json(&words)), expected, "{rule:?}");
        assert_eq!(counts(&sandbox.json(&words)), [3, 0, 0, 0], "{rule:?}");
        let after_ms = starts_ms(&sandbox);
        let moved = [0, 1, 2].map(|at| after_ms[at] > before_ms[at]);
        assert_eq!(moved, [rule.contains(&"modified"), true, false], "{rule:?}");
        let plan = sandbox.json(&["plan", "DATA", "--until", "+200d"]);
        let held = plan["objects"].as_array().unwrap().iter().filter(|object| object["action"] == "hold");
        assert_eq!(held.count(), 2, "{rule:?}: {plan}");
    }
}

/// A file that was written after its registration goes once it was reconciled.
#[test]
fn changed_file_goes_after_reconcile() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    sandbox.put("files/a", "as it is now");
    let enforce = ["enforce", "DATA", "--dir", "FILES"];
    let ran = sandbox.run(&[&enforce[..], &["--json"]].concat());
    assert_eq!((ran.code, &ran.json()["answers"]["changed"]), (1, &1.into()));
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "files", "--start", "discovered"];
    assert_eq!(sandbox.json(&words)["changed"], 1);
    // Its next attempt comes a second after the first one.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    assert_eq!(sandbox.json(&enforce)["answers"]["deleted"], 1);
    assert!(!sandbox.has("a"));
}

#[test]
fn enforce_deletes_due_objects_and_lists_problems() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b", "changed", "gone"]);
    sandbox.registered("slow", 0, &["later"]);
    sandbox.put("files/changed", "overwritten");
    std::fs::remove_file(sandbox.path("files").join("gone")).unwrap();
    let words = ["enforce", "DATA", "--dir", "FILES"];
    let (text, json) = sandbox.dry(&words);
    assert_eq!(text.stdout, "           4  files  delete\n");
    assert_eq!(json["would"][0]["objects"], 4);
    let ran = sandbox.run(&[&words[..], &["--json"]].concat());
    assert_eq!(ran.code, 1, "an object was changed: {ran:?}");
    let value = ran.json();
    let answers = &value["answers"];
    assert_eq!([&answers["deleted"], &answers["absent"], &answers["changed"]], [&2, &1, &1]);
    assert_eq!((&value["problems"][0]["key"], &value["kept_by_holds"]), (&"changed".into(), &0.into()));
    assert!(!sandbox.has("a") && !sandbox.has("b") && sandbox.has("changed") && sandbox.has("later"));
    assert!(sandbox.ok(&words).stdout.starts_with("nothing was due\nnext work: "));
}

#[test]
fn enforce_with_overdue_is_1_and_unmounted_disk_refused() {
    let sandbox = Sandbox::new();
    sandbox.registered("short", 2 * HOUR_MS, &["late"]);
    sandbox.put("files/late", "overwritten");
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.run(&["enforce", "DATA", "--dir", "@empty", "--dry-run"]).assert_refused("mount the disk");
    sandbox.run(&["enforce", "DATA", "--dir", "@empty"]).assert_refused("mount the disk");
    sandbox
        .run(&["enforce", "DATA", "--dir", "@missing", "--dry-run"])
        .assert_refused("name an existing folder");
    let ran = sandbox.run(&["enforce", "DATA", "--dir", "FILES"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("changed: late: the registered file was changed or replaced"), "{ran:?}");
    assert!(ran.stdout.contains("overdue: 1 object is past its ceiling"), "{ran:?}");
    let erase = [&["erase", "request", "DATA", "--key", "late", "--immediate"], &WHY[..]].concat();
    sandbox.ok(&erase);
}

#[test]
fn enforce_with_late_objects_counts_them_and_is_3() {
    let sandbox = Sandbox::new();
    sandbox.registered("short", 2 * HOUR_MS, &["a", "b"]);
    sandbox.registered("files", HOUR_MS, &["c"]);
    let words = ["enforce", "DATA", "--dir", "FILES"];
    let dry = sandbox.run(&[&words[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, 3, "{dry:?}");
    assert!(dry.stdout.contains("           2  short  delete, 2 late\n"), "{dry:?}");
    let ran = sandbox.run(&words);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stdout.contains("           3 deleted\n           2 of these ended late\n"), "{ran:?}");
    let value = sandbox.json(&words);
    assert_eq!((&value["late"], &value["early"]), (&0.into(), &0.into()), "only this run counts: {value}");
}

#[test]
fn enforce_with_failed_object_is_1() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    sandbox.put("files/a", "overwritten");
    let ran = sandbox.run(&["enforce", "DATA", "--dir", "FILES"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.starts_with("           1 changed\n"), "{ran:?}");
}

#[test]
fn enforce_with_prune_empty_removes_emptied_folders_only() {
    let sandbox = Sandbox::new();
    for folder in ["year/month", "kept", "empty before"] {
        std::fs::create_dir_all(sandbox.path("files").join(folder)).unwrap();
    }
    sandbox.registered("files", HOUR_MS, &["year/month/a", "kept/b"]);
    sandbox.put("files/kept/new", "not registered");
    // A root may be a symbolic link.
    symlink("files", sandbox.path("linked")).unwrap();
    let words = ["enforce", "DATA", "--dir", "@linked", "--prune-empty"];
    let (text, dry) = sandbox.dry(&words);
    assert_eq!(dry["folders_removed"], 2);
    assert!(text.stdout.contains("           2 empty folders would be removed\n"), "{text:?}");
    assert!(sandbox.dry(&words[..4]).1["folders_removed"].is_null());
    let json = sandbox.json(&words);
    assert_eq!((&json["folders_removed"], &json["folders_refused"]), (&2.into(), &serde_json::json!([])));
    assert!(!sandbox.has("year") && sandbox.has("kept/new") && sandbox.has("empty before"));
    assert!(sandbox.ok(&words).stdout.contains("           0 empty folders removed\n"));
}

/// An enforcement that was killed after its deletions leaves the folders to the next one.
#[test]
fn enforce_with_prune_empty_removes_folders_of_absent_files() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["x/y/a"]);
    std::fs::remove_file(sandbox.path("files/x/y/a")).unwrap();
    let json = sandbox.json(&["enforce", "DATA", "--dir", "FILES", "--prune-empty"]);
    assert_eq!((&json["answers"]["absent"], &json["folders_removed"]), (&1.into(), &2.into()));
    assert!(!sandbox.has("x"));
}
