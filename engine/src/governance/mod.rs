//! Decisions of people: legal holds, erasure requests, alarms, accepted roots, and the sweep that applies decisions.

pub(crate) mod alarms;
pub(crate) mod audit_event;
pub(crate) mod clock;
pub(crate) mod coverage;
pub(crate) mod holds;
pub(crate) mod limits;
pub(crate) mod pauses;
pub(crate) mod progress;
pub(crate) mod requests;
pub(crate) mod roots;
mod set_back;
pub(crate) mod sweep;
