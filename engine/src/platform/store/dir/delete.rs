//! Deletion of a sub-batch, in rounds.
//!
//! The steps of a round:
//!
//! 1. Inspect all files. Another or missing file is answered without being touched.
//! 2. Write the manifest of a new bay.
//! 3. For each file: move it into the bay, inspect it there, and unlink it or put it back.
//! 4. Fsync every folder that changed.
//! 5. Answer, and remove the bay.
//!
//! The comments say at each step why a crash there loses nothing.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, RenameFlags, renameat_with, unlinkat};
use rustix::io::Errno;

use super::disk::Step;
use super::identity::{FileVersion, Seen};
use super::path::{Folder, RelPath, elsewhere, failure_message};
use super::quarantine::Bay;
use super::{Answer, DirError, DirStore, Session, SubBatch};

/// Number of folders of a round. They stay open until they are fsynced at its end.
///
/// More folders would need more descriptors per thread; fewer would need more fsyncs of manifests.
const FOLDERS_MAX: usize = 128;

/// Object of the sub-batch, with its key and version decoded.
struct FileToDelete<'a> {
    /// Position in the sub-batch.
    index: usize,
    path: RelPath<'a>,
    wanted: FileVersion,
}

/// File that matched its version at its path.
struct Matched<'r, 'a> {
    target: &'r FileToDelete<'a>,
    /// Index of its folder in the round.
    group: usize,
    parent: BorrowedFd<'r>,
}

/// Answer that is not durable yet.
struct Provisional {
    /// Position in the sub-batch.
    index: usize,
    /// Index of the file's folder in the round.
    group: usize,
    answer: Answer,
    /// `true` if the file was moved into the bay, so that its folder and the bay have changed.
    moved: bool,
}

type Opened = Result<Folder, Box<str>>;
type Synced = Result<(), Box<str>>;

