//! Alarms: records that deleting stopped and waits for an operator.

use crate::model::hex_id::hex_id;
use serde::{Deserialize, Serialize};
use sexton_proof::time::Timestamp;

hex_id! {
    /// Random id of an alarm, which the alarm's leaf in the log names.
    AlarmId, "alarm id"
}

/// Guard that raised an alarm.
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
    /// Guard that raised the alarm.
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
        self.stops_all() || *self == AlarmCause::Behind
    }

    /// Returns `true` if the alarm stops all deleting.
    pub(crate) fn stops_all(&self) -> bool {
        matches!(self, AlarmCause::Clock | AlarmCause::TimeOff)
    }
}
