//! Mark of a copy of a data folder: the file `copy` in it (`docs/format.md` §6).

use crate::platform::data_folder::COPY_TITLE as TITLE;
use crate::platform::error::{Error, Result};
use sexton_proof::checked_text;
use sexton_proof::note::Verifier;
use sexton_proof::time::Timestamp;

const UNFINISHED: &str = "unfinished\n";

/// Origin and time of a copy of a data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOf {
    /// Public key of the log. Its name is the origin of the engine that was copied.
    pub log_key: Verifier,
    /// Instant of the copy, in the time that the engine trusted.
    pub taken: Timestamp,
    /// Entries of the log in the copy.
    pub log_entries: u64,
}

/// Content of the mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CopyMark {
    /// The copy was interrupted, or is still being made.
    Unfinished,
    Whole(Box<CopyOf>),
}

impl CopyMark {
    pub(crate) fn to_text(&self) -> String {
        let mut text = match self {
            CopyMark::Unfinished => format!("{TITLE}\n{UNFINISHED}"),
            CopyMark::Whole(copy) => {
                let CopyOf { log_key, taken, log_entries } = &**copy;
                format!("{TITLE}\nlog {log_key}\ntaken {}\nentries {log_entries}\n", taken.unix_ms())
            }
        };
        checked_text::append_check(&mut text);
        text
    }

    /// Reads the text that [`to_text`](Self::to_text) writes.
    ///
    /// # Errors
    /// `Corrupt` for any other text.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let malformed = |why: &str| Error::corrupt(format!("the mark of the copy {why}; use another copy"));
        let body = checked_text::parse(bytes, TITLE).map_err(|e| malformed(&e.to_string()))?;
        if body == UNFINISHED {
            return Ok(CopyMark::Unfinished);
        }
        let read = || {
            let mut lines = body.lines();
            let mut value = |name: &str| lines.next()?.strip_prefix(name);
            let log_key = Verifier::parse(value("log ")?).ok()?;
            let taken = Timestamp::from_unix_ms(value("taken ")?.parse().ok()?);
            let log_entries = value("entries ")?.parse().ok()?;
            Some(CopyMark::Whole(Box::new(CopyOf { log_key, taken, log_entries })))
        };
        let mark = read().filter(|mark| mark.to_text().as_bytes() == bytes);
        mark.ok_or_else(|| malformed("has malformed lines"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_proof::note::Signer;

    #[test]
    fn mark_has_one_valid_encoding() {
        let log_key = Signer::generate("example.com/a", [7; 32]).unwrap().verifier();
        let taken = Timestamp::from_unix_ms(1_767_225_600_000);
        let copy = CopyOf { log_key, taken, log_entries: 12 };
        for mark in [CopyMark::Unfinished, CopyMark::Whole(Box::new(copy))] {
            let text = mark.to_text();
            assert_eq!(CopyMark::parse(text.as_bytes()).unwrap(), mark);
            for at in 0..text.len() {
                let mut bad = text.clone().into_bytes();
                bad[at] ^= 1;
                assert!(CopyMark::parse(&bad).is_err(), "byte {at}");
                assert!(CopyMark::parse(&text.as_bytes()[..at]).is_err(), "first {at} bytes");
            }
        }
        for body in ["", "unfinished\nunfinished\n", "entries 12\n"] {
            let mut text = format!("{TITLE}\n{body}");
            checked_text::append_check(&mut text);
            assert!(CopyMark::parse(text.as_bytes()).is_err(), "{body:?}");
        }
    }
}
