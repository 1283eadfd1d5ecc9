//! Selection of files by patterns on their paths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use globset::{Candidate, GlobBuilder, GlobSet};

use super::DirError;

/// Selection of the files below a root. The default takes every file.
///
/// Patterns match paths relative to the root. `*` and `?` stay within a component, and `**` crosses components. A pattern
/// without `/` matches the last component at any depth. A `/` at the end restricts a pattern to folders. A pattern that
/// matches a folder selects everything below it. "Selection of files" in docs/operations.md has the details.
///
/// Paths are bytes, and need not be UTF-8.
///
/// ```
/// use sexton::store::dir::Filter;
/// let filter = Filter::new(["*.jpg", "/logs/"], ["cache/"])?;
/// assert!(filter.takes(b"a/cat.jpg") && filter.takes(b"logs/2024/1"));
/// assert!(!filter.takes(b"a/cat.png") && !filter.takes(b"a/cache/cat.jpg"));
/// # Ok::<(), sexton::store::dir::DirError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// `None` takes every file.
    include: Option<Patterns>,
    exclude: Patterns,
}

/// Folder of a walk, as the filter sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// It or a folder above it is included, and so is everything below that is not excluded.
    Included,
    /// Each file below needs a pattern that includes it.
    Undecided,
}

impl Filter {
    /// Creates a filter. It takes a file if a pattern of `include` matches it or a folder above it, and no pattern of
    /// `exclude` does. Without `include` it takes all that are not excluded.
    ///
    /// # Errors
    /// [`DirError::Invalid`] if a pattern is malformed, or has a component that no path has. The message names it.
    pub fn new<'p>(
        include: impl IntoIterator<Item = &'p str>,
        exclude: impl IntoIterator<Item = &'p str>,
    ) -> Result<Self, DirError> {
        let mut include = include.into_iter().peekable();
        let include = if include.peek().is_some() { Some(Patterns::new(include)?) } else { None };
        Ok(Self { include, exclude: Patterns::new(exclude.into_iter())? })
    }

    /// Returns `true` if the filter takes the file at this path.
    pub fn takes(&self, path: &[u8]) -> bool {
        let mut above = self.root();
        for (slash, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            match self.enters(path.get(..slash).unwrap_or_default(), above) {
                Some(entered) => above = entered,
                None => return false,
            }
        }
        self.takes_in(path, above)
    }

    /// Returns the root as the filter sees it.
    pub(super) fn root(&self) -> Entered {
        if self.include.is_none() { Entered::Included } else { Entered::Undecided }
    }

    /// Returns the folder at this path, in a folder `above`, as the filter sees it. `None` if it is excluded.
    pub(super) fn enters(&self, path: &[u8], above: Entered) -> Option<Entered> {
        let is_included =
            || self.include.as_ref().is_some_and(|include| include.matches_folder(&Split::of(path)));
        match above {
            _ if self.exclude.matches_folder(&Split::of(path)) => None,
            Entered::Undecided if is_included() => Some(Entered::Included),
            above => Some(above),
        }
    }

    /// Returns `true` if the filter takes the file at this path, in a folder `above` that it enters.
    pub(super) fn takes_in(&self, path: &[u8], above: Entered) -> bool {
        let split = Split::of(path);
        let is_included = || self.include.as_ref().is_some_and(|include| include.every.matches(&split));
        (above == Entered::Included || is_included()) && !self.exclude.every.matches(&split)
    }
}

/// Path and its last component, prepared for matching.
struct Split<'p> {
    path: Candidate<'p>,
    name: Candidate<'p>,
}

impl<'p> Split<'p> {
    fn of(path: &'p [u8]) -> Self {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        Self { path: Candidate::new(OsStr::from_bytes(path)), name: Candidate::new(OsStr::from_bytes(name)) }
    }
}

/// Patterns of one option.
#[derive(Debug, Clone, Default)]
struct Patterns {
    /// Patterns for files and folders.
    every: Globs,
    /// Patterns for folders only.
    folders: Globs,
}

impl Patterns {
    fn new<'p>(patterns: impl Iterator<Item = &'p str>) -> Result<Self, DirError> {
        let (mut every, mut folders) = (Vec::new(), Vec::new());
        for pattern in patterns {
            match pattern.strip_suffix('/') {
                Some(of) => folders.push((pattern, of)),
                None => every.push((pattern, pattern)),
            }
        }
        Ok(Self { every: Globs::new(&every)?, folders: Globs::new(&folders)? })
    }

    fn matches_folder(&self, split: &Split<'_>) -> bool {
        self.every.matches(split) || self.folders.matches(split)
    }
}

/// Compiled patterns.
#[derive(Debug, Clone, Default)]
struct Globs {
    /// Those without `/`, for the last component.
    names: GlobSet,
    /// Those with `/`, for the whole path.
    paths: GlobSet,
}

