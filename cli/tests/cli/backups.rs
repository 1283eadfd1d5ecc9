//! Copies of data folders: `backup`, every verb on a copy, and `restore`.

use crate::run::{command, copy_folder, sexton, spawn};
use crate::sandbox::{DAY_MS, HOUR_MS, Sandbox, WHY, instant, now_ms};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// Returns a sandbox with live, held and ended objects, and its copy.
fn copied() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["e/1", "e/2"]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    sandbox.registered("slow", HOUR_MS, &["s/1", "s/2"]);
    sandbox.registered("files", HOUR_MS, &["due"]);
    sandbox.hold("case 1", &["--key", "s/1"]);
    let made = sandbox.json(&["backup", "DATA", "@copy"]);
    assert!(made["linked_files"].as_u64().unwrap() + made["copied_files"].as_u64().unwrap() > 0, "{made}");
    sandbox
}

/// Returns the names of all files of a folder, with the content of those that no verb may change.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                // The lock is made by the first opening.
                false if path.ends_with("lock") => {}
                false => drop(found.insert(path.clone(), fs::read(path).unwrap())),
            }
        }
    }
    found
}

/// Takes out of JSON what differs between an original and its copy by intent.
fn masked(mut value: Value) -> Value {
    for field in ["state", "why", "needs", "as_of_ms", "until_ms"] {
        if let Some(found) = value.get_mut(field) {
            *found = Value::Null;
        }
    }
    value
}

#[test]
fn reading_verbs_say_of_a_copy_what_they_say_of_the_original() {
    let sandbox = copied();
    let verbs: [&[&str]; 16] = [
        &["status", "DATA"],
        &["check", "DATA"],
        &["class", "list", "DATA"],
        &["hold", "list", "DATA", "--all"],
        &["alarm", "list", "DATA"],
        &["limits", "DATA"],
        &["plan", "DATA"],
        &["plan", "DATA", "--until", "2999-12-31T00:00:00Z"],
        &["request", "list", "DATA"],
        &["policy", "DATA"],
        &["feed", "read", "DATA"],
        &["ended", "DATA", "--key", "e/1", "--key", "s/1", "--key", "none"],
        &["ended", "DATA", "--dir", "FILES"],
        &["receipt", "DATA", "e/1", "--out", "@receipts"],
        &["receipt", "DATA", "--since", "-7d", "--out", "@since"],
        &["erase", "receipts", "DATA", "1", "--out", "@erased"],
    ];
    let before = content(&sandbox.path("copy"));
    // The copy first: each opening of the original goes on with it.
    for copy in [true, false] {
        for words in verbs {
            let suffix = if copy { "-copy" } else { "" };
            let words: Vec<String> = words
                .iter()
                .map(|word| match *word {
                    "DATA" if copy => "@copy".to_owned(),
                    word if word.starts_with('@') => format!("{word}{suffix}"),
                    word => word.to_owned(),
                })
                .chain(["--json".to_owned()])
                .collect();
            let ran = sandbox.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
            fs::create_dir_all(sandbox.path("said")).unwrap();
            let name = sandbox
                .path("said")
                .join(words[..2].join("-").replace("@copy", "DATA") + &words.len().to_string());
            let said = ran.json_lines_or_one();
            let said: Vec<Value> = said.into_iter().map(masked).collect();
            let said = format!("{:#}", Value::Array(said)).replace(&format!("{suffix}\""), "\"");
            if copy {
                crate::run::write(&name, &said);
                assert!(ran.code == 0 || words[0] == "status" || words[0] == "erase", "{words:?}: {ran:?}");
            } else {
                assert_eq!(fs::read_to_string(&name).unwrap(), said, "{words:?}");
            }
        }
        assert_eq!(content(&sandbox.path("copy")), before);
    }
    let policy = sandbox.path("since-copy/trust.policy");
    let verified = [sandbox.path("since-copy").into_os_string(), "--policy".into(), policy.into()];
    let ran = sexton([std::ffi::OsString::from("verify")].into_iter().chain(verified));
    assert_eq!(ran.code, 0, "{ran:?}");
    // The status says what the folder is.
    let status = sandbox.run(&["status", "@copy", "--json"]).json();
    assert_eq!(status["state"], "copy");
    assert!(status["needs"][0].as_str().unwrap().contains("`sexton restore`"), "{status}");
    assert!(sandbox.json(&["check", "@copy"])["sound"].as_bool().unwrap());
}

