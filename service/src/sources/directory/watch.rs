//! Watches on the folders of a root, by inotify.
//!
//! A watch is placed on a folder that is open, through `/proc/self/fd`. So it is on the very folder that a walk without
//! links has reached, whatever takes its place meanwhile. The caller places it before it lists the folder: a file that the
//! list misses has an event.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap};
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Events of the entries of a folder. Those of reading, writing and deleting would fill the queue, and tell nothing.
const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::EXCL_UNLINK);
/// Buffer for events, bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Watched folders of a root, by their paths below it.
#[derive(Debug)]
pub(super) struct Watches {
    inotify: OwnedFd,
    paths: HashMap<i32, Arc<[u8]>>,
    numbers: BTreeMap<Arc<[u8]>, i32>,
    /// Limit on watches of a test.
    max: usize,
}

/// Event of a watched folder. Paths are relative to the root.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A file was created, and may be open for writing.
    Created(Vec<u8>),
    /// A file was closed after writing.
    Closed(Vec<u8>),
    /// A file was moved to this path, from another one if the cookie of an [`MovedOut`](Event::MovedOut) is the same.
    MovedIn(Vec<u8>, u32),
    /// A file or folder was moved away from this path.
    MovedOut(Vec<u8>, u32),
    /// A folder appeared at this path. It is not watched yet. The cookie is that of a move, as for files.
    Folder(Vec<u8>, u32),
    /// The root was moved, deleted or unmounted.
    RootGone,
    /// Events were lost.
    Overflow,
}

/// Reason for which a folder is not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwatched {
    /// The limit of watches is reached (`fs.inotify.max_user_watches`).
    Limit,
    /// The system refused, for example without `/proc`.
    Refused(Errno),
}

impl Watches {
    /// Begins to watch nothing. `max` is the limit on watches, beside that of the system.
    ///
    /// # Errors
    /// Those of the system: `EMFILE` if the limit of instances is reached (`fs.inotify.max_user_instances`).
    pub(super) fn new(max: usize) -> Result<Self, Errno> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Watches { inotify, paths: HashMap::new(), numbers: BTreeMap::new(), max })
    }

    /// Watches an open folder. If it is watched already, it has this path from now on.
    ///
    /// # Errors
    /// The reason for which it is not watched.
    pub(super) fn add(&mut self, path: &[u8], folder: BorrowedFd<'_>) -> Result<(), Unwatched> {
        if self.paths.len() >= self.max && !self.numbers.contains_key(path) {
            return Err(Unwatched::Limit);
        }
        let open = format!("/proc/self/fd/{}", folder.as_raw_fd());
        let number = match inotify::add_watch(&self.inotify, open, EVENTS) {
            Ok(number) => number,
            Err(Errno::NOSPC) => return Err(Unwatched::Limit),
            Err(errno) => return Err(Unwatched::Refused(errno)),
        };
        let path: Arc<[u8]> = path.into();
        if let Some(before) = self.paths.insert(number, Arc::clone(&path))
            && before != path
        {
            self.numbers.remove(&before);
        }
        // Another folder was at the path before.
        if let Some(other) = self.numbers.insert(path, number)
            && other != number
        {
            self.paths.remove(&other);
            let _ = inotify::remove_watch(&self.inotify, other);
        }
        Ok(())
    }

    /// Reads the events that wait, up to a full buffer, and returns `true` if more may wait.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn read(&mut self, mut visit: impl FnMut(Event)) -> Result<bool, Errno> {
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
        let mut events = Vec::new();
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let more = loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_bytes().to_vec());
                    events.push((event.wd(), event.events(), event.cookie(), name));
                }
                Err(Errno::AGAIN) => break false,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            }
            if reader.is_buffer_empty() {
                break true;
            }
        };
        for (number, flags, cookie, name) in events {
            if let Some(event) = self.event(number, flags, cookie, name.as_deref()) {
                visit(event);
            }
        }
        Ok(more)
    }

    fn event(&mut self, number: i32, flags: ReadFlags, cookie: u32, name: Option<&[u8]>) -> Option<Event> {
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            return Some(Event::Overflow);
        }
        let folder = Arc::clone(self.paths.get(&number)?);
        let is_root = folder.is_empty();
        if flags.contains(ReadFlags::IGNORED) {
            self.forget(number);
            return is_root.then_some(Event::RootGone);
        }
        let gone = ReadFlags::MOVE_SELF | ReadFlags::DELETE_SELF | ReadFlags::UNMOUNT;
        if flags.intersects(gone) {
            return is_root.then_some(Event::RootGone);
        }
        let name = name?;
        let path = if is_root { name.to_vec() } else { [&folder, &b"/"[..], name].concat() };
        let is_folder = flags.contains(ReadFlags::ISDIR);
        if is_folder && flags.contains(ReadFlags::MOVED_FROM) {
            self.remove_below(&path);
            return Some(Event::MovedOut(path, cookie));
        }
        if is_folder {
            let appeared = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            return appeared.then_some(Event::Folder(path, cookie));
        }
        Some(match () {
            () if flags.contains(ReadFlags::CREATE) => Event::Created(path),
            () if flags.contains(ReadFlags::CLOSE_WRITE) => Event::Closed(path),
            () if flags.contains(ReadFlags::MOVED_TO) => Event::MovedIn(path, cookie),
            () if flags.contains(ReadFlags::MOVED_FROM) => Event::MovedOut(path, cookie),
            () => return None,
        })
    }

    /// Ends the watches on a folder that was moved away, and on those below it. If it stays in the root, it is listed again
    /// at its new path.
    fn remove_below(&mut self, path: &[u8]) {
        let is_below = |other: &[u8]| {
            other.strip_prefix(path).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
        };
        let from: Arc<[u8]> = path.into();
        // Names that begin as the folder does, such as `a-b` beside `a/b`, lie in between.
        let below: Vec<i32> = self
            .numbers
            .range(from..)
            .take_while(|(other, _)| other.starts_with(path))
            .filter(|(other, _)| is_below(other))
            .map(|(_, number)| *number)
            .collect();
        for number in below {
            self.forget(number);
            let _ = inotify::remove_watch(&self.inotify, number);
        }
    }

    fn forget(&mut self, number: i32) {
        if let Some(path) = self.paths.remove(&number)
            && self.numbers.get(&path) == Some(&number)
        {
            self.numbers.remove(&path);
        }
    }

    /// Returns the number of watched folders.
    pub(super) fn len(&self) -> usize {
        self.paths.len()
    }
}

impl AsFd for Watches {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
