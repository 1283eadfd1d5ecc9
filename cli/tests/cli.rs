//! The built command, run as a person or a script runs it. `demo` tests the demonstration, `receipts` the verification,
//! `hostile` both `verify` and `inspect` on hostile files, the other modules the commands on a data folder. `end_to_end` uses all of them.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "shared test code may fail a test")]

#[path = "cli/alarms.rs"]
mod alarms;
#[path = "cli/backups.rs"]
mod backups;
#[cfg(feature = "serve")]
#[path = "cli/both_ways.rs"]
mod both_ways;
#[path = "cli/classes.rs"]
mod classes;
#[path = "cli/demo.rs"]
mod demo;
#[path = "cli/end_to_end.rs"]
mod end_to_end;
#[path = "cli/ended.rs"]
mod ended;
#[path = "cli/erasures.rs"]
mod erasures;
#[path = "cli/holds.rs"]
mod holds;
#[path = "cli/hostile.rs"]
mod hostile;
#[path = "cli/inspected.rs"]
mod inspected;
#[path = "cli/issued.rs"]
mod issued;
#[path = "cli/json.rs"]
mod json;
#[path = "cli/limits.rs"]
mod limits;
#[path = "cli/objects.rs"]
mod objects;
#[cfg(feature = "serve")]
#[path = "cli/operations_page.rs"]
mod operations_page;
#[path = "cli/plans.rs"]
mod plans;
#[path = "cli/receipts.rs"]
mod receipts;
#[path = "cli/renamed.rs"]
mod renamed;
#[path = "cli/roots.rs"]
mod roots;
#[path = "cli/run.rs"]
mod run;
#[path = "cli/sandbox.rs"]
mod sandbox;
#[path = "cli/schema.rs"]
mod schema;
#[path = "cli/selection.rs"]
mod selection;
#[cfg(feature = "serve")]
#[path = "cli/serve_faults.rs"]
mod serve_faults;
#[path = "cli/sources.rs"]
mod sources;
