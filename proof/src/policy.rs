//! C2SP tlog-policy: which logs and witnesses a verifier trusts, and how many witnesses must have cosigned.

mod reader;

use std::collections::HashSet;

use thiserror::Error;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::note::{KeyType, Note, NoteError, Verifier};
use reader::Reader;

/// The longest policy file, in bytes: 256 KiB.
pub const POLICY_BYTES_MAX: usize = 256 << 10;

/// The most logs, the most witnesses and the most groups of a policy.
pub const ENTRIES_MAX: usize = 256;

/// The predefined quorum that needs no witness.
const NONE: &str = "none";

/// Why a policy is refused, or a checkpoint under it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The policy is too long.
    #[error("policy of {bytes} bytes is beyond the limit of {POLICY_BYTES_MAX}")]
    TooLong {
        /// The policy's length in bytes.
        bytes: usize,
    },
    /// The policy is not UTF-8.
    #[error("policy is not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Where the first bad byte is.
        offset: usize,
    },
    /// The policy's last line is not ended, so it may have been cut.
    #[error("policy does not end with a line feed: it may be cut off")]
    Cut,
    /// A line breaks a rule.
    #[error("policy line {line}: {problem}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// Which rule it breaks.
        problem: LineError,
    },
    /// No quorum line.
    #[error("policy has no quorum line: expected \"quorum none\" or \"quorum <name>\"")]
    NoQuorum,
    /// The checkpoint is not a note, a known signature is bad, or none is known.
    #[error("signed checkpoint: {0}")]
    Note(NoteError),
    /// The note's text is not a checkpoint.
    #[error("text of the signed checkpoint: {0}")]
    Checkpoint(CheckpointError),
    /// The policy knows no log of this origin.
    #[error("policy has no log with origin {origin:?}")]
    UnknownLog {
        /// The checkpoint's origin.
        origin: String,
    },
    /// No key of the log signed, whoever else did.
    #[error("checkpoint has no signature of the log {origin:?}")]
    NotSignedByLog {
        /// The checkpoint's origin.
        origin: String,
    },
}

/// Which rule a line of a policy breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LineError {
    /// A control character other than tab.
    #[error("control character 0x{byte:02x}: expected none but tab and line feed")]
    ControlCharacter {
        /// The control character.
        byte: u8,
    },
    /// Not one of the four forms.
    #[error("expected {expected}")]
    Form {
        /// The form or forms expected.
        expected: &'static str,
    },
    /// Not a usable vkey.
    #[error("{0}")]
    Key(NoteError),
    /// A vkey of the wrong type.
    #[error("key {name} is of the wrong type: expected type {expected}")]
    WrongKeyType {
        /// The key's name.
        name: String,
        /// The type expected, in words.
        expected: &'static str,
    },
    /// The same public key, or the same key name and id, a second time.
    #[error("key {name} was given before, under this or another name")]
    DuplicateKey {
        /// The key's name.
        name: String,
    },
    /// The name is taken, or is `none`.
    #[error("name {name:?} is defined already")]
    NameTaken {
        /// The name given.
        name: String,
    },
    /// The name is not of a witness or group defined before.
    #[error("name {name:?} is not of a witness or group on a line before")]
    Undefined {
        /// The name given.
        name: String,
    },
    /// The name is a member already.
    #[error("name {name:?} is a member of a group already")]
    MemberTwice {
        /// The name given.
        name: String,
    },
    /// Not a threshold.
    #[error("threshold {text:?}: expected all, any or a number from 1 to {members}, the number of members")]
    Threshold {
        /// The threshold given.
        text: String,
        /// How many members the group has.
        members: usize,
    },
    /// A second quorum line.
    #[error("second quorum line: expected exactly one")]
    SecondQuorum,
    /// Too many of a kind.
    #[error("more than {ENTRIES_MAX} {kind}")]
    TooMany {
        /// `logs`, `witnesses` or `groups`.
        kind: &'static str,
    },
}

/// A log that is trusted to have signed a checkpoint; its origin is the key's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The log's key, of type 0x01.
    pub verifier: Verifier,
    /// Where the log is; nothing here looks at it.
    pub url: Option<String>,
}

/// A witness whose cosignatures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The name within the policy.
    pub name: String,
    /// The witness's key, of type 0x04.
    pub verifier: Verifier,
    /// Where the witness is; nothing here looks at it.
    pub url: Option<String>,
}

/// A group: it has witnessed what at least `threshold` of its members have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The name within the policy.
    pub name: String,
    /// How many members suffice: 1 to the number of members.
    pub threshold: usize,
    /// Names of witnesses and of groups defined before; at least one, each in one group only.
    pub members: Vec<String>,
}

/// A policy: logs, witnesses, groups and the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<String>,
}

