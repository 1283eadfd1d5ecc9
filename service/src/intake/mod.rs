//! Intake of files: registers those that have no registration, and states the content of those that changed.
//!
//! `sexton reconcile` and the service use it alike, so a file is treated the same however it is found.

mod again;
mod bisect;
mod renamed;
mod start;

pub use again::{Returned, delete_again};
pub use bisect::OBJECTS_MAX;
#[cfg(feature = "s3")]
pub(crate) use bisect::register;
pub(crate) use renamed::Rename;
pub use renamed::{Names, Renames, Strays};
pub use start::StartBy;

use sexton::class::{Definition, Find};
use sexton::report::{Action, Ended, KeyHistory};
use sexton::store::dir::{Identified, Likeness};
use sexton::{
    Change, Durability, Engine, Error, ErrorKind, Previous, RegisterOptions, Registration, Result, Timestamp,
    Which,
};
use start::Start;

/// Limit on the files in [`Taken::first_bounded`].
const BOUNDED_MAX: usize = 100;

/// Intake of the files of a root into an engine.
#[derive(Clone, Copy)]
pub struct Intake<'a> {
    /// Engine that knows the objects.
    pub engine: &'a Engine,
    /// Engine in memory that takes the registrations of a dry run.
    pub dry: Option<&'a Engine>,
    /// Class of new objects.
    pub class: &'a Definition,
    /// Rule for the starts of files.
    pub start: StartBy,
    /// Treatment of files whose object has ended.
    pub returned: Returned,
}

/// File to be taken in.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Key of its object.
    pub key: Vec<u8>,
    /// File as it was found under the key.
    pub file: Identified,
    /// `true` if the file may still grow, so that it is recognised by inode and birth time and keeps its start.
    pub grows: bool,
}

/// Numbers of files by result, and the refused files.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Files that were registered.
    pub registered: u64,
    /// Files that were known.
    pub known: u64,
    /// Files of these that were registered under other names.
    pub renamed: u64,
    /// Files that stay their objects, with other content.
    pub changed: u64,
    /// Files that are new objects in place of other files under their keys.
    pub replaced: u64,
    /// Files whose key had ended before.
    pub had_ended: u64,
    /// Files of these that are deleted again.
    pub deleted_again: u64,
    /// Number of files that start at another instant than their last modification.
    pub bounded: u64,
    /// First 100 of these files.
    pub first_bounded: Vec<Bounded>,
    /// Files that cannot be registered.
    pub refused: Vec<Refused>,
}

/// File that starts at another instant than its last modification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// Key of its object.
    pub key: Vec<u8>,
    /// Last modification.
    pub modified: Timestamp,
    /// Start of its object.
    pub start: Timestamp,
}

/// File that cannot be registered.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Key of its object.
    pub key: Vec<u8>,
    /// Reason.
    pub why: Why,
}

/// Reason for which a file is refused.
#[derive(Clone, Debug)]
pub enum Why {
    /// Its object ended before, so it may have come back from a backup.
    CameBack(Ended),
    /// Reason in words.
    Said(String),
}

/// Objects that the next enforcement deletes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtOnce {
    /// Number of objects.
    pub objects: u64,
    /// Number of objects at short notice that the breaker lets pass.
    pub passing: u64,
}

impl AtOnce {
    /// Returns the number of objects that the breaker stops: all of them or none.
    #[must_use]
    pub fn stopped(self) -> u64 {
        if self.objects > self.passing { self.objects } else { 0 }
    }
}

/// Returns the class of a name, if it can take files.
///
/// # Errors
/// `Invalid` if it does not exist, does not find by key, or was closed down; `Io`, `Corrupt`.
pub fn class(engine: &Engine, name: &str) -> Result<Definition> {
    let refused = |what: String| Err(Error::new(ErrorKind::Invalid, what));
    let classes = engine.classes();
    let Some((class, _)) = classes.iter().find(|(class, _)| class.name == name) else {
        let names: Vec<&str> = classes.iter().map(|(class, _)| class.name.as_str()).collect();
        return refused(format!("unknown class {name:?}; known are: {}", names.join(", ")));
    };
    if class.find != Find::Key {
        return refused(format!(
            "class {name:?} does not find by key alone, so it cannot tell which files are registered; use a class with find = \"key\""
        ));
    }
    if engine.status()?.classes.get(name).is_some_and(|class| class.closed) {
        return refused(format!("class {name:?} was closed down and takes no more objects"));
    }
    Ok(class.clone())
}

