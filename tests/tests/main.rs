//! Tests that cross crates. They are one binary, because each binary links RocksDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod absent;
mod auditor;
mod clock_and_breaker;
mod concurrency;
mod coverage;
mod crash;
mod driver;
mod examples;
mod faults;
mod graces;
mod holds;
mod key_lists;
mod key_lookup;
mod lifecycle;
mod links;
mod model;
mod pauses;
mod plan_agrees;
mod precedence;
mod promises;
mod publishing;
mod readme;
mod refusals;
mod renamed;
mod repeated;
mod requested;
mod rocks;
mod roots;
mod stored_formats;
mod tidy;
mod time_back;
mod versions;
mod waiting_erasures;
mod wrong_clock;
