//! `screen`.

use crate::yard::{HOUR_MS, Yard};

#[test]
fn keys_are_live_ended_or_unknown() {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["ended"]);
    yard.registered("slow", 0, &["live"]);
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let words = ["screen", "DATA", "--key", "live", "--key", "ended", "--key", "never"];
    let told = yard.json(&words);
    let states: Vec<_> = told["keys"].as_array().unwrap().iter().map(|one| one["state"].clone()).collect();
    assert_eq!(states, ["live", "ended", "unknown"]);
    let ended = &told["keys"][1];
    assert_eq!(
        (&ended["method"], &ended["reason"], &ended["came_back"]),
        (&"deleted".into(), &"due".into(), &false.into())
    );
    let text = yard.ok(&words).stdout;
    assert!(text.starts_with("live     live  registration "), "{text}");
    assert!(text.contains("\nended    ended  deleted ") && text.ends_with("unknown  never\n"), "{text}");
    yard.put("keys.txt", "656e646564\n");
    assert_eq!(yard.json(&["screen", "DATA", "--keys", "@keys.txt", "--hex"])["keys"][0]["state"], "ended");
    yard.run(&["screen", "DATA"]).assert_refused("required");
    yard.run(&["screen", "DATA", "--key", "a", "--delete-again"]).assert_refused("required");
    yard.run(&["screen", "DATA", "--keys", "@none"]).assert_refused("cannot be read");
    yard.run(&["screen", "DATA", "--dir", "@none"]).assert_refused("name an existing folder");
}

#[test]
fn what_came_back_from_a_backup_is_deleted_again() {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["a", "b"]);
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    yard.file("a", 2 * HOUR_MS);
    yard.file("new", 0);
    let words = ["screen", "DATA", "--dir", "FILES"];
    let ran = yard.run(&words);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("it came back") && ran.stdout.contains("unknown  new"), "{ran:?}");

    let again = [&words[..], &["--delete-again"]].concat();
    let before = yard.everything();
    let dry = yard.run(&[&again[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, 1, "{dry:?}");
    assert!(dry.stdout.contains("it would be deleted again"), "{dry:?}");
    assert_eq!(yard.everything(), before);
    let told = yard.json(&again);
    let one = |key: &str| told["keys"].as_array().unwrap().iter().find(|one| one["key"] == key).unwrap();
    assert_eq!((&one("a")["delete_again"], &one("a")["refused"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(one("new")["delete_again"], false);
    yard.ok(&words);
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!yard.has("a") && yard.has("new"));
    let told = yard.json(&["screen", "DATA", "--key", "a"]);
    assert_eq!(told["keys"][0]["reason"], "restored");
}

#[test]
fn reconciling_says_that_something_may_have_come_back() {
    let yard = Yard::new();
    yard.registered("files", HOUR_MS, &["a"]);
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    yard.file("a", 0);
    let ran = yard.ok(&["reconcile", "DATA", "--dir", "FILES", "--class", "files", "--dry-run"]);
    assert!(ran.stderr.contains("1 of them had ended before"), "{ran:?}");
}

#[test]
fn a_folder_is_only_looked_at_and_no_mark_stays_in_it() {
    let yard = Yard::new();
    std::fs::create_dir(yard.path("backup")).unwrap();
    yard.put("backup/a", "a");
    yard.ok(&["screen", "DATA", "--dir", "@backup"]);
    assert_eq!(std::fs::read_dir(yard.path("backup")).unwrap().count(), 1);
}
