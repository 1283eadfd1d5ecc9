//! Alarms: records that deleting stopped and waits for an operator.

use serde::{Deserialize, Serialize};

/// Guard that raised an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "cause")]
pub enum AlarmCause {
    /// The wall clock ran ahead of the monotonic clock. Nothing is deleted.
    Clock,
    /// The engine was off for long, and the clock is not NTP-synchronised. Nothing is deleted.
    TimeOff,
    /// More objects of a class fell due at short notice than the breaker allows. These objects are not deleted.
    Breaker {
        /// Name of the class.
        class: String,
    },
}

/// Alarm that no operator has ended yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Random id, which the alarm's leaf in the log names.
    #[serde(with = "hex::serde")]
    pub id: [u8; 16],
    /// Guard that raised the alarm.
    #[serde(flatten)]
    pub cause: AlarmCause,
    /// Instant at which the alarm was raised, Unix ms.
    pub raised_ms: i64,
    /// Message for the operator: what happened and what to do.
    #[serde(rename = "sentence")]
    pub message: String,
}

impl AlarmCause {
    /// Returns `true` if the alarm is about the time and so stops all deleting.
    pub(crate) fn is_of_time(&self) -> bool {
        matches!(self, AlarmCause::Clock | AlarmCause::TimeOff)
    }
}
