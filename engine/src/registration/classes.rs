//! Definition of classes: each new class version gets a log entry and a wheel in every shard.

use crate::model::class::{Class, ClassSet, Definition};
use crate::model::schema::{self, RegisteredTotals};
use crate::model::text::{Attribution, Decided};
use crate::platform::error::{Error, Result};
use crate::platform::kv::ColumnFamily;
use crate::state::core::Core;
use sexton_proof::leaf::Leaf;
use sexton_proof::time::Timestamp;
use std::sync::Arc;

/// Defines each class of `classes` that is new or differs from its current version. A decision of an operator is on
/// record with each of them.
///
/// # Errors
/// `Invalid` if a class changes its `find` rule while objects live in it, or cannot be logged; `Poisoned`, `Full`,
/// `Io`.
pub(crate) fn define_classes(
    core: &Core,
    classes: &ClassSet,
    attribution: Option<&Attribution>,
) -> Result<()> {
    let gate = core.classes.closing.read();
    let now = core.now(&*gate).now;
    let decided = attribution.map(|attribution| Decided { at: now, attribution: attribution.clone() });
    for definition in changed(core, classes) {
        let current = core.classes.read().current(&definition.name).cloned();
        if let Some(class) = current {
            check_find_rule(core, &class, definition)?;
        }
        define_version(core, definition, decided.as_ref(), now)?;
    }
    drop(gate);
    Ok(())
}

/// Returns the decision to define the current version of a class; `None` if it was defined without one.
pub(crate) fn decision(core: &Core, name: &str) -> Result<Option<Decided>> {
    let id = core.classes.read().known(name)?.id;
    let stored = core.kv.get(ColumnFamily::Meta, &schema::class_decision_key(id))?;
    stored.map(|bytes| schema::from_json("the decision to define a class", &bytes)).transpose()
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
fn define_version(
    core: &Core,
    definition: &Definition,
    decided: Option<&Decided>,
    now: Timestamp,
) -> Result<()> {
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
        if let Some(decided) = decided {
            set.put(ColumnFamily::Meta, &schema::class_decision_key(id), &schema::to_json(decided)?);
        }
        Ok(())
    })?;
    let class = Arc::new(Class::new(&leaf, index, entry.into_bytes(), definition.local())?);
    for shard in 0..core.schedule.shards() {
        core.schedule.lock(shard).add_class(&class, now, 0, RegisteredTotals::default());
    }
    core.classes.write().add(class);
    Ok(())
}
