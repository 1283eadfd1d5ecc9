//! C2SP tlog-proof: a file that proves offline that an entry is in a log.

use thiserror::Error;

use crate::merkle::{Hash, PROOF_HASHES_MAX, SIZE_MAX};
use crate::note::{self, Note, NoteError};

/// Longest file in bytes, 16 MiB.
pub const PROOF_BYTES_MAX: usize = 16 << 20;

/// Largest leaf index, that of the last leaf of the largest tree.
const INDEX_MAX: u64 = SIZE_MAX - 1;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Error of bytes that are not a tlog-proof.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// The file is too long.
    #[error("tlog-proof of {bytes} bytes is beyond the limit of {PROOF_BYTES_MAX}")]
    TooLong {
        /// Length of the file in bytes.
        bytes: usize,
    },
    /// The file is not UTF-8.
    #[error("tlog-proof is not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// The first line is not that of a tlog-proof.
    #[error("first line of the tlog-proof: expected {FIRST_LINE:?}")]
    FirstLine,
    /// The file ends before the checkpoint.
    #[error("tlog-proof ends within its lines: expected {expected}")]
    Cut {
        /// Expected continuation.
        expected: &'static str,
    },
    /// The extra line is empty, or not canonical base64.
    #[error("extra line: expected \"extra \" and canonical base64 of at least one byte")]
    Extra,
    /// The index line is invalid.
    #[error(
        "index line: expected \"index \" and a decimal number without leading zeros, at most {INDEX_MAX}"
    )]
    Index,
    /// A hash line is invalid.
    #[error("hash line {line}: expected canonical base64 of 32 bytes")]
    Hash {
        /// Number of the line among the hash lines, from 1.
        line: usize,
    },
    /// The file has more hashes than the largest tree needs.
    #[error("tlog-proof has more than {PROOF_HASHES_MAX} hashes")]
    TooManyHashes,
    /// The text after the empty line is not a signed note.
    #[error("checkpoint of the tlog-proof: {0}")]
    Checkpoint(NoteError),
}

/// Parsed tlog-proof. Parsing verifies nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Extra data of the application. The format does not authenticate them.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry in the log, from 0.
    pub index: u64,
    /// Inclusion proof for [`crate::merkle::verify_inclusion`], beginning with the sibling of the leaf.
    pub hashes: Vec<Hash>,
    /// Signed checkpoint for [`crate::policy::Policy::verify`], a note of well-formed syntax.
    pub checkpoint: String,
}

impl TlogProof {
    /// Parses a file.
    ///
    /// # Errors
    /// Any bytes other than those that [`TlogProof::to_text`] writes: more than [`PROOF_BYTES_MAX`] bytes, more than 63
    /// hashes, base64 that is not canonical, an extra line without data, a checkpoint that is no note, surplus bytes.
    pub fn parse(file: &[u8]) -> Result<Self, TlogProofError> {
        Self::parse_after(file, None)
    }

    /// Parses a file, and skips the checkpoint if it equals `known`.
    ///
    /// Precondition: `known` has been parsed as a checkpoint before. Receipts that are verified in sequence mostly have
    /// the same checkpoint.
    pub(crate) fn parse_after(file: &[u8], known: Option<&str>) -> Result<Self, TlogProofError> {
        if file.len() > PROOF_BYTES_MAX {
            return Err(TlogProofError::TooLong { bytes: file.len() });
        }
        let file =
            std::str::from_utf8(file).map_err(|e| TlogProofError::NotUtf8 { offset: e.valid_up_to() })?;
        let (first, rest) = next_line(file, "the first line")?;
        if first != FIRST_LINE {
            return Err(TlogProofError::FirstLine);
        }
        let (extra, rest) = parse_extra(rest)?;
        let (index, rest) = next_line(rest, "the index line")?;
        let index = index
            .strip_prefix("index ")
            .and_then(|index| note::parse_decimal(index, INDEX_MAX))
            .ok_or(TlogProofError::Index)?;
        let (hashes, checkpoint) = parse_hashes(rest)?;
        if known != Some(checkpoint) {
            Note::parse(checkpoint).map_err(TlogProofError::Checkpoint)?;
        }
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Returns the text of the file. It leaves out empty extra data, which the format cannot express.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        if let Some(extra) = self.extra.as_deref().filter(|extra| !extra.is_empty()) {
            text += &format!("extra {}\n", note::encode_base64(extra));
        }
        text += &format!("index {}\n", self.index);
        for hash in &self.hashes {
            text += &note::encode_base64(hash);
            text.push('\n');
        }
        text.push('\n');
        text += &self.checkpoint;
        text
    }
}

/// Returns the next line without its line feed, and the text after it.
fn next_line<'a>(rest: &'a str, expected: &'static str) -> Result<(&'a str, &'a str), TlogProofError> {
    // The extra line has thousands of bytes; memchr searches them with vectors.
    let end = memchr::memchr(b'\n', rest.as_bytes()).ok_or(TlogProofError::Cut { expected })?;
    Ok((&rest[..end], &rest[end + 1..]))
}

