//! Overhead of the C library: the same objects registered through Rust and through C, in turn.

use crate::{CALL, Cost, Error, KEY_BYTES, OBJECT_BYTES, ORIGIN, REGISTERED, Result, VERSION_BYTES, timed};
use sexton::testing::VirtualClock;
use sexton::{ClassSet, Durability, Engine, Options, Registration};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Class of the objects. `ffi/bench/register.c` has the same.
const CLASSES: &str =
    "[class.a]\nwithin = \"30d\"\nslot = \"60s\"\nlead = \"30s\"\nstart = \"explicit\"\nfind = \"none\"\n";

/// Flag for buffered registration: `SEXTON_BUFFERED` of the C library.
pub const BUFFERED: u32 = 1;

/// Objects that are registered through Rust. `ffi/bench/register.c` generates the same bytes.
struct Objects(Vec<u8>);

impl Objects {
    fn new(calls: usize) -> Self {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut byte = || {
            // xorshift64: incompressible bytes, identical in every run.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random.to_be_bytes()[0]
        };
        Objects((0..calls * CALL * OBJECT_BYTES).map(|_| byte()).collect())
    }

    fn registrations(&self) -> Vec<Registration<'_>> {
        let mut registrations = Vec::new();
        for (index, bytes) in self.0.chunks_exact(OBJECT_BYTES).enumerate() {
            let (key, rest) = bytes.split_at(KEY_BYTES);
            let (version, digest) = rest.split_at(VERSION_BYTES);
            let start = REGISTERED.saturating_sub(Duration::from_millis(index as u64 % 60_000));
            let registration = Registration::new("a", key).version(version).digest(digest);
            registrations.push(registration.start(start).size(600));
        }
        registrations
    }
}

/// Registers through Rust in this process. `ffi/bench/register.c` does the same work through C.
///
/// # Errors
/// Errors of the engine.
pub fn register(folder: &Path, calls: usize, flags: u32) -> Result<Cost> {
    let durability = if flags & BUFFERED != 0 { Durability::Buffered } else { Durability::Synced };
    let objects = Objects::new(calls);
    let options = Options::new(ORIGIN).classes(ClassSet::from_toml(CLASSES)?);
    let engine = Engine::open_with_clock(folder, &options, Arc::new(VirtualClock::new(REGISTERED)))?;
    let registrations = objects.registrations();
    timed(|| {
        for call in registrations.chunks(CALL) {
            engine.register(call, durability)?;
        }
        Ok(())
    })
}

/// Registers in a new process of `program`, which prints its elapsed time and CPU time in microseconds.
///
/// Both sides run in a new process, because memory that a process has used before costs less than new memory.
///
/// # Errors
/// If the program fails or prints anything else.
pub fn in_process_of(mut program: Command, folder: &Path, calls: usize, flags: u32) -> Result<Cost> {
    let output = program.arg(folder).args([calls.to_string(), flags.to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("{program:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut micros = text.split_whitespace().map(str::parse::<u64>);
    let mut next = || micros.next().ok_or("the program did not print two numbers")?.map_err(Error::from);
    Ok(Cost { wall: Duration::from_micros(next()?), cpu: Duration::from_micros(next()?) })
}
