//! Seams to the machine: clock, entropy, threads, the index's key-value store, files, and the store of the objects.
//!
//! Each seam is a trait with an implementation for production and one for tests. With those for tests, one seed gives one
//! history, byte for byte. Threads are the exception: [`pool::Pool`] is one type, with threads or without.

pub(crate) mod clock;
pub(crate) mod data_folder;
pub(crate) mod entropy;
pub(crate) mod error;
pub mod fault;
pub mod files;
pub mod kv;
pub(crate) mod panics;
pub(crate) mod pool;
pub mod store;
