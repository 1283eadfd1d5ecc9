//! The built command, run as a person or a script runs it. The demonstration is in `demo`, what is said of receipts in
//! `receipts`, the commands for a data folder in the others; `story` goes through all of them.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "also what the tests share may end a test")]

#[path = "cli/alarms.rs"]
mod alarms;
#[path = "cli/classes.rs"]
mod classes;
#[path = "cli/demo.rs"]
mod demo;
#[path = "cli/erasures.rs"]
mod erasures;
#[path = "cli/holds.rs"]
mod holds;
#[path = "cli/objects.rs"]
mod objects;
#[path = "cli/plans.rs"]
mod plans;
#[path = "cli/receipts.rs"]
mod receipts;
#[path = "cli/run.rs"]
mod run;
#[path = "cli/screening.rs"]
mod screening;
#[path = "cli/story.rs"]
mod story;
#[path = "cli/yard.rs"]
mod yard;
