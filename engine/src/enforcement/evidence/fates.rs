//! Fates: the outcome of each row of a batch.

use crate::model::schema::Mark;
use crate::platform::error::{Error, Result};
use crate::platform::store::Answer;
use crate::state::batch::{Answered, Batch, Planned, PlannedRow};
use crate::state::core::Core;
use crate::state::failures::Failure;
use crate::state::marks;
use sexton_proof::id::{DIGEST_MAX_BYTES, RegistrationId};
use sexton_proof::leaf::Disposition;
use sexton_proof::record::{Cause, Method};
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;

/// Fate of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// End of the registration, with a tombstone.
    Ends { method: Method, time: Timestamp },
    /// Registration that lives on in another page.
    Carried { cause: Cause, time: Timestamp },
}

/// Fates of the rows of a batch. All indices are those of rows in the batch.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    /// Fate of each row, in their order.
    pub(crate) of: Vec<Fate>,
    /// New ids of carried rows, by index. A carried row without an entry is parked in a page reserved for it.
    pub(crate) to: BTreeMap<usize, RegistrationId>,
    /// Digests of the content that replaced anonymised objects, by index.
    pub(crate) results: BTreeMap<usize, Vec<u8>>,
}

impl Fate {
    pub(super) fn time(self) -> Timestamp {
        match self {
            Fate::Ends { time, .. } | Fate::Carried { time, .. } => time,
        }
    }
}

/// Decides the fates of a batch's rows from the answers for its objects. An object without an answer counts as failed.
pub(crate) fn fates(core: &Core, batch: &mut Batch, now: Timestamp) -> Result<Fates> {
    let mut answers = batch.take_answers();
    let batch = &*batch;
    let mut unanswered = 0_u32;
    let mut fates = Fates { of: Vec::with_capacity(batch.rows.len()), ..Fates::default() };
    // A deletion is never later than its report or earlier than its batch. An instant of the host is clamped to that.
    let bounded = |at: Timestamp| at.min(now).max(batch.intent.started);
    let carried = |cause, time| Fate::Carried { cause, time };
    for (index, row) in batch.rows.iter().enumerate() {
        let time = bounded(now);
        fates.of.push(match row.plan {
            Planned::Moved => {
                let (cause, to) = move_of(batch, row)?;
                fates.to.insert(index, to);
                carried(cause, time)
            }
            Planned::Replaced => Fate::Ends { method: Method::Replaced, time },
            Planned::Released => Fate::Ends { method: Method::Released, time },
            Planned::Held { .. } => carried(Cause::Held, time),
            Planned::BeforeFloor => carried(Cause::Floor, time),
            Planned::Delete => match answers.next().flatten() {
                Some(Answered { answer, at }) => {
                    if let Answer::Anonymised(digest) = &answer {
                        fates.results.insert(index, digest.to_vec());
                    }
                    fate_of_answer(core, batch, row, &answer, bounded(at))?
                }
                None => {
                    unanswered += 1;
                    note_failure(core, batch, row, (Cause::Failed, "the store gave no answer"), time);
                    carried(Cause::Failed, time)
                }
            },
        });
    }
    if unanswered > 0 {
        let (batch, objects) = (batch.number(), batch.len());
        tracing::warn!(
            batch,
            objects,
            unanswered,
            "objects without an answer count as failed and are tried again"
        );
    }
    // Only an object that counts as anonymised has a result.
    fates
        .results
        .retain(|index, _| matches!(fates.of[*index], Fate::Ends { method: Method::Anonymised, .. }));
    Ok(fates)
}

/// Returns the cause and the new id of a row that moved before its page settled.
fn move_of(batch: &Batch, row: &PlannedRow) -> Result<(Cause, RegistrationId)> {
    match batch.marks.get(&batch.id(row)) {
        Some(Mark::Moved { cause, to }) => Ok((*cause, *to)),
        _ => Err(Error::internal(format!("registration {} moved, and no mark says where", batch.id(row)))),
    }
}

/// Decides the fate of a row that the store was asked to delete.
fn fate_of_answer(
    core: &Core,
    batch: &Batch,
    row: &PlannedRow,
    answer: &Answer,
    time: Timestamp,
) -> Result<Fate> {
    let ended = |method| Fate::Ends { method, time };
    let parked = |cause: Cause, why: &str| {
        // The program log outlives the object, and reasons may name keys.
        tracing::warn!(id = %batch.id(row), class = batch.class(), result = cause.name(), "an object was not deleted");
        note_failure(core, batch, row, (cause, why), time);
        Fate::Carried { cause, time }
    };
    Ok(match answer {
        Answer::Deleted => ended(Method::Deleted),
        Answer::Anonymised(_) => match check_answer(answer, batch.disposition()) {
            Ok(()) => ended(Method::Anonymised),
            Err(why) => parked(Cause::Failed, &why),
        },
        Answer::Absent if batch.is_repeated() || batch.row(row).maybe_deleted() => {
            ended(Method::AbsentAfterIntent)
        }
        Answer::Absent => ended(Method::Absent),
        // After an earlier attempt as well: the store does not know which of the two requests found the object.
        Answer::Requested => ended(Method::Requested),
        // The key was registered again while the batch was in flight. The newer registration covers the stored object.
        Answer::Changed if marks::is_replaced(&*core.kv, batch.id(row))? => ended(Method::Replaced),
        Answer::Changed => parked(Cause::Changed, "another object is stored under the key"),
        Answer::Refused(why) => parked(Cause::Refused, why),
        Answer::Failed(why) => parked(Cause::Failed, why),
    })
}

/// Keeps the cause and the reason of a failure for operators.
fn note_failure(core: &Core, batch: &Batch, row: &PlannedRow, (cause, why): (Cause, &str), at: Timestamp) {
    let (id, class, key) = (batch.id(row), batch.class().to_owned(), batch.row(row).key.to_vec());
    core.failures.add(Failure { id, class, key, cause, why: why.to_owned(), at });
}

/// Checks that an answer fits the disposition of its class, and that a result digest is within its bound.
///
/// # Errors
/// The reason in words.
pub(crate) fn check_answer(answer: &Answer, disposition: Disposition) -> std::result::Result<(), String> {
    let Answer::Anonymised(digest) = answer else { return Ok(()) };
    if disposition != Disposition::Anonymise {
        return Err("the class deletes, but the store answered Anonymised".into());
    }
    if digest.len() > DIGEST_MAX_BYTES {
        return Err(format!(
            "a result digest of {} bytes; at most {DIGEST_MAX_BYTES} are allowed",
            digest.len()
        ));
    }
    Ok(())
}