impl DirStore {
    /// Deletes the files of a sub-batch. Returns `None` only if a test simulates a crash.
    pub(super) fn delete_sub_batch(
        &self,
        session: &Session,
        sub_batch: &SubBatch<'_>,
    ) -> Option<Vec<Answer>> {
        let unanswered = || Answer::Failed("a defect in sexton: the directory store has no answer".into());
        let mut answers: Vec<Answer> = sub_batch.objects.iter().map(|_| unanswered()).collect();
        let mut set = |index: usize, answer| {
            if let Some(slot) = answers.get_mut(index) {
                *slot = answer;
            }
        };
        let mut files = Vec::with_capacity(sub_batch.objects.len());
        for (index, object) in sub_batch.objects.iter().enumerate() {
            match (RelPath::parse(object.key), FileVersion::decode(object.version)) {
                // What is missing here may be in the other root.
                (Ok(path), Ok(wanted)) if !wanted.is_of(self.id) => {
                    set(index, Answer::Failed(self.registered_elsewhere(path)));
                }
                (Ok(path), Ok(wanted)) => files.push(FileToDelete { index, path, wanted }),
                (Err(why), _) | (_, Err(why)) => set(index, Answer::Failed(why)),
            }
        }
        // By folder. Two objects with the same key keep their order.
        files.sort_unstable_by_key(|file| (file.path.parent, file.path.name, file.index));
        let claim = Claim::take(self, &mut files, &mut set);
        let groups: Vec<&[FileToDelete<'_>]> =
            files.chunk_by(|a, b| a.path.parent == b.path.parent).collect();
        for round in groups.chunks(FOLDERS_MAX) {
            for entry in self.run_round(session, sub_batch.batch, round)? {
                set(entry.index, entry.answer);
            }
        }
        drop(claim);
        session.quarantine.restore_reserve();
        Some(answers)
    }

    fn registered_elsewhere(&self, path: RelPath<'_>) -> Box<str> {
        format!(
            "the file `{}` was registered in another root than `{}`; delete it through that root, or register the file again",
            path.key.escape_ascii(),
            self.path.display()
        )
        .into()
    }

    /// Runs one round over a few folders. Returns `None` only if a test simulates a crash.
    fn run_round(
        &self,
        session: &Session,
        batch: u64,
        groups: &[&[FileToDelete<'_>]],
    ) -> Option<Vec<Provisional>> {
        let parents: Vec<Opened> = groups
            .iter()
            .map(|group| {
                let path = group.first().map_or(&b""[..], |file| file.path.parent);
                session.root.walk_to(path).map_err(DirError::into_message)
            })
            .collect();
        let (mut provisional, matched) = self.inspect(session, groups, &parents);
        if self.disk.crashes(Step::Inspected, b"") {
            return None;
        }
        let mut bay = None;
        if !matched.is_empty() {
            // The manifest is durable before the first file moves. So the path of every file that a crash leaves in the bay
            // is known.
            let keys = matched.iter().map(|file| file.target.path.key);
            match session.quarantine.make_bay(batch, keys, &self.disk) {
                Ok(made) => {
                    if self.disk.crashes(Step::Manifested, b"") {
                        return None;
                    }
                    for (number, file) in matched.iter().enumerate() {
                        provisional.push(self.delete_file(&made, number, file)?);
                    }
                    bay = Some(made);
                }
                Err(why) => provisional.extend(matched.iter().map(|file| Provisional {
                    index: file.target.index,
                    group: file.group,
                    answer: Answer::Failed(why.clone()),
                    moved: false,
                })),
            }
        }
        let durable = self.make_durable(groups, &parents, bay.as_ref(), &mut provisional);
        if self.disk.crashes(Step::Durable, b"") {
            return None;
        }
        // Last, and not durable: after a crash the next opening removes an empty bay. The manifest has to stay while a move is
        // not durable or a file is left in the bay.
        if let Some(bay) = bay
            && durable
            && self.leftovers.lock().iter().all(|held| held.bay != bay.name)
        {
            session.quarantine.remove_bay(&bay);
        }
        Some(provisional)
    }

    /// Inspects every file at its path. Returns the answers for the files that did not match, and the files that matched.
    ///
    /// Files that do not match are not touched. So only a race ever moves a wrong file.
    fn inspect<'r, 'a>(
        &self,
        session: &Session,
        groups: &'r [&'r [FileToDelete<'a>]],
        parents: &'r [Opened],
    ) -> (Vec<Provisional>, Vec<Matched<'r, 'a>>) {
        let (mut provisional, mut matched) = (Vec::new(), Vec::new());
        let any_leftovers = !self.leftovers.lock().is_empty();
        for (group, (files, parent)) in groups.iter().zip(parents).enumerate() {
            for file in *files {
                let leftover = any_leftovers
                    .then(|| self.delete_leftover(session, file.path.key, &file.wanted))
                    .flatten();
                let answer = match (leftover, parent) {
                    (Some(answer), _) => answer,
                    (None, Err(why)) => Answer::Failed(why.clone()),
                    (None, Ok(Folder::Missing(_))) => Answer::Absent,
                    (None, Ok(Folder::Open(parent))) => match Seen::at(parent.as_fd(), file.path.name) {
                        Ok(None) => Answer::Absent,
                        Ok(Some(seen)) if seen.place != session.root.place() => {
                            Answer::Failed(elsewhere(file.path.key).into_message())
                        }
                        Ok(Some(seen)) if file.wanted.is(&seen) => {
                            matched.push(Matched { target: file, group, parent: parent.as_fd() });
                            continue;
                        }
                        Ok(Some(_)) => Answer::Changed,
                        Err(errno) => Answer::Failed(failure_message("looking at", file.path.key, errno)),
                    },
                };
                provisional.push(Provisional { index: file.index, group, answer, moved: false });
            }
        }
        (provisional, matched)
    }

    /// Moves a file into the bay, inspects it again, and unlinks it or puts it back.
    fn delete_file(&self, bay: &Bay, number: usize, file: &Matched<'_, '_>) -> Option<Provisional> {
        let (path, name) = (file.target.path, number.to_string());
        let entry =
            |answer, moved| Some(Provisional { index: file.target.index, group: file.group, answer, moved });
        if self.disk.crashes(Step::Moving, path.key) {
            return None;
        }
        // A crash leaves the file at its path or in the bay. The manifest names both.
        match renameat_with(file.parent, path.name, &bay.folder, &name, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::NOENT) => return entry(Answer::Absent, false),
            Err(errno) => {
                return entry(Answer::Failed(failure_message("taking away", path.key, errno)), false);
            }
        }
        if self.disk.crashes(Step::Moved, path.key) {
            return None;
        }
        let answer = match Seen::at(bay.folder.as_fd(), name.as_bytes()) {
            Ok(Some(seen)) if file.target.wanted.is(&seen) => {
                // A crash leaves the file in the bay or gone. If it is in the bay, it is put back and the engine asks
                // again. If it is gone, the engine asks again and the answer is `Absent`. Only the fsync below makes
                // the unlink durable, so the answer waits for it.
                match unlinkat(&bay.folder, &name, AtFlags::empty()) {
                    Ok(()) => {
                        if seen.links > 1 {
                            let other_names = seen.links - 1;
                            tracing::warn!(
                                bay = bay.name,
                                other_names,
                                "the content of a deleted file stays under its other names"
                            );
                        }
                        Answer::Deleted
                    }
                    Err(errno) => Answer::Failed(failure_message("deleting", path.key, errno)),
                }
            }
            Ok(_) => Answer::Changed,
            Err(errno) => Answer::Failed(failure_message("looking at", path.key, errno)),
        };
        if answer != Answer::Deleted {
            // If a crash prevents this, the next opening puts the file back.
            self.put_back(bay, &name, file.parent, path);
        }
        if self.disk.crashes(Step::Unlinked, path.key) {
            return None;
        }
        entry(answer, true)
    }

    /// Makes the provisional answers durable, and turns those that could not be made durable into [`Answer::Failed`]. Returns
    /// `true` if all are durable.
    ///
    /// Absent files need it too. Another process, or an earlier opening of this store, may have removed them a moment ago.
    /// Without an fsync, a power failure could bring the file back after its tombstone.
    fn make_durable(
        &self,
        groups: &[&[FileToDelete<'_>]],
        parents: &[Opened],
        bay: Option<&Bay>,
        provisional: &mut [Provisional],
    ) -> bool {
        let needs_fsync = |entry: &Provisional| entry.moved || entry.answer == Answer::Absent;
        let mut needed = vec![false; parents.len()];
        for entry in provisional.iter().filter(|entry| needs_fsync(entry)) {
            if let Some(needed) = needed.get_mut(entry.group) {
                *needed = true;
            }
        }
        let moved = provisional.iter().any(|entry| entry.moved);
        let bay_done = bay
            .filter(|_| moved)
            .map_or(Ok(()), |bay| self.disk.sync(bay.folder.as_fd(), bay.path().as_bytes()));
        // One fsync per folder. One `syncfs` instead was measured and rejected (500 folders in a sub-batch, ext4, six pairs of
        // runs: no clear winner). It waits for the data of all processes, reports their errors as ours, and does nothing on
        // some file systems.
        let folders = parents.iter().zip(groups).zip(needed);
        let done: Vec<Synced> = folders
            .map(|((parent, group), needed)| match (parent, group.first()) {
                (Ok(folder), Some(file)) if needed => {
                    // Messages name the root `.`.
                    let path = file.path.parent;
                    self.disk.sync(folder.deepest(), if path.is_empty() { b"." } else { path })
                }
                _ => Ok(()),
            })
            .collect();
        for entry in provisional
            .iter_mut()
            .filter(|entry| needs_fsync(entry) && !matches!(entry.answer, Answer::Failed(_)))
        {
            let folder_done = done.get(entry.group).cloned().unwrap_or(Ok(()));
            let bay_done = if entry.moved { bay_done.clone() } else { Ok(()) };
            if let Err(why) = folder_done.and(bay_done) {
                entry.answer = Answer::Failed(why);
            }
        }
        bay_done.is_ok() && done.iter().all(Result::is_ok)
    }
}

/// Keys that one call of `delete` is working on. Dropping the claim releases them.
struct Claim<'s> {
    store: &'s DirStore,
    keys: Vec<Box<[u8]>>,
}

impl<'s> Claim<'s> {
    /// Claims the keys of `files`, which are sorted. Files whose key another call has claimed are answered and removed.
    fn take(
        store: &'s DirStore,
        files: &mut Vec<FileToDelete<'_>>,
        mut answer: impl FnMut(usize, Answer),
    ) -> Self {
        let mut claim = Self { store, keys: Vec::with_capacity(files.len()) };
        let mut claimed = store.claimed.lock();
        files.retain(|file| {
            let key = file.path.key;
            // Two objects with one key in one call are processed one after the other, which is safe.
            let is_ours = claim.keys.last().is_some_and(|last| **last == *key);
            if !is_ours && claimed.contains(key) {
                let key = key.escape_ascii();
                let why = format!("another call is deleting `{key}`; the engine retries");
                answer(file.index, Answer::Failed(why.into()));
                return false;
            }
            if !is_ours {
                claimed.insert(key.into());
                claim.keys.push(key.into());
            }
            true
        });
        drop(claimed);
        claim
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut claimed = self.store.claimed.lock();
        for key in &self.keys {
            claimed.remove(key);
        }
    }
}
