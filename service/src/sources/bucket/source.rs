//! Source: the settings of a bucket, its store, and the state of its listings.

use super::super::journal::{About, Journal, Trouble};
use super::super::report::SourceState;
use super::super::shared::Shared;
use super::settings::Settings;
use parking_lot::Mutex;
use sexton::class::{Definition, Find};
use sexton::{Result, Span};
use sexton_s3::{Error as S3Error, Promise, S3Store, contradictions};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bucket at work.
pub(in super::super) struct BucketSource {
    pub(super) settings: Settings,
    pub(super) journal: Journal,
    /// Store of the bucket, once it was opened. Lock order: before that of the journal.
    store: Mutex<Option<Arc<S3Store>>>,
}

impl BucketSource {
    /// Creates a source.
    ///
    /// # Errors
    /// `Io` if the system gives no descriptor.
    pub(in super::super) fn new(settings: Settings, shared: Shared) -> Result<Self> {
        let bucket = &settings.bucket;
        let mut classes: Vec<&str> = settings.rules.iter().map(|rule| rule.class.as_str()).collect();
        classes.dedup();
        let about = About {
            source: settings.source.clone(),
            path: bucket.url(),
            class: classes.join(", "),
            rescan: bucket.rescan.0,
            limit: bucket.max_deletes_per_second,
            works: SourceState::Listing,
        };
        Ok(BucketSource { journal: Journal::new(about, shared)?, settings, store: Mutex::default() })
    }

    pub(super) fn name(&self) -> &str {
        self.journal.name()
    }

    /// Returns the store of the bucket, if the source is enabled and the bucket has the label that was accepted.
    ///
    /// # Errors
    /// The reason for which the source does not work.
    pub(super) fn enter(&self) -> std::result::Result<Arc<S3Store>, Trouble> {
        let accepted = self.journal.accepted().map_err(|error| Trouble::Refused(error.to_string()))?;
        let url = self.settings.bucket.url();
        let Some(accepted) = accepted else {
            return Err(Trouble::NotEnabled(format!("the bucket {url} was not accepted for it yet")));
        };
        if accepted.source.as_ref() != Some(&self.settings.source) {
            return Err(Trouble::Refused(
                "its root was enabled with another prefix; the prefix of a source never changes".into(),
            ));
        }
        let store = self.store().map_err(trouble)?;
        // Asked each time: another bucket may have the name by now, and everything would be absent there.
        match store.label().map_err(trouble)? {
            Some(id) if id == accepted.id => Ok(store),
            Some(_) => Err(Trouble::RootLost(format!(
                "{url} has the label of another bucket; correct the endpoint, or accept the bucket in its place with \
                 `sexton source enable {}`",
                self.name()
            ))),
            None => Err(Trouble::RootLost(format!(
                "{url} has no label of its own; correct the endpoint, or accept the bucket in its place with \
                 `sexton source enable {}`",
                self.name()
            ))),
        }
    }

    /// Returns the store of the bucket, which is opened once.
    ///
    /// # Errors
    /// Those of opening.
    pub(super) fn store(&self) -> std::result::Result<Arc<S3Store>, S3Error> {
        let mut store = self.store.lock();
        if let Some(open) = store.as_ref() {
            return Ok(Arc::clone(open));
        }
        let open = Arc::new(S3Store::open(&self.settings.options)?);
        *store = Some(Arc::clone(&open));
        Ok(open)
    }

    /// Returns the classes of its rules, by their names.
    ///
    /// # Errors
    /// A sentence about the first class that cannot take objects of a bucket.
    pub(super) fn classes(&self) -> std::result::Result<BTreeMap<String, Definition>, String> {
        let engine = &self.journal.shared.engine;
        let known = engine.classes();
        let status = engine.status().map_err(|error| error.to_string())?;
        let mut classes = BTreeMap::new();
        for rule in &self.settings.rules {
            let name = &rule.class;
            let Some((class, _)) = known.iter().find(|(class, _)| class.name == *name) else {
                let names: Vec<&str> = known.iter().map(|(class, _)| class.name.as_str()).collect();
                return Err(format!("unknown class {name:?}; known are: {}", names.join(", ")));
            };
            if class.find != Find::Version {
                return Err(format!(
                    "class {name:?} does not find by version, so it cannot tell the versions of a key apart; use a class with \
                     find = \"version\""
                ));
            }
            if status.classes.get(name).is_some_and(|class| class.closed) {
                return Err(format!("class {name:?} was closed down and takes no more objects"));
            }
            classes.insert(name.clone(), class.clone());
        }
        Ok(classes)
    }

    /// Returns what stands in the way of its promises: lifecycle rules of the bucket itself, and listings that are too rare.
    ///
    /// # Errors
    /// Those of reading the lifecycle configuration.
    pub(super) fn warnings(
        &self,
        store: &S3Store,
        classes: &BTreeMap<String, Definition>,
    ) -> std::result::Result<Vec<String>, S3Error> {
        let exact = |span: Option<Span>| span.and_then(Span::exact);
        let promises: Vec<Promise> = self
            .settings
            .rules
            .iter()
            .map(|rule| {
                let floor = classes.get(&rule.class).and_then(|class| exact(class.keep));
                // Keys have both the prefix of the rule and that of the source. One begins the other, or nothing fits.
                let longer = [&rule.prefix, &self.settings.bucket.prefix]
                    .into_iter()
                    .max_by_key(|prefix| prefix.len());
                Promise::new(&rule.class, longer.cloned().unwrap_or_default(), floor)
            })
            .collect();
        let mut warnings = contradictions(&store.lifecycle()?, &promises);
        let rescan = self.settings.bucket.rescan;
        for class in classes.values() {
            let needed = rescan.0.saturating_add(class.slot).saturating_add(class.lead);
            if exact(class.within).is_some_and(|within| within < needed) {
                warnings.push(format!(
                    "new objects are found up to {rescan} after they were stored, which is too late for the class {:?}, whose \
                     objects end within {}; set a shorter rescan",
                    class.name,
                    class.within.map(|within| within.to_string()).unwrap_or_default()
                ));
            }
        }
        Ok(warnings)
    }
}

/// Returns the state of a source whose bucket gives this error.
pub(super) fn trouble(error: S3Error) -> Trouble {
    match error {
        S3Error::Invalid(_) | S3Error::Unsafe(_) => Trouble::Refused(error.to_string()),
        _ => Trouble::RootLost(error.to_string()),
    }
}
