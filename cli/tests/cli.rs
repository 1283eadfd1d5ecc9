//! The built command, run as a person or a script runs it. Everything that it does with a data folder is in `demo`,
//! everything that it says of receipts in `receipts`.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "also what the tests share may end a test")]

#[path = "cli/demo.rs"]
mod demo;
#[path = "cli/receipts.rs"]
mod receipts;
#[path = "cli/run.rs"]
mod run;
