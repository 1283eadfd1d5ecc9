//! The host's own clocks, for its tests.

use crate::reentrancy;
use sexton::testing::{Clock, Monotonic};
use sexton_proof::time::Timestamp;
use std::ffi::c_void;

/// Returns the time in ms. Several threads may call it at the same time. It may call no sexton function (SEXTON_BUSY).
pub type sexton_clock_fn = Option<unsafe extern "C" fn(user: *mut c_void) -> i64>;

/// The host's functions for both clocks.
#[derive(Clone, Copy)]
pub(crate) struct HostClock {
    wall_ms: unsafe extern "C" fn(*mut c_void) -> i64,
    monotonic_ms: unsafe extern "C" fn(*mut c_void) -> i64,
    user: *mut c_void,
}

// SAFETY: the contract requires callbacks that any thread may call with this pointer.
unsafe impl Send for HostClock {}
// SAFETY: as for Send.
unsafe impl Sync for HostClock {}

impl HostClock {
    pub(crate) fn new(
        wall_ms: sexton_clock_fn,
        monotonic_ms: sexton_clock_fn,
        user: *mut c_void,
    ) -> Option<Self> {
        Some(HostClock { wall_ms: wall_ms?, monotonic_ms: monotonic_ms?, user })
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        // SAFETY: by the contract any thread may call the host's function with its pointer.
        let ms = reentrancy::in_log_or_clock_callback(|| unsafe { (self.wall_ms)(self.user) });
        Timestamp::from_unix_ms(ms)
    }

    fn monotonic(&self) -> Monotonic {
        // SAFETY: by the contract any thread may call the host's function with its pointer.
        let ms = reentrancy::in_log_or_clock_callback(|| unsafe { (self.monotonic_ms)(self.user) });
        Monotonic::from_ms(ms)
    }

    fn is_synchronised(&self) -> bool {
        // The host is responsible for a clock of its own.
        true
    }
}
