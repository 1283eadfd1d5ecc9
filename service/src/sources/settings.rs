//! Settings of all sources.

#[cfg(feature = "s3")]
use super::bucket::{self, Bucket, BucketSource};
use super::directory::{self, Directory, DirectorySource};
use super::place::Place;
use super::shared::{Shared, invalid};
use sexton::Result;
use sexton::decision::RootSource;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Sources of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceSettings {
    /// Directories, in the order of the configuration.
    pub directories: Vec<Directory>,
    /// Buckets, in the order of the configuration.
    #[cfg(feature = "s3")]
    pub buckets: Vec<Bucket>,
}

impl SourceSettings {
    /// Sets [`directories`](field@SourceSettings::directories).
    #[must_use]
    pub fn directories(self, directories: Vec<Directory>) -> Self {
        SourceSettings { directories, ..self }
    }

    /// Sets [`buckets`](field@SourceSettings::buckets).
    #[cfg(feature = "s3")]
    #[must_use]
    pub fn buckets(self, buckets: Vec<Bucket>) -> Self {
        SourceSettings { buckets, ..self }
    }
}

/// Settings of one source that were checked, with what was made of them.
#[derive(Clone, Debug)]
pub(super) enum Checked {
    Directory(directory::Settings),
    #[cfg(feature = "s3")]
    Bucket(Box<bucket::Settings>),
}

impl PartialEq for Checked {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Checked::Directory(one), Checked::Directory(other)) => one.directory == other.directory,
            #[cfg(feature = "s3")]
            (Checked::Bucket(one), Checked::Bucket(other)) => one.bucket == other.bucket,
            #[cfg(feature = "s3")]
            _ => false,
        }
    }
}

impl Checked {
    /// Returns the name and the prefix of the source.
    pub(super) fn source(&self) -> &RootSource {
        match self {
            Checked::Directory(settings) => &settings.source,
            #[cfg(feature = "s3")]
            Checked::Bucket(settings) => &settings.source,
        }
    }

    /// Returns the name of the source, and its path if it is a directory.
    pub(super) fn peer(&self) -> (String, Option<PathBuf>) {
        match self {
            Checked::Directory(settings) => {
                (settings.source.name().to_owned(), Some(settings.directory.path.clone()))
            }
            #[cfg(feature = "s3")]
            Checked::Bucket(settings) => (settings.source.name().to_owned(), None),
        }
    }

    /// Creates the source.
    ///
    /// # Errors
    /// `Io` if the system gives no descriptor.
    pub(super) fn place(&self, shared: Shared) -> Result<Arc<dyn Place>> {
        match self {
            Checked::Directory(settings) => Ok(Arc::new(DirectorySource::new(settings.clone(), shared)?)),
            #[cfg(feature = "s3")]
            Checked::Bucket(settings) => Ok(Arc::new(BucketSource::new((**settings).clone(), shared)?)),
        }
    }
}

/// Checks the settings of all sources.
///
/// # Errors
/// `Invalid` for the first setting that is wrong, and if two sources have one name or both have an empty prefix, or two
/// directories overlap. Roots that cannot be opened now are compared when they can.
pub(super) fn check(settings: &SourceSettings) -> Result<Vec<Checked>> {
    let directories = directory::check(&settings.directories)?;
    #[cfg_attr(not(feature = "s3"), expect(unused_mut, reason = "only buckets follow"))]
    let mut checked: Vec<Checked> = directories.into_iter().map(Checked::Directory).collect();
    #[cfg(feature = "s3")]
    for bucket in &settings.buckets {
        checked.push(Checked::Bucket(Box::new(bucket.check()?)));
    }
    let (mut by_prefix, mut names) = (BTreeMap::new(), BTreeMap::new());
    for source in checked.iter().map(Checked::source) {
        let name = source.name();
        if names.insert(name, ()).is_some() {
            return Err(invalid(format!("two sources have the name {name:?}; give each a name of its own")));
        }
        if let Some(other) = by_prefix.insert(source.prefix(), name) {
            return Err(invalid(format!(
                "the directories {other:?} and {name:?} both have prefix = \"\"; only one root can be adopted so"
            )));
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_share_a_name_or_a_prefix_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let named = |name: &str, at: &str| {
            std::fs::create_dir_all(base.path().join(at)).unwrap();
            Directory::new(name, base.path().join(at), "log-73h")
        };
        let adopted = |name: &str, at: &str| Directory { prefix: Some(String::new()), ..named(name, at) };
        let checked = |directories: Vec<Directory>| {
            check(&SourceSettings::default().directories(directories)).map(|checked| checked.len())
        };
        let refused = |directories| checked(directories).unwrap_err().to_string();
        assert!(refused(vec![named("x", "a"), named("x", "b")]).contains("two sources have the name"));
        assert!(refused(vec![adopted("x", "a"), adopted("y", "b")]).contains("both have prefix"));
        assert_eq!(checked(vec![named("x", "a"), adopted("y", "b")]).unwrap(), 2);
    }
}
