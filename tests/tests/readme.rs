//! The README's quickstart is run as printed. The README and the page on class files are checked against the code.

use sexton::{ClassSet, Engine, Options};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, Compliance};
use sexton_proof::window::Span;
use sexton_tests::HOUR;
use std::collections::BTreeSet;
use std::process::Command;

const README: &str = include_str!("../../README.md");
const QUICKSTART: &str = include_str!("../src/bin/quickstart.rs");

#[test]
fn quickstart_deletes_a_file_and_its_receipt_says_late() {
    let shown = README.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(QUICKSTART.ends_with(shown), "tests/src/bin/quickstart.rs is not the README's quickstart");
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_quickstart")).current_dir(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(!folder.path().join("uploads/cat.jpg").exists());

    let engine = Engine::open(&folder.path().join("sexton-data"), &Options::default()).unwrap();
    let policy = Policy::parse(engine.policy()).unwrap();
    // println! adds a line feed.
    let text = run.stdout.strip_suffix(b"\n").unwrap();
    match receipt::verify(text, &policy, engine.now()).unwrap().compliance() {
        Compliance::Late { by } => assert!(by >= HOUR, "late by {by:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn readme_class_file_is_valid() {
    let shown = README.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let classes = ClassSet::from_toml(shown).unwrap();
    assert_eq!(classes.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(), ["thumbnails"]);
}

const CLASSES: &str = include_str!("../../docs/classes.md");

/// Returns the cells of the table rows below a heading, without backquotes.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let table =
        CLASSES.split(heading).nth(1).unwrap().lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|c| c.trim().replace('`', "")).collect();
    table.map(cells).collect()
}

#[test]
fn class_page_lists_all_fields_with_valid_examples() {
    let fields = rows("| field | example |");
    let refused = ClassSet::from_toml("[class.a]\nnone = 1").unwrap_err().to_string();
    let known: BTreeSet<&str> = refused.split('`').skip(1).step_by(2).skip(1).collect();
    assert!(known.contains("within"), "{refused}");
    let documented: BTreeSet<&str> = fields.iter().map(|cells| &*cells[0]).collect();
    assert_eq!(documented, known);

    for cells in &fields {
        let (field, example) = (&cells[0], &cells[1]);
        let beside = match &**field {
            "within" | "keep" => "",
            "calendar" => "within = \"15wd\"",
            "max_open" => "within = \"3h\"\nstart = \"explicit\"",
            _ => "within = \"3h\"",
        };
        let calendar = "[calendar.offices]\ndays = \"2026-10-01\"";
        let file = format!("{calendar}\n[class.a]\n{field} = {example}\n{beside}");
        let read = ClassSet::from_toml(&file);
        if field == "evidence" {
            // The field is reserved.
            assert!(read.unwrap_err().to_string().contains("is not built yet"));
            continue;
        }
        read.unwrap_or_else(|e| panic!("{field}: {e}"));
    }
}

#[test]
fn class_page_states_default_slot_and_lead() {
    let table = rows("| kept for | for example |");
    assert_eq!(table.len(), 5);
    for cells in table {
        let classes = ClassSet::from_toml(&format!("[class.a]\nwithin = \"{}\"", cells[1])).unwrap();
        let class = classes.iter().next().unwrap();
        let exact = |span: &str| span.parse::<Span>().unwrap().exact().unwrap();
        assert_eq!((class.slot, class.lead), (exact(&cells[2]), exact(&cells[3])), "{cells:?}");
    }
}
