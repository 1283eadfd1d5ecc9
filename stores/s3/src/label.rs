//! Label of a bucket: an object by which a host recognises the bucket whose objects it registered.

use crate::error::Error;
use crate::store::S3Store;
use crate::trouble::Trouble;
use aws_sdk_s3::primitives::ByteStream;
use sexton::store::dir::RootId;

/// Key of the label. Listings leave it out.
pub const LABEL_KEY: &str = ".sexton-label";
/// First line of a label.
const TITLE: &str = "sexton bucket";
/// Longest label that is read, bytes.
const LABEL_MAX_BYTES: usize = 4_096;

impl S3Store {
    /// Reads the id in the bucket's label. `None` if the bucket has no label, or one that was copied from another bucket or
    /// is damaged. Costs a request.
    ///
    /// # Errors
    /// [`Error::NoBucket`]; [`Error::Denied`] without the right `s3:GetObject` for [`LABEL_KEY`]; [`Error::Failed`].
    pub fn label(&self) -> Result<Option<RootId>, Error> {
        self.call("the label of the bucket cannot be read", |shared| async move {
            let caller = &shared.caller;
            let request = |client: &aws_sdk_s3::Client| {
                let request = client.get_object().bucket(&caller.bucket).key(LABEL_KEY);
                request.range(format!("bytes=0-{}", LABEL_MAX_BYTES - 1)).send()
            };
            let output = match caller.send(request).await {
                Ok(output) => output,
                Err(Trouble::Missing) => return Ok(None),
                Err(trouble) => return Err(trouble),
            };
            let body = output.body.collect().await;
            let body = body.map_err(|error| Trouble::Unknown(format!("its content was cut off: {error}")))?;
            Ok(parse(&body.into_bytes(), &caller.bucket))
        })
    }

    /// Writes the bucket's label, in the place of an earlier one. After `Ok` the server has it.
    ///
    /// # Errors
    /// [`Error::NoBucket`]; [`Error::Denied`] without the right `s3:PutObject` for [`LABEL_KEY`]; [`Error::Failed`].
    pub fn write_label(&self, id: RootId) -> Result<(), Error> {
        self.call("the label of the bucket cannot be written", move |shared| async move {
            let caller = &shared.caller;
            let text = text(id, &caller.bucket);
            let request = |client: &aws_sdk_s3::Client| {
                let body = ByteStream::from(text.clone().into_bytes());
                client.put_object().bucket(&caller.bucket).key(LABEL_KEY).body(body).send()
            };
            caller.send(request).await.map(|_| ())
        })
    }
}

fn text(id: RootId, bucket: &str) -> String {
    format!(
        "{TITLE}\nid {id}\nname {bucket}\n\nSexton recognises the bucket by this object. Without it nothing more is deleted.\n"
    )
}

/// Returns the id in a label of this bucket. `None` if it is none, or names another bucket.
fn parse(bytes: &[u8], bucket: &str) -> Option<RootId> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines();
    let (title, id, name) = (lines.next()?, lines.next()?, lines.next()?);
    if title != TITLE || name.strip_prefix("name ")? != bucket {
        return None;
    }
    let mut id_bytes = [0; 16];
    hex::decode_to_slice(id.strip_prefix("id ")?, &mut id_bytes).ok()?;
    Some(RootId::from_bytes(id_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_is_read_back_in_its_own_bucket_only() {
        let id = RootId::from_bytes([7; 16]);
        let label = text(id, "uploads");
        assert_eq!(parse(label.as_bytes(), "uploads"), Some(id));
        assert_eq!(parse(label.as_bytes(), "replica"), None);
        for damaged in ["", "sexton bucket", &label.replace("id 0", "id x"), &label.replace(TITLE, "other")] {
            assert_eq!(parse(damaged.as_bytes(), "uploads"), None, "{damaged:?}");
        }
    }
}
