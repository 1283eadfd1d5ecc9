//! The runner as it is called, at a scale at which its figures say nothing.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn run(set: &str, out: &Path, more: &[&str]) -> Value {
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let said = Command::new(env!("CARGO_BIN_EXE_sexton-bench"))
        .args([set, "--rounds", "1", "--scale", "0.00001", "--seconds", "1", "--dir"])
        .arg(work.path())
        .arg("--out")
        .arg(out)
        .args(more)
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(String::from_utf8_lossy(&said.stdout).contains("| comparison |"));
    assert!(fs::read_dir(work.path()).unwrap().next().is_none(), "the measured folder was not left empty");
    serde_json::from_slice(&fs::read(out.join(format!("{set}.json"))).unwrap()).unwrap()
}

#[test]
fn every_comparison_that_needs_nobody_else_can_be_measured() {
    let out = tempfile::tempdir().unwrap();
    for set in ["ours", "scale"] {
        let report = run(set, out.path(), &[]);
        for result in report["results"].as_array().unwrap() {
            assert!(result["ours"].is_number(), "{result}");
            assert_eq!(result["reference"].is_null(), result["reference_name"].is_null(), "{result}");
            assert_eq!(result["met"].is_null(), result["target"].is_null(), "{result}");
        }
    }
    for plot in ["ours-register.svg", "ours-enforce.svg", "scale-growth.svg", "scale-growth-rates.svg"] {
        assert!(fs::read_to_string(out.path().join(plot)).unwrap().ends_with("</svg>\n"));
    }
}

#[test]
fn comparisons_can_be_listed_and_only_known_ones_asked_for() {
    let call = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_sexton-bench")).args(args).output().unwrap();
    let listed = call(&["peers", "--list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("\nenforce/redis-maximum"));
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let refused = call(&["ours", "--only", "no such thing", "--dir", work.path().to_str().unwrap()]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--list"));
    for wrong in ["0", "-1", "1.5", "much"] {
        assert!(!call(&["ours", "--list", "--scale", wrong]).status.success(), "{wrong}");
    }
}

#[test]
fn one_comparison_can_be_asked_for() {
    let out = tempfile::tempdir().unwrap();
    let report = run("ours", out.path(), &["--only", "hash/tombstones"]);
    let names: Vec<_> = report["results"].as_array().unwrap().iter().map(|result| &result["name"]).collect();
    assert_eq!(names, ["hash/tombstones"]);
}
