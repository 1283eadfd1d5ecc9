//! Objects and delete markers without a VersionId of their own.
//!
//! Another object may take their place at any time, unless versioning is enabled. So the store looks at the object, compares
//! ETag and last modification, and then deletes it under a condition that its server was seen to check.
//!
//! `If-Match` compares the ETag only, which is often the MD5 of the content. If the same content is stored again between the
//! look and the deletion, the newer object goes. Where the server checks the last modification too, both are compared.

use super::{Answers, Item, each};
use crate::probe::{Conditions, NullDeletion};
use crate::shared::Shared;
use crate::state::Versioning;
use crate::trouble::Trouble;
use crate::version::{NULL, Version};
use aws_sdk_s3::operation::delete_object::DeleteObjectOutput;
use sexton::store::Answer;
use std::sync::Arc;

const UNSAFE: &str = "the server does not check conditions of a deletion, and another object could take the place of this one; \
                      enable versioning, or set unsafe_unversioned";

/// How a deletion is kept from meeting another object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Versioning is enabled, so nothing is overwritten.
    Versioning,
    /// The server checks conditions.
    Conditions(Conditions),
    /// Nothing does. The host allowed that.
    Nothing,
}

/// Deletes objects without a VersionId of their own.
pub(super) async fn delete(shared: Arc<Shared>, versioning: Versioning, items: Vec<Item>) -> Answers {
    if items.is_empty() {
        return Vec::new();
    }
    let guard = match versioning {
        Versioning::Enabled => Guard::Versioning,
        _ => match shared.conditions(versioning).await {
            Ok(conditions) if conditions.any() => Guard::Conditions(conditions),
            Ok(_) if shared.unsafe_unversioned => Guard::Nothing,
            Ok(_) => return items.iter().map(|item| (item.index, Answer::Refused(UNSAFE.into()))).collect(),
            Err(error) => {
                let failed = Answer::Failed(error.to_string().into());
                return items.iter().map(|item| (item.index, failed.clone())).collect();
            }
        },
    };
    each(items, |item| {
        let shared = shared.clone();
        async move {
            let answer = match &item.version {
                Version::Unversioned { modified_ms, etag } => {
                    delete_object(&shared, versioning, guard, &item.key, (etag, *modified_ms)).await
                }
                Version::NullMarker { modified_ms } => {
                    delete_marker(&shared, versioning, guard, &item.key, *modified_ms).await
                }
                _ => Ok(Answer::Failed("a defect in sexton: the version has an id".into())),
            };
            (item.index, answer.unwrap_or_else(|trouble| trouble.into_answer("the deletion failed")))
        }
    })
    .await
}

async fn delete_object(
    shared: &Shared,
    versioning: Versioning,
    guard: Guard,
    key: &str,
    (etag, modified_ms): (&str, i64),
) -> Result<Answer, Trouble> {
    let caller = &shared.caller;
    let modified_s = modified_ms.div_euclid(1_000);
    let is_it = |found: &(String, i64)| found.0 == etag && found.1 == modified_s;
    match caller.null_object(key, versioning).await? {
        None => return Ok(Answer::Absent),
        Some(found) if !is_it(&found) => return Ok(Answer::Changed),
        Some(_) => {}
    }
    let conditions = match guard {
        Guard::Conditions(conditions) => conditions,
        Guard::Versioning | Guard::Nothing => Conditions::default(),
    };
    let deletion = NullDeletion {
        key,
        versioning,
        etag: conditions.if_match.then_some(etag),
        modified_s: conditions.unmodified_since.then_some(modified_s),
    };
    match caller.delete_null(&deletion).await {
        Ok(output) => deleted(shared, versioning, guard, key, &output).await,
        // Also the answer to a second attempt, if the first one deleted the object and its answer was lost.
        Err(Trouble::Condition | Trouble::Missing) => match caller.null_object(key, versioning).await? {
            None => Ok(Answer::Absent),
            Some(found) if is_it(&found) => {
                Err(Trouble::Other("the server refused a condition that holds".into()))
            }
            Some(_) => Ok(Answer::Changed),
        },
        Err(Trouble::Denied(why)) => {
            let lock =
                caller.lock_of(key, &Version::Unversioned { modified_ms, etag: etag.to_owned() }).await;
            Ok(Answer::Refused(lock.map_or(why.clone(), |lock| format!("{lock} ({why})")).into()))
        }
        Err(trouble) => Err(trouble),
    }
}

/// Returns the answer for a deletion that the server carried out. Takes back a delete marker that it left.
async fn deleted(
    shared: &Shared,
    versioning: Versioning,
    guard: Guard,
    key: &str,
    output: &DeleteObjectOutput,
) -> Result<Answer, Trouble> {
    let made = output.version_id.as_deref().filter(|id| *id != NULL);
    if versioning == Versioning::Off
        && output.delete_marker == Some(true)
        && let Some(made) = made
    {
        let caller = &shared.caller;
        let remove = |client: &aws_sdk_s3::Client| {
            client.delete_object().bucket(&caller.bucket).key(key).version_id(made).send()
        };
        caller.send(remove).await?;
        return Err(Trouble::Other(
            "versioning was enabled at that moment; the delete marker was removed, and the engine asks again"
                .into(),
        ));
    }
    Ok(if guard == Guard::Nothing { Answer::Requested } else { Answer::Deleted })
}

async fn delete_marker(
    shared: &Shared,
    versioning: Versioning,
    guard: Guard,
    key: &str,
    modified_ms: i64,
) -> Result<Answer, Trouble> {
    let caller = &shared.caller;
    let Some(found) = caller.marker(key, NULL).await? else { return Ok(Answer::Absent) };
    let found_ms = found.last_modified.and_then(|time| time.to_millis().ok());
    if found_ms != Some(modified_ms) {
        return Ok(Answer::Changed);
    }
    // A marker has no ETag for a condition.
    if guard != Guard::Versioning && !shared.unsafe_unversioned {
        return Ok(Answer::Refused(
            "while versioning is suspended, an object could take the place of this delete marker; enable versioning, or set \
             unsafe_unversioned"
                .into(),
        ));
    }
    let named = if versioning == Versioning::Off { Versioning::Suspended } else { versioning };
    caller.delete_null(&NullDeletion { key, versioning: named, etag: None, modified_s: None }).await?;
    Ok(if guard == Guard::Versioning { Answer::Deleted } else { Answer::Requested })
}
