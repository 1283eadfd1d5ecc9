//! `init` and `class`.

use crate::run::sexton;
use crate::yard::{CLASSES, HOUR_MS, WHY, Yard};
use std::fs;

#[test]
fn a_class_file_is_checked_without_a_data_folder() {
    let yard = Yard::new();
    let text = yard.ok(&["class", "check", "@classes.toml"]).stdout;
    for words in [
        "files\n  promise   kept for 1s, gone within 1d of its start, which is explicit, 1h after",
        "slot      6h, lead 3h",
        "remembered for 90d",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    let told = yard.json(&["class", "check", "@classes.toml"]);
    let files = told.as_array().unwrap().iter().find(|class| class["name"] == "files").unwrap();
    let expected = serde_json::json!({
        "name": "files", "keep": "1s", "within": "1d", "zone": "UTC", "holidays": [], "workdays": [],
        "start": "explicit", "max_open": "1h", "slot_ms": 1_000, "lead_ms": 1_000, "find": "key",
        "disposition": "delete", "openings": "operator", "feed": true, "remember": "90d",
    });
    assert_eq!(files, &expected);
}

#[test]
fn a_class_file_that_is_refused_is_refused_in_one_sentence() {
    let yard = Yard::new();
    let refused = |text: &str, why: &str| {
        yard.put("bad.toml", text);
        yard.run(&["class", "check", "@bad.toml"]).assert_refused(why);
        yard.refused(&["class", "set", "DATA", "@bad.toml"], why);
    };
    refused("[class.a]\nwithin = '3h'\nslot = '3h'\n", "nothing could be deleted in time");
    refused("[class.a]\nwithin = '99999999999d'\n", "a span is a number from 1");
    refused("[class.a]\nwithin = '3 hours'\n", "found \"3 hours\"");
    refused("[class.A]\nwithin = '3h'\n", "class");
    refused("", "it defines no class");
    yard.run(&["class", "check", "@missing"]).assert_refused("cannot be read");
}

#[test]
fn setting_a_class_makes_a_new_version_and_a_dry_run_none() {
    let yard = Yard::new();
    yard.put("new.toml", &format!("{}\n[class.more]\nwithin = '9d'\n", CLASSES.replace("100d", "101d")));
    let words = ["class", "set", "DATA", "@new.toml"];
    let (text, json) = yard.dry(&words);
    assert!(text.stdout.contains("slow: would be new version, version 2"), "{text:?}");
    let told = yard.json(&words);
    assert_eq!((&json["classes"], &told["dry_run"]), (&told["classes"], &false.into()));
    let change = |name: &str| {
        let all = told["classes"].as_array().unwrap();
        let one = all.iter().find(|class| class["name"] == name).unwrap();
        (one["change"].as_str().unwrap().to_owned(), one["version"].as_u64().unwrap())
    };
    assert_eq!(change("slow"), ("new version".into(), 2));
    assert_eq!(change("files"), ("unchanged".into(), 1));
    assert_eq!(change("more"), ("new".into(), 1));
    let listed = yard.json(&["class", "list", "DATA"]);
    let slow = listed.as_array().unwrap().iter().find(|class| class["name"] == "slow").unwrap();
    assert_eq!(
        (&slow["version"], &slow["within"], &slow["closed"]),
        (&2.into(), &"101d".into(), &false.into())
    );
    assert!(yard.ok(&["class", "list", "DATA"]).stdout.contains("slow (version 2)"));
}

#[test]
fn a_new_version_counts_for_what_lives_once_it_is_applied() {
    let yard = Yard::new();
    yard.registered("slow", 0, &["a"]);
    let ceiling_ms = || {
        let plan = yard.json(&["plan", "DATA", "--until", "+1y"]);
        plan["objects"][0]["ceiling_ms"].as_i64().unwrap()
    };
    let before_ms = ceiling_ms();
    yard.put("new.toml", "[class.slow]\nwithin = '101d'\nstart = 'registered'\n");
    yard.ok(&["class", "set", "DATA", "@new.toml"]);
    assert_eq!(ceiling_ms(), before_ms);
    let words = [&["class", "apply", "DATA", "slow"], &WHY[..]].concat();
    let (text, json) = yard.dry(&words);
    assert!(text.stdout.starts_with("would apply the newest version of class \"slow\""), "{text:?}");
    assert_eq!((&json["kind"], &json["number"]), (&"apply".into(), &serde_json::Value::Null));
    assert!(yard.ok(&words).stdout.starts_with("request 1 is taken: "));
    yard.ok(&["reconcile", "DATA", "--dir", "FILES", "--class", "slow"]);
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert_eq!(ceiling_ms(), before_ms + 24 * HOUR_MS);
    yard.refused(&[&["class", "apply", "DATA", "nothing"], &WHY[..]].concat(), "unknown class \"nothing\"");
}

#[test]
fn a_class_that_is_closed_takes_nothing_more_and_what_lives_in_it_goes() {
    let yard = Yard::new();
    yard.registered("slow", 0, &["a", "b"]);
    let words = [&["class", "close", "DATA", "slow"], &WHY[..]].concat();
    let (text, _) = yard.dry(&words);
    assert!(text.stdout.contains("would close down the class \"slow\", in which 2 live"), "{text:?}");
    let told = yard.json(&words);
    assert_eq!((&told["kind"], &told["dry_run"]), (&"close".into(), &false.into()));
    yard.file("c", 0);
    yard.refused(&["reconcile", "DATA", "--dir", "FILES", "--class", "slow"], "was closed down");
    let plan = yard.json(&["plan", "DATA", "--until", "+2d"]);
    assert_eq!(plan["found"], 2);
    assert_eq!(plan["objects"][0]["reason"], "closed");
    yard.refused(&[&["class", "close", "DATA", "nothing"], &WHY[..]].concat(), "unknown class");
    yard.refused(&["class", "close", "DATA", "files", "--reason", " ", "--author", "Ada"], "it has 0 bytes");

    let (text, _) = yard.dry(&[&["class", "close", "DATA", "--everything"], &WHY[..]].concat());
    assert!(text.stdout.contains("would close down everything, in which 2 live"), "{text:?}");
    yard.run(&[&["class", "close", "DATA"], &WHY[..]].concat()).assert_refused("required");
    yard.run(&[&["class", "close", "DATA", "slow", "--everything"], &WHY[..]].concat())
        .assert_refused("cannot be used with");
}

#[test]
fn a_data_folder_is_made_once_and_a_foreign_folder_is_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let init = |more: &[&str]| {
        let words = ["init", data.to_str().unwrap(), "--origin", "sexton.test/new"];
        sexton(words.iter().chain(more))
    };
    let dry = init(&["--dry-run", "--json"]);
    assert_eq!((dry.code, &dry.json()["dry_run"]), (0, &true.into()), "{dry:?}");
    assert!(!data.exists());
    let made = init(&["--json"]).json();
    assert!(made["log_key"].as_str().unwrap().starts_with("sexton.test/new+"), "{made}");
    init(&[]).assert_refused("is not a new or empty folder");
    let bad = folder.path().join("bad");
    sexton(["init", bad.to_str().unwrap(), "--origin", "a b"]).assert_refused("cannot be used");

    for words in [vec!["status"], vec!["plan"], vec!["class", "list"], vec!["hold", "list"], vec!["feed"]] {
        let foreign = folder.path().to_str().unwrap();
        sexton(words.into_iter().chain([foreign])).assert_refused("is not a data folder of Sexton's");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().filter(|e| e.as_ref().unwrap().path() != bad).count(), 1);
}

