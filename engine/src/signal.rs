//! A file descriptor that can be polled, readable exactly while something waits to be taken.

use crate::error::{Error, Result};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Counts what waits, and shows on an eventfd whether anything does. Whoever puts something where it waits, or takes it
/// away, says so while holding the lock of that place: so what the descriptor shows is never older than what is there.
pub(crate) struct Signal {
    fd: OwnedFd,
    waiting: Mutex<usize>,
}

impl Signal {
    pub(crate) fn new() -> Result<Signal> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|e| Error::io("cannot make an eventfd", e.into()))?;
        Ok(Signal { fd, waiting: Mutex::new(0) })
    }

    /// One thing more waits.
    pub(crate) fn put(&self) {
        let mut waiting = self.waiting.lock();
        *waiting += 1;
        if *waiting == 1 {
            // Any number but 0 will do, and it cannot fail: the counter stands at nothing.
            let _ = rustix::io::write(&self.fd, &1_u64.to_le_bytes());
        }
    }

    /// One of them was taken.
    pub(crate) fn took(&self) {
        let mut waiting = self.waiting.lock();
        *waiting = waiting.saturating_sub(1);
        if *waiting == 0 {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.fd, &mut count);
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::time::Timespec;

    fn is_readable(signal: &Signal) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(signal.fd(), PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn it_is_readable_exactly_while_something_waits() {
        let signal = Signal::new().unwrap();
        assert!(!is_readable(&signal));
        signal.put();
        signal.put();
        assert!(is_readable(&signal));
        signal.took();
        assert!(is_readable(&signal), "one still waits");
        signal.took();
        assert!(!is_readable(&signal));
        signal.took();
        signal.put();
        assert!(is_readable(&signal), "taking nothing leaves nothing owed");
    }
}
