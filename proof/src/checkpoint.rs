//! C2SP tlog-checkpoint: the text about its tree that a log signs.

use thiserror::Error;

use crate::merkle::{self, Hash, SIZE_MAX};
use crate::note::{self, NoteError};

/// Longest checkpoint in bytes, without signatures: origin, 19 digits, 44 characters of base64, three line feeds.
const TEXT_BYTES_MAX: usize = note::NAME_BYTES_MAX + 19 + 44 + 3;

/// Error of a text that is not a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The text is longer than three valid lines.
    #[error("checkpoint of {bytes} bytes is beyond the limit of {TEXT_BYTES_MAX} for origin, size and root")]
    TooLong {
        /// Length of the text in bytes.
        bytes: usize,
    },
    /// The text does not have exactly three lines. Extension lines are refused.
    #[error("checkpoint is not exactly three lines (origin, size, root), each ended by a line feed")]
    Lines,
    /// The origin is not a valid key name.
    #[error("origin of the checkpoint: {0}")]
    Origin(NoteError),
    /// The size line is invalid.
    #[error("checkpoint size {text:?}: expected a decimal number without leading zeros, at most {SIZE_MAX}")]
    Size {
        /// Line given.
        text: String,
    },
    /// The root line is invalid.
    #[error("checkpoint root {text:?}: expected canonical base64 of 32 bytes")]
    Root {
        /// Line given.
        text: String,
    },
    /// The size is 0, and the root is not that of the empty tree.
    #[error("checkpoint of size 0 has another root, expected that of the empty tree")]
    EmptyRoot,
}

/// Statement of a log about its tree: the first `size` leaves of the log `origin` have this root.
///
/// The text has exactly the three lines that the format requires. C2SP permits extension lines but does not recommend
/// them. They are refused, because an auditor could not check them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log, 1 to 255 bytes, valid as a key name ([`note::check_name`]).
    pub origin: String,
    /// Size of the tree in leaves, at most 2^63.
    pub size: u64,
    /// RFC 6962 root of the tree.
    pub root: Hash,
}

impl Checkpoint {
    /// Returns the text of the note to sign: three lines, each with a line feed. [`Checkpoint::parse`] accepts it if
    /// the fields are within their limits.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, note::encode_base64(&self.root))
    }

    /// Parses the text of a note.
    ///
    /// # Errors
    /// Any text other than the one that [`Checkpoint::to_text`] writes for a valid checkpoint.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(CheckpointError::TooLong { bytes: text.len() });
        }
        let lines: Vec<&str> = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n').collect();
        let [origin, size, root] = lines.as_slice() else { return Err(CheckpointError::Lines) };
        note::check_name(origin).map_err(CheckpointError::Origin)?;
        let size = note::parse_decimal(size, SIZE_MAX)
            .ok_or_else(|| CheckpointError::Size { text: (*size).to_owned() })?;
        let root =
            note::decode_hash(root).ok_or_else(|| CheckpointError::Root { text: (*root).to_owned() })?;
        if size == 0 && root != merkle::empty_root() {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(Self { origin: (*origin).to_owned(), size, root })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    const EMPTY: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn example() -> String {
        format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n")
    }

    #[test]
    fn specification_example_is_read_and_written_the_same() {
        let checkpoint = Checkpoint::parse(&example()).unwrap();
        assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.root[..3], [0x0a, 0xc5, 0x18]);
        assert_eq!(checkpoint.to_text(), example());
    }

    #[test]
    fn tlog_tiles_crate_reads_our_checkpoints() {
        let theirs = tlog_tiles::Checkpoint::from_bytes(example().as_bytes()).unwrap();
        let ours = Checkpoint::parse(&example()).unwrap();
        assert_eq!((theirs.origin(), theirs.size()), (ours.origin.as_str(), ours.size));
        assert_eq!(theirs.hash().0, ours.root);
        assert_eq!(theirs.to_bytes(), ours.to_text().into_bytes());
    }

    #[test]
    fn extension_lines_and_missing_lines_are_refused() {
        let lines = [
            example() + "extension\n",
            example() + "\n",
            example().trim_end().to_owned(),
            format!("\n{}", example()),
            String::new(),
            "\n".into(),
            "a\n1\n".into(),
        ];
        for text in lines {
            assert_eq!(Checkpoint::parse(&text), Err(CheckpointError::Lines), "{text:?}");
        }
    }

    #[test]
    fn empty_tree_has_the_empty_root_only() {
        assert!(Checkpoint::parse(&format!("o\n0\n{EMPTY}\n")).is_ok());
        assert_eq!(Checkpoint::parse(&format!("o\n0\n{ROOT}\n")), Err(CheckpointError::EmptyRoot));
    }

    #[test]
    fn sizes_have_one_spelling_and_a_limit() {
        let parse = |size: &str| Checkpoint::parse(&format!("o\n{size}\n{ROOT}\n"));
        assert_eq!(parse("9223372036854775808").map(|c| c.size), Ok(SIZE_MAX));
        for size in ["", "01", "+1", "-1", "1 ", "0x1", "9223372036854775809", "99999999999999999999"] {
            assert_eq!(parse(size), Err(CheckpointError::Size { text: size.to_owned() }));
        }
    }

    #[test]
    fn roots_have_one_spelling() {
        let parse = |root: &str| Checkpoint::parse(&format!("o\n1\n{root}\n"));
        for root in
            ["", &ROOT[1..], ROOT.trim_end_matches('='), &ROOT.replace("2I=", "2J="), &ROOT.replace('/', "_")]
        {
            assert_eq!(parse(root), Err(CheckpointError::Root { text: root.to_owned() }));
        }
    }

    #[test]
    fn origins_are_key_names_of_at_most_255_bytes() {
        let parse = |origin: &str| Checkpoint::parse(&format!("{origin}\n9223372036854775808\n{ROOT}\n"));
        assert!(parse(&"x".repeat(255)).is_ok());
        for origin in ["", "a b", "a+b", "a\r", "\u{2028}"] {
            assert!(
                matches!(parse(origin), Err(CheckpointError::Origin(NoteError::Name { .. }))),
                "{origin:?}"
            );
        }
        assert_eq!(parse(&"x".repeat(256)), Err(CheckpointError::TooLong { bytes: TEXT_BYTES_MAX + 1 }));
    }

    proptest! {
        #[test]
        fn every_checkpoint_round_trips(origin in "[a-z./é]{1,100}", size in 1..=SIZE_MAX, root: Hash) {
            let checkpoint = Checkpoint { origin, size, root };
            prop_assert_eq!(Checkpoint::parse(&checkpoint.to_text()), Ok(checkpoint));
        }

        #[test]
        fn any_origin_is_written_as_itself_or_refused(
            origin in "(?s).{0,20}|[a-c]{1,3}\n[0-9]{1,2}\n[A-Za-z0-9+/]{42}[A-Z048]=(\n.{0,3})?",
            size in 1..9_u64,
            root: Hash,
        ) {
            let checkpoint = Checkpoint { origin, size, root };
            match Checkpoint::parse(&checkpoint.to_text()) {
                Ok(read) => prop_assert_eq!(read, checkpoint),
                Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
            }
        }

        #[test]
        fn arbitrary_text_is_refused_or_written_the_same(
            text in ".{0,100}|[a-z+ ]{0,3}\n[0-9+]{0,3}\n[A-Za-z0-9+/]{42}[A-Z048]=\n{1,2}",
        ) {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert_eq!(checkpoint.to_text(), text);
            }
        }
    }
}