#[test]
fn a_folder_that_the_service_has_open_is_left_to_it() {
    let yard = Yard::new();
    // What the lock of a data folder is to every other process.
    let lock = fs::File::options().write(true).open(yard.path("data").join("lock")).unwrap();
    lock.lock().unwrap();
    for words in [&["status", "DATA"][..], &["erase", "list", "DATA"], &["enforce", "DATA", "--dir", "FILES"]]
    {
        yard.run(words).assert_refused("is open in another process: the running service has it");
    }
    lock.unlock().unwrap();
    yard.ok(&["status", "DATA"]);
}

#[test]
fn every_command_has_an_example_and_its_exit_codes() {
    let groups = ["class check", "class list", "class set", "class apply", "class close", "hold place"];
    let more = ["hold lift", "hold list", "erase request", "erase cancel", "erase list", "erase receipts"];
    let rest = ["erase forget", "init", "status", "plan", "start", "reschedule", "release", "reconcile"];
    let last = ["enforce", "resume", "feed", "screen", "check"];
    for words in groups.iter().chain(&more).chain(&rest).chain(&last) {
        let words: Vec<&str> = words.split(' ').collect();
        let help = sexton(words.iter().chain(&["--help"])).stdout;
        assert!(help.contains(&format!("Example:\n  sexton {} ", words.join(" "))), "{words:?}: {help}");
        assert!(help.contains("Exit codes:\n  0  "), "{words:?}: {help}");
        assert!(help.contains("--json"), "{words:?}: {help}");
    }
    assert_eq!(sexton(["hold", "place"]).code, 2);
}
