//! What people ask for that concerns objects which have to be looked for: erasures, closing down, a changed class
//! applied to what lives, a lifted hold. Pure records; the sweep carries them out.

use crate::selector::Selector;
use serde::{Deserialize, Serialize};
use sexton_proof::id::ClassId;
use sexton_proof::window::{Span, Unit};

/// Within what time an erasure that is to have effect at once is to be answered: the shortest span there is.
pub const AT_ONCE: Span = Span { count: 1, unit: Unit::Seconds };

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum RequestKind {
    /// The objects go before their ceiling, as soon as their floor has passed.
    Erase,
    /// The same, because their class, or everything, was closed down; with a slot's notice.
    Close,
    /// Objects of earlier versions of a class fall under its newest version.
    Apply {
        /// The number of that version.
        class: ClassId,
    },
    /// What a hold kept back goes.
    Lift {
        /// The hold.
        #[serde(with = "hex::serde")]
        hold: [u8; 16],
    },
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestState {
    /// It can still be cancelled, or its objects are being looked for.
    Waiting,
    /// Every object that it concerns was found and is on its way.
    Found,
    /// All of them have ended.
    Finished,
    /// It was cancelled in time.
    Cancelled,
}

/// A request, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its number, from 1.
    pub number: u32,
    /// What is asked for.
    #[serde(flatten)]
    pub kind: RequestKind,
    /// Of which objects.
    pub selector: Selector,
    /// Why.
    pub reason: String,
    /// Who recorded it.
    pub author: String,
    /// When it was received, Unix ms.
    pub received_ms: i64,
    /// Until when it can be cancelled; from then on objects are looked for, Unix ms.
    pub ready_ms: i64,
    /// Until when it is to be answered, where that was promised, Unix ms.
    pub due_ms: Option<i64>,
    /// How far it has come.
    pub state: RequestState,
    /// When that changed last, Unix ms.
    pub changed_ms: i64,
    /// Objects that it concerned.
    pub objects: u64,
}

impl Request {
    /// Whether its objects are to be looked for.
    pub(crate) fn is_ready(&self, now_ms: i64) -> bool {
        self.state == RequestState::Waiting && self.ready_ms <= now_ms
    }

    /// Whether it is an erasure that has effect at once: it cannot be cancelled, and was promised within a second.
    pub fn is_immediate(&self) -> bool {
        let at_once_ms = self.received_ms.saturating_add(AT_ONCE.exact_ms().unwrap_or(0));
        self.kind == RequestKind::Erase
            && self.ready_ms == self.received_ms
            && self.due_ms.is_some_and(|due_ms| due_ms <= at_once_ms)
    }

    /// Whether it is neither finished nor cancelled.
    pub fn is_open(&self) -> bool {
        matches!(self.state, RequestState::Waiting | RequestState::Found)
    }
}
