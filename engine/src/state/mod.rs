//! Parts of an open engine that outlive one operation: schedule, key index, log, keys, batches in flight, and the writer.

pub(crate) mod batch;
pub(crate) mod classes;
pub(crate) mod core;
pub(crate) mod doubts;
pub(crate) mod failures;
pub(crate) mod keyring;
pub(crate) mod locator;
pub(crate) mod lock_order;
pub(crate) mod log;
pub(crate) mod marks;
pub(crate) mod memtable;
pub(crate) mod page;
pub(crate) mod paths;
pub(crate) mod publish;
pub(crate) mod requests;
pub(crate) mod schedule;
pub(crate) mod shard;
pub(crate) mod tally;
pub(crate) mod time;
pub(crate) mod writer;
