//! Requests: erasures, closing down, applied classes and lifted holds. Their objects have to be found by a sweep.
//!
//! These are plain records. `model/request_rules.rs` says what a request makes of a row, and
//! `governance/sweep/` carries requests out.

use crate::model::clock_guard::Verdict;
use crate::model::hold::HoldId;
use crate::model::selector::Selector;
use crate::model::text::Attribution;
use crate::model::time_back::TimeBack;
use serde::{Deserialize, Serialize};
use sexton_proof::id::ClassId;
use sexton_proof::time::{Timestamp, whole_ms};
use sexton_proof::window::{Span, Unit};
use std::time::Duration;

/// Span within which an immediate erasure is to be answered: one second, the shortest span there is.
pub const AT_ONCE: Span = Span { count: 1, unit: Unit::Seconds };

/// Kind of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
#[non_exhaustive]
pub enum RequestKind {
    /// Erasure: the objects are deleted before their ceiling, as soon as their floor has passed.
    Erase,
    /// Closing down of a class or of everything: the objects are deleted before their ceiling, with the notice of one
    /// slot.
    Close,
    /// Applied class: objects of earlier versions of a class fall under its newest version.
    Apply {
        /// Number of the newest version.
        class: ClassId,
    },
    /// Lifted hold: the objects that the hold kept are deleted.
    Lift {
        /// Id of the hold.
        hold: HoldId,
    },
    /// End of a doubt about the clock: the objects that were registered in it get their true instant of registration.
    Doubt {
        /// Number of the doubt.
        doubt: u32,
        /// Outcome of the doubt.
        #[serde(flatten)]
        verdict: Verdict,
    },
    /// Time that went back, because an operator accepted a wall clock that was behind. An object that was registered after
    /// that time gets an earlier instant of registration, by the error that the clock had then.
    Back(TimeBack),
}

/// Progress of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RequestState {
    /// The request can still be cancelled, or a sweep is looking for its objects.
    Waiting,
    /// The sweep has found every object that the request concerns.
    Found,
    /// All objects of the request have ended.
    Finished,
    /// The request was cancelled in time.
    Cancelled,
}

/// Request of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Request {
    /// Number of the request, from 1.
    pub number: u32,
    /// Kind of the request.
    #[serde(flatten)]
    pub kind: RequestKind,
    /// Objects that the request is about.
    pub selector: Selector,
    /// Author of the request, and the reason for it.
    #[serde(flatten)]
    pub attribution: Attribution,
    /// Instant at which the request was received.
    #[serde(rename = "received_ms")]
    pub received: Timestamp,
    /// Instant until which the request can be cancelled and from which a sweep looks for its objects.
    #[serde(rename = "ready_ms")]
    pub ready: Timestamp,
    /// Instant by which an erasure is to be answered; `None` if none was promised.
    #[serde(rename = "due_ms")]
    pub answer_by: Option<Timestamp>,
    /// Progress of the request.
    pub state: RequestState,
    /// Instant of the last change of `state`.
    #[serde(rename = "changed_ms")]
    pub changed: Timestamp,
    /// Number of objects that the request concerns.
    pub objects: u64,
}

impl Request {
    /// Returns a request that was received and is ready `now`.
    pub(crate) fn new(
        number: u32,
        kind: RequestKind,
        selector: Selector,
        attribution: Attribution,
        now: Timestamp,
    ) -> Request {
        Request {
            number,
            kind,
            selector,
            attribution,
            received: now,
            ready: now,
            answer_by: None,
            state: RequestState::Waiting,
            changed: now,
            objects: 0,
        }
    }

    /// Returns `true` if a sweep is to look for the objects of the request.
    pub(crate) fn is_ready(&self, now: Timestamp) -> bool {
        self.state == RequestState::Waiting && self.ready <= now
    }

    /// Returns the request as one that was received earlier by `span`. The spans from its receipt stay.
    pub(crate) fn received_earlier(&self, span: Duration) -> Request {
        let span = Duration::from_millis(whole_ms(span));
        let back = |at: Timestamp| at.saturating_sub(span);
        let (received, ready) = (back(self.received), back(self.ready));
        Request { received, ready, answer_by: self.answer_by.map(back), ..self.clone() }
    }

