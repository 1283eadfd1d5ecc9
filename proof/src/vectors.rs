//! Test vectors: the files `proof/vectors/*.txt`, which readers in other languages use, too.
//!
//! A line is `name value` with the value in hex, or `-` if it is empty. `#` begins a comment.
//!
//! `SEXTON_WRITE_VECTORS=1 cargo test -p sexton-proof` writes them from fixed inputs. Every other test run only
//! compares, so a change of a format shows as a difference in these files.

use std::fmt::Write as _;
use std::io::Write as _;

/// Entries of a file, in order.
#[derive(Default)]
pub(crate) struct Vectors {
    entries: Vec<(String, Vec<u8>)>,
}

impl Vectors {
    pub(crate) fn put(&mut self, name: impl Into<String>, value: impl AsRef<[u8]>) {
        self.entries.push((name.into(), value.as_ref().to_vec()));
    }

    /// Returns the entries whose name begins with `prefix`. It panics if there is none.
    pub(crate) fn all(&self, prefix: &str) -> Vec<(&str, &[u8])> {
        let found: Vec<_> = self.entries.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        assert!(!found.is_empty(), "no vector {prefix}*");
        found.into_iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }

    /// Returns the entry of this name.
    pub(crate) fn get(&self, name: &str) -> &[u8] {
        self.all(name).into_iter().find(|(found, _)| *found == name).unwrap().1
    }

    /// Compares the entries with `proof/vectors/<file>` and returns those of the file. It writes the file first if
    /// `SEXTON_WRITE_VECTORS` is set.
    pub(crate) fn check_against(&self, file: &str, about: &str) -> Self {
        let path = format!("{}/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut text = format!("# {about}\n");
        for (name, value) in &self.entries {
            let value = if value.is_empty() { "-".to_owned() } else { hex::encode(value) };
            writeln!(text, "{name} {value}").unwrap();
        }
        if std::env::var_os("SEXTON_WRITE_VECTORS").is_some() {
            std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap();
        for (ours, theirs) in text.lines().zip(stored.lines()) {
            assert_eq!(ours, theirs, "{file} has changed");
        }
        assert_eq!(text.len(), stored.len(), "{file} has changed");
        let line = |line: &str| {
            let (name, value) = line.split_once(' ').unwrap();
            (name.to_owned(), if value == "-" { Vec::new() } else { hex::decode(value).unwrap() })
        };
        Self { entries: stored.lines().filter(|text| !text.starts_with('#')).map(line).collect() }
    }
}
