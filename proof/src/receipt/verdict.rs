//! Verdict on an authentic receipt: its statement, and compliance with the promise.

use std::time::Duration;

use crate::id::RegistrationId;
use crate::leaf::Disposition;
use crate::record::{Method, Reason};
use crate::time::Timestamp;
use crate::window::Span;

/// Limits of a valid receipt: sentences that an application shows next to every positive result.
pub const DOES_NOT_PROVE: [&str; 7] = [
    "It does not prove that every object was registered.",
    "It does not prove that the store told the truth when it answered that the object was deleted.",
    "It does not prove that no other copy of the object existed, or exists.",
    "It does not prove that the storage medium holds no remnant of the object.",
    "It does not prove that the start, key, digest and size that the operator registered were the true ones.",
    "It does not prove that what an anonymised object was rewritten to concerns no person.",
    "It does not prove that a time is true beyond what witnesses saw when they cosigned the checkpoint.",
];

/// Compliance of the end of an object with the promise of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compliance {
    /// Deleted or anonymised, not before the floor and not after the ceiling.
    Kept,
    /// Deleted, or asked for, before the floor.
    Early {
        /// Time by which the promise was missed.
        by: Duration,
    },
    /// Deleted, or asked for, after the ceiling.
    Late {
        /// Time by which the promise was missed.
        by: Duration,
    },
    /// Deleted, or asked for, after the ceiling, because a legal hold kept the object until it was lifted. The operator
    /// recorded the hold.
    AfterHold {
        /// Time after the ceiling.
        by: Duration,
    },
    /// The registration ended, and the receipt shows no deletion by the engine. The object was absent or replaced, the
    /// host reported that it had deleted the object itself, or the store was asked inside the window and did not say more
    /// than that it did not refuse.
    NotADeletion(Method),
}

/// Cosignature of a witness of the policy on the checkpoint of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cosignature {
    /// Name of the witness in the policy.
    pub witness: String,
    /// Date that the witness stated, in Unix seconds.
    pub time_s: u64,
    /// Standing of that date. Only a cosignature that [`CosignatureDate::Counts`] counts towards the quorum.
    pub date: CosignatureDate,
}

/// Standing of the date of a cosignature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CosignatureDate {
    /// The witness saw the checkpoint after the deletion, and not later than the verifier's time.
    Counts,
    /// The date is more than [`WITNESS_SLACK`](super::WITNESS_SLACK) before the deletion. The cosignature would be older
    /// than the deletion that the checkpoint states.
    BeforeDeletion,
    /// The date is more than [`WITNESS_SLACK`](super::WITNESS_SLACK) after the verifier's time, so one of the two clocks
    /// is wrong.
    InFuture,
    /// The date is later than [`Verifier::witnessed_within`](super::Verifier::witnessed_within) allows.
    TooLate,
}

impl CosignatureDate {
    /// Returns the word for this standing in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::BeforeDeletion => "before-deletion",
            Self::InFuture => "in-future",
            Self::TooLate => "too-late",
        }
    }
}

/// Statement of an authentic receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Origin line of the log.
    pub origin: String,
    /// Number of leaves under the checkpoint.
    pub tree_size: u64,
    /// Index of the batch leaf, from 0.
    pub leaf_index: u64,
    /// Name of the class.
    pub class_name: String,
    /// Number of the class version among those of this name.
    pub class_version: u32,
    /// Promised floor, counted from the start.
    pub keep: Option<Span>,
    /// Promised ceiling, counted from the start.
    pub within: Option<Span>,
    /// Zone in which calendar spans and working days count.
    pub zone: String,
    /// Treatment of objects that the class promises.
    pub disposition: Disposition,
    /// Number of the batch.
    pub batch: u64,
    /// Registration that ended.
    pub id: RegistrationId,
    /// Key of the object.
    pub key: Vec<u8>,
    /// Version of the object, possibly empty.
    pub version: Vec<u8>,
    /// Digest of the object, empty if the host gave none.
    pub digest: Vec<u8>,
    /// Size of the object in bytes, if the host gave it.
    pub size: Option<u64>,
    /// Instant from which the promise counts.
    pub start: Timestamp,
    /// Promised floor, if the class promises one.
    pub floor: Option<Timestamp>,
    /// Promised ceiling, if the class promises one.
    pub ceiling: Option<Timestamp>,
    /// Instant at which the end was known.
    pub time: Timestamp,
    /// Method by which the registration ended.
    pub method: Method,
    /// Reason for the end.
    pub reason: Reason,
    /// Digest of the bytes that the store wrote instead, if the object was anonymised. Empty if the store gave none.
    pub result_digest: Option<Vec<u8>>,
    /// Instant at which the batch was logged.
    pub logged: Timestamp,
    /// Tool that the batch leaf names.
    pub tool: String,
    /// Cosignatures of the policy's witnesses on the checkpoint, in the order of the note. A witness may occur more than
    /// once.
    pub cosignatures: Vec<Cosignature>,
    /// `true` if the cosignatures that count make up the quorum, or the policy requires none. `false` only within
    /// [`Unwitnessed`](super::Unwitnessed).
    pub quorum_met: bool,
    /// `true` if the policy requires a quorum. If it does not, only the operator vouches for times.
    pub quorum_required: bool,
}

impl Verdict {
    /// Compares the end with the promised bounds.
    ///
    /// A store that was asked too early or too late broke the promise, whatever it answered. A store that was asked in time
    /// and did not state the deletion does not show that the promise was kept.
    #[must_use]
    pub fn compliance(&self) -> Compliance {
        match self.method {
            Method::Absent | Method::Replaced | Method::Released => {
                return Compliance::NotADeletion(self.method);
            }
            Method::Deleted | Method::AbsentAfterIntent | Method::Anonymised | Method::Requested => {}
        }
        if let Some(floor) = self.floor.filter(|floor| self.time < *floor) {
            return Compliance::Early { by: floor.since(self.time) };
        }
        if let Some(ceiling) = self.ceiling.filter(|ceiling| self.time > *ceiling) {
            let by = self.time.since(ceiling);
            return match self.reason {
                Reason::Lifted => Compliance::AfterHold { by },
                _ => Compliance::Late { by },
            };
        }
        match self.method {
            Method::Requested => Compliance::NotADeletion(self.method),
            _ => Compliance::Kept,
        }
    }
}
