//! Looking for names where none may be: in the public folders.

use super::Registered;
use crate::output::Failure;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Shorter names are not looked for: `class` may be a file's name, and stands in every leaf.
const NAME_BYTES_MIN: usize = 12;
/// Every needle is looked up by its first bytes.
const LOOKUP_BYTES: usize = 8;

/// What was looked for, where, and how often it was found.
pub(super) struct Search {
    pub(super) needles: usize,
    pub(super) bytes: u64,
    pub(super) found: u64,
}

/// Looks in every file below `folders` for each path, each file's own name, and each content's digest, plain, as BLAKE3
/// hash of it, and that in hex.
pub(super) fn search(registered: &[Registered], folders: &[&Path]) -> Result<Search, Failure> {
    let needles = Needles::of(registered);
    let mut done = Search { needles: needles.count, bytes: 0, found: 0 };
    let mut left: Vec<_> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    while let Some(folder) = left.pop() {
        let cannot = |e: std::io::Error| Failure::new(format!("cannot read below {}: {e}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            if entry.file_type().map_err(cannot)?.is_dir() {
                left.push(entry.path());
                continue;
            }
            let bytes = fs::read(entry.path()).map_err(cannot)?;
            done.bytes += bytes.len() as u64;
            done.found += needles.found_in(&bytes);
        }
    }
    Ok(done)
}

/// What is looked for, by its first bytes.
#[derive(Default)]
struct Needles {
    count: usize,
    by_start: HashMap<[u8; LOOKUP_BYTES], Vec<Vec<u8>>>,
    /// Which pairs of first bytes there are: most places are dismissed by a look at this.
    starts: Vec<bool>,
}

impl Needles {
    fn of(registered: &[Registered]) -> Self {
        let mut needles = Needles { starts: vec![false; 1 << 16], ..Needles::default() };
        for one in registered {
            let key = one.planned.key.as_slice();
            let name = key.rsplit(|byte| *byte == b'/').next().unwrap_or(key);
            for text in [key, name] {
                needles.add_with_hex(blake3::hash(text).as_bytes());
                if text.len() >= NAME_BYTES_MIN {
                    needles.add(text);
                }
            }
            needles.add_with_hex(&one.planned.digest);
        }
        needles
    }

    fn add_with_hex(&mut self, hash: &[u8; 32]) {
        self.add(hash);
        self.add(hex::encode(hash).as_bytes());
    }

    fn add(&mut self, needle: &[u8]) {
        let Some(start) = needle.first_chunk::<LOOKUP_BYTES>() else { return };
        let same_start = self.by_start.entry(*start).or_default();
        if !same_start.iter().any(|other| other == needle) {
            same_start.push(needle.to_vec());
            self.count += 1;
            if let Some(known) = self.starts.get_mut(pair(start)) {
                *known = true;
            }
        }
    }

    fn found_in(&self, bytes: &[u8]) -> u64 {
        let mut found = 0;
        for (at, window) in bytes.windows(LOOKUP_BYTES).enumerate() {
            if self.starts.get(pair(window)) == Some(&true)
                && let Some(needles) = window.first_chunk().and_then(|start| self.by_start.get(start))
                && let Some(rest) = bytes.get(at..)
            {
                found += needles.iter().filter(|needle| rest.starts_with(needle)).count() as u64;
            }
        }
        found
    }
}

/// The first two bytes as a number.
fn pair(bytes: &[u8]) -> usize {
    bytes.iter().take(2).fold(0, |n, byte| n << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::Planned;
    use super::*;

    #[test]
    fn a_name_that_leaked_is_found_plain_hashed_and_in_hex() {
        let id = sexton::RegistrationId::from_bytes(&[0; 20]);
        let key = b"people/anna-schmidt.jpg".to_vec();
        let digest = *blake3::hash(b"her face").as_bytes();
        let planned =
            Planned { key, version: Vec::new(), size_bytes: 8, digest, class: "upload-3h", start_ms: 0 };
        let needles = Needles::of(&[Registered { planned, id }]);
        let hash = blake3::hash(b"anna-schmidt.jpg");
        for (leak, times) in [
            (&b"people/anna-schmidt.jpg"[..], 2),
            (b"anna-schmidt.jpg", 1),
            (hash.as_bytes(), 1),
            (hash.to_hex().as_bytes(), 1),
            (&digest, 1),
            (b"anna-schmidt.jp", 0),
            (b"", 0),
        ] {
            let public = [b"sexton/v0 batch\n", leak, b"\0rest"].concat();
            assert_eq!(needles.found_in(&public), times, "{}", leak.escape_ascii());
        }
    }
}
