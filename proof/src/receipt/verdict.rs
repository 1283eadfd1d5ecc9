//! What an authentic receipt says, and how the promise fared.

use crate::id::RegistrationId;
use crate::leaf::Disposition;
use crate::record::{Method, Reason};
use crate::window::Span;

/// What a valid receipt does not prove. These sentences belong beside every green result.
pub const DOES_NOT_PROVE: [&str; 7] = [
    "It does not prove that every object was registered.",
    "It does not prove that the store told the truth when it answered that the object was deleted.",
    "It does not prove that no other copy of the object existed, or exists.",
    "It does not prove that the storage medium holds no remnant of the object.",
    "It does not prove that the start, key, digest and size that the operator registered were the true ones.",
    "It does not prove that what an anonymised object was rewritten to concerns nobody.",
    "It does not prove that a time is true beyond what witnesses saw when they cosigned the checkpoint.",
];

/// How the promise fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Deleted or anonymised, not before the floor and not after the ceiling.
    Kept,
    /// Deleted before the floor.
    Early {
        /// By how much.
        by_ms: u64,
    },
    /// Deleted after the ceiling.
    Late {
        /// By how much.
        by_ms: u64,
    },
    /// Deleted after the ceiling, once a legal hold was lifted that, as the operator recorded, had kept it.
    AfterHold {
        /// How long after the ceiling.
        by_ms: u64,
    },
    /// The registration ended, but not by a deletion of ours: the object was not there, or the host says that it
    /// deleted it itself.
    NotADeletion(Method),
}

/// What an authentic receipt says. Instants are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Origin line of the log.
    pub origin: String,
    /// Leaves under the checkpoint.
    pub tree_size: u64,
    /// Index of the batch leaf, from 0.
    pub leaf_index: u64,
    /// Name of the class.
    pub class_name: String,
    /// Version of the class, per name.
    pub class_version: u32,
    /// The promised floor, counted from the start.
    pub keep: Option<Span>,
    /// The promised ceiling, counted from the start.
    pub within: Option<Span>,
    /// Zone in which calendar spans and working days count.
    pub zone: String,
    /// What the class promises to do with objects.
    pub disposition: Disposition,
    /// Number of the batch.
    pub batch: u64,
    /// The registration that ended.
    pub id: RegistrationId,
    /// Key of the object.
    pub key: Vec<u8>,
    /// Version of the object, may be empty.
    pub version: Vec<u8>,
    /// Digest of the object, empty where the host gave none.
    pub digest: Vec<u8>,
    /// Size of the object in bytes, or [`crate::id::SIZE_UNKNOWN`].
    pub size_bytes: u64,
    /// The instant from which the promise counts.
    pub start_ms: i64,
    /// The promised floor, or [`crate::id::NO_FLOOR`].
    pub floor_ms: i64,
    /// The promised ceiling, or [`crate::id::NO_CEILING`].
    pub ceiling_ms: i64,
    /// When the end was known.
    pub time_ms: i64,
    /// How the registration ended.
    pub method: Method,
    /// Why it ended.
    pub reason: Reason,
    /// Digest of what the store wrote instead, where the object was anonymised; empty where the store gave none.
    pub result_digest: Option<Vec<u8>>,
    /// When the batch was logged.
    pub logged_ms: i64,
    /// The tool that the batch leaf names.
    pub tool: String,
    /// Witnesses of the policy that cosigned the checkpoint, with their times in Unix seconds.
    pub cosignatures: Vec<(String, u64)>,
    /// Whether the policy's quorum cosigned; always true, as a receipt without it is refused.
    pub quorum_met: bool,
    /// Whether the policy requires a quorum at all. Where it does not, nobody but the operator vouches for times.
    pub quorum_required: bool,
}

impl Verdict {
    /// How the promise fared.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let late_by_ms = self.time_ms.abs_diff(self.ceiling_ms);
        match self.method {
            Method::Absent | Method::Replaced | Method::Released => Outcome::NotADeletion(self.method),
            _ if self.time_ms < self.floor_ms => {
                Outcome::Early { by_ms: self.floor_ms.abs_diff(self.time_ms) }
            }
            _ if self.time_ms > self.ceiling_ms => match self.reason {
                Reason::Lifted => Outcome::AfterHold { by_ms: late_by_ms },
                _ => Outcome::Late { by_ms: late_by_ms },
            },
            Method::Deleted | Method::AbsentAfterIntent | Method::Anonymised => Outcome::Kept,
        }
    }
}
