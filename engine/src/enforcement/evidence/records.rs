//! Records of a batch's rows: the hot path of enforcement, run on all cores.

use super::fates::{Fate, Fates};
use super::seal;
use super::summary::Summary;
use crate::model::schema::Row;
use crate::platform::error::{Error, Result};
use crate::registration::commitment::descriptor_of;
use crate::state::batch::{Batch, PlannedRow};
use crate::state::core::Core;
use crate::state::keyring::Key;
use sexton_proof::commitment::sealing::Texts;
use sexton_proof::commitment::{self, Blinded};
use sexton_proof::leaf::Openings;
use sexton_proof::record::{Carry, RECORD_BYTES, ResultRecord, Tombstone};

/// Rows of a batch that one task works on. Their records fit a core's own cache.
const TASK_ROWS: usize = 1_024;

/// Records that one task made of its rows.
#[derive(Default)]
pub(super) struct TaskRecords {
    pub(super) tombstones: Vec<u8>,
    pub(super) carries: Vec<u8>,
    pub(super) results: Vec<u8>,
    pub(super) openings: Texts,
    pub(super) summary: Summary,
}

/// Makes the records of all rows, in the order of the rows.
pub(super) fn make_records(core: &Core, batch: &Batch, fates: &Fates) -> Result<Vec<TaskRecords>> {
    let keys: Vec<Key> = batch
        .intent
        .pages
        .iter()
        .map(|page| core.secrets.keyring.get_or_create(batch.class.id, page.page.slot))
        .collect::<Result<_>>()?;
    // The rows of one task are hashed together, and so under one key.
    let of_one_key = |a: &PlannedRow, b: &PlannedRow| keys[a.page as usize] == keys[b.page as usize];
    let tasks = batch.rows.chunk_by(of_one_key).flat_map(|run| run.chunks(TASK_ROWS));
    let tasks: Vec<(usize, &[PlannedRow])> = tasks
        .scan(0, |next, rows| {
            let first = std::mem::replace(next, *next + rows.len());
            Some((first, rows))
        })
        .collect();
    core.pool.map(tasks, |_, (first, rows)| {
        let k = rows.first().map(|row| &keys[row.page as usize]);
        k.map_or(Ok(TaskRecords::default()), |k| make_task_records(core, batch, first, rows, fates, k))
    })
}

/// Makes the records of rows that are blinded under the key `k`. `first` is the index of the first one in the batch.
fn make_task_records(
    core: &Core,
    batch: &Batch,
    first: usize,
    planned: &[PlannedRow],
    fates: &Fates,
    k: &Key,
) -> Result<TaskRecords> {
    let class = &batch.class;
    let rows: Vec<Row<'_>> = planned.iter().map(|planned| batch.row(planned)).collect();
    let descriptors =
        planned.iter().zip(&rows).map(|(planned, row)| descriptor_of(core, class, batch.id(planned), row));
    let blinded = commitment::commit_each(k, descriptors.clone());
    let mut made = TaskRecords::default();
    made.tombstones.reserve(planned.len() * RECORD_BYTES);
    if class.definition.openings == Openings::Operator {
        made.openings.reserve(planned.len());
    }
    for (index, ((planned, row), (descriptor, blinded))) in
        (first..).zip(planned.iter().zip(&rows).zip(descriptors.zip(blinded)))
    {
        let Blinded { r, commitment } = blinded;
        let commitment = row.moved_commitment().unwrap_or(commitment);
        let (page, seq) = (planned.page, planned.seq);
        let in_bounds = made.summary.add(row, fates.of[index]);
        match fates.of[index] {
            Fate::Ends { method, time } => {
                let reason = row.end_reason();
                let record = Tombstone { page, seq, commitment, time, reason, method, in_bounds };
                made.tombstones.extend_from_slice(&record.to_bytes());
                let result = fates.results.get(&index);
                if let Some(digest) = result {
                    let record = ResultRecord { page, seq, commitment: commitment::result(&r, digest) };
                    made.results.extend_from_slice(&record.to_bytes());
                }
                if class.definition.openings == Openings::Operator {
                    seal::push(&mut made.openings, &descriptor, result.map(Vec::as_slice));
                }
            }
            Fate::Carried { cause, time } => {
                let to = fates.to.get(&index).copied();
                let to = to.ok_or_else(|| {
                    Error::internal(format!("carried registration {} has no destination", descriptor.id))
                })?;
                let record = Carry { page, seq, commitment, time, cause, to };
                made.carries.extend_from_slice(&record.to_bytes());
            }
        }
    }
    seal::seal(&mut made.openings, k);
    Ok(made)
}
