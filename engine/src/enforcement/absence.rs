//! Doubt about absent objects: a store that suddenly has none of them may be the wrong one, or a disk that is not mounted.

use crate::enforcement::evidence::{Fate, Fates};
use crate::governance::alarms;
use crate::model::alarm::AlarmCause;
use crate::platform::error::Result;
use crate::state::batch::Batch;
use crate::state::core::Core;
use sexton_proof::record::{Cause, Method};
use std::time::Duration;

/// Fewest objects of a batch whose absence is doubted.
const OBJECTS_MIN: usize = 100;
/// Share of absent objects from which on they are doubted, of those whose answer says if they were there.
const SHARE_PERCENT: usize = 90;
/// Span for which an operator's acceptance of absent objects counts.
const ACCEPTED_FOR: Duration = Duration::from_hours(24);

/// Keeps the absent objects of a batch if nearly all of them are absent, and raises an alarm before anything is committed.
///
/// Objects that the store was only asked to delete do not count, because they may have been there. Nor do objects that an
/// earlier attempt of the engine may have deleted, and classes whose host deletes the objects. The kept objects are carried
/// as refused: no attempt of the engine has deleted them. The alarm is durable before the carries are. A crash in between
/// loses nothing: the batch comes again.
pub(crate) fn doubt(core: &Core, batch: &Batch, fates: &mut Fates) -> Result<()> {
    let (definition, asked) = (&batch.class.definition, batch.len());
    let is_absent = |fate: &Fate| matches!(fate, Fate::Ends { method: Method::Absent, .. });
    let was_there = |fate: &Fate| match *fate {
        Fate::Ends { method, .. } => matches!(method, Method::Deleted | Method::Anonymised),
        Fate::Carried { cause, .. } => cause == Cause::Changed,
    };
    let absent = fates.of.iter().filter(|fate| is_absent(fate)).count();
    let there = fates.of.iter().filter(|fate| was_there(fate)).count();
    let is_rare =
        absent * 100 < OBJECTS_MIN * SHARE_PERCENT || absent * 100 < (absent + there) * SHARE_PERCENT;
    if definition.host_deletes || asked < OBJECTS_MIN || is_rare {
        return Ok(());
    }
    let class = &definition.name;
    let planner = core.batches.planner.lock();
    let now = core.now(&*planner).now;
    let accepted = planner.absence_accepted.get(class);
    if accepted.is_some_and(|at| *at <= now && now.since(*at) < ACCEPTED_FOR) {
        return Ok(());
    }
    let message = format!(
        "class \"{class}\": {absent} of {asked} objects of a batch are absent, and nothing is on record that deleted them: \
         nothing of the class is deleted. See that the store is the right one and is there (a disk that is not mounted?), \
         then resume. If the host deletes the objects itself, say host_deletes = true in the class"
    );
    alarms::raise(core, AlarmCause::Absent { class: class.clone() }, message, now)?;
    drop(planner);
    for fate in fates.of.iter_mut().filter(|fate| is_absent(fate)) {
        if let Fate::Ends { time, .. } = *fate {
            *fate = Fate::Carried { cause: Cause::Refused, time };
        }
    }
    Ok(())
}