    /// Returns `true` if the objects of the request are listed one by one: all of an erasure, and those whose time a request
    /// about the clock cannot set right.
    pub fn lists_objects(&self) -> bool {
        matches!(self.kind, RequestKind::Erase | RequestKind::Doubt { .. } | RequestKind::Back(_))
    }

    /// Returns `true` for an immediate erasure: one that cannot be cancelled and is to be answered within [`AT_ONCE`].
    pub fn is_immediate(&self) -> bool {
        let at_once = self.received.saturating_add(AT_ONCE.exact().unwrap_or_default());
        self.kind == RequestKind::Erase
            && self.ready == self.received
            && self.answer_by.is_some_and(|answer_by| answer_by <= at_once)
    }

    /// Returns `true` if the request is neither finished nor cancelled.
    pub fn is_open(&self) -> bool {
        matches!(self.state, RequestState::Waiting | RequestState::Found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alarm::{Alarm, AlarmCause, AlarmId};
    use crate::model::time_back::Jump;
    use std::time::Duration;

    fn ms(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    /// Names of fields in the index stay when a Rust field gets another name.
    #[test]
    fn stored_json_keeps_its_field_names() {
        let request = Request {
            number: 3,
            kind: RequestKind::Erase,
            selector: Selector::Class("logs".into()),
            attribution: Attribution::new("a", "r"),
            received: ms(1),
            ready: ms(2),
            answer_by: Some(ms(4)),
            state: RequestState::Waiting,
            changed: ms(1),
            objects: 0,
        };
        let stored = "{\"number\":3,\"kind\":\"erase\",\"selector\":{\"class\":\"logs\"},\"reason\":\"r\",\"author\":\"a\",\
            \"received_ms\":1,\"ready_ms\":2,\"due_ms\":4,\"state\":\"waiting\",\"changed_ms\":1,\"objects\":0}";
        assert_eq!(serde_json::to_string(&request).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Request>(stored).unwrap(), request);
        let verdict = Verdict {
            wall_was_right: true,
            lag: Duration::from_millis(8),
            lead: Duration::ZERO,
            is_unsure: false,
        };
        let (to, by) = (ms(6), Duration::from_millis(7));
        let back = TimeBack { era: 2, to, by, since: None, jumps: Vec::new() };
        let jump = Jump { at: ms(8), by: Duration::from_millis(9) };
        for (kind, stored) in [
            (
                RequestKind::Doubt { doubt: 3, verdict },
                "{\"kind\":\"doubt\",\"doubt\":3,\"wall_was_right\":true,\"lag_ms\":8,\"lead_ms\":0,\"is_unsure\":false}",
            ),
            (RequestKind::Back(back.clone()), "{\"kind\":\"back\",\"era\":2,\"to_ms\":6,\"by_ms\":7}"),
            (
                RequestKind::Back(TimeBack { since: Some(ms(5)), jumps: vec![jump], ..back }),
                "{\"kind\":\"back\",\"era\":2,\"to_ms\":6,\"by_ms\":7,\"since_ms\":5,\"jumps\":[{\"at_ms\":8,\"by_ms\":9}]}",
            ),
        ] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), stored);
            assert_eq!(serde_json::from_str::<RequestKind>(stored).unwrap(), kind);
            let request = Request { kind, ..request.clone() };
            let stored = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&stored).unwrap(), request);
        }
        let id = AlarmId::from_bytes([7; 16]);
        let alarm = Alarm { id, cause: AlarmCause::Clock, raised: ms(5), message: "m".into() };
        let stored = format!(
            "{{\"id\":\"{}\",\"cause\":\"clock\",\"raised_ms\":5,\"sentence\":\"m\"}}",
            "07".repeat(16)
        );
        assert_eq!(serde_json::to_string(&alarm).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Alarm>(&stored).unwrap(), alarm);
    }
}
