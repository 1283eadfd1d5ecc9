//! Formats and offline verification of Sexton's deletion evidence.
//!
//! Bytes go in, a verdict comes out: no I/O, no clock, no threads, no RocksDB. `docs/format.md` is the normative text.

pub mod blake3_many;
pub mod checked_text;
pub mod checkpoint;
pub mod commitment;
pub mod file;
pub mod id;
pub mod leaf;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod receipt;
pub mod record;
pub mod seal;
pub mod tile;
pub mod time;
pub mod tlog_proof;
pub mod visible;
pub mod window;
pub mod wire;
