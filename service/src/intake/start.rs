//! Starts of files.
//!
//! Anyone who may write a file can set its modification time, and a copy may keep the one of its original. No call sets the
//! birth time. So a start never lies before the birth of the file, nor in the future.

use serde::{Deserialize, Serialize};
use sexton::Timestamp;
use sexton::class::Definition;
use sexton::proof::leaf::StartRule;
use sexton::store::dir::Identified;

/// Instant at which a file starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartBy {
    /// Last modification, but not before its birth and not after now.
    Modified,
    /// First registration of the file.
    Discovered,
}

/// Start that is stated for a file.
#[derive(Clone, Copy)]
pub(super) enum Start {
    /// None: the class begins at the registration.
    OfClass,
    /// As the times of the file say.
    At(Timestamp),
    /// Other than the modification time says.
    Bounded(Timestamp),
}

impl StartBy {
    /// Returns the rule for a class if the operator states none. It leaves a class that starts at registration to itself.
    pub fn usual(class: &Definition) -> Self {
        match class.start {
            StartRule::Explicit => StartBy::Modified,
            StartRule::Registered => StartBy::Discovered,
        }
    }

    /// Returns the start of a file that is registered now in a class with this rule.
    pub(super) fn start(self, class: StartRule, file: &Identified, now: Timestamp) -> Start {
        match (self, class) {
            (StartBy::Discovered, StartRule::Registered) => Start::OfClass,
            (StartBy::Discovered, StartRule::Explicit) => Start::At(now),
            (StartBy::Modified, _) => {
                let start = file.born.map_or(file.modified, |born| file.modified.max(born)).min(now);
                if start == file.modified { Start::At(start) } else { Start::Bounded(start) }
            }
        }
    }
}

impl Start {
    /// Returns the instant; `None` leaves it to the class.
    pub(super) fn stated(self) -> Option<Timestamp> {
        match self {
            Start::OfClass => None,
            Start::At(start) | Start::Bounded(start) => Some(start),
        }
    }
}
