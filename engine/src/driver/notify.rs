//! Wake-ups between the threads of a driver.

use parking_lot::{Condvar, Mutex};
use std::time::Duration;

/// Longest wait of an idle thread before it looks for work by itself.
const IDLE: Duration = Duration::from_millis(100);

/// Notification of threads that wait for work. A notification between looking for work and waiting is not lost.
#[derive(Default)]
pub(crate) struct Notify {
    sent: Mutex<u64>,
    changed: Condvar,
}

impl Notify {
    /// Wakes all waiting threads.
    pub(crate) fn notify(&self) {
        *self.sent.lock() += 1;
        self.changed.notify_all();
    }

    /// Returns the number of notifications so far. A thread reads it before it looks for work.
    pub(crate) fn sent(&self) -> u64 {
        *self.sent.lock()
    }

    /// Waits until there was a notification after `seen`, or until [`IDLE`] has passed.
    pub(crate) fn wait(&self, seen: u64) {
        let mut sent = self.sent.lock();
        if *sent == seen {
            self.changed.wait_for(&mut sent, IDLE);
        }
    }
}
