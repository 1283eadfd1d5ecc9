//! Objects and delete markers that have a VersionId of their own.

use super::{Answers, Item, each};
use crate::call::Caller;
use crate::key;
use crate::options::BULK_OBJECTS;
use crate::shared::Shared;
use crate::trouble::Trouble;
use crate::version::Version;
use aws_sdk_s3::operation::delete_objects::DeleteObjectsOutput;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use sexton::store::Answer;
use std::sync::Arc;

/// What the server said about the deletion of one object.
type Said = Result<(), Trouble>;

/// Deletes objects that have a VersionId. The deletion names it, so that it leaves no delete marker.
pub(super) async fn delete(shared: Arc<Shared>, items: Vec<Item>) -> Answers {
    let mut answers = Vec::new();
    let mut there = items;
    if shared.confirm {
        let looked = each(there, |item| {
            let shared = shared.clone();
            async move { (is_there(&shared.caller, &item).await, item) }
        });
        there = Vec::new();
        for (found, item) in looked.await {
            match found {
                Ok(true) => there.push(item),
                Ok(false) => answers.push((item.index, Answer::Absent)),
                Err(trouble) => {
                    answers.push((item.index, trouble.into_answer("the object cannot be looked at")));
                }
            }
        }
    }
    let (bulk, single): (Vec<Item>, Vec<Item>) = there.into_iter().partition(|item| key::fits_xml(&item.key));
    let chunks: Vec<Vec<Item>> = bulk.chunks(BULK_OBJECTS).map(<[Item]>::to_vec).collect();
    let (in_bulk, one_by_one) = tokio::join!(
        each(chunks, |chunk| {
            let shared = shared.clone();
            async move { delete_chunk(shared, chunk).await }
        }),
        delete_each(shared.clone(), single),
    );
    let answered = each(in_bulk.into_iter().flatten().chain(one_by_one), |(said, item)| {
        let shared = shared.clone();
        async move { (item.index, answer(&shared, &item, said).await) }
    });
    answers.extend(answered.await);
    answers
}

/// Returns the VersionId of an object or marker.
fn id_of(version: &Version) -> &str {
    match version {
        Version::Object(id) | Version::Marker(id) | Version::Upload(id) => id,
        Version::Unversioned { .. } | Version::NullMarker { .. } => crate::version::NULL,
    }
}

async fn is_there(caller: &Caller, item: &Item) -> Result<bool, Trouble> {
    if let Version::Marker(id) = &item.version {
        return Ok(caller.marker(&item.key, id).await?.is_some());
    }
    match caller.head(&item.key, Some(id_of(&item.version))).await {
        Ok(_) => Ok(true),
        Err(Trouble::Missing) => Ok(false),
        Err(trouble) => Err(trouble),
    }
}

/// Returns the answer for what the server said.
async fn answer(shared: &Shared, item: &Item, said: Said) -> Answer {
    match said {
        // Servers say the same of an object that they do not have, so the answer relies on the look before.
        Ok(()) if shared.confirm => Answer::Deleted,
        Ok(()) => Answer::Requested,
        Err(Trouble::Missing) => Answer::Absent,
        Err(Trouble::Denied(why)) => {
            let lock = shared.caller.lock_of(&item.key, &item.version).await;
            Answer::Refused(lock.map_or(why.clone(), |lock| format!("{lock} ({why})")).into())
        }
        Err(trouble) => trouble.into_answer("the deletion failed"),
    }
}

async fn delete_one(caller: &Caller, item: &Item) -> Said {
    let id = id_of(&item.version);
    let request = |client: &aws_sdk_s3::Client| {
        client.delete_object().bucket(&caller.bucket).key(&item.key).version_id(id).send()
    };
    let output = caller.send(request).await?;
    made_no_marker(output.delete_marker, output.version_id.as_deref(), id)?;
    // A server that ignores the VersionId would have deleted the current version.
    match output.version_id.as_deref() {
        Some(named) if named == id => Ok(()),
        other => Err(Trouble::Other(format!(
            "the server was asked to delete the version {id} and names {other:?}"
        ))),
    }
}

/// Deletes objects by one request for each.
async fn delete_each(shared: Arc<Shared>, items: Vec<Item>) -> Vec<(Said, Item)> {
    each(items, |item| {
        let shared = shared.clone();
        async move { (delete_one(&shared.caller, &item).await, item) }
    })
    .await
}

