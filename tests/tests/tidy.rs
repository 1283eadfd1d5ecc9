//! Style that nothing else enforces: imports go down the layers only, one file names RocksDB, one writes the index,
//! one reads the clock, files stay readable, the text speaks of the project alone.

mod imports;

use imports::Imports;
use std::fs;
use std::path::{Path, PathBuf};

/// Layers of the engine, lowest first. A module imports from its own layer and from those before it.
const LAYERS: [&str; 8] =
    ["platform", "model", "state", "registration", "governance", "enforcement", "engine", "driver"];

/// Layers of the service, lowest first, as those of the engine.
const SERVICE_LAYERS: [&str; 15] = [
    "problem",
    "outlook",
    "ownership",
    "dry_run",
    "intake",
    "sources",
    "config",
    "rights",
    "api",
    "exchange",
    "health",
    "metrics",
    "http",
    "serving",
    "run",
];

/// Files that may read the clock without a lock. All others read the time under a lock that keeps it from going back.
const CLOCK_READERS: [&str; 5] = [
    "engine/src/engine/",
    "engine/src/driver/",
    "engine/src/state/time.rs",
    "engine/src/state/core.rs",
    "engine/src/platform/clock.rs",
];

/// Words that have no place in the project's text: those of another concept, or of where it was written.
const FORBIDDEN: [&str; 4] = ["TODO", "FIXME", "/work/", "XXX"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files_under(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with(".git") {
                files_under(&path, ending, found);
            }
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    files_under(&root().join(folder), ".rs", &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().to_owned(), text)
    };
    paths.into_iter().map(read).collect()
}

/// The code of a file without its tests and comments.
fn code(text: &str) -> String {
    let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    production.lines().filter(|line| !line.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect()
}

#[test]
fn imports_point_down_the_layers() {
    check_layers("engine", &LAYERS);
    check_layers("service", &SERVICE_LAYERS);
}

fn check_layers(member: &str, layers: &[&str]) {
    let layer = |name: &str| layers.iter().position(|layer| *layer == name);
    let imports = Imports::of(&root().join(member).join("src"));
    let mut wrong = Vec::new();
    for (from, to) in imports.pairs().filter(|(from, _)| !from.is_empty()) {
        let own = layer(&from[0]).unwrap_or_else(|| panic!("{member}/src/{} is in no layer", from[0]));
        match to.first().map(|name| layer(name)) {
            None => wrong.push(format!("{} uses the crate root", from.join("::"))),
            Some(Some(other)) if other <= own => {}
            Some(_) => wrong.push(format!("{} uses {}", from.join("::"), to.join("::"))),
        }
    }
    assert!(wrong.is_empty(), "imports of {member} that point up:\n{}", wrong.join("\n"));
}

#[test]
fn imports_of_each_crate_have_no_cycle() {
    for member in ["proof", "engine", "ffi", "service", "cli", "stores/s3"] {
        if let Some(cycle) = Imports::of(&root().join(member).join("src")).cycle() {
            let cycle: Vec<String> = cycle.iter().map(|module| module.join("::")).collect();
            panic!("{member}: {} and back", cycle.join(" -> "));
        }
    }
}

#[test]
fn rocksdb_index_writes_and_clock_have_one_place_each() {
    for (path, text) in rust_files("engine/src") {
        let (name, code) = (path.to_string_lossy().into_owned(), code(&text));
        if !name.starts_with("engine/src/platform/kv/rocks/") {
            assert!(!code.contains("rocksdb::"), "{name} names rocksdb");
        }
        if name != "engine/src/state/writer.rs" && !name.starts_with("engine/src/platform/kv/") {
            assert!(
                !code.contains("kv.write(") && !code.contains("kv.sync("),
                "{name} writes past the writer"
            );
        }
        if !CLOCK_READERS.iter().any(|reader| name.starts_with(reader)) {
            let reads = [".now()", ".glance()", ".monotonic()", ".time.read()"];
            assert!(!reads.iter().any(|read| code.contains(read)), "{name} reads the clock");
        }
    }
}

#[test]
fn unsafe_code_is_in_ffi_only() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    for member in ["proof", "engine", "service", "cli", "benches", "tests", "stores/s3"] {
        let member = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        assert!(member.contains("[lints]\nworkspace = true"));
    }
    let ffi = fs::read_to_string(root().join("ffi/Cargo.toml")).unwrap();
    assert!(ffi.contains("undocumented_unsafe_blocks = \"warn\""));
}

#[test]
fn source_files_stay_below_the_line_limit() {
    for folder in ["proof", "engine", "ffi", "service", "cli", "benches", "tests", "stores"] {
        for (path, text) in rust_files(folder) {
            let lines = text.lines().count();
            let limit = if path.to_string_lossy().contains("tests") { 750 } else { 500 };
            assert!(lines <= limit, "{} has {lines} lines; {limit} is the limit", path.display());
        }
    }
}

#[test]
fn text_has_no_forbidden_words() {
    let mut paths = Vec::new();
    for ending in
        [".rs", ".md", ".toml", ".c", ".cpp", ".h", ".py", ".sh", "Makefile", "run", "setup", "install"]
    {
        files_under(&root(), ending, &mut paths);
    }
    for path in paths.iter().filter(|path| !path.ends_with("tests/tests/tidy.rs")) {
        // What mkdtemp() replaces is no word.
        let text = fs::read_to_string(path).unwrap().replace("XXXXXX", "");
        for word in FORBIDDEN {
            assert!(!text.contains(word), "{} contains {word:?}", path.display());
        }
    }
}
