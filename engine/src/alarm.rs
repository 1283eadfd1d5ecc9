//! Why deleting stopped and waits for a person. Pure records.

use serde::{Deserialize, Serialize};

/// What raised an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "cause")]
pub enum AlarmCause {
    /// The wall clock ran ahead of what can be: nothing is deleted.
    Clock,
    /// The machine was off for long and nobody vouches for its time: nothing is deleted.
    TimeOff,
    /// More fell due in a class than was forecast: what came as a surprise is not deleted.
    Breaker {
        /// The class.
        class: String,
    },
}

/// An alarm that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its random id, which the log's leaf names.
    #[serde(with = "hex::serde")]
    pub id: [u8; 16],
    /// What raised it.
    #[serde(flatten)]
    pub cause: AlarmCause,
    /// When, Unix ms.
    pub raised_ms: i64,
    /// What happened and what to do, for people.
    pub sentence: String,
}

impl AlarmCause {
    /// Whether it stops all deleting.
    pub(crate) fn is_of_time(&self) -> bool {
        matches!(self, AlarmCause::Clock | AlarmCause::TimeOff)
    }
}
