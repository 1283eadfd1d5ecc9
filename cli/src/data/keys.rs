//! Keys of objects, from the command line and from key files.

use super::parse::bytes;
use crate::output::Failure;
use clap::Args as ClapArgs;
use std::fs;
use std::path::Path;

/// Form in which a command gets keys.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct KeyForm {
    /// Read keys, prefixes and subjects as hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
    /// The key file has a NUL byte after each key, as `find -print0` writes it, not a line feed
    #[arg(long)]
    pub(crate) null: bool,
}

/// Returns the keys of a command line: those of the key file if there is one, otherwise `texts`.
pub(super) fn keys(texts: &[String], file: Option<&Path>, form: KeyForm) -> Result<Vec<Vec<u8>>, Failure> {
    let Some(path) = file else {
        if form.null {
            return Err(Failure::new("--null is about the key file, which is missing; name it with --keys"));
        }
        return texts.iter().map(|text| bytes(text, form.hex)).collect();
    };
    let content = fs::read(path)
        .map_err(|e| Failure::new(format!("the key file {} cannot be read: {e}", path.display())))?;
    keys_in(&content, form).map_err(|why| Failure::new(format!("{} {why}", path.display())))
}

/// Returns the keys of a key file, each taken literally.
fn keys_in(content: &[u8], form: KeyForm) -> Result<Vec<Vec<u8>>, String> {
    let end = if form.null { 0 } else { b'\n' };
    let content = content.strip_suffix(&[end]).unwrap_or(content);
    if content.is_empty() {
        return Err("has no keys".into());
    }
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(content.split(|byte| *byte == end)) {
        let what = if form.null { "key" } else { "line" };
        // A wrong key would silently match no object.
        if let Some(why) = form.refuse(line) {
            return Err(format!("{what} {number} {why}"));
        }
        keys.push(match form.hex {
            false => line.to_vec(),
            true => hex::decode(line).map_err(|e| format!("{what} {number} is not hexadecimal: {e}"))?,
        });
    }
    Ok(keys)
}

impl KeyForm {
    /// Returns why a piece of a key file is hardly a key.
    fn refuse(self, piece: &[u8]) -> Option<&'static str> {
        match () {
            () if piece.is_empty() && self.null => Some("is empty; each key ends with one NUL byte"),
            () if piece.is_empty() => Some("is empty; write one key per line"),
            () if self.null => None,
            () if piece.ends_with(b"\r") => Some("ends with a carriage return; write one key per line"),
            () if piece.contains(&0) => Some("has a NUL byte; if NUL bytes end the keys, add --null"),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_file_line_is_taken_literally() {
        let form = |hex, null| KeyForm { hex, null };
        let (lines, hex) = (form(false, false), form(true, false));
        assert_eq!(keys_in(b"a b\n\xff\n", lines).unwrap(), [&b"a b"[..], b"\xff"]);
        assert_eq!(keys_in(b"ff00", hex).unwrap(), [[0xff, 0]]);
        for content in [&b""[..], b"\n", b"a\n\nb\n", b"a\r\n", b"a\0b\0"] {
            assert!(keys_in(content, lines).is_err(), "{}", content.escape_ascii());
        }
        assert!(keys_in(b"a\nzz\n", hex).unwrap_err().starts_with("line 1"));
    }

    #[test]
    fn key_file_with_null_takes_line_feeds_literally() {
        let null = KeyForm { hex: false, null: true };
        assert_eq!(keys_in(b"a\nb\0c\r\0", null).unwrap(), [&b"a\nb"[..], b"c\r"]);
        assert_eq!(keys_in(b"a\0b", null).unwrap(), [b"a", b"b"]);
        assert_eq!(keys_in(b"61\0ff\0", KeyForm { hex: true, null: true }).unwrap(), [b"a", b"\xff"]);
        for content in [&b""[..], b"\0", b"a\0\0b\0"] {
            assert!(keys_in(content, null).is_err(), "{}", content.escape_ascii());
        }
    }
}
