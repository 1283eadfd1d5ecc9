//! Deletion of a sub-batch.
//!
//! 1. The versioning of the bucket is read. If the bucket is missing, or the server does not say, nothing is deleted.
//! 2. Objects with a VersionId, and delete markers, go by bulk deletions of [`BULK_OBJECTS`](crate::BULK_OBJECTS) that name it.
//!    Keys that an XML document cannot carry go one by one. With `confirm` the store looks for each object first.
//! 3. Objects without a VersionId are looked at, and deleted one by one under a condition.
//! 4. Multipart uploads are aborted.
//! 5. If an object was absent, the bucket is looked at again. An object of a missing bucket is not absent.

mod bulk;
mod look;
mod null;
mod upload;

use crate::key;
use crate::shared::Shared;
use crate::state::Versioning;
use crate::trouble::Trouble;
use crate::version::Version;
use sexton::store::{Answer, Disposition, SubBatch};
use std::future::Future;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Object to be deleted.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Position in the sub-batch.
    index: usize,
    key: String,
    version: Version,
}

/// Answers, each with the position of its object.
type Answers = Vec<(usize, Answer)>;

/// Decodes the objects of a sub-batch. Those that cannot be of a bucket are answered.
pub(crate) fn decode(sub_batch: &SubBatch<'_>) -> (Vec<Item>, Answers) {
    let (mut items, mut answers) = (Vec::new(), Vec::new());
    for (index, object) in sub_batch.objects.iter().enumerate() {
        let failed = |why: String| (index, Answer::Failed(why.into()));
        if sub_batch.disposition != Disposition::Delete {
            answers.push(failed(
                "a bucket's objects can be deleted, not anonymised; give the class no `anonymise`".into(),
            ));
            continue;
        }
        match (key::text(object.key), Version::decode(object.version)) {
            (Ok(key), Ok(version)) => items.push(Item { index, key: key.to_owned(), version }),
            (Err(why), _) => answers.push(failed(why.into())),
            (_, Err(error)) => {
                answers.push(failed(format!(
                    "the object was not registered from a bucket: {error}; release it"
                )));
            }
        }
    }
    (items, answers)
}

/// Deletes objects, and returns an answer for each.
pub(crate) async fn delete(shared: Arc<Shared>, items: Vec<Item>) -> Answers {
    let indices: Vec<usize> = items.iter().map(|item| item.index).collect();
    let all = |answer: &Answer| indices.iter().map(|index| (*index, answer.clone())).collect();
    let versioning = match shared.caller.versioning().await {
        Ok(versioning) => versioning,
        Err(trouble) => return all(&trouble.into_answer("the state of the bucket is not known")),
    };
    let (mut named, mut nulls, mut uploads) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        match item.version {
            Version::Object(_) | Version::Marker(_) => named.push(item),
            Version::Unversioned { .. } | Version::NullMarker { .. } => nulls.push(item),
            Version::Upload(_) => uploads.push(item),
        }
    }
    let has_nulls = !nulls.is_empty();
    let (mut answers, of_nulls, of_uploads) = tokio::join!(
        bulk::delete(shared.clone(), named),
        null::delete(shared.clone(), versioning, nulls),
        upload::abort(shared.clone(), uploads),
    );
    let null_indices: Vec<usize> = of_nulls.iter().map(|(index, _)| *index).collect();
    answers.extend(of_nulls);
    answers.extend(of_uploads);
    if has_nulls || answers.iter().any(|(_, answer)| *answer == Answer::Absent) {
        let after = shared.caller.versioning().await;
        for (index, answer) in &mut answers {
            check_again(answer, versioning, &after, null_indices.contains(index));
        }
    }
    answers
}

/// Takes back what an answer says too much, now that the state of the bucket after the deletion is known.
fn check_again(answer: &mut Answer, before: Versioning, after: &Result<Versioning, Trouble>, is_null: bool) {
    match (&*answer, after) {
        // A bucket must be empty to go. But a missing one may also be one of another account, or of another server.
        (Answer::Absent, Err(trouble)) => {
            *answer = trouble
                .clone()
                .into_answer("the object was not found, and the state of the bucket is not known");
        }
        // Without a condition only versioning keeps another object from taking the place of the registered one.
        (Answer::Deleted, after)
            if is_null && before == Versioning::Enabled && *after != Ok(Versioning::Enabled) =>
        {
            *answer = Answer::Requested;
        }
        _ => {}
    }
}

/// Runs a task for each item, all at the same time, and collects their results. A task that panicked has none, so its object
/// counts as unanswered.
async fn each<I, T, F, R>(items: I, task: F) -> Vec<T>
where
    I: IntoIterator,
    T: Send + 'static,
    F: Fn(I::Item) -> R,
    R: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for item in items {
        tasks.spawn(task(item));
    }
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(result) = tasks.join_next().await {
        results.extend(result);
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_object_of_a_missing_bucket_counts_as_failed() {
        let mut answer = Answer::Absent;
        check_again(&mut answer, Versioning::Enabled, &Err(Trouble::NoBucket), false);
        assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
        let mut answer = Answer::Absent;
        check_again(&mut answer, Versioning::Enabled, &Ok(Versioning::Suspended), false);
        assert_eq!(answer, Answer::Absent);
    }

    #[test]
    fn deletion_without_a_condition_is_doubted_if_versioning_ended() {
        let after = |before, after: Result<Versioning, Trouble>, is_null| {
            let mut answer = Answer::Deleted;
            check_again(&mut answer, before, &after, is_null);
            answer
        };
        use Versioning::{Enabled, Off, Suspended};
        assert_eq!(after(Enabled, Ok(Suspended), true), Answer::Requested);
        assert_eq!(after(Enabled, Err(Trouble::NoBucket), true), Answer::Requested);
        assert_eq!(after(Enabled, Ok(Enabled), true), Answer::Deleted);
        assert_eq!(after(Enabled, Ok(Suspended), false), Answer::Deleted);
        assert_eq!(after(Off, Ok(Enabled), true), Answer::Deleted);
    }
}
