//! What becomes of each row of a batch.

use crate::batch::{Batch, Planned, PlannedRow};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::plan;
use crate::schema::Mark;
use crate::store::Answer;
use sexton_proof::id::{DIGEST_MAX_BYTES, RegistrationId};
use sexton_proof::leaf::Disposition;
use sexton_proof::record::{Cause, Method};
use std::collections::BTreeMap;

/// What a store answered for one object, and when.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer.
    pub answer: Answer,
    /// When it was known, Unix ms.
    pub at_ms: i64,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Ends { method: Method, time_ms: i64 },
    LivesOn { cause: Cause, time_ms: i64 },
}

/// Whether a carry of this cause says that the registration had moved before its page settled; otherwise the batch
/// parked it.
pub(super) fn is_move(cause: Cause) -> bool {
    match cause {
        Cause::Failed | Cause::Refused | Cause::Changed | Cause::Floor | Cause::Held => false,
        Cause::Started
        | Cause::Tightened
        | Cause::Loosened
        | Cause::Erasure
        | Cause::Closed
        | Cause::Lifted
        | Cause::Released => true,
    }
}

/// What becomes of the rows of a batch, in their order.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    pub(crate) of: Vec<Fate>,
    /// Where what lives on does so, by the row's place in the batch. What has no entry is parked in a page reserved for it.
    pub(crate) to: BTreeMap<usize, RegistrationId>,
    /// Digests of what the store wrote in the place of anonymised objects, by the row's place in the batch.
    pub(crate) results: BTreeMap<usize, Vec<u8>>,
}

impl Fate {
    pub(super) fn time_ms(self) -> i64 {
        match self {
            Fate::Ends { time_ms, .. } | Fate::LivesOn { time_ms, .. } => time_ms,
        }
    }
}

/// The fates of a batch's rows after the store has answered.
pub(crate) fn fates(core: &Core, batch: &Batch, outcomes: &[Outcome], now_ms: i64) -> Result<Fates> {
    let complete = outcomes.len() == batch.len();
    if !complete {
        tracing::warn!(
            batch = batch.number(),
            expected = batch.len(),
            given = outcomes.len(),
            "a wrong number of outcomes: all count as failed"
        );
    }
    let mut answers = outcomes.iter();
    let mut fates = Fates { of: Vec::with_capacity(batch.rows.len()), ..Fates::default() };
    // A deletion is never later than its report, nor earlier than its plan, whatever a host or a clock says.
    let known = |at_ms: i64| at_ms.min(now_ms).max(batch.intent.started_ms);
    let lives_on = |cause, time_ms| Fate::LivesOn { cause, time_ms };
    for (at, row) in batch.rows.iter().enumerate() {
        let time_ms = known(now_ms);
        fates.of.push(match row.plan {
            Planned::Moved => {
                let (cause, to) = moved(batch, row)?;
                fates.to.insert(at, to);
                lives_on(cause, time_ms)
            }
            Planned::Replaced => Fate::Ends { method: Method::Replaced, time_ms },
            Planned::Released => Fate::Ends { method: Method::Released, time_ms },
            Planned::Held { .. } => lives_on(Cause::Held, time_ms),
            Planned::BeforeFloor => lives_on(Cause::Floor, time_ms),
            Planned::Delete => match answers.next().filter(|_| complete) {
                Some(outcome) => {
                    if let Answer::Anonymised(digest) = &outcome.answer {
                        fates.results.insert(at, digest.to_vec());
                    }
                    answered(core, batch, row, &outcome.answer, known(outcome.at_ms))?
                }
                None => lives_on(Cause::Failed, time_ms),
            },
        });
    }
    // What was not taken for an anonymised object has no result.
    fates.results.retain(|at, _| matches!(fates.of[*at], Fate::Ends { method: Method::Anonymised, .. }));
    Ok(fates)
}

/// Where a row went that has moved, and why.
fn moved(batch: &Batch, row: &PlannedRow) -> Result<(Cause, RegistrationId)> {
    match batch.marks.get(&batch.id(row)) {
        Some(Mark::Moved { cause, to }) => Ok((*cause, *to)),
        _ => Err(Error::internal(format!("registration {} moved, and no mark says where", batch.id(row)))),
    }
}

fn answered(core: &Core, batch: &Batch, row: &PlannedRow, answer: &Answer, time_ms: i64) -> Result<Fate> {
    let complain = |what: &str, why: &str| {
        tracing::warn!(id = %batch.id(row), class = batch.class(), why, "the object was not deleted: {what}");
    };
    let ended = |method| Fate::Ends { method, time_ms };
    let parked = |cause| Fate::LivesOn { cause, time_ms };
    let anonymises = batch.class.definition.disposition == Disposition::Anonymise;
    Ok(match answer {
        Answer::Deleted => ended(Method::Deleted),
        Answer::Anonymised(digest) if anonymises && digest.len() <= DIGEST_MAX_BYTES => {
            ended(Method::Anonymised)
        }
        Answer::Anonymised(digest) => {
            let why = match anonymises {
                true => format!(
                    "a result digest of {} bytes; at most {DIGEST_MAX_BYTES} are allowed",
                    digest.len()
                ),
                false => "it was to be deleted, and was rewritten".into(),
            };
            complain("the answer does not fit its class", &why);
            parked(Cause::Failed)
        }
        Answer::Absent if batch.is_again() || batch.row(row).maybe_deleted() => {
            ended(Method::AbsentAfterIntent)
        }
        Answer::Absent => ended(Method::Absent),
        // Registered anew while the batch was out: the newer registration answers for what is stored now.
        Answer::Changed if plan::is_replaced(core, batch.id(row))? => ended(Method::Replaced),
        Answer::Changed => {
            complain("what is stored there is not what was registered", "changed");
            parked(Cause::Changed)
        }
        Answer::Refused(why) => {
            complain("the store refused", why);
            parked(Cause::Refused)
        }
        Answer::Failed(why) => {
            complain("the store failed", why);
            parked(Cause::Failed)
        }
    })
}
