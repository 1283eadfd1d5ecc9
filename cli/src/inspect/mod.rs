//! `sexton inspect`: shows the content of a file in any Sexton format.

mod evidence;
mod leaves;
mod private;
mod sheet;
mod signed;
mod tiles;

use crate::output::{Failure, Output};
use crate::verify::read;
use clap::Args as ClapArgs;
use sexton_proof::record::MAGIC;
use sheet::Sheet;
use std::path::{Path, PathBuf};

/// Largest file that is read. A file of openings for 2^20 objects is smaller.
const FILE_BYTES_MAX: usize = 1 << 30;

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
struct Malformed {
    format: &'static str,
    why: String,
}

/// Content of a recognised file, or the rule that it breaks.
type Inspected = Result<Sheet, Malformed>;

impl Malformed {
    fn of(format: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Malformed {
        move |why| Malformed { format, why: why.to_string() }
    }
}

pub(crate) fn run(args: &InspectArgs, output: &mut Output) -> Result<u8, Failure> {
    let path = &args.file;
    let refuse = |why: String| Failure::new(format!("{} {why}", path.display()));
    let bytes = read(path, FILE_BYTES_MAX).map_err(|e| refuse(format!("cannot be read: {e}")))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(refuse(format!("is longer than {FILE_BYTES_MAX} bytes")));
    }
    match inspect(path, &bytes) {
        None => {
            Err(refuse("is in no Sexton format (a tile of hashes is recognised by its path only)".into()))
        }
        Some(Ok(sheet)) => {
            if args.json {
                output.json(&sheet.json());
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

/// Recognises the format. Returns `None` if the file has no Sexton format.
fn inspect(path: &Path, bytes: &[u8]) -> Option<Inspected> {
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