/// Deletes up to [`BULK_OBJECTS`] objects in one request, or one by one if the server has no bulk deletion.
async fn delete_chunk(shared: Arc<Shared>, chunk: Vec<Item>) -> Vec<(Said, Item)> {
    let caller = &shared.caller;
    let identifiers = chunk
        .iter()
        .map(|item| ObjectIdentifier::builder().key(&item.key).version_id(id_of(&item.version)).build());
    let delete = identifiers
        .collect::<Result<Vec<_>, _>>()
        .and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(false).build());
    let result = match delete {
        Ok(delete) => {
            let request = |client: &aws_sdk_s3::Client| {
                client.delete_objects().bucket(&caller.bucket).delete(delete.clone()).send()
            };
            caller.send(request).await
        }
        Err(error) => Err(Trouble::Other(format!("the request cannot be built: {error}"))),
    };
    if matches!(result, Err(Trouble::Unsupported)) {
        return delete_each(shared, chunk).await;
    }
    let said = |item: &Item| match &result {
        Ok(output) => said_of(output, item),
        // Of a request for several objects this says nothing of one of them.
        Err(Trouble::Missing) => {
            Err(Trouble::Other("the server answered a bulk deletion as if it were for one object".into()))
        }
        Err(trouble) => Err(trouble.clone()),
    };
    chunk.iter().map(|item| (said(item), item.clone())).collect()
}

/// Finds what a bulk answer says of one object. What it does not mention was not deleted, as far as is known.
fn said_of(output: &DeleteObjectsOutput, item: &Item) -> Said {
    let id = id_of(&item.version);
    // Some servers leave the VersionId out of errors. Then the error counts for every version of the key.
    let is_it = |key: Option<&str>, version: Option<&str>| {
        key == Some(item.key.as_str()) && version.is_none_or(|version| version.is_empty() || version == id)
    };
    if let Some(error) = output.errors().iter().find(|error| is_it(error.key(), error.version_id())) {
        let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
        let status = if code.starts_with("NoSuch") { 404 } else { 400 };
        let message = if message == code { "" } else { message };
        return Err(match Trouble::of_code(status, code, message, None) {
            Trouble::Denied(_) => {
                Trouble::Denied(format!("the server answered {code} {message}").trim_end().to_owned())
            }
            other => other,
        });
    }
    let deleted = output
        .deleted()
        .iter()
        .find(|deleted| deleted.key() == Some(item.key.as_str()) && deleted.version_id() == Some(id));
    match deleted {
        Some(deleted) => made_no_marker(deleted.delete_marker(), deleted.delete_marker_version_id(), id),
        None => Err(Trouble::Unknown("the server's answer to a bulk deletion leaves this object out".into())),
    }
}

/// Checks that a deletion left no delete marker in the place of the object. A marker that was deleted is named likewise.
fn made_no_marker(is_marker: Option<bool>, marker: Option<&str>, id: &str) -> Said {
    match marker {
        Some(made) if is_marker == Some(true) && made != id => Err(Trouble::Other(format!(
            "the server left the delete marker {made} instead of deleting the version"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::types::{DeletedObject, Error};

    fn item(key: &str, id: &str) -> Item {
        Item { index: 0, key: key.into(), version: Version::Object(id.into()) }
    }

    #[test]
    fn object_that_a_bulk_answer_leaves_out_is_not_deleted() {
        let deleted = |key: &str, id: &str| DeletedObject::builder().key(key).version_id(id).build();
        let error = |key: &str, id: Option<&str>, code: &str| {
            Error::builder().key(key).set_version_id(id.map(str::to_owned)).code(code).build()
        };
        let output = DeleteObjectsOutput::builder()
            .deleted(deleted("a", "1"))
            .deleted(deleted("b", "1"))
            .deleted(deleted("d", "1"))
            .errors(error("b", None, "AccessDenied"))
            .errors(error("c", Some("1"), "InternalError"))
            .errors(error("e", Some("1"), "NoSuchVersion"))
            .build();
        assert_eq!(said_of(&output, &item("a", "1")), Ok(()));
        assert!(matches!(said_of(&output, &item("a", "2")), Err(Trouble::Unknown(_))));
        assert!(matches!(said_of(&output, &item("b", "1")), Err(Trouble::Denied(_))));
        assert!(matches!(said_of(&output, &item("c", "1")), Err(Trouble::Busy { .. })));
        assert!(matches!(said_of(&output, &item("c", "2")), Err(Trouble::Unknown(_))));
        assert_eq!(said_of(&output, &item("e", "1")), Err(Trouble::Missing));
    }

    #[test]
    fn delete_marker_in_place_of_the_object_is_no_deletion() {
        assert!(made_no_marker(Some(true), Some("new"), "old").is_err());
        assert!(made_no_marker(Some(true), Some("old"), "old").is_ok());
        assert!(made_no_marker(None, Some("old"), "old").is_ok());
        assert!(made_no_marker(None, None, "old").is_ok());
    }
}