impl Globs {
    /// Compiles patterns, each given as the operator wrote it and without a `/` at its end.
    fn new(patterns: &[(&str, &str)]) -> Result<Self, DirError> {
        let (mut names, mut paths) = (GlobSet::builder(), GlobSet::builder());
        for (written, pattern) in patterns {
            let refused =
                |why: &str| DirError::Invalid(format!("the pattern `{written}` is refused: {why}").into());
            let set = if pattern.contains('/') { &mut paths } else { &mut names };
            let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
            check_components(pattern).map_err(|why| refused(&why))?;
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            set.add(glob.map_err(|error| refused(&error.kind().to_string()))?);
        }
        let too_large = |error| DirError::Invalid(format!("the patterns are refused: {error}").into());
        Ok(Self { names: names.build().map_err(too_large)?, paths: paths.build().map_err(too_large)? })
    }

    fn matches(&self, split: &Split<'_>) -> bool {
        self.names.is_match_candidate(&split.name) || self.paths.is_match_candidate(&split.path)
    }
}

/// Refuses components that no path has, because such a pattern would match nothing.
fn check_components(pattern: &str) -> Result<(), String> {
    let wrong = pattern.split('/').find(|component| matches!(*component, "" | "." | ".."));
    match wrong {
        None => Ok(()),
        Some("") => Err("it has an empty component; name a path below the root".into()),
        Some(component) => {
            Err(format!("it has the component `{component}`; name a path below the root without it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pattern with paths of files that it excludes, and paths that it leaves.
    #[test]
    fn patterns_match_as_documented() {
        let table: [(&str, &[&str], &[&str]); 18] = [
            ("*.tmp", &["a.tmp", "x/y/a.tmp", ".tmp", "x.tmp/a"], &["a.tmp2", "a"]),
            ("cache", &["cache", "x/cache", "x/cache/y/a"], &["cache2", "x/mycache/a"]),
            ("cache/", &["cache/a", "x/cache/y/a"], &["cache", "x/cache"]),
            ("/cache", &["cache", "cache/a"], &["x/cache", "x/cache/a"]),
            ("/cache/", &["cache/a"], &["cache", "x/cache/a"]),
            ("x/cache", &["x/cache", "x/cache/a"], &["cache", "y/x/cache/a"]),
            ("x/*", &["x/a", "x/y/a"], &["x", "y/x/a"]),
            ("x/*/a", &["x/y/a"], &["x/a", "x/y/z/a"]),
            ("x/**/a", &["x/a", "x/y/a", "x/y/z/a"], &["y/x/a"]),
            ("**/x/a", &["x/a", "y/x/a", "z/y/x/a"], &["x/y/a"]),
            ("x/**", &["x/a", "x/y/a"], &["x", "xx/a"]),
            ("a?c", &["abc", "a.c", "x/abc"], &["ac", "abbc", "a/c"]),
            ("[!a]*.{jpg,png}", &["b.jpg", "a/b.png"], &["a.jpg", "b.gif"]),
            ("x/a[!b]c", &["x/a.c"], &["x/abc", "x/a/c"]),
            ("x/a[+-9]c", &["x/a5c"], &["x/a/c"]),
            ("a**c", &["abbc", "ac"], &["a/c"]),
            ("\\*", &["*", "x/*"], &["a"]),
            ("{x/a,b}", &["x/a", "b"], &["y/b", "a"]),
        ];
        for (pattern, excluded, left) in table {
            let filter = Filter::new([], [pattern]).unwrap();
            let only = Filter::new([pattern], []).unwrap();
            for path in excluded {
                assert!(!filter.takes(path.as_bytes()), "{pattern} does not exclude {path}");
                assert!(only.takes(path.as_bytes()), "{pattern} does not include {path}");
            }
            for path in left {
                assert!(filter.takes(path.as_bytes()), "{pattern} excludes {path}");
                assert!(!only.takes(path.as_bytes()), "{pattern} includes {path}");
            }
        }
    }

    #[test]
    fn exclusion_beats_inclusion() {
        let filter = Filter::new(["logs/", "*.log"], ["old", "*.gz"]).unwrap();
        for (path, is_taken) in [
            ("logs/a", true),
            ("x/a.log", true),
            ("logs/a.gz", false),
            ("logs/old/a.log", false),
            ("x/old", false),
            ("x/a", false),
        ] {
            assert_eq!(filter.takes(path.as_bytes()), is_taken, "{path}");
        }
        assert!(Filter::default().takes(b"any/file"));
    }

    #[test]
    fn name_that_is_not_utf8_matches_wildcards() {
        let filter = Filter::new([], ["*.tmp"]).unwrap();
        assert!(!filter.takes(b"\xff\xfe/\x80.tmp") && filter.takes(b"\xff\xfe/\x80"));
        assert!(!Filter::new([], ["x/?"]).unwrap().takes(b"x/\xff"));
    }

    #[test]
    fn pattern_that_cannot_match_is_refused_by_name() {
        for (pattern, why) in [
            ("[a", "unclosed"),
            ("{a", "unclosed"),
            ("a\\", "dangling"),
            ("[z-a]", "invalid range"),
            ("", "empty component"),
            ("/", "empty component"),
            ("a//b", "empty component"),
            ("./a", "`.`"),
            ("a/../b", "`..`"),
        ] {
            for filter in [Filter::new(["fine", pattern], []), Filter::new([], ["fine", pattern])] {
                let error = filter.unwrap_err().to_string();
                assert!(error.contains(&format!("`{pattern}`")) && error.contains(why), "{error}");
            }
        }
    }
}
