//! Keys as paths, and a walk to a folder that no symbolic link can divert.
//!
//! The kernel resolves a whole path again on every call. Another process that may write to a folder of the path can replace a
//! component by a symbolic link between two calls. So the store opens the components one at a time, each relative to the one
//! before and never through a link. All later work is relative to the open folder.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::DirError;
use super::identity::{Place, Seen};
use crate::platform::data_folder::is_data_folder;
use sexton_proof::id::KEY_MAX_BYTES;

/// Name of the quarantine folder in a root.
pub(super) const QUARANTINE: &str = ".sexton-quarantine";

/// Key that is safe to walk: relative, without empty components, `.`, `..`, NUL bytes or the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RelPath<'a> {
    /// Whole key.
    pub(super) key: &'a [u8],
    /// Path of the folder; empty for the root.
    pub(super) parent: &'a [u8],
    /// Last component.
    pub(super) name: &'a [u8],
}

impl<'a> RelPath<'a> {
    /// Parses a key. The error says what is wrong with it.
    pub(super) fn parse(key: &'a [u8]) -> Result<Self, Box<str>> {
        let bad = |what: &str| {
            Err(format!("key `{}` {what}; correct the registration", key.escape_ascii()).into_boxed_str())
        };
        if key.is_empty() {
            return bad("is empty");
        }
        if key.len() > KEY_MAX_BYTES {
            return bad(&format!("has {} bytes, more than {KEY_MAX_BYTES}", key.len()));
        }
        if key.contains(&0) {
            return bad("contains a NUL byte");
        }
        for component in key.split(|&byte| byte == b'/') {
            match component {
                b"" => return bad("is absolute or has an empty component"),
                b"." | b".." => return bad("has a component `.` or `..`"),
                _ => {}
            }
        }
        // Only the root's own quarantine: a folder of that name further below is a folder as any other.
        if key.split(|&byte| byte == b'/').next() == Some(QUARANTINE.as_bytes()) {
            return bad("points into the quarantine of the root");
        }
        let (parent, name) = match key.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (key.get(..slash).unwrap_or_default(), key.get(slash + 1..).unwrap_or_default()),
            None => (&b""[..], key),
        };
        Ok(Self { key, parent, name })
    }
}

/// End of a walk to a folder.
#[derive(Debug)]
pub(super) enum Folder {
    /// The folder itself.
    Open(OwnedFd),
    /// The deepest existing folder of the path. An fsync of *it* makes durable that the rest is missing.
    Missing(OwnedFd),
}

impl Folder {
    /// Returns the open folder.
    pub(super) fn deepest(&self) -> BorrowedFd<'_> {
        match self {
            Self::Open(folder) | Self::Missing(folder) => folder.as_fd(),
        }
    }
}

/// Walks from `root`, which is in `place`, to the folder `path` (empty: the root), through directories only.
///
/// # Errors
/// [`DirError::Invalid`] if a folder of the path lies on another file system or mount than the root, or is a data folder
/// of the engine: nothing below it belongs to the root. [`DirError::Io`].
pub(super) fn walk_to(root: BorrowedFd<'_>, place: Place, path: &[u8]) -> Result<Folder, DirError> {
    let failed = |errno| DirError::Io(failure_message("opening the folder", path, errno));
    // Opened and not duplicated: the kernel reports a failed fsync once to each open file description.
    let mut here = open_folder(root, b".")
        .map_err(|errno| DirError::Io(failure_message("opening the folder", b".", errno)))?;
    if path.is_empty() {
        return Ok(Folder::Open(here));
    }
    for component in path.split(|&byte| byte == b'/') {
        here = match open_folder(here.as_fd(), component) {
            Ok(next) => next,
            Err(Errno::NOENT) => return Ok(Folder::Missing(here)),
            Err(errno) => return Err(failed(errno)),
        };
        check_inside(here.as_fd(), place).map_err(|outside| outside.error(path))?;
    }
    Ok(Folder::Open(here))
}

/// Reason for which a folder does not belong to a root.
pub(super) enum Outside {
    /// It lies on another file system or mount. A mount hides what is below it, so a missing file there tells nothing about
    /// the file of the root.
    FileSystem,
    /// It is or lies in a data folder of the engine.
    DataFolder,
    /// It cannot be inspected.
    Unknown(Errno),
}

