//! Alarms: records that deleting stopped and waits for an operator.

use crate::model::hex_id::hex_id;
use serde::{Deserialize, Serialize};
use sexton_proof::time::Timestamp;

hex_id! {
    /// Random id of an alarm, which the alarm's leaf in the log names.
    AlarmId, "alarm id"
}

/// Guard or operator that stopped deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "cause")]
#[non_exhaustive]
pub enum AlarmCause {
    /// The wall clock ran ahead of the monotonic clock. Nothing is deleted.
    Clock,
    /// The engine was off for long, and the clock is not NTP-synchronised. Nothing is deleted.
    TimeOff,
    /// The wall clock went back, or was ahead before. Nothing with a floor is deleted.
    Behind,
    /// Nearly all objects of a batch of the class were absent, and the engine had not deleted them. Nothing of the class is
    /// deleted.
    Absent {
        /// Name of the class.
        class: String,
    },
    /// An operator paused deletion. Nothing is deleted until then.
    Pause {
        /// Instant at which deletion resumes by itself.
        until: Timestamp,
    },
    /// The data folder was restored from a copy. Nothing is deleted: later holds are unknown.
    Restored {
        /// Origin of the original.
        former: String,
        /// Instant of the copy.
        taken: Timestamp,
    },
    /// More objects of a class fell due at short notice than the breaker allows. These objects are not deleted.
    Breaker {
        /// Name of the class.
        class: String,
    },
}

/// Alarm that no operator has ended yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alarm {
    /// Random id, which the alarm's leaf in the log names.
    pub id: AlarmId,
    /// Guard or operator that stopped deletion.
    #[serde(flatten)]
    pub cause: AlarmCause,
    /// Instant at which the alarm was raised.
    #[serde(rename = "raised_ms")]
    pub raised: Timestamp,
    /// Message for the operator: what happened and what to do.
    #[serde(rename = "sentence")]
    pub message: String,
}

impl AlarmCause {
    /// Returns `true` if the alarm is about the time.
    pub(crate) fn is_about_time(&self) -> bool {
        matches!(self, AlarmCause::Clock | AlarmCause::TimeOff | AlarmCause::Behind)
    }

    /// Returns `true` if the alarm stops all deleting.
    pub(crate) fn stops_all(&self) -> bool {
        self.stops_all_by_decision() || matches!(self, AlarmCause::Clock | AlarmCause::TimeOff)
    }

    /// Returns `true` if the alarm stops all deleting because of a decision, whatever the clock says.
    pub(crate) fn stops_all_by_decision(&self) -> bool {
        matches!(self, AlarmCause::Restored { .. } | AlarmCause::Pause { .. })
    }
}
