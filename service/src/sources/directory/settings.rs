//! Settings of directories, as the configuration has them.

use super::super::length::Length;
use super::super::shared::invalid;
use crate::intake::{Returned, StartBy};
use serde::{Deserialize, Serialize};
use sexton::decision::RootSource;
use sexton::store::dir::{Filter, Root};
use sexton::{Error, ErrorKind, Result};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time after which a file that is still open for writing is registered, if the settings do not say.
const SETTLE_MAX: Length = Length(Duration::from_mins(10));
/// Time between two full scans, if the settings do not say.
const RESCAN: Length = Length(Duration::from_hours(1));

/// Directory whose files are objects of the service: a `[[directory]]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Directory {
    /// Name of the source: 1 to 32 of the characters `a` to `z`, `0` to `9` and `-`. It never changes, because the keys
    /// of its objects begin with it and a slash.
    pub name: String,
    /// Path of the root, absolute.
    pub path: PathBuf,
    /// Class of new objects.
    pub class: String,
    /// Start of a file. Default: `modified`, if the class has an explicit start; otherwise `discovered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartBy>,
    /// Patterns of the files to take. Default: all files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Patterns of the files and folders to leave out, also if they are included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Treatment of files whose object has ended. Default: `leave-out`.
    #[serde(default)]
    pub returned: Returned,
    /// `true` if folders that a deletion empties are removed.
    #[serde(default)]
    pub prune_empty: bool,
    /// Time since its last modification after which a closed file is complete. Default: 0.
    #[serde(default)]
    pub settle: Length,
    /// Time after which a file is registered that is still open for writing or still changes. Default: 10m.
    #[serde(default = "settle_max")]
    pub settle_max: Length,
    /// Time between two full scans. Default: 1h.
    #[serde(default = "rescan")]
    pub rescan: Length,
    /// Limit on deletions in a second. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_deletes_per_second: Option<NonZeroU32>,
    /// Beginning of all keys. Only an empty one can be given, to one directory: it adopts a root whose files were
    /// registered by their paths alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

fn settle_max() -> Length {
    SETTLE_MAX
}

fn rescan() -> Length {
    RESCAN
}

impl Directory {
    /// Creates the settings of a directory with the defaults.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>, class: impl Into<String>) -> Self {
        Directory {
            name: name.into(),
            path: path.into(),
            class: class.into(),
            start: None,
            include: Vec::new(),
            exclude: Vec::new(),
            returned: Returned::default(),
            prune_empty: false,
            settle: Length::default(),
            settle_max: SETTLE_MAX,
            rescan: RESCAN,
            max_deletes_per_second: None,
            prefix: None,
        }
    }

    fn check(&self) -> Result<Settings> {
        let refused = |what: String| Err(invalid(format!("the directory {:?}: {what}", self.name)));
        let source = RootSource::new(&self.name)?;
        let source = match self.prefix.as_deref() {
            None => source,
            Some("") => source.without_prefix(),
            Some(other) => {
                return refused(format!(
                    "prefix = {other:?}; leave it out, or give \"\" to adopt a root that was registered without names"
                ));
            }
        };
        if !self.path.is_absolute() {
            return refused(format!("the path {} is relative; give an absolute one", self.path.display()));
        }
        if self.settle > self.settle_max {
            return refused(format!(
                "settle is {}, and settle_max {}; give a settle_max that is not shorter",
                self.settle, self.settle_max
            ));
        }
        if self.rescan == Length::default() {
            return refused("rescan is 0; give at least 1s".into());
        }
        let [include, exclude] = [&self.include, &self.exclude].map(|of| of.iter().map(String::as_str));
        let filter = match Filter::new(include, exclude) {
            Ok(filter) => filter,
            Err(error) => return refused(error.to_string()),
        };
        Ok(Settings { source, filter, directory: self.clone() })
    }
}

/// Settings that were checked, with what was made of them.
#[derive(Clone, Debug)]
pub(in super::super) struct Settings {
    pub(in super::super) source: RootSource,
    pub(super) filter: Filter,
    pub(in super::super) directory: Directory,
}

