//! Intake of the objects of a page: those that have no registration get one.

use super::source::BucketSource;
use crate::intake::{OBJECTS_MAX, Taken, register};
use sexton::class::Definition;
use sexton::{Engine, RegisterOptions, Registration, Result, Timestamp};
use sexton_s3::{Error as S3Error, ListedObject, Page, Position, S3Store, first_rule};
use std::collections::{BTreeMap, HashSet};

/// Object that has no registration.
struct New {
    key: Vec<u8>,
    version: Vec<u8>,
    class: String,
    start: Timestamp,
    size: Option<u64>,
}

/// Intake of the listed objects of a bucket.
pub(super) struct Intake<'a> {
    pub(super) source: &'a BucketSource,
    pub(super) store: &'a S3Store,
    pub(super) classes: &'a BTreeMap<String, Definition>,
    /// Engine in memory that takes the registrations of a dry run.
    pub(super) dry: Option<&'a Engine>,
}

/// Error of a page: of the bucket, or of the engine.
pub(super) enum PageError {
    Bucket(S3Error),
    Engine(sexton::Error),
}

impl From<S3Error> for PageError {
    fn from(error: S3Error) -> Self {
        PageError::Bucket(error)
    }
}

impl From<sexton::Error> for PageError {
    fn from(error: sexton::Error) -> Self {
        PageError::Engine(error)
    }
}

impl Intake<'_> {
    /// Lists one page and takes its objects in. Returns the page and what became of its objects. What it registered is durable
    /// when this returns.
    ///
    /// # Errors
    /// Those of the bucket and of the engine. Some objects may have been taken in. The page can be taken again.
    pub(super) fn take(&self, at: &Position) -> std::result::Result<(Page, Taken), PageError> {
        let engine = &self.source.journal.shared.engine;
        let ended_before = ended(engine)?;
        let page = self.store.list(at)?;
        let mut taken = Taken::default();
        for why in &page.unusable {
            taken.refuse(&[], why.to_string());
        }
        let mut unknown = self.unknown(&page.objects, &mut taken)?;
        // An object that ended between the listing and the look was registered while it was listed. It would be registered once
        // more, after its deletion. What is listed again after the look was there while it had no registration.
        if !unknown.is_empty() && ended(engine)? != ended_before {
            let again: HashSet<ListedObject> = self.store.list(at)?.objects.into_iter().collect();
            unknown.retain(|(object, _)| again.contains(object));
        }
        let mut new = Vec::with_capacity(unknown.len());
        for (object, version) in unknown {
            new.extend(self.classify(object, version)?);
        }
        self.register(&new, &mut taken)?;
        Ok((page, taken))
    }

    /// Returns the objects without a registration, with their encoded versions.
    fn unknown<'p>(
        &self,
        objects: &'p [ListedObject],
        taken: &mut Taken,
    ) -> Result<Vec<(&'p ListedObject, Vec<u8>)>> {
        let engine = &self.source.journal.shared.engine;
        let mut unknown = Vec::new();
        for object in objects {
            let key = self.key(&object.key);
            match object.version.encode() {
                Ok(version) if engine.find_version(&key, &version)?.is_some() => taken.known += 1,
                Ok(version) => unknown.push((object, version)),
                Err(error) => taken.refuse(&key, error.to_string()),
            }
        }
        Ok(unknown)
    }

    /// Gives an object its class. `None` if no rule fits.
    fn classify(
        &self,
        object: &ListedObject,
        version: Vec<u8>,
    ) -> std::result::Result<Option<New>, PageError> {
        let tags = || self.store.tags(&object.key, &object.version);
        let rule = match first_rule(&self.source.settings.rules, object, tags) {
            // It was deleted in the meantime.
            Err(S3Error::NotFound(_)) => return Ok(None),
            rule => rule?,
        };
        let Some(rule) = rule else { return Ok(None) };
        let now = self.source.journal.shared.engine.now();
        Ok(Some(New {
            key: self.key(&object.key),
            version,
            class: rule.class.clone(),
            start: Timestamp::from_unix_ms(object.modified_ms).min(now),
            size: object.size,
        }))
    }

    fn register(&self, new: &[New], taken: &mut Taken) -> Result<()> {
        let registrations: Vec<Registration<'_>> = new
            .iter()
            .filter(|object| self.classes.contains_key(&object.class))
            .map(|object| {
                Registration::new(&object.class, &object.key)
                    .version(&object.version)
                    .size(object.size)
                    .start(object.start)
            })
            .collect();
        let options = RegisterOptions::new().only_missing();
        // An engine in memory copies all that it has for each synced call.
        let (target, options) = match self.dry {
            Some(dry) => (dry, options.buffered()),
            None => (&*self.source.journal.shared.engine, options),
        };
        for part in registrations.chunks(OBJECTS_MAX) {
            for (registration, answer) in
                part.iter().zip(register(part, &|part| target.register(part, options))?)
            {
                match answer {
                    Ok(_) => taken.registered += 1,
                    Err(why) => taken.refuse(registration.key, why),
                }
            }
        }
        Ok(())
    }

    /// Returns the key of the object under a key of the bucket.
    fn key(&self, key: &str) -> Vec<u8> {
        [self.source.journal.prefix(), key].concat().into_bytes()
    }
}

/// Returns how many objects of the engine have ended.
fn ended(engine: &Engine) -> Result<u64> {
    Ok(engine.status()?.classes.values().map(|class| class.ended.ended()).sum())
}
