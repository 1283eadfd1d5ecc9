//! Walk-through from the first class to the last receipt, with the command alone.

use crate::run::{command, sexton, spawn};
use crate::sandbox::{HOUR_MS, Sandbox, WHY};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn erasure_delayed_by_hold_finishes_and_is_proven() {
    let sandbox = Sandbox::new();
    for key in ["anna-1", "anna-2", "ben-1"] {
        sandbox.file(key, HOUR_MS);
    }
    sandbox.ok(&["reconcile", "DATA", "--dir", "FILES", "--class", "slow"]);
    sandbox.hold("case 7", &["--key", "anna-2"]);
    let erase = ["erase", "request", "DATA", "--key", "anna-1", "--key", "anna-2", "--within", "15wd"];
    sandbox.ok(&[&erase[..], &WHY].concat());

    let plan = sandbox.json(&["plan", "DATA"]);
    let actions: Vec<_> = plan["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| ["key", "action", "reason"].map(|field| object[field].as_str().unwrap()))
        .collect();
    assert_eq!(actions, [["anna-1", "delete", "erasure"], ["anna-2", "hold", "erasure"]]);
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!sandbox.has("anna-1") && sandbox.has("anna-2") && sandbox.has("ben-1"));
    let objects = sandbox.ok(&["request", "list", "DATA", "--objects", "1"]).stdout;
    assert!(
        objects.contains("anna-1  deleted ") && objects.contains("anna-2  kept by a legal hold"),
        "{objects}"
    );

    sandbox.ok(&[&["hold", "lift", "DATA", "case 7", "--grace", "0"], &WHY[..]].concat());
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!sandbox.has("anna-2") && sandbox.has("ben-1"));
    assert_eq!(sandbox.json(&["request", "list", "DATA"])[0]["state"], "finished");

    sandbox.ok(&["erase", "receipts", "DATA", "1", "--out", "@receipts"]);
    let (receipts, policy) = (sandbox.path("receipts"), sandbox.path("receipts/trust.policy"));
    let ran = sexton(["verify".as_ref(), receipts.as_os_str(), "--policy".as_ref(), policy.as_os_str()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("2 receipts: 2 authentic, promise kept"), "{ran:?}");
    assert!(ran.stdout.contains("erased on request"), "{ran:?}");
    assert_eq!(fs::read_dir(&receipts).unwrap().count(), 3);

    sandbox.ok(&["erase", "forget", "DATA", "1"]);
    sandbox.ok(&["status", "DATA"]);
    let checked = sandbox.ok(&["check", "DATA", "--json"]).json();
    assert_eq!(checked["sound"], true);
}

#[test]
fn readme_shell_commands_do_what_they_say() {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.into_iter().find(|block| block.contains("sexton init")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(command().get_program()).parent().unwrap().to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-euc", lines]).current_dir(folder.path()).env("PATH", path);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = spawn(&mut shell).wait_with_output().unwrap();
    let value = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{value}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(value.contains("2 receipts: 2 authentic, promise kept"), "{value}");
    let left = fs::read_dir(folder.path().join("uploads")).unwrap().count();
    assert_eq!(left, 1, "only the quarantine is left");
}
