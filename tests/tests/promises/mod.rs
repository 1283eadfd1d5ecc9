//! Promises of four published privacy policies, each as a class file of `docs/promises`, kept and proven.

mod cloud_sms;
mod coco;
mod cokotools;
mod publisher;

use sexton::ClassSet;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const COKOTOOLS: &str = include_str!("../../../docs/promises/cokotools.toml");
pub(crate) const PUBLISHER: &str = include_str!("../../../docs/promises/publisher.toml");
pub(crate) const COCO: &str = include_str!("../../../docs/promises/coco.toml");
pub(crate) const CLOUD_SMS: &str = include_str!("../../../docs/promises/cloud-sms.toml");
const TABLE: &str = include_str!("../../../docs/promises/README.md");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises")
}

/// Returns the rows of the tables in `docs/promises/README.md`: class file, how the promise is kept, and test.
fn rows() -> Vec<(String, String, String)> {
    let mut file = String::new();
    let mut rows = Vec::new();
    for line in TABLE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            file = heading.split('`').nth(1).unwrap().to_owned();
        }
        let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
        if let [_, how, test] = cells[..]
            && test.starts_with('`')
        {
            rows.push((file.clone(), how.to_owned(), test.trim_matches('`').to_owned()));
        }
    }
    rows
}

#[test]
fn each_promise_has_one_test_and_each_test_a_promise() {
    let tests: BTreeSet<String> = ["cokotools", "publisher", "coco", "cloud_sms"]
        .into_iter()
        .flat_map(|module| {
            let text = fs::read_to_string(folder().join(format!("{module}.rs"))).unwrap();
            let after = text.split("#[test]\nfn ").skip(1);
            after.map(|rest| format!("{module}::{}", rest.split('(').next().unwrap())).collect::<Vec<_>>()
        })
        .collect();
    let named: BTreeSet<String> = rows().into_iter().map(|(_, _, test)| test).collect();
    assert_eq!(named, tests);
}

#[test]
fn each_class_of_each_class_file_keeps_a_promise() {
    for (file, text) in [
        ("cokotools.toml", COKOTOOLS),
        ("publisher.toml", PUBLISHER),
        ("coco.toml", COCO),
        ("cloud-sms.toml", CLOUD_SMS),
    ] {
        let rows: Vec<String> =
            rows().into_iter().filter(|(of, ..)| of == file).map(|(_, how, _)| how).collect();
        assert!(!rows.is_empty(), "{file} has no table");
        for class in ClassSet::from_toml(text).unwrap().iter() {
            let name = format!("class `{}`", class.name);
            assert!(rows.iter().any(|how| how.contains(&name)), "{file}: {name} keeps no promise");
        }
    }
}
