//! `init`, `class`, and what all commands have in common.

use crate::run::sexton;
use crate::sandbox::{CLASSES, HOUR_MS, Sandbox, WHY};
use std::fs;

#[test]
fn class_check_shows_promises_without_data_folder() {
    let sandbox = Sandbox::new();
    let text = sandbox.ok(&["class", "check", "@classes.toml"]).stdout;
    for words in [
        "files\n  promise   kept for 1s, gone within 1d of its start, which is explicit, 1h after",
        "slot      6h, lead 3h",
        "ended objects remembered for 90d",
        "gone within 1d of its start, which is explicit\n",
        "delete, not found by key, openings kept by the operator, sealed within 1h\n",
        "delete, found by key, openings handed out as tickets, sealed within 10m\n",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    let value = sandbox.json(&["class", "check", "@classes.toml"]);
    let files = value.as_array().unwrap().iter().find(|class| class["name"] == "files").unwrap();
    let expected = serde_json::json!({
        "name": "files", "keep": "1s", "within": "1d", "zone": "UTC", "holidays": [], "workdays": [],
        "start": "explicit", "max_open": "1h", "slot_ms": 1_000, "lead_ms": 1_000, "find": "key",
        "disposition": "delete", "openings": "operator", "seal_within": "10m", "evidence": null, "feed": true, "remember": "90d",
        "host_deletes": false,
    });
    assert_eq!(files, &expected);
}

#[test]
fn class_check_says_what_tells_objects_apart() {
    let sandbox = Sandbox::new();
    sandbox.put("versions.toml", "[class.a]\nwithin = '3h'\nfind = 'version'\nseal_within = '90s'\n");
    let text = sandbox.ok(&["class", "check", "@versions.toml"]).stdout;
    let words = "delete, found by key and version, openings kept by the operator, sealed within 90s\n";
    assert!(text.contains(words), "{text}");
}

#[test]
fn class_file_invalid_is_refused_with_reason() {
    let sandbox = Sandbox::new();
    let refused = |text: &str, why: &str| {
        sandbox.put("bad.toml", text);
        sandbox.run(&["class", "check", "@bad.toml"]).assert_refused(why);
        sandbox.refused(&["class", "set", "DATA", "@bad.toml"], why);
    };
    refused("[class.a]\nwithin = '3h'\nslot = '3h'\n", "nothing could be deleted in time");
    refused("[class.a]\nwithin = '99999999999d'\n", "a span is a number from 1");
    refused("[class.a]\nwithin = '3 hours'\n", "found \"3 hours\"");
    refused("[class.A]\nwithin = '3h'\n", "class");
    refused("[class.a]\nwithin = 3h\n", "the class file is malformed at line 2: ");
    refused("", "it defines no class");
    sandbox.run(&["class", "check", "@missing"]).assert_refused("cannot be read");
}

#[test]
fn class_set_creates_version_and_dry_run_none() {
    let sandbox = Sandbox::new();
    sandbox.put("new.toml", format!("{}\n[class.more]\nwithin = '9d'\n", CLASSES.replace("100d", "101d")));
    let words = ["class", "set", "DATA", "@new.toml"];
    let (text, json) = sandbox.dry(&words);
    assert!(text.stdout.contains("slow: would be new version, version 2"), "{text:?}");
    let value = sandbox.json(&words);
    assert_eq!((&json["classes"], &value["dry_run"]), (&value["classes"], &false.into()));
    let change = |name: &str| {
        let all = value["classes"].as_array().unwrap();
        let class = all.iter().find(|class| class["name"] == name).unwrap();
        (class["change"].as_str().unwrap().to_owned(), class["version"].as_u64().unwrap())
    };
    assert_eq!(change("slow"), ("new version".into(), 2));
    assert_eq!(change("files"), ("unchanged".into(), 1));
    assert_eq!(change("more"), ("new".into(), 1));
    let listed = sandbox.json(&["class", "list", "DATA"]);
    let slow = listed.as_array().unwrap().iter().find(|class| class["name"] == "slow").unwrap();
    assert_eq!(
        (&slow["version"], &slow["within"], &slow["closed"]),
        (&2.into(), &"101d".into(), &false.into())
    );
    assert!(sandbox.ok(&["class", "list", "DATA"]).stdout.contains("slow (version 2)"));
}

#[test]
fn class_apply_gives_live_objects_the_new_version() {
    let sandbox = Sandbox::new();
    sandbox.registered("slow", 0, &["a"]);
    let ceiling_ms = || {
        let plan = sandbox.json(&["plan", "DATA", "--until", "+1y"]);
        plan["objects"][0]["ceiling_ms"].as_i64().unwrap()
    };
    let before_ms = ceiling_ms();
    sandbox.put("new.toml", "[class.slow]\nwithin = '101d'\nstart = 'registered'\n");
    sandbox.ok(&["class", "set", "DATA", "@new.toml"]);
    assert_eq!(ceiling_ms(), before_ms);
    let words = [&["class", "apply", "DATA", "slow"], &WHY[..]].concat();
    let (text, json) = sandbox.dry(&words);
    assert!(text.stdout.starts_with("would apply the newest version of class \"slow\""), "{text:?}");
    assert_eq!((&json["kind"], &json["number"]), (&"apply".into(), &serde_json::Value::Null));
    assert!(sandbox.ok(&words).stdout.starts_with("request 1 accepted: "));
    sandbox.ok(&["reconcile", "DATA", "--dir", "FILES", "--class", "slow"]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert_eq!(ceiling_ms(), before_ms + 24 * HOUR_MS);
    sandbox
        .refused(&[&["class", "apply", "DATA", "nothing"], &WHY[..]].concat(), "unknown class \"nothing\"");
}

#[test]
fn class_close_takes_no_objects_and_deletes_live_ones() {
    let sandbox = Sandbox::new();
    sandbox.registered("slow", 0, &["a", "b"]);
    let words = [&["class", "close", "DATA", "slow"], &WHY[..]].concat();
    let (text, _) = sandbox.dry(&words);
    assert!(
        text.stdout.contains("would close down the class \"slow\"\n  it covers 2 live objects now\n"),
        "{text:?}"
    );
    let value = sandbox.json(&words);
    assert_eq!((&value["kind"], &value["dry_run"]), (&"close".into(), &false.into()));
    sandbox.file("c", 0);
    sandbox.refused(&["reconcile", "DATA", "--dir", "FILES", "--class", "slow"], "was closed down");
    let plan = sandbox.json(&["plan", "DATA", "--until", "+2d"]);
    assert_eq!(plan["found"], 2);
    assert_eq!(plan["objects"][0]["reason"], "closed");
    sandbox.refused(&[&["class", "close", "DATA", "nothing"], &WHY[..]].concat(), "unknown class");
    sandbox
        .refused(&["class", "close", "DATA", "files", "--reason", " ", "--author", "Ada"], "it has 0 bytes");

    let (text, _) = sandbox.dry(&[&["class", "close", "DATA", "--everything"], &WHY[..]].concat());
    assert!(
        text.stdout.contains("would close down everything\n  it covers 2 live objects now\n"),
        "{text:?}"
    );
    sandbox.run(&[&["class", "close", "DATA"], &WHY[..]].concat()).assert_refused("<NAME|--everything>");
    sandbox
        .run(&[&["class", "close", "DATA", "slow", "--everything"], &WHY[..]].concat())
        .assert_refused("cannot be used with");
}

#[test]
fn init_creates_once_and_foreign_folder_is_refused() {
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
    init(&[]).assert_refused("is a data folder already");
    let bad = folder.path().join("bad");
    sexton(["init", bad.to_str().unwrap(), "--origin", "a b"]).assert_refused("cannot be used");

    for words in
        [vec!["status"], vec!["plan"], vec!["class", "list"], vec!["hold", "list"], vec!["feed", "read"]]
    {
        let foreign = folder.path().to_str().unwrap();
        sexton(words.into_iter().chain([foreign])).assert_refused("is not a data folder of Sexton");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().filter(|e| e.as_ref().unwrap().path() != bad).count(), 1);
}

#[test]
fn data_folder_open_elsewhere_is_refused() {
    let sandbox = Sandbox::new();
    // This is the lock that a process with the data folder open holds.
    let lock = fs::File::options().write(true).open(sandbox.path("data").join("lock")).unwrap();
    lock.lock().unwrap();
    for words in
        [&["status", "DATA"][..], &["request", "list", "DATA"], &["enforce", "DATA", "--dir", "FILES"]]
    {
        sandbox
            .run(words)
            .assert_refused("is open in another process, the running service or another command");
    }
    lock.unlock().unwrap();
    sandbox.ok(&["status", "DATA"]);
}

/// Asserts that clap wraps no line of the example and of the exit codes in a narrow terminal.
pub(crate) fn assert_fits(help: &str) {
    let (_, end) = help.split_once("\nExample:\n").unwrap();
    let (example, codes) = end.split_once("\n\nExit codes:\n").unwrap();
    let is_indented = |line: &str| {
        let code = line.strip_prefix("  ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        code || line.starts_with("     ")
    };
    for line in example.lines().chain(codes.lines()) {
        assert!(line.len() <= 78, "{line}");
    }
    let more = codes.lines().take_while(|line| line.starts_with(' '));
    assert!(more.clone().all(is_indented) && more.count() >= 2, "{codes}");
    let lines: Vec<&str> = example.lines().collect();
    let (_, all_but_last) = lines.split_last().unwrap();
    assert!(all_but_last.iter().all(|line| line.ends_with(" \\")), "{example}");
}

#[test]
fn help_of_each_command_has_example_and_exit_codes() {
    let groups = ["class check", "class list", "class set", "class apply", "class close", "hold place"];
    let more = ["hold lift", "hold list", "erase request", "erase cancel", "request list", "erase receipts"];
    let rest =
        ["erase forget", "object start", "object reschedule", "object release", "alarm list", "alarm resume"];
    let last = [
        "feed read",
        "feed ack",
        "receipt",
        "policy",
        "limits",
        "init",
        "status",
        "plan",
        "reconcile",
        "enforce",
        "ended",
        "check",
    ];
    for words in groups.iter().chain(&more).chain(&rest).chain(&last) {
        let words: Vec<&str> = words.split(' ').collect();
        let help = sexton(words.iter().chain(&["--help"])).stdout;
        assert!(help.contains(&format!("Example:\n  sexton {} ", words.join(" "))), "{words:?}: {help}");
        assert!(help.contains("Exit codes:\n  0  "), "{words:?}: {help}");
        assert!(help.contains("--json"), "{words:?}: {help}");
        assert_fits(&help);
        let same = sexton([&["help"], &words[..]].concat());
        assert_eq!((same.code, same.stdout), (0, help), "{words:?}");
    }
    assert_eq!(sexton(["hold", "place"]).code, 2);
}
