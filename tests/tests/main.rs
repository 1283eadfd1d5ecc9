//! The tests that cross crates, in one binary: each links RocksDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod asked;
mod concurrent;
mod concurrent_governance;
mod crash;
mod driver;
mod faults;
mod faults_of_governance;
mod found;
mod guard;
mod input;
mod lifecycle;
mod model;
mod plan_agrees;
mod precedence;
mod promises;
mod public;
mod published;
mod readme;
mod rocks;
mod site;
mod tidy;
