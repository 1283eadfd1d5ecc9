//! Thread of a source: lists the bucket from time to time and takes new objects in.
//!
//! The parts of a bucket are listed at the same time, each by a thread of its own. A listing that an error interrupts goes on
//! where it was. After a restart it begins from the start, since only a whole listing tells that no object was missed.

use super::super::journal::{Position as Progress, Trouble};
use super::intake::{Intake, PageError};
use super::source::{BucketSource, trouble};
use sexton::class::Definition;
use sexton::testing::Monotonic;
use sexton_s3::{Position, S3Store};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

/// Longest wait of the thread, and the time after which it looks again if the bucket is there.
const LOOK: Duration = Duration::from_secs(10);
/// Wait after an error.
const PAUSE: Duration = Duration::from_secs(1);
/// Parts of a bucket that are listed at the same time.
const PARTS: usize = 4;

/// Runs a source until it is stopped.
pub(super) fn run(source: &BucketSource) {
    let next_listing = source.journal.shared.clock.monotonic();
    let mut session = Session { source, parts: Vec::new(), next_listing };
    while !source.journal.is_stopped() {
        if let Err(trouble) = session.work() {
            source.journal.set_trouble(Some(trouble));
            source.journal.leave();
            source.journal.wait(None, PAUSE);
        }
    }
}

/// Listings of a bucket.
struct Session<'s> {
    source: &'s BucketSource,
    /// Parts of the listing under way that are not complete.
    parts: Vec<Position>,
    next_listing: Monotonic,
}

impl Session<'_> {
    /// Lists the bucket when it is time, until the source stops or the bucket is lost.
    fn work(&mut self) -> Result<(), Trouble> {
        let journal = &self.source.journal;
        while !journal.is_stopped() {
            let store = self.source.enter().inspect_err(|_| self.parts.clear())?;
            let classes = self.source.classes().map_err(Trouble::Refused)?;
            journal.set_trouble(None);
            if self.parts.is_empty() && (journal.take_rescan() || self.now() >= self.next_listing) {
                self.begin(&store, &classes)?;
            }
            if self.parts.is_empty() {
                let left = self.next_listing.since(self.now());
                journal.wait(None, left.clamp(Duration::from_millis(1), LOOK));
                continue;
            }
            self.report();
            self.list(&store, &classes)?;
            self.report();
            if !self.parts.is_empty() {
                journal.wait(None, PAUSE);
            }
        }
        Ok(())
    }

    /// Begins a listing.
    fn begin(&mut self, store: &S3Store, classes: &BTreeMap<String, Definition>) -> Result<(), Trouble> {
        let (source, now) = (self.source, self.now());
        source.journal.set_warnings(source.warnings(store, classes).map_err(trouble)?);
        self.parts = store.split(&source.settings.bucket.prefix, PARTS).map_err(trouble)?;
        self.next_listing = now.saturating_add(source.journal.about.rescan);
        Ok(())
    }

    fn now(&self) -> Monotonic {
        self.source.journal.shared.clock.monotonic()
    }

    fn report(&self) {
        self.source.journal.set_position(Progress {
            is_scanning: !self.parts.is_empty(),
            watched: 0,
            unwatched: None,
            settling: 0,
            oldest: None,
        });
    }

    /// Lists all parts, each as far as it comes.
    fn list(&mut self, store: &S3Store, classes: &BTreeMap<String, Definition>) -> Result<(), Trouble> {
        let intake = Intake { source: self.source, store, classes, dry: None };
        let parts = std::mem::take(&mut self.parts);
        let left = thread::scope(|scope| {
            let threads: Vec<_> =
                parts.iter().map(|part| (part, scope.spawn(|| list_part(&intake, part.clone())))).collect();
            let left = threads.into_iter().map(|(part, thread)| {
                // A defect: the part is listed again.
                thread.join().unwrap_or_else(|_| (Some(part.clone()), Some(panicked())))
            });
            left.collect::<Vec<_>>()
        });
        let mut lost = None;
        for (position, trouble) in left {
            self.parts.extend(position);
            lost = lost.or(trouble);
        }
        lost.map_or(Ok(()), Err)
    }
}

fn panicked() -> Trouble {
    Trouble::RootLost("a defect in sexton: listing the bucket panicked".into())
}

/// Lists one part up to its end, to an error, or until the source stops. Returns the position from which it goes on, and the
/// trouble of the bucket.
fn list_part(intake: &Intake<'_>, part: Position) -> (Option<Position>, Option<Trouble>) {
    let journal = &intake.source.journal;
    let mut position = Some(part);
    while let Some(at) = &position {
        if journal.is_stopped() {
            break;
        }
        match intake.take(at) {
            Ok((page, taken)) => {
                journal.clear_error();
                journal.add_taken(&taken);
                position = page.next;
            }
            Err(PageError::Engine(error)) => {
                journal.set_error(&error);
                break;
            }
            Err(PageError::Bucket(error)) => return (position, Some(trouble(error))),
        }
    }
    (position, None)
}
