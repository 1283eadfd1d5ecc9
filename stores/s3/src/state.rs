//! State of the bucket: its versioning.

use crate::call::Caller;
use crate::trouble::Trouble;
use aws_sdk_s3::types::BucketVersioningStatus;

/// Versioning of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Versioning {
    /// Versioning was never enabled, or the server has none. Every object may be overwritten.
    Off,
    /// New objects get a VersionId of their own. No object is overwritten.
    Enabled,
    /// New objects have the VersionId `null` and overwrite an earlier one of that VersionId.
    Suspended,
}

impl Caller {
    /// Asks the server for the versioning of the bucket.
    ///
    /// # Errors
    /// [`Trouble::NoBucket`] if the bucket is missing; the trouble of the request.
    pub(crate) async fn versioning(&self) -> Result<Versioning, Trouble> {
        let answer = self.send(|client| client.get_bucket_versioning().bucket(&self.bucket).send()).await;
        match answer.map(|output| output.status) {
            Ok(None) => Ok(Versioning::Off),
            Ok(Some(BucketVersioningStatus::Enabled)) => Ok(Versioning::Enabled),
            Ok(Some(BucketVersioningStatus::Suspended)) => Ok(Versioning::Suspended),
            Ok(Some(other)) => {
                Err(Trouble::Other(format!("the server says that versioning is {other:?}, which is unknown")))
            }
            // Servers without versioning.
            Err(Trouble::Unsupported) => self.exists().await.map(|()| Versioning::Off),
            Err(trouble) => Err(trouble),
        }
    }

    /// Asks if the bucket exists.
    async fn exists(&self) -> Result<(), Trouble> {
        match self.send(|client| client.head_bucket().bucket(&self.bucket).send()).await {
            Ok(_) => Ok(()),
            Err(Trouble::Missing | Trouble::Bare404) => Err(Trouble::NoBucket),
            Err(trouble) => Err(trouble),
        }
    }
}