/// Checks the settings of all directories.
///
/// # Errors
/// `Invalid` for the first setting that is wrong, and if two directories overlap. Roots that cannot be opened now are
/// compared when they can.
pub(in super::super) fn check(directories: &[Directory]) -> Result<Vec<Settings>> {
    let checked = directories.iter().map(Directory::check).collect::<Result<Vec<Settings>>>()?;
    let open = |settings: &Settings| Root::open(&settings.directory.path).ok();
    let roots: Vec<(&str, Option<Root>)> =
        checked.iter().map(|settings| (settings.source.name(), open(settings))).collect();
    for (number, (name, root)) in roots.iter().enumerate() {
        let Some(root) = root else { continue };
        let others = roots.iter().take(number);
        check_apart(name, root, others.filter_map(|(name, root)| Some((*name, root.as_ref()?))))?;
    }
    Ok(checked)
}

/// Refuses a root that overlaps one of the others.
///
/// # Errors
/// `Invalid` with the names of both; `Io` if folders cannot be compared.
pub(super) fn check_apart<'r>(
    name: &str,
    root: &Root,
    others: impl Iterator<Item = (&'r str, &'r Root)>,
) -> Result<()> {
    for (other, other_root) in others {
        if root.overlaps(other_root).map_err(|error| Error::new(ErrorKind::Io, error.to_string()))? {
            return Err(invalid(format!(
                "the directories {other:?} and {name:?} overlap, perhaps through a link or a mount, so their files would be \
                 registered twice; give each a folder outside the other"
            )));
        }
    }
    Ok(())
}

/// Opens the other root at a path, for a comparison. `None` if it is not there now.
pub(super) fn other_root(path: &Path) -> Option<Root> {
    Root::open(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn directory(name: &str, path: &Path) -> Directory {
        Directory::new(name, path, "log-73h")
    }

    #[test]
    fn settings_of_a_file_are_read_with_their_defaults() {
        let text = "name = \"uploads\"\npath = \"/srv/uploads\"\nclass = \"upload-3h\"\n";
        let read: Directory = toml::from_str(text).unwrap();
        assert_eq!(read, Directory::new("uploads", "/srv/uploads", "upload-3h"));
        let all = "start = \"modified\"\ninclude = [\"*.jpg\"]\nexclude = [\"tmp/\"]\nprune_empty = true\n\
                   settle = \"5s\"\nsettle_max = \"2h\"\nrescan = \"15m\"\nmax_deletes_per_second = 200\n\
                   returned = \"as-new\"\nprefix = \"\"\n";
        let read: Directory = toml::from_str(&format!("{text}{all}")).unwrap();
        assert_eq!(
            (read.settle, read.rescan),
            (Length(Duration::from_secs(5)), Length(Duration::from_mins(15)))
        );
        assert_eq!(toml::from_str::<Directory>(&toml::to_string(&read).unwrap()).unwrap(), read);
        assert_eq!(read.check().unwrap().source.prefix(), "");
        for (line, why) in [
            ("colour = 1", "unknown field `colour`"),
            ("settle = \"1mo\"", "depends on the calendar"),
            ("settle = \"soon\"", "a span is a number"),
            ("start = \"born\"", "unknown variant"),
            ("max_deletes_per_second = 0", "nonzero"),
        ] {
            let error = toml::from_str::<Directory>(&format!("{text}{line}\n")).unwrap_err().to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn wrong_settings_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let with = |change: &dyn Fn(&mut Directory)| {
            let mut of = directory("uploads", folder.path());
            change(&mut of);
            check(&[of]).map(|_| ()).unwrap_err().to_string()
        };
        for (found, expected) in [
            (with(&|of| of.name = "Up".into()), "the name \"Up\" of a source"),
            (with(&|of| of.name = "a".repeat(33)), "1 to 32"),
            (with(&|of| of.path = "srv".into()), "relative"),
            (with(&|of| of.prefix = Some("x/".into())), "prefix = \"x/\""),
            (with(&|of| of.settle = Length(Duration::from_hours(2))), "settle is 2h, and settle_max 10m"),
            (with(&|of| of.rescan = Length::default()), "rescan is 0"),
            (with(&|of| of.include = vec!["a{".into()]), "the pattern `a{` is refused"),
        ] {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn directories_that_share_files_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let path = |below: &str| base.path().join(below);
        for folder in ["a/in", "b"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        symlink(path("a/in"), path("link")).unwrap();
        let named = |name: &str, at: &str| directory(name, &path(at));
        let refused = |directories: &[Directory]| check(directories).map(|_| ()).unwrap_err().to_string();
        for (one, two) in [("a", "a"), ("a", "a/in"), ("a", "link"), ("link", "a")] {
            assert!(refused(&[named("x", one), named("y", two)]).contains("overlap"), "{one} {two}");
        }
        assert_eq!(check(&[named("x", "a"), named("y", "b"), named("z", "missing")]).unwrap().len(), 3);
    }
}