impl Outside {
    /// Returns the error for a folder of the path `path`.
    pub(super) fn error(&self, path: &[u8]) -> DirError {
        match self {
            Self::FileSystem => elsewhere(path),
            Self::DataFolder => DirError::Invalid(
                format!(
                    "the folder `{}` is or lies in a data folder of Sexton, whose files are no objects; move it out of the root",
                    path.escape_ascii()
                )
                .into(),
            ),
            Self::Unknown(errno) => DirError::Io(failure_message("opening the folder", path, *errno)),
        }
    }
}

/// Checks that an open folder belongs to a root in `place`, and returns its metadata.
pub(super) fn check_inside(folder: BorrowedFd<'_>, place: Place) -> Result<Seen, Outside> {
    let seen = Seen::of(folder).map_err(Outside::Unknown)?;
    if seen.place != place {
        return Err(Outside::FileSystem);
    }
    if is_data_folder(folder).map_err(Outside::Unknown)? {
        return Err(Outside::DataFolder);
    }
    Ok(seen)
}

/// Returns the error for a path that lies on another file system or mount than the root.
pub(super) fn elsewhere(path: &[u8]) -> DirError {
    DirError::Invalid(
        format!(
            "the path `{}` lies on another file system mounted below the root, which hides what the root has there; unmount it, \
             or open a store of its own there",
            path.escape_ascii()
        )
        .into(),
    )
}

/// Opens a folder inside `at`. Anything else, a symbolic link included, gives `ENOTDIR`.
pub(super) fn open_folder(at: BorrowedFd<'_>, component: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, component, flags, Mode::empty())
}

/// Returns a message: what failed, the path, the error of the operating system, and what to do.
pub(super) fn failure_message(doing: &str, path: &[u8], errno: Errno) -> Box<str> {
    format!("{doing} `{}` failed: {errno}; {}", path.escape_ascii(), advice(errno)).into_boxed_str()
}

/// Returns what the operator can do about an error of the file system.
fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::ACCESS => "give this process read, write and search permission on the folder",
        Errno::PERM => "remove the immutable or append-only flag, or give this process the permission",
        Errno::XDEV => "it lies on another file system mounted below the root: open a store of its own there",
        Errno::ROFS => "mount the file system writable",
        Errno::NOTDIR | Errno::LOOP => {
            "a component is not a folder, or a symbolic link, which is never followed: put the folder back in its place"
        }
        Errno::NAMETOOLONG => "no file can have such a name here: correct the registration",
        Errno::NOSPC | Errno::DQUOT => "free some space or raise the quota",
        Errno::MFILE | Errno::NFILE => "raise the limit of open files",
        Errno::BUSY => "something is mounted on it: unmount it",
        Errno::IO => "check the disk",
        _ => "it will be tried again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn key_is_split_at_its_last_slash() {
        let path = RelPath::parse(b"a/b/c").unwrap();
        assert_eq!((path.parent, path.name), (&b"a/b"[..], &b"c"[..]));
        let path = RelPath::parse(b"c").unwrap();
        assert_eq!((path.parent, path.name), (&b""[..], &b"c"[..]));
    }

    #[test]
    fn key_that_could_leave_the_root_is_refused() {
        for (key, reason) in [
            (&b""[..], "empty"),
            (b"/etc/passwd", "absolute"),
            (b"a//b", "empty component"),
            (b"a/", "empty component"),
            (b"../a", "`..`"),
            (b"a/../b", "`..`"),
            (b"a/..", "`..`"),
            (b"./a", "`.`"),
            (b"a\0b", "NUL"),
            (b".sexton-quarantine/lock", "quarantine"),
            (b".sexton-quarantine", "quarantine"),
        ] {
            let why = RelPath::parse(key).unwrap_err();
            assert!(why.contains(reason), "{key:?}: {why}");
            assert!(why.contains("correct the registration"), "{why}");
        }
        assert!(RelPath::parse(&[b'a'; KEY_MAX_BYTES + 1]).unwrap_err().contains("2049"));
    }

    #[test]
    fn names_that_only_look_dangerous_are_accepted() {
        for key in [
            &b"..."[..],
            b"..a/b..",
            b".hidden",
            b".sexton-quarantine2",
            b"a/.sexton-quarantine/b",
            b"\xff\xfe/\x80",
            b"a\nb",
        ] {
            assert_eq!(RelPath::parse(key).unwrap().key, key);
        }
    }

    proptest! {
        #[test]
        fn accepted_key_has_only_plain_components(key in "[a./]{1,12}") {
            let plain = key.split('/').all(|c| !matches!(c, "" | "." | ".."));
            prop_assert_eq!(RelPath::parse(key.as_bytes()).is_ok(), plain);
        }
    }
}
