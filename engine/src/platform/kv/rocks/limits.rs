//! Threads and address space that RocksDB needs. It ends the whole process if it gets none, so opening looks first.

use super::RocksOptions;
use crate::platform::error::{Error, Result};
use parking_lot::Mutex;
use std::hint;
use std::io;
use std::thread::{self, Builder};

/// Threads that opening starts at once: background jobs, the timer, and those that open files or share a compaction.
const THREADS: usize = 16;
/// Stack of a thread of RocksDB, unless the limit of stacks is another.
const STACK_BYTES: usize = 8 << 20;
/// Address space for everything else: code, small allocations, and the areas of the allocator.
const REST_BYTES: usize = 128 << 20;

/// Refuses if this process cannot get what RocksDB needs.
///
/// # Errors
/// `Io` with what is missing, and the limit to raise.
pub(super) fn check(options: &RocksOptions) -> Result<()> {
    let started = start_threads();
    if let Some(error) = started.error {
        let why = format!(
            "opening needs {THREADS} threads, and only {} could be started; raise the limit of threads \
             (ulimit -u, or pids.max of the control group)",
            started.threads
        );
        return Err(Error::io(why, error));
    }
    // After the threads, because the allocator keeps an area for each of them.
    check_address_space(options)
}

fn check_address_space(options: &RocksOptions) -> Result<()> {
    let needed = (THREADS * STACK_BYTES + REST_BYTES)
        .saturating_add(options.cache_bytes)
        .saturating_add(options.write_buffer_bytes.saturating_mul(2));
    Vec::<u8>::new().try_reserve_exact(needed).map_err(|e| {
        let why = format!(
            "opening needs {needed} bytes of address space; raise the limit (ulimit -v), or lower cache_bytes and \
             write_buffer_bytes"
        );
        Error::io(why, io::Error::other(e))
    })
}

struct Started {
    threads: usize,
    error: Option<io::Error>,
}

/// Starts [`THREADS`] threads that exist at the same time, and ends them.
fn start_threads() -> Started {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        let closed = gate.lock();
        let run = || {
            // Makes the allocator reserve its area for this thread. The threads of RocksDB get it later.
            let allocated = hint::black_box(vec![0_u8; 1 << 10]);
            drop(gate.lock());
            drop(allocated);
        };
        let start = || Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run);
        let mut started = Started { threads: 0, error: None };
        while started.threads < THREADS && started.error.is_none() {
            match start() {
                Ok(_) => started.threads += 1,
                Err(error) => started.error = Some(error),
            }
        }
        drop(closed);
        started
    })
}
