//! The README's quickstart is run as it stands there, and what it says of itself is true.

use sexton::{Engine, Options};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, Outcome};
use std::process::Command;

const README: &str = include_str!("../../README.md");
const QUICKSTART: &str = include_str!("../src/bin/quickstart.rs");

#[test]
fn the_quickstart_deletes_a_file_and_its_receipt_says_an_hour_too_late() {
    let shown = README.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(QUICKSTART.ends_with(shown), "tests/src/bin/quickstart.rs is not the README's quickstart");
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_quickstart")).current_dir(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(!folder.path().join("uploads/cat.jpg").exists());

    let engine = Engine::open(&folder.path().join("sexton-data"), &Options::default()).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    // println! adds a line feed of its own.
    let text = run.stdout.strip_suffix(b"\n").unwrap();
    match receipt::verify(text, &policy).unwrap().outcome() {
        Outcome::Late { by_ms } => assert!(by_ms >= 3_600_000, "late by {by_ms} ms"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_class_file_in_the_readme_is_one() {
    let shown = README.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let classes = sexton::ClassSet::from_toml(shown).unwrap();
    assert_eq!(classes.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(), ["thumbnails"]);
}
