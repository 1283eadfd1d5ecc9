//! Keys of objects, from the command line and from key files.

use super::parse::bytes;
use crate::output::Failure;
use clap::Args as ClapArgs;
use sexton::decision::SELECTOR_KEYS_MAX_BYTES;
use sexton_proof::id::KEY_MAX_BYTES;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

/// Longest piece of a key file: a key in hexadecimal and its end.
const PIECE_MAX_BYTES: u64 = 2 * KEY_MAX_BYTES as u64 + 1;

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
///
/// The file may have any number of keys, and is read key by key.
pub(super) fn keys<Keys: FromIterator<Vec<u8>>>(
    texts: &[String],
    file: Option<&Path>,
    form: KeyForm,
) -> Result<Keys, Failure> {
    let Some(path) = file else {
        if form.null {
            return Err(Failure::new("--null is about the key file, which is missing; name it with --keys"));
        }
        return texts.iter().map(|text| bytes(text, form.hex)).collect();
    };
    let unreadable =
        |e: &io::Error| Failure::new(format!("the key file {} cannot be read: {e}", path.display()));
    let open = File::open(path).map_err(|e| unreadable(&e))?;
    let keys = KeysIn { content: BufReader::new(open), form, number: 0, bytes: 0 };
    keys.map(|key| {
        key.map_err(|refused| match refused {
            Refused::Content(why) => Failure::new(format!("{} {why}", path.display())),
            Refused::Io(e) => unreadable(&e),
        })
    })
    .collect()
}

/// Keys of a key file, each taken literally.
struct KeysIn<R> {
    content: R,
    form: KeyForm,
    /// Number of pieces read so far.
    number: u64,
    /// Length of the keys so far, bytes.
    bytes: usize,
}

/// Reason why a key file is refused.
#[derive(Debug)]
enum Refused {
    Io(io::Error),
    Content(String),
}

impl<R: BufRead> Iterator for KeysIn<R> {
    type Item = Result<Vec<u8>, Refused>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = if self.form.null { 0 } else { b'\n' };
        let mut piece = Vec::new();
        // A piece that is too long is not read to its end.
        match self.content.by_ref().take(PIECE_MAX_BYTES + 1).read_until(end, &mut piece) {
            Err(e) => return Some(Err(Refused::Io(e))),
            Ok(0) if self.number > 0 => return None,
            Ok(0) => return Some(Err(Refused::Content("has no keys".into()))),
            Ok(_) => {}
        }
        if piece.last() == Some(&end) {
            piece.pop();
        }
        self.number += 1;
        let what = if self.form.null { "key" } else { "line" };
        let key = self.form.key(piece).and_then(|key| {
            self.bytes += key.len();
            let fits = self.bytes <= SELECTOR_KEYS_MAX_BYTES;
            let too_many = || {
                format!(
                    "is too much: the keys up to here have {} bytes, at most {SELECTOR_KEYS_MAX_BYTES} are allowed; \
                     split the file",
                    self.bytes
                )
            };
            if fits { Ok(key) } else { Err(too_many()) }
        });
        Some(key.map_err(|why| Refused::Content(format!("{what} {} {why}", self.number))))
    }
}

impl KeyForm {
    /// Returns the key that a piece of a key file stands for, or why it is hardly a key. A wrong key would silently match no
    /// object.
    fn key(self, piece: Vec<u8>) -> Result<Vec<u8>, String> {
        if let Some(why) = self.refuse(&piece) {
            return Err(why.into());
        }
        let key = match self.hex {
            false => piece,
            true => hex::decode(piece).map_err(|e| format!("is not hexadecimal: {e}"))?,
        };
        if key.len() > KEY_MAX_BYTES {
            return Err(format!("has a key of more than {KEY_MAX_BYTES} bytes"));
        }
        Ok(key)
    }

    /// Returns why a piece of a key file is hardly a key, whatever its form.
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

    fn form(hex: bool, null: bool) -> KeyForm {
        KeyForm { hex, null }
    }

    fn keys_in(content: &[u8], form: KeyForm) -> Result<Vec<Vec<u8>>, String> {
        let keys = KeysIn { content, form, number: 0, bytes: 0 };
        keys.collect::<Result<_, _>>().map_err(|refused| match refused {
            Refused::Content(why) => why,
            Refused::Io(e) => panic!("{e}"),
        })
    }

    #[test]
    fn key_file_line_is_taken_literally() {
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
        let null = form(false, true);
        assert_eq!(keys_in(b"a\nb\0c\r\0", null).unwrap(), [&b"a\nb"[..], b"c\r"]);
        assert_eq!(keys_in(b"a\0b", null).unwrap(), [b"a", b"b"]);
        assert_eq!(keys_in(b"61\0ff\0", form(true, true)).unwrap(), [b"a", b"\xff"]);
        for content in [&b""[..], b"\0", b"a\0\0b\0"] {
            assert!(keys_in(content, null).is_err(), "{}", content.escape_ascii());
        }
    }

    #[test]
    fn overlong_key_is_refused_by_its_line() {
        for (hex, length) in [(false, 2_049), (false, 1 << 20), (true, 4_098), (true, 1 << 20)] {
            let content = [b"61\n", &vec![b'6'; length][..], b"\n"].concat();
            let why = keys_in(&content, form(hex, false)).unwrap_err();
            assert_eq!(why, "line 2 has a key of more than 2048 bytes", "{hex} {length}");
        }
        let longest = [vec![b'6'; 4_096], vec![b'\n']].concat();
        assert_eq!(keys_in(&longest, form(true, false)).unwrap()[0].len(), 2_048);
    }

    #[test]
    fn keys_beyond_the_limit_are_refused_by_their_line() {
        let bytes = SELECTOR_KEYS_MAX_BYTES - 1;
        let mut keys = KeysIn { content: &b"a\nb\n"[..], form: form(false, false), number: 6, bytes };
        assert!(matches!(keys.next(), Some(Ok(_))));
        let Some(Err(Refused::Content(why))) = keys.next() else { panic!("it is accepted") };
        assert!(why.starts_with("line 8 is too much: the keys up to here have 268435457 bytes"), "{why}");
    }
}
