//! Definition of classes: each new class version gets a log entry and a wheel in every shard.

use crate::model::class::{Class, ClassSet, Definition};
use crate::model::schema::{self, RegisteredTotals};
use crate::platform::error::{Error, Result};
use crate::platform::kv::ColumnFamily;
use crate::state::core::Core;
use sexton_proof::leaf::Leaf;
use sexton_proof::time::Timestamp;
use std::sync::Arc;

/// Defines each class of `classes` that is new or differs from its current version.
///
/// # Errors
/// `Invalid` if a class changes its `find` rule while objects live in it, or cannot be logged; `Poisoned`, `Full`,
/// `Io`.
pub(crate) fn define_classes(core: &Core, classes: &ClassSet, now: Timestamp) -> Result<()> {
    for definition in changed(core, classes) {
        let current = core.classes.read().current(&definition.name).cloned();
        if let Some(class) = current {
            check_find_rule(core, &class, definition)?;
        }
        define_version(core, definition, now)?;
    }
    Ok(())
}

/// Returns those of `classes` that are new or differ from their current version.
pub(crate) fn changed<'a>(core: &Core, classes: &'a ClassSet) -> Vec<&'a Definition> {
    let known = core.classes.read();
    let differs = |d: &&Definition| known.current(&d.name).is_none_or(|class| class.definition != **d);
    classes.iter().filter(differs).collect()
}

/// Refuses a change of the `find` rule while objects live that were registered under the present one.
///
/// Objects registered with `find = "none"` are not in the key index, so a newer registration could not replace them.
/// Objects registered with `find = "key"` would no longer be looked up.
fn check_find_rule(core: &Core, class: &Class, definition: &Definition) -> Result<()> {
    let (was, is) = (class.definition.find.name(), definition.find.name());
    if was == is {
        return Ok(());
    }
    let versions = core.classes.read().versions_of(&definition.name);
    let mut live = 0_u64;
    core.schedule.each_page(&mut |page, found| {
        live += if versions.contains(&page.class) { u64::from(found.live()) } else { 0 };
    });
    if live == 0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "class \"{}\" has find = \"{was}\" and {live} live objects; find = \"{is}\" needs a class of another name",
        definition.name
    )))
}

/// Adds a class version: its log entry and its record.
///
/// The ledger's lock is held throughout, so no other thread appends to the log or gives the same id to another class.
fn define_version(core: &Core, definition: &Definition, now: Timestamp) -> Result<()> {
    let mut ledger = core.transparency.ledger.lock();
    let (id, version) = {
        let classes = core.classes.read();
        (classes.last_id() + 1, classes.current(&definition.name).map_or(1, |class| class.version + 1))
    };
    let logged = ledger.log.next_logged(now);
    let leaf = definition.leaf(id, version, logged);
    let entry = Leaf::Class(leaf.clone())
        .encode()
        .map_err(|e| Error::invalid(format!("class \"{}\" cannot be logged: {e}", definition.name)))?;
    let index = ledger.append_durably(&core.writer, entry.as_bytes(), logged, |set, index| {
        let record = schema::ClassRecord { leaf: index, local: definition.local() };
        set.put(ColumnFamily::Meta, &schema::class_key(id), &record.encode());
        Ok(())
    })?;
    let class = Arc::new(Class::new(&leaf, index, entry.into_bytes(), definition.local())?);
    for shard in 0..core.schedule.shards() {
        core.schedule.lock(shard).add_class(&class, now, 0, RegisteredTotals::default());
    }
    core.classes.write().add(class);
    Ok(())
}
