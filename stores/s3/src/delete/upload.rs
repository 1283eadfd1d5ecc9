//! Multipart uploads that are neither complete nor aborted. Their parts take space and hold content.

use super::{Answers, Item, each};
use crate::shared::Shared;
use crate::trouble::Trouble;
use crate::version::Version;
use sexton::store::Answer;
use std::sync::Arc;

/// Aborts multipart uploads.
pub(super) async fn abort(shared: Arc<Shared>, items: Vec<Item>) -> Answers {
    each(items, |item| {
        let shared = shared.clone();
        async move {
            let Version::Upload(id) = &item.version else {
                return (item.index, Answer::Failed("a defect in sexton: the version is no upload".into()));
            };
            let answer = abort_one(&shared, &item.key, id).await;
            (item.index, answer.unwrap_or_else(|trouble| trouble.into_answer("the upload cannot be aborted")))
        }
    })
    .await
}

async fn abort_one(shared: &Shared, key: &str, id: &str) -> Result<Answer, Trouble> {
    let caller = &shared.caller;
    if shared.confirm && !caller.has_upload(key, id).await? {
        return Ok(Answer::Absent);
    }
    let request = |client: &aws_sdk_s3::Client| {
        client.abort_multipart_upload().bucket(&caller.bucket).key(key).upload_id(id).send()
    };
    match caller.send(request).await {
        Ok(_) if !shared.confirm => Ok(Answer::Requested),
        // A part that was on its way may come after the abort.
        Ok(_) if caller.has_upload(key, id).await? => {
            Ok(Answer::Failed("the upload still has parts; the engine asks again".into()))
        }
        Ok(_) => Ok(Answer::Deleted),
        Err(Trouble::Missing) => Ok(Answer::Absent),
        Err(trouble) => Err(trouble),
    }
}
