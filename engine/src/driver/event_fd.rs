//! Descriptor for an event loop: readable exactly while a completion, sub-batch or failure waits for the host.

use crate::platform::error::{Error, Result};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Counter of waiting items, with an eventfd that is readable while the counter is above 0.
///
/// A thread that queues or takes an item holds the lock of its queue while it changes the counter. So the counter agrees
/// with the queues.
pub(crate) struct EventFd {
    fd: OwnedFd,
    waiting: Mutex<usize>,
}

impl EventFd {
    pub(crate) fn new() -> Result<EventFd> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|e| Error::io("cannot make an eventfd", e.into()))?;
        Ok(EventFd { fd, waiting: Mutex::new(0) })
    }

    /// Counts one more waiting item.
    pub(crate) fn add(&self) {
        let mut waiting = self.waiting.lock();
        *waiting += 1;
        if *waiting == 1 {
            // Any number above 0 will do. The write cannot fail, because the kernel's counter is 0.
            let _ = rustix::io::write(&self.fd, &1_u64.to_le_bytes());
        }
    }

    /// Counts one waiting item less. At 0 it is a no-op.
    pub(crate) fn remove(&self) {
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

    fn is_readable(event_fd: &EventFd) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(event_fd.fd(), PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn fd_is_readable_exactly_while_something_waits() {
        let event_fd = EventFd::new().unwrap();
        assert!(!is_readable(&event_fd));
        event_fd.add();
        event_fd.add();
        assert!(is_readable(&event_fd));
        event_fd.remove();
        assert!(is_readable(&event_fd), "another thing waits");
        event_fd.remove();
        assert!(!is_readable(&event_fd));
        event_fd.remove();
        event_fd.add();
        assert!(is_readable(&event_fd), "removing from an empty counter has no effect");
    }
}
