//! What the boundary to C costs: the same objects registered through Rust and through the C library, in turn.

use crate::{CALL, Cost, Error, Result, timed};
use sexton::{ClassSet, Durability, Engine, Options, Registration, VirtualClock};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const KEY: usize = 35;
const VERSION: usize = 8;
const OBJECT: usize = KEY + VERSION + 32;
/// The same class as in `ffi/bench/register.c`.
const CLASSES: &str =
    "[class.a]\nwithin = \"30d\"\nslot = \"60s\"\nlead = \"30s\"\nstart = \"explicit\"\nfind = \"none\"\n";
const REGISTERED_MS: i64 = 1_767_225_600_000;

/// The flag that C calls `SEXTON_BUFFERED`.
pub const BUFFERED: u32 = 1;

/// The objects of both sides.
struct Objects(Vec<u8>);

impl Objects {
    /// Those of `calls` calls.
    fn new(calls: usize) -> Self {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut byte = || {
            // xorshift64: bytes that do not compress, the same in every run.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random.to_be_bytes()[0]
        };
        Objects((0..calls * CALL * OBJECT).map(|_| byte()).collect())
    }

    fn registrations(&self) -> Vec<Registration<'_>> {
        let mut items = Vec::new();
        for (place, bytes) in self.0.chunks_exact(OBJECT).enumerate() {
            let (key, rest) = bytes.split_at(KEY);
            let (version, digest) = rest.split_at(VERSION);
            let start_ms = Some(REGISTERED_MS - i64::try_from(place % 60_000).unwrap_or(0));
            items.push(Registration {
                version,
                digest,
                start_ms,
                size_bytes: 600,
                ..Registration::new("a", key)
            });
        }
        items
    }
}

/// Registers through Rust, in this process: what `ffi/bench/register.c` does through C.
///
/// # Errors
/// What the engine answers.
pub fn register(folder: &Path, calls: usize, flags: u32) -> Result<Cost> {
    let durability = if flags & BUFFERED != 0 { Durability::Buffered } else { Durability::Synced };
    let objects = Objects::new(calls);
    let options = Options { classes: ClassSet::from_toml(CLASSES)?, ..Options::new("bench.example/log") };
    let engine = Engine::open_with_clock(folder, &options, Arc::new(VirtualClock::new(REGISTERED_MS)))?;
    let items = objects.registrations();
    timed(|| {
        for call in items.chunks(CALL) {
            engine.register(call, durability)?;
        }
        Ok(())
    })
}

/// Registers in a fresh process of `program`, which prints the microseconds that it took: those that passed, and those of a
/// processor. Fresh on both sides, since memory that was used before costs less than new.
///
/// # Errors
/// Where the program fails.
pub fn in_process_of(mut program: Command, folder: &Path, calls: usize, flags: u32) -> Result<Cost> {
    let output = program.arg(folder).args([calls.to_string(), flags.to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("{program:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut micros = text.split_whitespace().map(str::parse::<u64>);
    let mut next = || micros.next().ok_or("the program printed too little")?.map_err(Error::from);
    Ok(Cost { wall: Duration::from_micros(next()?), cpu: Duration::from_micros(next()?) })
}
