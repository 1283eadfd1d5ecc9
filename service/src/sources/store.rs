//! Deletion from the roots of all sources.

use super::place::Place;
use parking_lot::Mutex;
use sexton::store::{Answer, StoredObject, SubBatch};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait between two looks at the clock and at the end of the service.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Calls that wait for the limit of a source.
///
/// A call blocks a thread that deletes. At least one thread has to stay free for other sources, so a call that finds too
/// many waiting answers that the rest of its objects failed, and the engine asks again.
pub(super) struct Patience {
    waiting: Mutex<usize>,
    max: usize,
}

/// Turn of a call to wait. Dropping it ends the turn.
struct Turn<'p>(&'p Patience);

impl Patience {
    /// Creates the patience of a number of threads that delete.
    pub(super) fn of_threads(threads: usize) -> Self {
        Patience { waiting: Mutex::new(0), max: threads.saturating_sub(1) }
    }

    /// Returns the number of calls that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        *self.waiting.lock()
    }

    fn turn(&self, is_only_source: bool) -> Option<Turn<'_>> {
        let mut waiting = self.waiting.lock();
        if *waiting >= self.max && !is_only_source {
            return None;
        }
        *waiting += 1;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.waiting.lock() -= 1;
    }
}

/// Deletes the objects of a sub-batch, each from the root of its source.
pub(super) fn delete(
    sources: &[Arc<dyn Place>],
    patience: &Patience,
    sub_batch: &SubBatch<'_>,
) -> Vec<Answer> {
    let mut answers: Vec<Answer> = vec![Answer::Failed(NO_SOURCE.into()); sub_batch.objects.len()];
    let mut of_source: Vec<Vec<usize>> = vec![Vec::new(); sources.len()];
    for (index, object) in sub_batch.objects.iter().enumerate() {
        if let Some(indices) = find(sources, object.key).and_then(|source| of_source.get_mut(source)) {
            indices.push(index);
        }
    }
    let mut work: Vec<(&Arc<dyn Place>, Vec<usize>)> = sources.iter().zip(of_source).collect();
    // A source that waits for its limit comes last.
    work.sort_by_key(|(source, _)| source.journal().limit.is_some());
    for (source, indices) in work.iter().filter(|(_, indices)| !indices.is_empty()) {
        let given = delete_of(&***source, patience, sources.len() == 1, sub_batch, indices);
        for (index, answer) in indices.iter().zip(given) {
            if let Some(slot) = answers.get_mut(*index) {
                *slot = answer;
            }
        }
    }
    answers
}

const NO_SOURCE: &str =
    "no source of the configuration has this key; put the source back, or release the object if it is gone";

/// Returns the position of the source whose prefix begins a key.
fn find(sources: &[Arc<dyn Place>], key: &[u8]) -> Option<usize> {
    let prefix = |source: &Arc<dyn Place>| source.journal().prefix().len();
    let begins = |source: &Arc<dyn Place>| key.starts_with(source.journal().prefix().as_bytes());
    let all = sources.iter().enumerate().filter(|(_, source)| begins(source));
    all.max_by_key(|(_, source)| prefix(source)).map(|(number, _)| number)
}

fn delete_of(
    place: &dyn Place,
    patience: &Patience,
    is_only_source: bool,
    sub_batch: &SubBatch<'_>,
    indices: &[usize],
) -> Vec<Answer> {
    let source = place.journal();
    let store = match place.open() {
        Ok(store) => store,
        Err(trouble) => {
            let why = format!("the source {:?} does not work: {}", source.name(), trouble.why());
            source.set_trouble(Some(trouble));
            source.wake();
            source.tally.add_not_working(indices.len());
            return vec![Answer::Failed(why.into()); indices.len()];
        }
    };
    let prefix = source.prefix().len();
    let objects: Vec<StoredObject<'_>> = indices
        .iter()
        .filter_map(|index| sub_batch.objects.get(*index))
        .map(|object| StoredObject { key: object.key.get(prefix..).unwrap_or_default(), ..*object })
        .collect();
    let mut answers = Vec::with_capacity(objects.len());
    let mut turn = None;
    while let Some(rest) = objects.get(answers.len()..).filter(|rest| !rest.is_empty()) {
        let now = source.shared.clock.monotonic();
        let (taken, wait) = match &source.limit {
            None => (rest.len(), Duration::ZERO),
            Some(limit) => {
                let mut limit = limit.lock();
                (limit.take(rest.len(), now), limit.wait(rest.len()))
            }
        };
        if taken > 0 {
            let part = rest.get(..taken).unwrap_or(rest);
            let given = store.delete(&SubBatch { objects: part, ..*sub_batch });
            source.tally.add_answers(&given);
            answers.extend(given);
            continue;
        }
        turn = turn.or_else(|| patience.turn(is_only_source));
        if turn.is_none() || source.is_stopped() {
            let why = format!(
                "the source {:?} is at its limit of deletions in a second; the engine asks again",
                source.name()
            );
            source.tally.add_put_off(rest.len());
            answers.resize(objects.len(), Answer::Failed(why.into()));
            break;
        }
        let _waiting = source.tally.wait(rest.len());
        std::thread::sleep(wait.clamp(Duration::from_millis(1), WAIT_MAX));
    }
    place.tidy(&objects, &answers);
    answers
}
