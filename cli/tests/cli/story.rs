//! A story from the first class to the last receipt, with nothing but the command.

use crate::run::{command, sexton, spawn};
use crate::yard::{HOUR_MS, WHY, Yard};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn an_erasure_with_a_legal_hold_in_its_way_comes_to_its_end_and_is_proven() {
    let yard = Yard::new();
    for key in ["anna-1", "anna-2", "ben-1"] {
        yard.file(key, HOUR_MS);
    }
    yard.ok(&["reconcile", "DATA", "--dir", "FILES", "--class", "slow"]);
    yard.hold("case 7", &["--key", "anna-2"]);
    let erase = ["erase", "request", "DATA", "--key", "anna-1", "--key", "anna-2", "--within", "15wd"];
    yard.ok(&[&erase[..], &WHY].concat());

    let plan = yard.json(&["plan", "DATA"]);
    let actions: Vec<_> = plan["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["key"].as_str().unwrap(), one["action"].as_str().unwrap(), one["reason"].as_str().unwrap())
        })
        .collect();
    assert_eq!(actions, [("anna-1", "delete", "erasure"), ("anna-2", "hold", "erasure")]);
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!yard.has("anna-1") && yard.has("anna-2") && yard.has("ben-1"));
    let items = yard.ok(&["erase", "list", "DATA", "--items", "1"]).stdout;
    assert!(
        items.contains("anna-1  deleted ") && items.contains("anna-2  waits: a legal hold keeps it"),
        "{items}"
    );

    yard.ok(&[&["hold", "lift", "DATA", "case 7", "--grace", "0"], &WHY[..]].concat());
    yard.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!yard.has("anna-2") && yard.has("ben-1"));
    assert_eq!(yard.json(&["erase", "list", "DATA"])[0]["state"], "finished");

    yard.ok(&["erase", "receipts", "DATA", "1", "--out", "@receipts"]);
    let (receipts, policy) = (yard.path("receipts"), yard.path("receipts/trust.policy"));
    let ran = sexton(["verify".as_ref(), receipts.as_os_str(), "--policy".as_ref(), policy.as_os_str()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("2 receipts: 2 authentic, promise kept"), "{ran:?}");
    assert!(ran.stdout.contains("erased on request"), "{ran:?}");
    assert_eq!(fs::read_dir(&receipts).unwrap().count(), 3);

    yard.ok(&["erase", "forget", "DATA", "1"]);
    yard.ok(&["status", "DATA"]);
    let checked = yard.ok(&["check", "DATA", "--json"]).json();
    assert_eq!(checked["sound"], true);
}

#[test]
fn the_lines_for_the_shell_in_the_readme_do_what_they_say() {
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
    let told = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(told.contains("2 receipts: 2 authentic, promise kept"), "{told}");
    let left = fs::read_dir(folder.path().join("uploads")).unwrap().count();
    assert_eq!(left, 1, "only the quarantine stays");
}
