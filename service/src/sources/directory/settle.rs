//! Files that wait until they are complete. Pure.
//!
//! A file waits while it is open for writing, as far as the events of its folder tell, and for `settle` after it was closed
//! or last seen young. After `settle_max` it waits no longer.

use sexton::testing::Monotonic;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Limit on the files that wait. A scan finds further ones again.
const WAITING_MAX: usize = 1_000_000;

/// Files that wait, by the path below their root.
#[derive(Debug)]
pub(super) struct Settling {
    settle: Duration,
    settle_max: Duration,
    files: HashMap<Arc<[u8]>, Waiting>,
    by_due: BTreeSet<(Monotonic, Arc<[u8]>)>,
    /// `true` if a file found no room, so that only a scan finds it.
    overflowed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    since: Monotonic,
    due: Monotonic,
}

/// Observation of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was created, and may be open for writing.
    Created,
    /// It was closed after writing, or moved in.
    Complete,
    /// It was modified less than `settle` ago, and will have settled after this time.
    Young(Duration),
}

/// File that waits no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ripe {
    /// Path below the root.
    pub(super) path: Arc<[u8]>,
    /// `true` if it waited for `settle_max`, and may still change.
    pub(super) is_forced: bool,
    /// Instant at which it began to wait.
    pub(super) since: Monotonic,
    /// Instant from which it waited no longer.
    pub(super) due: Monotonic,
}

impl Settling {
    pub(super) fn new(settle: Duration, settle_max: Duration) -> Self {
        let (files, by_due) = (HashMap::new(), BTreeSet::new());
        Settling { settle, settle_max, files, by_due, overflowed: false }
    }

    /// Notes an observation of a file. One that already waits goes on waiting from its first observation.
    pub(super) fn note(&mut self, path: &[u8], seen: Seen, now: Monotonic) {
        let (path, before) = match self.files.get_key_value(path) {
            Some((path, waiting)) => (Arc::clone(path), Some(*waiting)),
            None if self.files.len() >= WAITING_MAX => {
                self.overflowed = true;
                return;
            }
            None => (Arc::from(path), None),
        };
        self.wait_from(path, before.map_or(now, |before| before.since), seen, now);
    }

    /// Lets a ripe file wait again, from its first observation.
    pub(super) fn again(&mut self, ripe: Ripe, left: Duration, now: Monotonic) {
        self.wait_from(ripe.path, ripe.since, Seen::Young(left), now);
    }

    fn wait_from(&mut self, path: Arc<[u8]>, since: Monotonic, seen: Seen, now: Monotonic) {
        let last = since.saturating_add(self.settle_max);
        let due = match seen {
            Seen::Created => last,
            Seen::Complete => now.saturating_add(self.settle).min(last),
            Seen::Young(left) => now.saturating_add(left).min(last),
        };
        if let Some(before) = self.files.insert(Arc::clone(&path), Waiting { since, due }) {
            self.by_due.remove(&(before.due, Arc::clone(&path)));
        }
        self.by_due.insert((due, path));
    }

    /// Takes up to `max` files that wait no longer, the earliest first.
    pub(super) fn ripe(&mut self, now: Monotonic, max: usize) -> Vec<Ripe> {
        let mut ripe = Vec::new();
        while ripe.len() < max
            && let Some((due, path)) = self.by_due.pop_first()
        {
            if due > now {
                self.by_due.insert((due, path));
                break;
            }
            let since = self.files.remove(&path).map_or(due, |waiting| waiting.since);
            let is_forced = now >= since.saturating_add(self.settle_max);
            ripe.push(Ripe { path, is_forced, since, due });
        }
        ripe
    }

    /// Lets a file wait no longer, and not be taken in either.
    pub(super) fn forget(&mut self, path: &[u8]) {
        if let Some((path, waiting)) = self.files.remove_entry(path) {
            self.by_due.remove(&(waiting.due, path));
        }
    }

    /// Returns `true` if the file waits.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        self.files.contains_key(path)
    }

    /// Returns the number of files that wait.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns the instant at which the next file waits no longer.
    pub(super) fn next(&self) -> Option<Monotonic> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Returns `true` once if files found no room since the last call.
    pub(super) fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(2);
    const SETTLE_MAX: Duration = Duration::from_secs(10);

    fn at(ms: i64) -> Monotonic {
        Monotonic::from_ms(ms)
    }

    fn paths(settling: &mut Settling, now: Monotonic) -> Vec<(String, bool)> {
        let text = |ripe: Ripe| (String::from_utf8(ripe.path.to_vec()).unwrap(), ripe.is_forced);
        settling.ripe(now, 100).into_iter().map(text).collect()
    }

    fn named(name: &str, is_forced: bool) -> Vec<(String, bool)> {
        vec![(name.into(), is_forced)]
    }

    #[test]
    fn closed_file_waits_for_settle_and_an_open_one_for_settle_max() {
        let mut settling = Settling::new(SETTLE, SETTLE_MAX);
        settling.note(b"closed", Seen::Created, at(0));
        settling.note(b"open", Seen::Created, at(0));
        settling.note(b"closed", Seen::Complete, at(500));
        assert_eq!((settling.len(), settling.next()), (2, Some(at(2_500))));
        assert_eq!(paths(&mut settling, at(2_499)), []);
        assert_eq!(paths(&mut settling, at(2_500)), named("closed", false));
        assert_eq!(paths(&mut settling, at(9_999)), []);
        assert_eq!(paths(&mut settling, at(10_000)), named("open", true));
        assert_eq!((settling.len(), settling.next()), (0, None));
    }

    #[test]
    fn file_that_is_written_again_and_again_is_forced_after_settle_max() {
        let mut settling = Settling::new(SETTLE, SETTLE_MAX);
        for second in 0..10 {
            settling.note(b"log", Seen::Complete, at(second * 1_000));
            assert_eq!(paths(&mut settling, at(second * 1_000 + 999)), []);
        }
        assert_eq!(paths(&mut settling, at(10_000)), named("log", true));
        // The next write begins again.
        settling.note(b"log", Seen::Complete, at(11_000));
        assert_eq!(paths(&mut settling, at(13_000)), named("log", false));
    }

    #[test]
    fn ripe_file_that_proves_young_waits_on_from_its_first_observation() {
        let mut settling = Settling::new(SETTLE, SETTLE_MAX);
        settling.note(b"a", Seen::Young(Duration::from_secs(1)), at(0));
        let mut now = at(1_000);
        for _ in 0..9 {
            let ripe = settling.ripe(now, 1).remove(0);
            assert!(!ripe.is_forced);
            settling.again(ripe, Duration::from_secs(1), now);
            now = now.saturating_add(Duration::from_secs(1));
        }
        assert_eq!(paths(&mut settling, now), named("a", true));
    }

    #[test]
    fn settle_of_zero_waits_only_while_open() {
        let mut settling = Settling::new(Duration::ZERO, SETTLE_MAX);
        settling.note(b"a", Seen::Created, at(5));
        assert_eq!(paths(&mut settling, at(6)), []);
        settling.note(b"a", Seen::Complete, at(7));
        assert_eq!(paths(&mut settling, at(7)), named("a", false));
    }
}
