//! `sexton inspect`: shows the content of a file in any Sexton format.

mod evidence;
mod leaves;
mod private;
mod seals;
mod sheet;
mod signed;
mod tiles;

use crate::input;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use sexton_proof::record::{MAGIC, RECORD_BYTES};
use sheet::Sheet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Longest evidence file that is read, in bytes. A file of openings for 2^20 objects is shorter.
const EVIDENCE_BYTES_MAX: u64 = 1 << 30;

/// Longest file of another format that is read, in bytes. The longest is an entry bundle, with 256 entries of 64 KiB.
const OTHER_BYTES_MAX: u64 = 20 << 20;

const SHOWN: u8 = 0;
const MALFORMED: u8 = 1;

/// Arguments of `sexton inspect`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  sexton inspect sexton-demo/data/tombstones/001.tomb

Exit codes:
  0  shown
  1  recognised, but malformed
  2  wrong usage, unreadable, or not a Sexton file")]
pub(crate) struct InspectArgs {
    /// File to show
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Malformed file: the format that its mark states, and the rule of the format that it breaks.
#[derive(Clone)]
struct Malformed {
    format: &'static str,
    why: String,
}

/// Content of a recognised file, or the rule that it breaks.
type Inspected<'a> = Result<Sheet<'a>, Malformed>;

impl Malformed {
    fn of(format: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Malformed {
        move |why| Malformed { format, why: why.to_string() }
    }
}

pub(crate) fn run(args: &InspectArgs, output: &mut Output) -> Result<u8, Failure> {
    let path = &args.file;
    let refuse = |why: String| Failure::new(format!("{} {why}", path.display()));
    match read(path).map_err(|e| refuse(format!("cannot be read: {e}")))? {
        Content::Whole(bytes) => show(inspect(path, &bytes), args, output),
        Content::Inspected(inspected) => show(Some(inspected), args, output),
        Content::TooLong { most } => {
            Err(refuse(format!("is in no Sexton format: it is longer than {most} bytes")))
        }
    }
}

/// Prints the content of a file, or the rule that it breaks. `None` is a file in no Sexton format.
fn show(inspected: Option<Inspected<'_>>, args: &InspectArgs, output: &mut Output) -> Result<u8, Failure> {
    match inspected {
        None => Err(Failure::new(format!(
            "{} is in no Sexton format (a tile of hashes is recognised by its path only)",
            args.file.display()
        ))),
        Some(Ok(sheet)) => {
            if args.json {
                output.json(&sheet);
            } else {
                sheet.print(output);
            }
            Ok(SHOWN)
        }
        Some(Err(Malformed { format, why })) => {
            if args.json {
                output.json(&serde_json::json!({ "format": format, "malformed": why }));
            } else {
                output.line(format_args!("{} {}: {why}", output.bad("malformed"), format));
            }
            Ok(MALFORMED)
        }
    }
}

/// Content of a file, as far as it had to be read.
enum Content {
    Whole(Vec<u8>),
    /// Reading has shown all: a seal file, or an evidence file whose header is malformed or does not fit its length.
    Inspected(Inspected<'static>),
    TooLong {
        most: u64,
    },
}

/// Reads a file, unless its first bytes and its length already decide.
fn read(path: &Path) -> io::Result<Content> {
    let mut file = input::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    (&mut file).take(RECORD_BYTES as u64).read_to_end(&mut bytes)?;
    if seals::is_seal(&bytes) {
        return seals::inspect(bytes.chain(file)).map(Content::Inspected);
    }
    let is_evidence = bytes.starts_with(&MAGIC);
    if is_evidence && let Err(malformed) = evidence::check_length(&bytes, length) {
        return Ok(Content::Inspected(Err(malformed)));
    }
    let most = if is_evidence { EVIDENCE_BYTES_MAX } else { OTHER_BYTES_MAX };
    if length <= most {
        // The file may grow meanwhile.
        file.take(most + 1).read_to_end(&mut bytes)?;
    }
    Ok(if length.max(bytes.len() as u64) > most { Content::TooLong { most } } else { Content::Whole(bytes) })
}

/// Recognises the format. Returns `None` if the file has no Sexton format.
fn inspect<'a>(path: &Path, bytes: &'a [u8]) -> Option<Inspected<'a>> {
    let begins = |mark: &[u8]| bytes.starts_with(mark);
    Some(match () {
        () if begins(&MAGIC) => evidence::inspect(bytes),
        () if begins(signed::PROOF_MARK) => signed::proof(bytes),
        () if begins(private::KEYRING_MARK) => private::keyring(bytes),
        () if begins(private::FEED_KEY_MARK) => private::feed_key(bytes),
        () if begins(private::HEAD_MARK) => private::head(bytes),
        () if begins(private::SIGNING_KEY_MARK) => private::signing_key(bytes),
        () if begins(leaves::MARK) => leaves::leaf(bytes),
        () => {
            return tiles::bundle(path, bytes)
                .or_else(|| signed::text(bytes))
                .or_else(|| tiles::tile(path, bytes));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspect_foreign_file_is_not_recognised() {
        for bytes in [&b""[..], b"hello\n", b"\x7fELF\x02\x01\x01", &[0; 64], b"quorum\n"] {
            assert!(inspect(Path::new("somewhere/file"), bytes).is_none(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn inspect_truncated_file_is_malformed_without_panic() {
        let marks: [&[u8]; 8] = [
            &MAGIC,
            signed::PROOF_MARK,
            private::KEYRING_MARK,
            private::FEED_KEY_MARK,
            private::HEAD_MARK,
            private::SIGNING_KEY_MARK,
            leaves::MARK,
            b"log ",
        ];
        for mark in marks {
            for tail in
                [&b""[..], b"\n", b"\0", b"key 1 2026-01 00\n", b"size 1\nroot 00\ncheck 00\n", &[0xff; 70]]
            {
                if let Some(inspected) = inspect(Path::new("f"), &[mark, tail].concat()) {
                    assert!(inspected.is_err());
                }
            }
        }
    }
}
