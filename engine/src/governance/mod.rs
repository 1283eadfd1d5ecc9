//! Decisions of people: legal holds, erasure requests, alarms, and the sweep that applies them.

pub(crate) mod alarms;
pub(crate) mod audit_event;
pub(crate) mod coverage;
pub(crate) mod holds;
pub(crate) mod limits;
pub(crate) mod progress;
pub(crate) mod requests;
pub(crate) mod sweep;
