//! Formats and offline verification of Sexton's deletion evidence.
//!
//! No I/O, no clock, no threads, no RocksDB: bytes in, a verdict out. `docs/format.md` is the normative text.

pub mod checkpoint;
pub mod commitment;
pub mod file;
pub mod id;
pub mod leaf;
pub mod many;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod receipt;
pub mod record;
pub mod tile;
pub mod tlog_proof;
pub mod window;
