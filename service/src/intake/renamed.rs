//! Renamed files: a registration whose path is gone, and a file without registration that has its inode and birth time.

use super::Taken;
use super::bisect::OBJECTS_MAX;
use sexton::proof::id::printable;
use sexton::report::Action;
use sexton::store::dir::FileId;
use sexton::{Change, Durability, Engine, RegistrationId, Result, Timestamp, Which};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Files without a registration under their names. Memory grows with their number only.
#[derive(Debug, Default)]
pub struct Strays<'k> {
    /// Keys of the files, in the order in which they were added.
    pub keys: Vec<&'k [u8]>,
    by_id: HashMap<FileId, &'k [u8]>,
}

impl<'k> Strays<'k> {
    /// Adds a file. Of several names of one file the first counts.
    pub fn add(&mut self, key: &'k [u8], file: Option<FileId>) {
        self.keys.push(key);
        if let Some(file) = file {
            self.by_id.entry(file).or_insert(key);
        }
    }

    /// Finds the registrations of these files under names that they no longer have. `is_gone` returns `true` if a file is no
    /// longer under a key.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn renames(
        &mut self,
        engine: &Engine,
        is_gone: impl Fn(&[u8], FileId) -> bool,
    ) -> Result<Renames<'k>> {
        let mut all = Vec::new();
        if self.by_id.is_empty() {
            return Ok(Renames(all));
        }
        for object in engine.plan(Timestamp::MAX)? {
            let object = object?;
            let Some(file) = FileId::of(&object.version) else { continue };
            let is_over = matches!(object.action, Action::EndReplaced | Action::EndReleased);
            // A second link is no rename. In doubt the object keeps its name.
            if is_over || !self.by_id.contains_key(&file) || !is_gone(&object.key, file) {
                continue;
            }
            if let Some(to) = self.by_id.remove(&file) {
                all.push(Rename { id: object.id, from: object.key, to, version: object.version });
            }
        }
        Ok(Renames(all))
    }
}

/// Renames of registered files. Each name is the old one of one file at most, and the new one of one file at most.
#[derive(Debug, Default)]
pub struct Renames<'k>(Vec<Rename<'k>>);

/// Rename of a registered file.
#[derive(Debug)]
pub(crate) struct Rename<'k> {
    pub(crate) id: RegistrationId,
    pub(crate) from: Vec<u8>,
    pub(crate) to: &'k [u8],
    pub(crate) version: Vec<u8>,
}

/// Names that renames concern.
#[derive(Debug, Default)]
pub struct Names<'k> {
    /// Version that would be registered under each old and new name after a dry run.
    would_be: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// New names of files whose rename was refused.
    refused: BTreeSet<&'k [u8]>,
}

impl Names<'_> {
    /// Returns `true` if the rename to this key was refused, so that the file is no new object either.
    pub fn is_refused(&self, key: &[u8]) -> bool {
        self.refused.contains(key)
    }

    /// Returns the version of the live registration under a name, if there is one.
    pub(crate) fn live(&self, engine: &Engine, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.would_be.get(key) {
            Some(version) => Ok(version.clone()),
            None => Ok(engine.live(key)?.map(|live| live.version)),
        }
    }
}

impl<'k> Renames<'k> {
    /// Adds a rename.
    pub(crate) fn add(&mut self, rename: Rename<'k>) {
        self.0.push(rename);
    }

    /// States the renames. A dry run counts them only.
    ///
    /// # Errors
    /// Those of the engine, except for refusals of single renames.
    pub fn state(self, engine: &Engine, is_dry: bool, taken: &mut Taken) -> Result<Names<'k>> {
        let mut names = Names::default();
        if is_dry {
            taken.renamed += self.0.len() as u64;
            names.would_be.extend(self.0.iter().map(|rename| (rename.from.clone(), None)));
            let new = self.0.into_iter().map(|rename| (rename.to.to_vec(), Some(rename.version)));
            names.would_be.extend(new);
            return Ok(names);
        }
        for call in self.calls() {
            let changes: Vec<Change<'_>> =
                call.iter().map(|Rename { id, to, .. }| Change::Rename { of: Which::Id(*id), to }).collect();
            for (Rename { from, to, .. }, answer) in
                call.iter().zip(engine.change(&changes, Durability::Synced)?)
            {
                match answer {
                    Ok(_) => taken.renamed += 1,
                    Err(why) => {
                        taken.refuse(to, format!("it was renamed from {}: {why}", printable(from)));
                        names.refused.insert(to);
                    }
                }
            }
        }
        Ok(names)
    }

    /// Divides the renames into calls. Those of which one takes the name that another leaves are in one call.
    fn calls(self) -> Vec<Vec<Rename<'k>>> {
        let at: HashMap<Vec<u8>, usize> =
            self.0.iter().enumerate().map(|(index, rename)| (rename.from.clone(), index)).collect();
        let taken: BTreeSet<&[u8]> = self.0.iter().map(|rename| rename.to).collect();
        let is_head = |rename: &Rename<'_>| !taken.contains(&*rename.from);
        let heads = (0..self.0.len()).filter(|index| is_head(&self.0[*index]));
        // Every chain begins with a name that nothing takes. What is left are cycles.
        let order: Vec<usize> = heads.chain(0..self.0.len()).collect();
        let mut left: Vec<Option<Rename<'k>>> = self.0.into_iter().map(Some).collect();
        let mut calls: Vec<Vec<Rename<'k>>> = vec![Vec::new()];
        for head in order {
            let mut chain = Vec::new();
            let mut next = Some(head);
            while let Some(rename) = next.and_then(|index| left[index].take()) {
                next = at.get(rename.to).copied();
                chain.push(rename);
            }
            match calls.last_mut() {
                Some(call) if call.len() + chain.len() <= OBJECTS_MAX => call.extend(chain),
                _ => calls.push(chain),
            }
        }
        calls
    }
}