#[test]
fn mutating_verbs_are_refused_on_a_copy() {
    let sandbox = copied();
    let before = (content(&sandbox.path("copy")), sandbox.has("due"));
    let at = instant(now_ms() - DAY_MS);
    let decided = |words: &[&'static str]| [words, &WHY].concat();
    let place = decided(&["hold", "place", "@copy", "--name", "n", "--key", "due", "--review", "2999-12-31"]);
    let verbs: Vec<Vec<&str>> = vec![
        place,
        decided(&["hold", "lift", "@copy", "case 1"]),
        decided(&["class", "set", "@copy", "@classes.toml"]),
        decided(&["class", "apply", "@copy", "slow"]),
        decided(&["class", "close", "@copy", "slow"]),
        vec!["object", "start", "@copy", "--key", "s/2", "--at", &at],
        vec!["object", "release", "@copy", "--key", "s/2"],
        vec!["object", "reschedule", "@copy", "--key", "s/2", "--class", "short"],
        vec!["feed", "ack", "@copy", "1"],
        decided(&["limits", "@copy", "--breaker-objects", "7"]),
        decided(&["pause", "@copy", "--for", "1h"]),
        vec!["reconcile", "@copy", "--dir", "FILES", "--class", "slow"],
        vec!["enforce", "@copy", "--dir", "FILES"],
        vec!["ended", "@copy", "--dir", "FILES", "--delete-again"],
        decided(&["erase", "request", "@copy", "--key", "s/2"]),
    ];
    for words in verbs {
        for also in [&[][..], &["--dry-run"]] {
            let ran = sandbox.run(&[&words[..], also].concat());
            assert_eq!(ran.code, 2, "{words:?} {also:?}: {ran:?}");
            assert!(ran.stderr.contains("is open for reading only"), "{words:?} {also:?}: {ran:?}");
        }
    }
    sandbox.run(&["backup", "@copy", "@second"]).assert_refused("is open for reading only");
    sandbox.run(&["backup", "DATA", "@copy"]).assert_refused("exists already");
    assert_eq!((content(&sandbox.path("copy")), sandbox.has("due")), before);
}

#[test]
fn restored_copy_goes_on_after_the_alarm_is_resumed() {
    let sandbox = copied();
    let restore = ["restore", "@copy", "--origin", "sexton.test/next"];
    let restore = [&restore[..], &WHY].concat();
    for (words, why) in [
        (["restore", "DATA", "--origin", "sexton.test/next"], "is no copy"),
        (["restore", "@none", "--origin", "sexton.test/next"], "is no copy"),
        (["restore", "@copy", "--origin", "sexton.test/sandbox"], "choose a new origin"),
        (["restore", "@copy", "--origin", "a b"], "cannot be used"),
    ] {
        for also in [&[][..], &["--dry-run"]] {
            sandbox.run(&[&words[..], &WHY, also].concat()).assert_refused(why);
        }
    }
    let before = content(&sandbox.path("copy"));
    let dry = sandbox.json(&[&restore[..], &["--dry-run"]].concat());
    assert_eq!((&dry["log_key"], &dry["dry_run"]), (&Value::Null, &true.into()));
    assert!(
        sandbox
            .ok(&[&restore[..], &["--dry-run"]].concat())
            .stdout
            .contains("would go on as sexton.test/next")
    );
    assert_eq!(content(&sandbox.path("copy")), before);

    let restored = sandbox.ok(&restore);
    assert!(restored.stdout.contains("goes on as sexton.test/next"), "{restored:?}");
    assert!(restored.stdout.contains("because"), "the reason: {restored:?}");
    assert_eq!(sandbox.run(&["enforce", "@copy", "--dir", "FILES"]).code, 1);
    assert!(sandbox.has("due"));
    let status = sandbox.run(&["status", "@copy", "--json"]).json();
    assert_eq!(
        (&status["state"], &status["alarms"][0]["cause"]),
        (&"paused".into(), &"restored from a copy".into())
    );
    sandbox
        .run(&[&["alarm", "resume", "@copy", "--all"], &WHY[..]].concat())
        .assert_refused("only the alarm of the restored copy stands");
    sandbox.ok(&[&["alarm", "resume", "@copy"], &WHY[..]].concat());
    sandbox.ok(&["enforce", "@copy", "--dir", "FILES", "--receipts", "@after"]);
    assert!(!sandbox.has("due") && sandbox.has("s/1"));
    // One policy verifies the receipts of both logs.
    sandbox.ok(&["receipt", "@copy", "e/1", "--out", "@early"]);
    for folder in ["@after", "@early"] {
        sandbox.ok(&["verify", folder, "--policy", "@early/trust.policy"]);
    }
    assert!(sandbox.json(&["check", "@copy"])["sound"].as_bool().unwrap());
}

#[test]
fn killed_backup_leaves_no_copy_or_a_whole_one() {
    let sandbox = copied();
    let (mut killed, mut whole) = (0, 0);
    for round in 0_u64..16 {
        let to = sandbox.path("killed");
        let mut child = command();
        child.arg("backup").arg(sandbox.path("data")).arg(&to).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = spawn(&mut child);
        thread::sleep(Duration::from_millis(5 * round));
        let _ = child.kill();
        match child.wait().unwrap().success() {
            true => assert!(to.is_dir()),
            false => killed += 1,
        }
        if to.exists() {
            assert!(sandbox.json(&["check", "@killed"])["sound"].as_bool().unwrap());
            fs::remove_dir_all(&to).unwrap();
            whole += 1;
        }
    }
    sandbox.ok(&["backup", "DATA", "@killed"]);
    assert!(killed > 0, "{killed} killed, {whole} whole");
    assert!(!sandbox.path(".tmp-killed").exists() && !sandbox.path("data/index.copy").exists());
    assert!(sandbox.json(&["check", "DATA"])["sound"].as_bool().unwrap());
    assert!(sandbox.json(&["check", "@killed"])["sound"].as_bool().unwrap());
}

#[test]
fn files_of_a_copy_below_a_root_are_no_objects() {
    let sandbox = copied();
    sandbox.run(&["backup", "DATA", "@files/backup"]).assert_refused("lies in");
    copy_folder(&sandbox.path("copy"), &sandbox.path("files/backup"));
    // An unfinished copy has its mark before anything else.
    fs::create_dir_all(sandbox.path("files/.tmp-other/index")).unwrap();
    sandbox.put("files/.tmp-other/copy", "sexton copy v0\nunfinished\n");
    sandbox.put("files/.tmp-other/index/000001.sst", "rows");
    let ran = sandbox.run(&["reconcile", "DATA", "--dir", "FILES", "--class", "slow", "--json"]);
    assert!(ran.stdout.contains("is or lies in a data folder of Sexton"), "{ran:?}");
    assert_eq!(ran.json()["registered"], 0, "{ran:?}");
}
