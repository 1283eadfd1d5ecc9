//! Search for names in the public folders, which must have none.

use super::Registered;
use crate::output::Failure;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Shorter names are not searched for. A file may be called `class`, which is a word of every leaf.
const NAME_BYTES_MIN: usize = 12;
/// Number of leading bytes by which needles are looked up.
const LOOKUP_BYTES: usize = 8;

/// Extent and result of the search.
pub(super) struct Search {
    pub(super) needles: usize,
    pub(super) bytes: u64,
    pub(super) found: u64,
}

/// Searches every file below `folders` for each path, file name and content digest. Paths and names are searched as
/// they are, as BLAKE3 hash, and as that hash in hexadecimal; digests as bytes and in hexadecimal.
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

/// Byte strings to search for, by their first bytes.
#[derive(Default)]
struct Needles {
    count: usize,
    by_start: HashMap<[u8; LOOKUP_BYTES], Vec<Vec<u8>>>,
    /// Marks each pair of first bytes that a needle has. Most positions are excluded by this alone.
    starts: Vec<bool>,
}

impl Needles {
    fn of(registered: &[Registered]) -> Self {
        let mut needles = Needles { starts: vec![false; 1 << 16], ..Needles::default() };
        for file in registered {
            let key = file.planned.key.as_slice();
            let name = key.rsplit(|byte| *byte == b'/').next().unwrap_or(key);
            for text in [key, name] {
                needles.add_with_hex(blake3::hash(text).as_bytes());
                if text.len() >= NAME_BYTES_MIN {
                    needles.add(text);
                }
            }
            needles.add_with_hex(&file.planned.digest);
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

/// Returns the first two bytes as a number.
fn pair(bytes: &[u8]) -> usize {
    bytes.iter().take(2).fold(0, |n, byte| n << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::Planned;
    use super::*;
    use sexton_proof::time::Timestamp;

    #[test]
    fn found_in_leaked_name_counts_plain_hash_and_hex() {
        let id = sexton::RegistrationId::from_bytes(&[0; 20]);
        let key = b"people/anna-schmidt.jpg".to_vec();
        let digest = *blake3::hash(b"her face").as_bytes();
        let start = Timestamp::from_unix_ms(0);
        let planned = Planned { key, version: Vec::new(), size_bytes: 8, digest, class: "upload-3h", start };
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
