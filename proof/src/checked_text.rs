//! Private text files with a check line: `keys/keyring`, `keys/feed.key` and `head` (`docs/format.md` §6).
//!
//! Such a file is a title line, body lines, and a last line `check <hex>`: the BLAKE3 hash of everything before that line.
//! Each line ends with a line feed.

use std::fmt::Write as _;

use crate::id::{decimal, parse_hex};
use crate::merkle::{Hash, SIZE_MAX};

/// Title of `keys/keyring`.
pub const KEYRING_TITLE: &str = "sexton keyring v0";
/// Title of `keys/feed.key`.
pub const FEED_KEY_TITLE: &str = "sexton feed key v0";
/// Title of `head`.
pub const HEAD_TITLE: &str = "sexton head v0";

/// Error of bytes that are not a text with a right check line. It displays as a predicate, after the name of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckedTextError {
    /// The bytes are not UTF-8.
    #[error("is not text")]
    NotText,
    /// The last line does not end with a line feed.
    #[error("does not end with a line feed")]
    Unterminated,
    /// The last line is not a check line.
    #[error("has no check line")]
    NoCheck,
    /// The check line is not the BLAKE3 hash of everything before it.
    #[error("does not match its check line, the BLAKE3 hash of the text before it")]
    Mismatch,
    /// The first line is not the expected title.
    #[error("has another title or version")]
    Title,
    /// The body is not that of a head.
    #[error("does not have exactly the lines `size <n>` and `root <64 digits of lower-case hex>`")]
    Head,
}

/// Appends the check line to `text`, which ends with a line feed.
///
/// If `text` holds secrets, give it enough capacity beforehand: growing it would leave a copy in freed memory.
pub fn append_check(text: &mut String) {
    let check = blake3::hash(text.as_bytes()).to_hex();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "check {check}");
}

/// Returns the body of a text: the lines between its title and its check line.
///
/// # Errors
/// [`CheckedTextError`] if the text has another title, or no right check line.
pub fn parse<'a>(bytes: &'a [u8], title: &str) -> Result<&'a str, CheckedTextError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CheckedTextError::NotText)?;
    let lines = text.strip_suffix('\n').ok_or(CheckedTextError::Unterminated)?;
    let checked = lines.rfind('\n').map_or(0, |at| at + 1);
    let (checked, last) = lines.split_at_checked(checked).ok_or(CheckedTextError::NoCheck)?;
    let found = last.strip_prefix("check ").ok_or(CheckedTextError::NoCheck)?;
    if found != blake3::hash(checked.as_bytes()).to_hex().as_str() {
        return Err(CheckedTextError::Mismatch);
    }
    checked.strip_prefix(title).and_then(|rest| rest.strip_prefix('\n')).ok_or(CheckedTextError::Title)
}

/// Content of the file `head`: the log as it was last to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of leaves, at most 2^63.
    pub size: u64,
    /// RFC 6962 root of the tree.
    pub root: Hash,
}

impl Head {
    /// Returns the text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD_TITLE}\nsize {}\nroot {}\n", self.size, hex::encode(self.root));
        append_check(&mut text);
        text
    }

    /// Reads the text that [`Head::to_text`] writes.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckedTextError> {
        let body = parse(bytes, HEAD_TITLE)?;
        let read = || {
            let (size, root) = body.strip_suffix('\n')?.split_once('\n')?;
            let size = decimal(size.strip_prefix("size ")?).filter(|size| *size <= SIZE_MAX)?;
            Some(Self { size, root: parse_hex(root.strip_prefix("root ")?)? })
        };
        read().ok_or(CheckedTextError::Head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(body: &str) -> String {
        let mut text = body.to_owned();
        append_check(&mut text);
        text
    }

    #[test]
    fn body_of_a_checked_text_is_returned() {
        for (text, body) in [("title\n", ""), ("title\na 1\nb 2\n", "a 1\nb 2\n")] {
            assert_eq!(parse(checked(text).as_bytes(), "title"), Ok(body));
        }
    }

    #[test]
    fn head_has_one_valid_text() {
        let head = Head { size: SIZE_MAX, root: [0x5e; 32] };
        assert_eq!(Head::parse(head.to_text().as_bytes()), Ok(head));
        let root = "5e".repeat(32);
        for body in [
            String::new(),
            format!("size 07\nroot {root}\n"),
            format!("size +7\nroot {root}\n"),
            format!("size 9223372036854775809\nroot {root}\n"),
            format!("size 7\nroot {}\n", root.to_uppercase()),
            format!("size 7\nroot {}\n", &root[1..]),
            format!("size 7\nroot {root} \n"),
            format!("size 7\nroot {root}\n\n"),
            format!("size 7\n\nroot {root}\n"),
            format!("root {root}\nsize 7\n"),
        ] {
            let text = checked(&format!("{HEAD_TITLE}\n{body}"));
            assert_eq!(Head::parse(text.as_bytes()), Err(CheckedTextError::Head), "{body:?}");
        }
    }

    #[test]
    fn malformed_text_is_refused_with_its_error() {
        let good = checked("title\na 1\n");
        let refused = |bytes: &[u8]| parse(bytes, "title").unwrap_err();
        assert_eq!(refused(b"\xff\n"), CheckedTextError::NotText);
        assert_eq!(refused(&good.as_bytes()[..good.len() - 1]), CheckedTextError::Unterminated);
        assert_eq!(refused(b"title\na 1\n"), CheckedTextError::NoCheck);
        assert_eq!(refused(b"\n"), CheckedTextError::NoCheck);
        assert_eq!(refused(checked("titles\n").as_bytes()), CheckedTextError::Title);
        assert_eq!(refused(checked("").as_bytes()), CheckedTextError::Title);
        for at in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[at] ^= 1;
            assert!(parse(&bad, "title").is_err(), "byte {at}");
        }
    }
}
