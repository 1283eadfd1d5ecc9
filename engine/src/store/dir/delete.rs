//! Deleting a part of a batch, in rounds.
//!
//! A round: look (untouched: what is plainly another file or missing) → list → for each file: take it into the bay,
//! look at it there, unlink it or put it back → fsync every folder touched → answer → take the bay away. The comments
//! say at each step why a crash there loses nothing.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, RenameFlags, renameat_with, unlinkat};
use rustix::io::Errno;

use super::disk::Step;
use super::identity::{FileVersion, Seen};
use super::path::{Folder, RelPath, sentence, walk_to};
use super::quarantine::Bay;
use super::{Answer, DirStore, SubBatch};

/// The folders of a round, held open until they are fsynced together at its end. So many bound the descriptors of a
/// thread; so few would cost an fsync of the list too often.
const FOLDERS_MAX: usize = 128;

/// One object of the part, understood.
struct Item<'a> {
    /// Its place in the request.
    index: usize,
    path: RelPath<'a>,
    wanted: FileVersion,
}

/// A file that looked right where it stands.
struct Ready<'r, 'a> {
    item: &'r Item<'a>,
    /// The number of its folder in the round.
    group: usize,
    parent: BorrowedFd<'r>,
}

/// What became of an item, as yet not durable.
struct Fate {
    index: usize,
    group: usize,
    answer: Answer,
    /// Whether it went through the bay, so that its folder and the bay have changed.
    moved: bool,
}

type Opened = Result<Folder, Box<str>>;
type Synced = Result<(), Box<str>>;

