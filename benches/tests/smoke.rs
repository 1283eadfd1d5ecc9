//! `sexton-bench` as a user calls it, at a scale too small for meaningful figures.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn run(set: &str, out: &Path, more: &[&str]) -> Value {
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sexton-bench"))
        .args([set, "--rounds", "1", "--scale", "0.00001", "--seconds", "1", "--dir"])
        .arg(work.path())
        .arg("--out")
        .arg(out)
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("| comparison |"));
    assert!(fs::read_dir(work.path()).unwrap().next().is_none(), "the measured folder is not empty");
    serde_json::from_slice(&fs::read(out.join(format!("{set}.json"))).unwrap()).unwrap()
}

#[test]
fn sets_without_peers_measure_every_comparison() {
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
fn list_prints_comparisons_and_only_rejects_unknown_names() {
    let call = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_sexton-bench")).args(args).output().unwrap();
    let listed = call(&["peers", "--list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("\nenforce/redis-maximum"));
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let rejected = call(&["ours", "--only", "no such thing", "--dir", work.path().to_str().unwrap()]);
    assert!(!rejected.status.success());
    assert!(String::from_utf8_lossy(&rejected.stderr).contains("--list"));
    for wrong in ["0", "-1", "1.5", "much"] {
        assert!(!call(&["ours", "--list", "--scale", wrong]).status.success(), "{wrong}");
    }
}

#[test]
fn only_selects_a_single_comparison() {
    let out = tempfile::tempdir().unwrap();
    let report = run("ours", out.path(), &["--only", "hash/tombstones"]);
    let names: Vec<_> = report["results"].as_array().unwrap().iter().map(|result| &result["name"]).collect();
    assert_eq!(names, ["hash/tombstones"]);
}