impl Intake<'_> {
    /// Takes the files that are registered under their names, and returns the indices of the others.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn compare(&self, files: &[Candidate], taken: &mut Taken) -> Result<Vec<usize>> {
        let (mut changed, mut strays) = (Vec::new(), Vec::new());
        for (index, candidate) in files.iter().enumerate() {
            let live = self.engine.live(&candidate.key)?;
            match live.map(|live| candidate.file.likeness(&live.version)) {
                Some(Likeness::OtherContent) => changed.push(candidate),
                None | Some(Likeness::Another) => strays.push(index),
                // A version that is none of this store is left to the host.
                Some(_) => taken.known += 1,
            }
        }
        self.state_content(&changed, self.engine.now(), taken)?;
        Ok(strays)
    }

    /// Takes files in, at most [`OBJECTS_MAX`], after their renames were stated, and adds the results to `taken`. What it registered is durable when this
    /// returns.
    ///
    /// # Errors
    /// Those of the engine, except for refusals of single files. Some files may have been taken in. The call can be
    /// repeated.
    pub fn take(&self, files: &[Candidate], names: &Names<'_>, taken: &mut Taken) -> Result<()> {
        let now = self.engine.now();
        let mut registrations = Vec::with_capacity(files.len());
        let (mut changed, mut replacing, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for candidate in files {
            let (key, file) = (&*candidate.key, &candidate.file);
            if names.is_refused(key) {
                continue;
            }
            if let Some(version) = names.live(self.engine, key)? {
                match file.likeness(&version) {
                    Likeness::OtherContent => changed.push(candidate),
                    Likeness::Another => replacing.push(self.registration(candidate, now, taken)),
                    // A version that is none of this store is left to the host.
                    _ => taken.known += 1,
                }
                continue;
            }
            if let KeyHistory::Ended(ended) = self.engine.ended(key)? {
                taken.had_ended += 1;
                match self.returned {
                    Returned::LeaveOut => {
                        taken.refused.push(Refused { key: key.to_vec(), why: Why::CameBack(ended) });
                        continue;
                    }
                    Returned::DeleteAgain => {
                        again.push((key, file));
                        continue;
                    }
                    Returned::AsNew => {}
                }
            }
            registrations.push(self.registration(candidate, now, taken));
        }
        self.register_all(&registrations, RegisterOptions::new().only_missing(), taken)?;
        self.register_all(&replacing, RegisterOptions::new(), taken)?;
        self.state_content(&changed, now, taken)?;
        self.delete_again(&again, taken)
    }

    fn registration<'r>(
        &'r self,
        candidate: &'r Candidate,
        now: Timestamp,
        taken: &mut Taken,
    ) -> Registration<'r> {
        let start = self.start_of(candidate, now, taken);
        let file = &candidate.file;
        Registration::new(&self.class.name, &candidate.key)
            .version(&file.version)
            .size(file.size)
            .start(start)
    }

    /// Registers objects in the engine, or in that of the dry run.
    fn register_all(
        &self,
        registrations: &[Registration<'_>],
        options: RegisterOptions,
        taken: &mut Taken,
    ) -> Result<()> {
        // An engine in memory copies all that it has for each synced call.
        let (target, options) = match self.dry {
            Some(dry) => (dry, options.buffered()),
            None => (self.engine, options),
        };
        let answers = bisect::register(registrations, &|part| target.register(part, options))?;
        for (registration, answer) in registrations.iter().zip(answers) {
            match answer.map(|registered| registered.previous) {
                Ok(Previous::Identical | Previous::Kept) => taken.known += 1,
                Ok(_) if options.only_missing => taken.registered += 1,
                Ok(_) => taken.replaced += 1,
                Err(why) => taken.refuse(registration.key, why),
            }
        }
        Ok(())
    }

    /// States the content of files that were written again or grew. A dry run counts them only.
    fn state_content(&self, files: &[&Candidate], now: Timestamp, taken: &mut Taken) -> Result<()> {
        let mut changes = Vec::with_capacity(files.len());
        for &candidate in files {
            // A file that still grows keeps its start, or it would never go.
            let moves = self.start == StartBy::Modified && !candidate.grows;
            let start = if moves { self.start_of(candidate, now, taken) } else { None };
            let (of, version) = (Which::Key(&candidate.key), &*candidate.file.version);
            changes.push(Change::Content { of, version, size: Some(candidate.file.size), start });
        }
        if self.dry.is_some() {
            taken.changed += changes.len() as u64;
            return Ok(());
        }
        for (candidate, answer) in files.iter().zip(self.engine.change(&changes, Durability::Synced)?) {
            match answer {
                Ok(_) => taken.changed += 1,
                Err(why) => taken.refuse(&candidate.key, why.to_string()),
            }
        }
        Ok(())
    }

    /// Returns the start to state for a file, and notes it if its modification time is not believed.
    fn start_of(
        &self,
        Candidate { key, file, .. }: &Candidate,
        now: Timestamp,
        taken: &mut Taken,
    ) -> Option<Timestamp> {
        let start = self.start.start(self.class.start, file, now);
        if let Start::Bounded(start) = start {
            taken.bounded += 1;
            if taken.first_bounded.len() < BOUNDED_MAX {
                taken.first_bounded.push(Bounded { key: key.clone(), modified: file.modified, start });
            }
        }
        start.stated()
    }

    /// Registers the files that came back for their second deletion. A dry run counts them only.
    fn delete_again(&self, files: &[(&[u8], &Identified)], taken: &mut Taken) -> Result<()> {
        if self.dry.is_some() {
            taken.deleted_again += files.len() as u64;
            return Ok(());
        }
        for ((key, _), answer) in files.iter().zip(again::delete_again(self.engine, files)?) {
            match answer {
                Ok(()) => taken.deleted_again += 1,
                Err(why) => taken.refuse(key, why),
            }
        }
        Ok(())
    }

    /// Counts the objects of the class that the next enforcement would delete, and those that the breaker would stop. Calls
    /// `visit` with the key of each.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn at_once(&self, mut visit: impl FnMut(&[u8])) -> Result<AtOnce> {
        let (mut objects, mut live) = (0, 0);
        for engine in [Some(self.engine), self.dry].into_iter().flatten() {
            for object in engine.plan(engine.now())? {
                let object = object?;
                if object.class == self.class.name && object.action == Action::Delete {
                    objects += 1;
                    visit(&object.key);
                }
            }
            live += engine.status()?.classes.get(&self.class.name).map_or(0, |class| class.live);
        }
        // Objects that are due when they are registered are at short notice, and the breaker stops all of them or none.
        Ok(AtOnce { objects, passing: self.engine.limits().breaker.passing(live) })
    }
}

impl Taken {
    /// Adds a refused file.
    pub fn refuse(&mut self, key: &[u8], why: impl Into<String>) {
        self.refused.push(Refused { key: key.to_vec(), why: Why::Said(why.into()) });
    }
}
