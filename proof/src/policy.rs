//! C2SP tlog-policy: the logs and witnesses that a verifier trusts, and the quorum of witnesses that must have
//! cosigned.

mod error;
mod reader;

pub use self::error::{ENTRIES_MAX, LineError, POLICY_BYTES_MAX, PolicyError};
pub use self::reader::{Group, Log, Witness};

use std::collections::HashSet;

use self::reader::{NONE, Reader};
use crate::checkpoint::Checkpoint;
use crate::note::{KeyType, Note, Verifier};

/// Trust policy: logs, witnesses, groups and the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<String>,
}

/// Checkpoint that a log of the policy signed, with its cosignatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    /// Checkpoint that the log signed.
    pub checkpoint: Checkpoint,
    /// Verified cosignatures in the order of the note: name of the witness in the policy, and time in Unix seconds. A
    /// witness may occur more than once.
    pub cosignatures: Vec<(String, u64)>,
    /// `true` if these cosignatures, of whatever date, make up the quorum, or the policy requires none. A receipt's
    /// verifier judges their dates too.
    pub quorum_met: bool,
    /// `true` if the policy requires a quorum, `false` for `quorum none`.
    pub quorum_required: bool,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// This reader is stricter than C2SP in three points. The whole file must be UTF-8. Names and URLs have no control
    /// characters, C1 (U+0080 to U+009F) included. Keys must be Ed25519 (logs 0x01, witnesses 0x04). As in C2SP, a public
    /// key may belong to a log and to a witness.
    ///
    /// # Errors
    /// The first line that breaks a rule, with its number.
    pub fn parse(policy: impl AsRef<[u8]>) -> Result<Self, PolicyError> {
        let policy = policy.as_ref();
        if policy.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong { bytes: policy.len() });
        }
        let policy =
            std::str::from_utf8(policy).map_err(|e| PolicyError::NotUtf8 { offset: e.valid_up_to() })?;
        // A cut line could be a valid and weaker line, such as "quorum a" of "quorum all-of-them".
        let lines = policy.strip_suffix('\n').ok_or(PolicyError::Cut)?;
        let mut reader = Reader::default();
        for (number, line) in lines.split('\n').enumerate() {
            reader.line(line).map_err(|problem| PolicyError::Line { line: number + 1, problem })?;
        }
        let quorum = reader.quorum.ok_or(PolicyError::NoQuorum)?;
        let quorum = Some(quorum).filter(|name| name != NONE);
        Ok(Self { logs: reader.logs, witnesses: reader.witnesses, groups: reader.groups, quorum })
    }

    /// Returns the logs, in the order of the file.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// Returns the witnesses, in the order of the file.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Returns the groups, in the order of the file. A group comes after its members.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Returns the name of the witness or group that is the quorum, or `None` for `quorum none`.
    #[must_use]
    pub fn quorum(&self) -> Option<&str> {
        self.quorum.as_deref()
    }

    /// Verifies a signed checkpoint: a log key of its origin signed it, and no signature of a key of this policy is
    /// bad.
    ///
    /// A checkpoint without the quorum is not refused; see [`VerifiedCheckpoint::quorum_met`].
    ///
    /// # Errors
    /// Bytes that are not a note or not a checkpoint; an origin that no log of the policy has; a bad signature of a
    /// known key; no signature of the log.
    pub fn verify(&self, signed_checkpoint: &str) -> Result<VerifiedCheckpoint, PolicyError> {
        let note = Note::parse(signed_checkpoint).map_err(PolicyError::Note)?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(PolicyError::Checkpoint)?;
        if !self.logs.iter().any(|log| log.verifier.name() == checkpoint.origin) {
            return Err(PolicyError::UnknownLog { origin: checkpoint.origin });
        }
        let logs = self.logs.iter().map(|log| &log.verifier);
        let known: Vec<&Verifier> = logs.chain(self.witnesses.iter().map(|w| &w.verifier)).collect();
        let verified = note.verify(&known).map_err(PolicyError::Note)?;
        // A known log key of another origin does not authenticate this log.
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
        let quorum_met = self.quorum_met_by(cosignatures.iter().map(|(witness, _)| witness.as_str()));
        Ok(VerifiedCheckpoint {
            checkpoint,
            cosignatures,
            quorum_met,
            quorum_required: self.quorum.is_some(),
        })
    }

    /// Returns `true` if the cosignatures of these witnesses make up the quorum.
    ///
    /// The caller passes the witnesses among [`VerifiedCheckpoint::cosignatures`] whose dates it accepts. A name that is
    /// not a witness's counts for nothing.
    #[must_use]
    pub fn quorum_met_by<'a>(&'a self, witnesses: impl IntoIterator<Item = &'a str>) -> bool {
        let Some(quorum) = &self.quorum else { return true };
        let cosigned: HashSet<&str> = witnesses.into_iter().collect();
        let witnesses = self.witnesses.iter().map(|witness| witness.name.as_str());
        let mut met: HashSet<&str> = witnesses.filter(|name| cosigned.contains(name)).collect();
        // A single pass suffices, because members come before their group.
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