/// A checkpoint that a log of the policy signed, and who cosigned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    /// What the log states.
    pub checkpoint: Checkpoint,
    /// Every verified cosignature: the witness's name in the policy and its time in Unix seconds, in the
    /// order of the note. A witness may be here more than once.
    pub cosignatures: Vec<(String, u64)>,
    /// Whether these cosignatures make up the quorum; true where none is required.
    pub quorum_met: bool,
    /// Whether the policy requires any cosignature (false: `quorum none`).
    pub quorum_required: bool,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// Stricter than C2SP in two points: the file must be UTF-8 throughout, and of keys it knows Ed25519 only
    /// (logs 0x01, witnesses 0x04). A public key may be one log and one witness, as C2SP has it.
    ///
    /// # Errors
    /// The first rule that is broken, with the line's number.
    pub fn parse(policy: impl AsRef<[u8]>) -> Result<Self, PolicyError> {
        let policy = policy.as_ref();
        if policy.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong { bytes: policy.len() });
        }
        let policy =
            std::str::from_utf8(policy).map_err(|e| PolicyError::NotUtf8 { offset: e.valid_up_to() })?;
        // A cut line could still be a valid and weaker one, such as "quorum a" of "quorum all-of-them".
        let lines = policy.strip_suffix('\n').ok_or(PolicyError::Cut)?;
        let mut reader = Reader::default();
        for (number, line) in lines.split('\n').enumerate() {
            reader.line(line).map_err(|problem| PolicyError::Line { line: number + 1, problem })?;
        }
        let quorum = reader.quorum.ok_or(PolicyError::NoQuorum)?;
        let quorum = Some(quorum).filter(|name| name != NONE);
        Ok(Self { logs: reader.logs, witnesses: reader.witnesses, groups: reader.groups, quorum })
    }

    /// The logs, in the order of the file.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// The witnesses, in the order of the file.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// The groups, in the order of the file: a group comes after its members.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The name of the witness or group that makes the quorum; `None` for `quorum none`.
    #[must_use]
    pub fn quorum(&self) -> Option<&str> {
        self.quorum.as_deref()
    }

    /// Verifies a signed checkpoint: a log key of its origin signed it, and no signature of any key of this
    /// policy is bad. A quorum that is not met is told, not refused.
    ///
    /// # Errors
    /// Not a note or not a checkpoint; an origin that no log of the policy has; a bad signature of any known
    /// key; none of the log.
    pub fn verify(&self, signed_checkpoint: &str) -> Result<VerifiedCheckpoint, PolicyError> {
        let note = Note::parse(signed_checkpoint).map_err(PolicyError::Note)?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(PolicyError::Checkpoint)?;
        if !self.logs.iter().any(|log| log.verifier.name() == checkpoint.origin) {
            return Err(PolicyError::UnknownLog { origin: checkpoint.origin });
        }
        let logs = self.logs.iter().map(|log| &log.verifier);
        let known: Vec<&Verifier> = logs.chain(self.witnesses.iter().map(|w| &w.verifier)).collect();
        let verified = note.verify(&known).map_err(PolicyError::Note)?;
        // A log key of another origin, though known, says nothing about this log.
        let by_log = |v: &Verifier| v.key_type() == KeyType::Ed25519 && v.name() == checkpoint.origin;
        if !verified.iter().any(|signature| by_log(signature.verifier)) {
            return Err(PolicyError::NotSignedByLog { origin: checkpoint.origin });
        }
        let cosignatures: Vec<(String, u64)> = verified
            .iter()
            .filter_map(|signature| {
                let witness = self.witnesses.iter().find(|w| w.verifier == *signature.verifier)?;
                Some((witness.name.clone(), signature.time?))
            })
            .collect();
        let quorum_met = self.quorum_met_by(&cosignatures);
        Ok(VerifiedCheckpoint {
            checkpoint,
            cosignatures,
            quorum_met,
            quorum_required: self.quorum.is_some(),
        })
    }

    /// Whether these cosignatures make up the quorum. They come from [`VerifiedCheckpoint::cosignatures`],
    /// with those left out that the caller does not want to count, for instance later than some instant.
    /// Names that are not of witnesses count for nothing.
    #[must_use]
    pub fn quorum_met_by(&self, cosignatures: &[(String, u64)]) -> bool {
        let Some(quorum) = &self.quorum else { return true };
        let cosigned: HashSet<&str> = cosignatures.iter().map(|(name, _)| name.as_str()).collect();
        let witnesses = self.witnesses.iter().map(|witness| witness.name.as_str());
        let mut met: HashSet<&str> = witnesses.filter(|name| cosigned.contains(name)).collect();
        // One pass is enough: members come before their group.
        for group in &self.groups {
            if group.members.iter().filter(|name| met.contains(name.as_str())).count() >= group.threshold {
                met.insert(&group.name);
            }
        }
        met.contains(quorum.as_str())
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
