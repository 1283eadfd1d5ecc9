//! A clock of the host's, for its tests.

use crate::inside;
use sexton::Clock;
use std::ffi::c_void;

/// Tells the time, in ms. Called from several threads at once; every sexton function refuses to be called from it
/// (SEXTON_BUSY).
pub type sexton_clock_fn = Option<unsafe extern "C" fn(user: *mut c_void) -> i64>;

/// The host's functions for the two clocks.
#[derive(Clone, Copy)]
pub(crate) struct HostClock {
    wall_ms: unsafe extern "C" fn(*mut c_void) -> i64,
    monotonic_ms: unsafe extern "C" fn(*mut c_void) -> i64,
    user: *mut c_void,
}

// SAFETY: the contract asks for callbacks that may be called from any thread with this pointer.
unsafe impl Send for HostClock {}
// SAFETY: as above.
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
    fn now_ms(&self) -> i64 {
        // SAFETY: by the contract the host's function may be called from any thread with its pointer.
        inside::a_log_or_clock_callback(|| unsafe { (self.wall_ms)(self.user) })
    }

    fn monotonic_ms(&self) -> i64 {
        // SAFETY: as above.
        inside::a_log_or_clock_callback(|| unsafe { (self.monotonic_ms)(self.user) })
    }

    fn is_synchronised(&self) -> bool {
        // Whoever gives the clock answers for it.
        true
    }
}
