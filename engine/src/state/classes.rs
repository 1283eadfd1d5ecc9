//! Class versions of an open engine.

use crate::model::class::Class;
use crate::platform::error::{Error, Result};
use crate::state::lock_order::{Ordered, OrderedRwLock, Rank};
use crate::state::time::Steady;
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};
use sexton_proof::id::ClassId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All class versions, and the lock that closing a class down waits for.
pub(crate) struct ClassRegistry {
    versions: OrderedRwLock<Classes>,
    /// Lock between registering and closing: every call that registers or changes objects holds it shared. Closing a class
    /// down, ending a doubt about the clock, and taking time back hold it exclusively.
    pub(crate) closing: OrderedRwLock<Gate>,
}

/// Gate of the calls that register or change objects.
pub(crate) struct Gate;

impl Steady for Gate {}

impl ClassRegistry {
    pub(crate) fn new(classes: Classes) -> Self {
        ClassRegistry {
            versions: OrderedRwLock::new(Rank::Versions, classes),
            closing: OrderedRwLock::new(Rank::Closing, Gate),
        }
    }

    pub(crate) fn read(&self) -> Ordered<RwLockReadGuard<'_, Classes>> {
        self.versions.read()
    }

    pub(crate) fn write(&self) -> Ordered<RwLockWriteGuard<'_, Classes>> {
        self.versions.write()
    }

    /// Returns the class version with this id.
    pub(crate) fn get(&self, id: ClassId) -> Result<Arc<Class>> {
        self.read().by_id(id).cloned()
    }

    /// Returns all class versions, in ascending order of their ids.
    pub(crate) fn all(&self) -> Vec<Arc<Class>> {
        self.read().iter().cloned().collect()
    }
}

/// Class versions, by id and by name.
#[derive(Default)]
pub(crate) struct Classes {
    by_id: BTreeMap<ClassId, Arc<Class>>,
    /// Version that new registrations of a name fall under.
    current: BTreeMap<String, ClassId>,
    /// Names of classes that were closed down.
    closed: BTreeSet<String>,
}

impl Classes {
    /// Adds a version, which becomes the current one of its name.
    pub(crate) fn add(&mut self, class: Arc<Class>) {
        self.current.insert(class.definition.name.clone(), class.id);
        self.by_id.insert(class.id, class);
    }

    /// Returns the newest version of a name.
    pub(crate) fn current(&self, name: &str) -> Option<&Arc<Class>> {
        self.by_id.get(self.current.get(name)?)
    }

    /// Returns the newest version of a name, or an error that lists the known names.
    pub(crate) fn known(&self, name: &str) -> Result<&Arc<Class>> {
        self.current(name).ok_or_else(|| {
            Error::invalid(format!("unknown class {name:?}; known are: {}", self.names().join(", ")))
        })
    }

    /// Closes classes down by name. A closed class takes no registrations.
    pub(crate) fn close(&mut self, names: &[String]) {
        self.closed.extend(names.iter().cloned());
    }

    pub(crate) fn closed(&self) -> &BTreeSet<String> {
        &self.closed
    }

    pub(crate) fn is_closed(&self, name: &str) -> bool {
        self.closed.contains(name)
    }

    /// Refuses a name that was closed down.
    pub(crate) fn check_open(&self, name: &str) -> Result<()> {
        if self.is_closed(name) {
            return Err(Error::invalid(format!("class {name:?} was closed down and takes no registrations")));
        }
        Ok(())
    }

    pub(crate) fn by_id(&self, id: ClassId) -> Result<&Arc<Class>> {
        self.by_id.get(&id).ok_or_else(|| {
            Error::corrupt(format!("class {id} is not known; see Backups in docs/operations.md"))
        })
    }

    /// Iterates over all versions, in ascending order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Class>> {
        self.by_id.values()
    }

    /// Returns the ids of all versions of a name.
    pub(crate) fn versions_of(&self, name: &str) -> Vec<ClassId> {
        self.iter().filter(|class| class.definition.name == name).map(|class| class.id).collect()
    }

    /// Returns the highest id in use; 0 if there is none.
    pub(crate) fn last_id(&self) -> ClassId {
        self.by_id.last_key_value().map_or(0, |(id, _)| *id)
    }

    /// Returns the names of all classes, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.current.keys().map(String::as_str).collect()
    }
}