impl DirStore {
    /// Deletes a part; `None` only where a test plays a crash.
    pub(super) fn delete_part(&self, part: &SubBatch<'_>) -> Option<Vec<Answer>> {
        if let Some(why) = self.disk.poisoned() {
            return Some(vec![Answer::Failed(why); part.objects.len()]);
        }
        let unanswered = || Answer::Failed("the directory store has no answer; this is a defect".into());
        let mut answers: Vec<Answer> = part.objects.iter().map(|_| unanswered()).collect();
        let mut set = |index: usize, answer| {
            if let Some(place) = answers.get_mut(index) {
                *place = answer;
            }
        };
        let mut items = Vec::with_capacity(part.objects.len());
        for (index, object) in part.objects.iter().enumerate() {
            match (RelPath::parse(object.key), FileVersion::decode(object.version)) {
                (Ok(path), Ok(wanted)) => items.push(Item { index, path, wanted }),
                (Err(why), _) | (_, Err(why)) => set(index, Answer::Failed(why)),
            }
        }
        // Folder by folder; the index keeps two requests for one key in their order.
        items.sort_unstable_by_key(|item| (item.path.parent, item.path.name, item.index));
        let claim = Claim::on(self, &mut items, &mut set);
        let groups: Vec<&[Item<'_>]> = items.chunk_by(|a, b| a.path.parent == b.path.parent).collect();
        for round in groups.chunks(FOLDERS_MAX) {
            for fate in self.round(part.batch, round)? {
                set(fate.index, fate.answer);
            }
        }
        drop(claim);
        self.quarantine.set_reserve_aside();
        Some(answers)
    }

    /// One round over a few folders; `None` only where a test plays a crash.
    fn round(&self, batch: u64, groups: &[&[Item<'_>]]) -> Option<Vec<Fate>> {
        let parents: Vec<Opened> = groups
            .iter()
            .map(|group| walk_to(self.root(), group.first().map_or(&b""[..], |item| item.path.parent)))
            .collect();
        let (mut fates, ready) = self.inspect(groups, &parents);
        if self.disk.crashes(Step::Inspected, b"") {
            return None;
        }
        let mut bay = None;
        if !ready.is_empty() {
            // The list is durable before the first file moves: whatever a crash leaves in the bay, its way home is known.
            match self.quarantine.make_bay(batch, ready.iter().map(|file| file.item.path.key), &self.disk) {
                Ok(made) => {
                    if self.disk.crashes(Step::Manifested, b"") {
                        return None;
                    }
                    for (number, file) in ready.iter().enumerate() {
                        fates.push(self.take(&made, number, file)?);
                    }
                    bay = Some(made);
                }
                Err(why) => fates.extend(ready.iter().map(|file| Fate {
                    index: file.item.index,
                    group: file.group,
                    answer: Answer::Failed(why.clone()),
                    moved: false,
                })),
            }
        }
        let durable = self.make_durable(groups, &parents, bay.as_ref(), &mut fates);
        if self.disk.crashes(Step::Durable, b"") {
            return None;
        }
        // Last, and not durable itself: after a crash an empty bay is found and removed. While something is not
        // durable or was left in it, the list must stay.
        if let Some(bay) = bay
            && durable
            && self.leftovers.lock().iter().all(|held| held.bay != bay.name)
        {
            self.quarantine.remove_bay(&bay);
        }
        Some(fates)
    }

    /// Looks at every file where it stands. What is plainly not the file registered is answered without being touched,
    /// so that only a race ever takes a wrong file from its place.
    fn inspect<'r, 'a>(
        &self,
        groups: &'r [&'r [Item<'a>]],
        parents: &'r [Opened],
    ) -> (Vec<Fate>, Vec<Ready<'r, 'a>>) {
        let (mut fates, mut ready) = (Vec::new(), Vec::new());
        let any_leftovers = !self.leftovers.lock().is_empty();
        for (group, (items, parent)) in groups.iter().zip(parents).enumerate() {
            for item in *items {
                let leftover =
                    any_leftovers.then(|| self.delete_leftover(item.path.key, &item.wanted)).flatten();
                let answer = match (leftover, parent) {
                    (Some(answer), _) => answer,
                    (None, Err(why)) => Answer::Failed(why.clone()),
                    (None, Ok(Folder::Missing(_))) => Answer::Absent,
                    (None, Ok(Folder::Open(parent))) => match Seen::at(parent.as_fd(), item.path.name) {
                        Ok(None) => Answer::Absent,
                        Ok(Some(seen)) if item.wanted.is(&seen) => {
                            ready.push(Ready { item, group, parent: parent.as_fd() });
                            continue;
                        }
                        Ok(Some(_)) => Answer::Changed,
                        Err(errno) => Answer::Failed(sentence("looking at", item.path.key, errno)),
                    },
                };
                fates.push(Fate { index: item.index, group, answer, moved: false });
            }
        }
        (fates, ready)
    }

    /// Takes one file into the bay, looks again, and unlinks it or puts it back.
    fn take(&self, bay: &Bay, number: usize, file: &Ready<'_, '_>) -> Option<Fate> {
        let (path, name) = (file.item.path, number.to_string());
        let fate = |answer, moved| Some(Fate { index: file.item.index, group: file.group, answer, moved });
        if self.disk.crashes(Step::Moving, path.key) {
            return None;
        }
        // A crash leaves the file in its place or in the bay; the list knows both.
        match renameat_with(file.parent, path.name, &bay.folder, &name, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::NOENT) => return fate(Answer::Absent, false),
            Err(errno) => return fate(Answer::Failed(sentence("taking away", path.key, errno)), false),
        }
        if self.disk.crashes(Step::Moved, path.key) {
            return None;
        }
        let answer = match Seen::at(bay.folder.as_fd(), name.as_bytes()) {
            Ok(Some(seen)) if file.item.wanted.is(&seen) => {
                // A crash leaves it in the bay or gone. In the bay: put back, asked for again. Gone: asked for again,
                // and absent. Only the fsync below makes it certain, so the answer waits for it.
                match unlinkat(&bay.folder, &name, AtFlags::empty()) {
                    Ok(()) => {
                        if seen.links > 1 {
                            let key = path.key.escape_ascii();
                            tracing::warn!(%key, other_names = seen.links - 1, "the file lives on under other names");
                        }
                        Answer::Deleted
                    }
                    Err(errno) => Answer::Failed(sentence("deleting", path.key, errno)),
                }
            }
            Ok(_) => Answer::Changed,
            Err(errno) => Answer::Failed(sentence("looking at", path.key, errno)),
        };
        if answer != Answer::Deleted {
            // A crash before it is put back leaves it in the bay, and the next opening puts it back.
            self.put_back(bay, &name, file.parent, path);
        }
        if self.disk.crashes(Step::Unlinked, path.key) {
            return None;
        }
        fate(answer, true)
    }

    /// Makes durable what the fates say, and turns into failed what could not be made so; whether all of it could.
    ///
    /// Also for absent files: somebody may have removed them a moment ago, this store in an earlier life perhaps, and
    /// the tombstone must not outlive the file.
    fn make_durable(
        &self,
        groups: &[&[Item<'_>]],
        parents: &[Opened],
        bay: Option<&Bay>,
        fates: &mut [Fate],
    ) -> bool {
        let relies = |fate: &Fate| fate.moved || fate.answer == Answer::Absent;
        let mut needed = vec![false; parents.len()];
        for fate in fates.iter().filter(|fate| relies(fate)) {
            if let Some(needed) = needed.get_mut(fate.group) {
                *needed = true;
            }
        }
        let moved = fates.iter().any(|fate| fate.moved);
        let bay_done = bay
            .filter(|_| moved)
            .map_or(Ok(()), |bay| self.disk.sync(bay.folder.as_fd(), bay.path().as_bytes()));
        // One fsync each. A `syncfs` in their place was measured (500 folders in a part, ext4, six pairs of runs: no
        // clear winner) and left out: it waits for the data of everybody on the disk, reports their errors as ours,
        // and on some file systems does nothing at all.
        let folders = parents.iter().zip(groups).zip(needed);
        let done: Vec<Synced> = folders
            .map(|((parent, group), needed)| match (parent, group.first()) {
                (Ok(folder), Some(item)) if needed => {
                    // In messages the root is `.`, as if one had opened it from there.
                    let path = item.path.parent;
                    self.disk.sync(folder.deepest(), if path.is_empty() { b"." } else { path })
                }
                _ => Ok(()),
            })
            .collect();
        for fate in fates.iter_mut().filter(|fate| relies(fate) && !matches!(fate.answer, Answer::Failed(_)))
        {
            let folder_done = done.get(fate.group).cloned().unwrap_or(Ok(()));
            let bay_done = if fate.moved { bay_done.clone() } else { Ok(()) };
            if let Err(why) = folder_done.and(bay_done) {
                fate.answer = Answer::Failed(why);
            }
        }
        bay_done.is_ok() && done.iter().all(Result::is_ok)
    }
}

/// Keys in the hand of one call.
struct Claim<'s> {
    store: &'s DirStore,
    keys: Vec<Box<[u8]>>,
}

impl<'s> Claim<'s> {
    /// Claims the keys of `items`, which are sorted, and gives the others, in the hand of another call, their answer.
    fn on(store: &'s DirStore, items: &mut Vec<Item<'_>>, mut answer: impl FnMut(usize, Answer)) -> Self {
        let mut claim = Self { store, keys: Vec::with_capacity(items.len()) };
        let mut in_hand = store.in_hand.lock();
        items.retain(|item| {
            let key = item.path.key;
            // Two requests for one key in one call are worked on one after the other; that is safe.
            let ours = claim.keys.last().is_some_and(|last| **last == *key);
            if !ours && in_hand.contains(key) {
                let key = key.escape_ascii();
                let why = format!("another call is deleting `{key}` just now; it will be tried again");
                answer(item.index, Answer::Failed(why.into()));
                return false;
            }
            if !ours {
                in_hand.insert(key.into());
                claim.keys.push(key.into());
            }
            true
        });
        drop(in_hand);
        claim
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut in_hand = self.store.in_hand.lock();
        for key in &self.keys {
            in_hand.remove(key);
        }
    }
}
