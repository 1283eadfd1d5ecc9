//! Style that nothing else enforces: imports go down the floors only, one file names RocksDB, one writes the index,
//! one reads the clock, files stay readable, the text speaks of the project alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The engine's modules, by floor. A module may use what lies on its own floor or below.
const FLOORS: [&[&str]; 6] = [
    &["error", "clock", "entropy", "fault", "signal", "pool"],
    &[
        "kv", "files", "store", "wheel", "class", "schema", "options", "guard", "breaker", "selector",
        "hold", "request", "alarm", "effect",
    ],
    &["index", "log", "keyring", "writer", "core", "recent", "batch"],
    &[
        "register", "plan", "evidence", "publish", "commit", "reclaim", "place", "event", "alarms",
        "requests", "legal", "sweep", "trail", "change", "feed", "screen", "locator",
    ],
    &["recovery", "check", "receipts", "status", "preview", "answers", "json"],
    &["engine", "worker", "dispatch", "submit", "driver"],
];

/// What reads the clock beside the engine itself.
const FLOOR_FIVE: [&str; 3] = ["engine/src/worker.rs", "engine/src/dispatch.rs", "engine/src/driver.rs"];

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

fn module(path: &Path) -> String {
    let inside: PathBuf = path.strip_prefix("engine/src").unwrap().into();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_inside_the_engine_go_down_only() {
    let floors: BTreeMap<&str, usize> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, names)| names.iter().map(move |name| (*name, floor)))
        .collect();
    for (path, text) in rust_files("engine/src") {
        let own = module(&path);
        if own == "lib" || own.ends_with("_tests") {
            continue;
        }
        let floor = floors.get(own.as_str()).unwrap_or_else(|| panic!("{} has no floor", path.display()));
        let code = code(&text);
        for used in code.split("crate::").skip(1) {
            let name: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let Some(other) = floors.get(name.as_str()) else { continue };
            assert!(other <= floor, "{}: {own} (floor {floor}) uses {name} (floor {other})", path.display());
        }
    }
}

#[test]
fn no_two_modules_of_the_engine_use_each_other() {
    let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in rust_files("engine/src") {
        let code = code(&text);
        let names = code
            .split("crate::")
            .skip(1)
            .map(|used| used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>());
        uses.entry(module(&path)).or_default().extend(names);
    }
    fn reaches(uses: &BTreeMap<String, Vec<String>>, from: &str, to: &str, seen: &mut Vec<String>) -> bool {
        uses.get(from).is_some_and(|used| {
            used.iter().any(|next| {
                next != from
                    && (next == to
                        || !seen.contains(next) && {
                            seen.push(next.clone());
                            reaches(uses, next, to, seen)
                        })
            })
        })
    }
    for name in uses.keys().filter(|name| *name != "lib") {
        assert!(!reaches(&uses, name, name, &mut Vec::new()), "{name} uses itself through others");
    }
}

#[test]
fn only_one_file_names_rocksdb_one_door_writes_the_index_and_only_floor_five_reads_the_clock() {
    for (path, text) in rust_files("engine/src") {
        let (name, code) = (path.to_string_lossy().into_owned(), code(&text));
        if name != "engine/src/kv/rocks.rs" {
            assert!(!code.contains("rocksdb::"), "{name} names rocksdb");
        }
        if name != "engine/src/writer.rs" && !name.starts_with("engine/src/kv/") {
            assert!(
                !code.contains("kv.write(") && !code.contains("kv.sync("),
                "{name} writes past the writer"
            );
        }
        if !name.starts_with("engine/src/engine/") && name != "engine/src/clock.rs" {
            assert!(
                !code.contains(".now_ms()") || FLOOR_FIVE.contains(&name.as_str()),
                "{name} reads the clock"
            );
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_but_in_the_c_library_where_each_piece_has_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    for member in ["proof", "engine", "cli", "benches", "tests"] {
        let member = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        assert!(member.contains("[lints]\nworkspace = true"));
    }
    let ffi = fs::read_to_string(root().join("ffi/Cargo.toml")).unwrap();
    assert!(ffi.contains("undocumented_unsafe_blocks = \"warn\""));
}

#[test]
fn files_are_short_enough_to_read() {
    for folder in ["proof", "engine", "ffi", "cli", "benches", "tests"] {
        for (path, text) in rust_files(folder) {
            let lines = text.lines().count();
            let limit = if path.to_string_lossy().contains("tests") { 750 } else { 550 };
            assert!(lines <= limit, "{} has {lines} lines; {limit} is the limit", path.display());
        }
    }
}

#[test]
fn the_text_speaks_of_the_project_alone() {
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
