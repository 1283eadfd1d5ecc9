//! `ended`.

use crate::sandbox::{HOUR_MS, Sandbox};

#[test]
fn key_is_live_ended_or_unknown() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["ended"]);
    sandbox.registered("slow", 0, &["live"]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    let words = ["ended", "DATA", "--key", "live", "--key", "ended", "--key", "never"];
    let value = sandbox.json(&words);
    let states: Vec<_> = value["keys"].as_array().unwrap().iter().map(|key| key["state"].clone()).collect();
    assert_eq!(states, ["live", "ended", "unknown"]);
    let ended = &value["keys"][1];
    assert_eq!(
        (&ended["method"], &ended["reason"], &ended["came_back"]),
        (&"deleted".into(), &"due".into(), &false.into())
    );
    let text = sandbox.ok(&words).stdout;
    assert!(text.starts_with("live     live  registration "), "{text}");
    assert!(text.contains("\nended    ended  deleted ") && text.ends_with("unknown  never\n"), "{text}");
    sandbox.put("keys.txt", "656e646564\n");
    assert_eq!(sandbox.json(&["ended", "DATA", "--keys", "@keys.txt", "--hex"])["keys"][0]["state"], "ended");
    sandbox.run(&["ended", "DATA"]).assert_refused("--key <KEY>|--keys <FILE>|--dir <FOLDER>");
    sandbox
        .run(&["ended", "DATA", "--key", "a", "--keys", "@keys.txt"])
        .assert_refused("cannot be used with");
    assert_eq!(
        sandbox.ok(&["ended", "DATA", "--dir", "FILES"]).stdout,
        "1 file: 1 live, 0 came back, 0 unknown\n"
    );
    let named = sandbox.ok(&["ended", "DATA", "--dir", "FILES", "--key", "live"]).stdout;
    assert!(named.starts_with("live     live  registration ") && named.lines().count() == 1, "{named}");
    sandbox.run(&["ended", "DATA", "--key", "a", "--delete-again"]).assert_refused("required");
    sandbox.run(&["ended", "DATA", "--keys", "@none"]).assert_refused("cannot be read");
    sandbox.run(&["ended", "DATA", "--dir", "@none"]).assert_refused("name an existing folder");
}

#[test]
fn file_back_from_backup_is_deleted_again() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b"]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    sandbox.file("a", 2 * HOUR_MS);
    sandbox.file("new", 0);
    let words = ["ended", "DATA", "--dir", "FILES"];
    let ran = sandbox.run(&words);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.starts_with("ended    a  deleted ") && ran.stdout.contains("it came back"), "{ran:?}");
    assert!(ran.stdout.ends_with("\n2 files: 0 live, 1 came back, 1 unknown\n"), "{ran:?}");

    let again = [&words[..], &["--delete-again"]].concat();
    let before = sandbox.everything();
    let dry = sandbox.run(&[&again[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, 1, "{dry:?}");
    assert!(dry.stdout.contains("it would be deleted again"), "{dry:?}");
    assert_eq!(sandbox.everything(), before);
    let value = sandbox.json(&again);
    let of = |key: &str| value["keys"].as_array().unwrap().iter().find(|of| of["key"] == key).unwrap();
    assert_eq!((&of("a")["delete_again"], &of("a")["refused"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(of("new")["delete_again"], false);
    sandbox.ok(&words);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!sandbox.has("a") && sandbox.has("new"));
    let value = sandbox.json(&["ended", "DATA", "--key", "a"]);
    assert_eq!(value["keys"][0]["reason"], "restored");
}

/// A nightly run after a restore must not give the files another full term.
#[test]
fn reconcile_leaves_out_files_that_came_back() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b"]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    sandbox.file("a", 0);
    sandbox.file("new", 0);
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "slow"];
    let before = sandbox.everything();
    let dry = sandbox.run(&[&words[..], &["--dry-run"]].concat());
    assert_eq!((dry.code, sandbox.everything()), (1, before), "{dry:?}");
    for is_repeated in [false, true] {
        let ran = sandbox.run(&[&words[..], &["--json"]].concat());
        assert_eq!(ran.code, 1, "{ran:?}");
        let value = ran.json();
        let counts =
            [&value["registered"], &value["known"], &value["had_ended_before"], &value["deleted_again"]];
        let is_known = u64::from(is_repeated);
        assert_eq!(counts, [1 - is_known, is_known, 1, 0], "{value}");
        assert_eq!(value["refused"][0]["key"], "a");
        let why = value["refused"][0]["why"].as_str().unwrap();
        assert!(why.contains("(deleted, retention expired)") && why.contains("--delete-again"), "{why}");
    }
    assert_eq!(sandbox.json(&["ended", "DATA", "--key", "a"])["keys"][0]["state"], "ended");
}

#[test]
fn reconcile_delete_again_ends_files_that_came_back() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    sandbox.file("a", 0);
    sandbox.file("new", 0);
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "slow", "--delete-again"];
    let (text, json) = sandbox.dry(&words);
    assert!(text.stdout.contains("           1 would be deleted again\n"), "{text:?}");
    assert_eq!((&json["registered"], &json["deleted_again"]), (&1.into(), &1.into()));
    let value = sandbox.json(&words);
    assert_eq!((&value["registered"], &value["deleted_again"]), (&1.into(), &1.into()));
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!sandbox.has("a") && sandbox.has("new"));
    assert_eq!(sandbox.json(&["ended", "DATA", "--key", "a"])["keys"][0]["reason"], "restored");
}

#[test]
fn reconcile_as_new_registers_a_reused_key() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    sandbox.file("a", 0);
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "slow", "--as-new"];
    let value = sandbox.json(&words);
    assert_eq!((&value["registered"], &value["had_ended_before"]), (&1.into(), &1.into()));
    sandbox.run(&[&words[..], &["--delete-again"]].concat()).assert_refused("cannot be used with");
}

/// A folder that is not the root may be the mount point of a missing disk.
#[test]
fn lookup_in_folder_that_is_no_root_is_refused() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("backup")).unwrap();
    sandbox.put("backup/a", "a");
    sandbox.refused(&["ended", "DATA", "--dir", "@backup"], "is no root of this data folder");
    assert_eq!(std::fs::read_dir(sandbox.path("backup")).unwrap().count(), 1);
}