/// Returns the data of the extra line if there is such a line, and the text after it.
fn parse_extra(rest: &str) -> Result<(Option<Vec<u8>>, &str), TlogProofError> {
    let Some(rest) = rest.strip_prefix("extra ") else { return Ok((None, rest)) };
    let (encoded, rest) = next_line(rest, "the end of the extra line")?;
    let extra =
        note::decode_base64(encoded).filter(|extra| !extra.is_empty()).ok_or(TlogProofError::Extra)?;
    Ok((Some(extra), rest))
}

/// Returns the hash lines up to the empty line, and the text after it.
fn parse_hashes(mut rest: &str) -> Result<(Vec<Hash>, &str), TlogProofError> {
    let mut hashes = Vec::new();
    loop {
        let (line, after) = next_line(rest, "a hash or an empty line")?;
        if line.is_empty() {
            return Ok((hashes, after));
        }
        if hashes.len() == PROOF_HASHES_MAX {
            return Err(TlogProofError::TooManyHashes);
        }
        hashes.push(note::decode_hash(line).ok_or(TlogProofError::Hash { line: hashes.len() + 1 })?);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merkle;
    use crate::note::Signer;

    const HASH: &str = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=";
    const CHECKPOINT: &str =
        "example.com/log\n2\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n— example.com/log AAAAAQE=\n";

    fn file(lines: &str) -> String {
        format!("c2sp.org/tlog-proof@v1\n{lines}\n{CHECKPOINT}")
    }

    fn parse(lines: &str) -> Result<TlogProof, TlogProofError> {
        TlogProof::parse(file(lines).as_bytes())
    }

    #[test]
    fn specification_file_is_read_and_written_the_same() {
        let text = file(&format!("extra ZXh0cmE=\nindex 73894\n{HASH}\n{HASH}\n"));
        let proof = TlogProof::parse(text.as_bytes()).unwrap();
        assert_eq!(proof.extra.as_deref(), Some(&b"extra"[..]));
        assert_eq!((proof.index, proof.hashes.len()), (73_894, 2));
        assert_eq!(proof.hashes[0][..3], [0x81, 0x22, 0xb2]);
        assert_eq!(proof.checkpoint, CHECKPOINT);
        assert_eq!(proof.to_text(), text);
    }

    #[test]
    fn extra_and_hashes_may_be_missing() {
        let proof = parse("index 0\n").unwrap();
        assert_eq!((proof.extra.clone(), proof.hashes.len()), (None, 0));
        assert_eq!(proof.to_text(), file("index 0\n"));
        let empty = TlogProof { extra: Some(vec![]), ..proof.clone() };
        assert_eq!(TlogProof::parse(empty.to_text().as_bytes()), Ok(proof));
    }

    #[test]
    fn malformed_lines_are_refused_and_named() {
        for extra in
            ["extra \n", "extra A\n", "extra AA=\n", "extra AB==\n", "extra AA==\r\n", "extra  AA==\n"]
        {
            assert_eq!(parse(&format!("{extra}index 1\n")), Err(TlogProofError::Extra), "{extra:?}");
        }
        for index in [
            "index 01\n",
            "index \n",
            "index +1\n",
            "index 1 \n",
            "Index 1\n",
            "\n",
            "index 9223372036854775808\n",
            "extra\nindex 1\n",
            "extra AA==\nextra AA==\nindex 1\n",
            "index1\n",
        ] {
            assert_eq!(parse(index), Err(TlogProofError::Index), "{index:?}");
        }
        assert_eq!(parse("index 9223372036854775807\n").map(|p| p.index), Ok(INDEX_MAX));
        let short = HASH.trim_end_matches('=');
        for hash in [short, &HASH.replace("lQ=", "lR="), &HASH[1..], &format!("{HASH} "), "index 1"] {
            assert_eq!(
                parse(&format!("index 1\n{HASH}\n{hash}\n")),
                Err(TlogProofError::Hash { line: 2 }),
                "{hash}"
            );
        }
        for first in ["c2sp.org/tlog-proof@v2", "", " c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v1\r"] {
            let text = format!("{first}\nindex 1\n\n{CHECKPOINT}");
            assert_eq!(TlogProof::parse(text.as_bytes()), Err(TlogProofError::FirstLine), "{first:?}");
        }
        assert_eq!(TlogProof::parse(b"c2sp\xff"), Err(TlogProofError::NotUtf8 { offset: 4 }));
    }

    #[test]
    fn file_cut_anywhere_and_surplus_bytes_are_refused() {
        let text = file(&format!("extra ZXh0cmE=\nindex 7\n{HASH}\n"));
        for cut in 0..text.len() {
            assert!(TlogProof::parse(&text.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
        for surplus in ["\n", " ", "\0", "x\n"] {
            let error = TlogProof::parse((text.clone() + surplus).as_bytes()).unwrap_err();
            assert!(matches!(error, TlogProofError::Checkpoint(_)), "{error}");
        }
    }

    #[test]
    fn limits_are_63_hashes_and_16_mib() {
        let of =
            |n: usize| parse(&format!("index 1\n{}", format!("{HASH}\n").repeat(n))).map(|p| p.hashes.len());
        assert_eq!(of(63), Ok(63));
        assert_eq!(of(64), Err(TlogProofError::TooManyHashes));
        let bytes = PROOF_BYTES_MAX + 1;
        assert_eq!(TlogProof::parse(&vec![b'a'; bytes]), Err(TlogProofError::TooLong { bytes }));
        let room = PROOF_BYTES_MAX - file("extra \nindex 1\n").len();
        let extra = "A".repeat(room / 4 * 4);
        assert!(parse(&format!("extra {extra}\nindex 1\n")).is_ok());
    }

    #[test]
    fn flipped_bit_outside_the_extra_line_fails_verification() {
        let leaves: Vec<_> = (0..5_u8).map(|i| merkle::leaf_hash(&[i])).collect();
        let mut nodes = std::collections::HashMap::new();
        let mut frontier = merkle::Frontier::new();
        for leaf in &leaves {
            frontier.push(*leaf, &mut |level, index, hash| {
                nodes.insert((level, index), hash);
            });
        }
        let mut read = |level, index| Ok::<_, std::convert::Infallible>(nodes[&(level, index)]);
        let signer = Signer::generate("example.com/log", [1; 32]).unwrap();
        let policy =
            crate::policy::Policy::parse(format!("log {}\nquorum none\n", signer.verifier())).unwrap();
        let checkpoint = crate::checkpoint::Checkpoint {
            origin: "example.com/log".into(),
            size: 5,
            root: frontier.root(),
        };
        let text = checkpoint.to_text();
        let proof = TlogProof {
            extra: Some(b"extra".to_vec()),
            index: 2,
            hashes: merkle::inclusion_proof(2, 5, &mut read).unwrap(),
            checkpoint: format!("{text}\n{}", signer.sign(&text)),
        };
        let verify = |file: &[u8]| -> Option<()> {
            let proof = TlogProof::parse(file).ok()?;
            let checkpoint = policy.verify(&proof.checkpoint).ok()?.checkpoint;
            let (size, root) = (checkpoint.size, checkpoint.root);
            merkle::verify_inclusion(proof.index, size, &leaves[2], &proof.hashes, &root).ok()
        };
        let file = proof.to_text();
        assert_eq!(verify(file.as_bytes()), Some(()));
        let extra = file.find("ZXh0").unwrap()..file.find("\nindex").unwrap();
        for byte in (0..file.len()).filter(|byte| !extra.contains(byte)) {
            for bit in 0..8 {
                let mut flipped = file.clone().into_bytes();
                flipped[byte] ^= 1 << bit;
                assert_eq!(verify(&flipped), None, "bit {bit} of byte {byte}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_proof_round_trips(
            extra in prop::option::of(prop::collection::vec(any::<u8>(), 1..50)),
            index in 0..=INDEX_MAX,
            hashes in prop::collection::vec(any::<Hash>(), 0..=63),
        ) {
            let proof = TlogProof { extra, index, hashes, checkpoint: CHECKPOINT.into() };
            prop_assert_eq!(TlogProof::parse(proof.to_text().as_bytes()), Ok(proof));
        }

        #[test]
        fn any_checkpoint_is_written_as_itself_or_refused(
            hashes in prop::collection::vec(any::<Hash>(), 0..2),
            before in "\n{0,2}|[A-Z]{42}[A-Z]=\n|(?s).{0,10}",
        ) {
            let checkpoint = before + CHECKPOINT;
            let proof = TlogProof { extra: None, index: 1, hashes, checkpoint };
            if let Ok(read) = TlogProof::parse(proof.to_text().as_bytes()) {
                prop_assert_eq!(read, proof);
            }
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_written_the_same(
            noise in prop::collection::vec(any::<u8>(), 0..100),
            lines in "(extra [A-D]{3}[A=]\n)?index [0-9]{1,3}\n([A-Z]{42}[A-Z]=\n){0,2}",
            change in any::<(prop::sample::Index, u8)>(),
        ) {
            let mut changed = file(&lines).into_bytes();
            *change.0.get_mut(&mut changed[..]) = change.1;
            for bytes in [noise, file(&lines).into_bytes(), changed] {
                if let Ok(proof) = TlogProof::parse(&bytes) {
                    prop_assert_eq!(proof.to_text().into_bytes(), bytes);
                }
            }
        }
    }
}
