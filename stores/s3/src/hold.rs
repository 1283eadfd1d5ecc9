//! Holds and locks of the bucket itself: mirroring our holds as legal holds, and what keeps an object from deletion.

use crate::call::Caller;
use crate::error::Error;
use crate::store::S3Store;
use crate::trouble::Trouble;
use crate::version::{NULL, Version};
use aws_sdk_s3::primitives::DateTimeFormat;
use aws_sdk_s3::types::{ObjectLockEnabled, ObjectLockLegalHold, ObjectLockLegalHoldStatus};

impl S3Store {
    /// Sets or lifts the bucket's legal hold on a version of an object. Returns `true` if that changed it, and `false` if the
    /// hold was set or lifted before. A host lifts only holds that it set: others have an owner of their own.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless [`Options::mirror_holds`](crate::Options::mirror_holds) is set, and for delete markers and
    /// uploads, which have no legal holds; [`Error::NotFound`]; [`Error::Denied`]; [`Error::Failed`].
    pub fn mirror_hold(&self, key: &str, version: &Version, is_held: bool) -> Result<bool, Error> {
        if !self.shared.mirror_holds {
            return Err(Error::Invalid(
                "mirror_holds is not set for the bucket; set it to mirror holds".into(),
            ));
        }
        let id = match version {
            Version::Object(id) => id.clone(),
            Version::Unversioned { .. } => NULL.to_owned(),
            Version::Marker(_) | Version::NullMarker { .. } | Version::Upload(_) => {
                return Err(Error::Invalid(
                    format!("the {version} has no legal hold; only objects have").into(),
                ));
            }
        };
        let key = key.to_owned();
        self.call("the legal hold of the object cannot be changed", move |shared| async move {
            let caller = &shared.caller;
            if caller.has_legal_hold(&key, &id).await? == is_held {
                return Ok(false);
            }
            let status = if is_held { ObjectLockLegalHoldStatus::On } else { ObjectLockLegalHoldStatus::Off };
            let hold = ObjectLockLegalHold::builder().status(status).build();
            let request = |client: &aws_sdk_s3::Client| {
                let request = client.put_object_legal_hold().bucket(&caller.bucket).key(&key).version_id(&id);
                request.legal_hold(hold.clone()).send()
            };
            caller.send(request).await?;
            Ok(true)
        })
    }
}

impl Caller {
    async fn has_legal_hold(&self, key: &str, id: &str) -> Result<bool, Trouble> {
        let request = |client: &aws_sdk_s3::Client| {
            client.get_object_legal_hold().bucket(&self.bucket).key(key).version_id(id).send()
        };
        match self.send(request).await {
            Ok(output) => {
                let status = output.legal_hold.and_then(|hold| hold.status);
                Ok(status == Some(ObjectLockLegalHoldStatus::On))
            }
            // The object never had one.
            Err(Trouble::NoConfiguration) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Asks if the bucket has Object Lock.
    pub(crate) async fn has_object_lock(&self) -> Result<bool, Trouble> {
        let request =
            |client: &aws_sdk_s3::Client| client.get_object_lock_configuration().bucket(&self.bucket).send();
        match self.send(request).await {
            Ok(output) => {
                let enabled = output.object_lock_configuration.and_then(|lock| lock.object_lock_enabled);
                Ok(enabled == Some(ObjectLockEnabled::Enabled))
            }
            Err(Trouble::NoConfiguration | Trouble::Unsupported) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Returns what keeps an object from being deleted, as far as the server says it.
    pub(crate) async fn lock_of(&self, key: &str, version: &Version) -> Option<String> {
        let id = match version {
            Version::Object(id) => id,
            Version::Unversioned { .. } => NULL,
            Version::Marker(_) | Version::NullMarker { .. } | Version::Upload(_) => return None,
        };
        let found = self.head(key, Some(id)).await.ok()?;
        if found.object_lock_legal_hold_status == Some(ObjectLockLegalHoldStatus::On) {
            return Some("a legal hold of the bucket keeps the object until it is lifted there".into());
        }
        let until = found.object_lock_retain_until_date?.fmt(DateTimeFormat::DateTime).ok()?;
        let mode =
            found.object_lock_mode.map_or_else(|| "unknown".to_owned(), |mode| mode.as_str().to_owned());
        Some(format!("Object Lock keeps the object until {until} (mode {mode})"))
    }
}
