//! Keys as paths, and the way down to a folder that no symbolic link can divert.
//!
//! A path given to the kernel in one piece is resolved anew on every call, and whoever may write to any folder on the
//! way can swap a component for a symbolic link between two calls. So the way is walked component by component, each
//! opened relative to the one before and never through a link, and all later work happens relative to the folder that
//! is then held open.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::quarantine::QUARANTINE;

/// The longest key, as everywhere in Sexton.
pub(super) const KEY_BYTES_MAX: usize = 1024;

/// A key that is safe to walk: relative, without empty components, `.`, `..`, NUL and the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RelPath<'a> {
    /// The whole key.
    pub(super) key: &'a [u8],
    /// The folder, empty for the root itself.
    pub(super) parent: &'a [u8],
    /// The last component.
    pub(super) name: &'a [u8],
}

impl<'a> RelPath<'a> {
    /// Reads a key, or says what is wrong with it.
    pub(super) fn parse(key: &'a [u8]) -> Result<Self, Box<str>> {
        let bad = |what: &str| {
            Err(format!("key `{}` {what}; correct the registration", key.escape_ascii()).into_boxed_str())
        };
        if key.is_empty() {
            return bad("is empty");
        }
        if key.len() > KEY_BYTES_MAX {
            return bad(&format!("has {} bytes, more than {KEY_BYTES_MAX}", key.len()));
        }
        if key.contains(&0) {
            return bad("contains a NUL byte");
        }
        for component in key.split(|&byte| byte == b'/') {
            match component {
                b"" => return bad("is absolute or has an empty component"),
                b"." | b".." => return bad("has a component `.` or `..`"),
                // Anywhere, not just at the top: a folder below may be the root of another store.
                c if c == QUARANTINE.as_bytes() => return bad("points into a quarantine folder"),
                _ => {}
            }
        }
        let (parent, name) = match key.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (key.get(..slash).unwrap_or_default(), key.get(slash + 1..).unwrap_or_default()),
            None => (&b""[..], key),
        };
        Ok(Self { key, parent, name })
    }
}

/// Where the walk to a folder ended.
#[derive(Debug)]
pub(super) enum Folder {
    /// At the folder.
    Open(OwnedFd),
    /// At the deepest folder of the way that exists. Making *it* durable makes durable that the rest is gone.
    Missing(OwnedFd),
}

impl Folder {
    /// The folder that is held open, whichever it is.
    pub(super) fn deepest(&self) -> BorrowedFd<'_> {
        match self {
            Self::Open(folder) | Self::Missing(folder) => folder.as_fd(),
        }
    }
}

/// Walks from `root` to the folder `path` (empty: the root), through directories only.
pub(super) fn walk_to(root: BorrowedFd<'_>, path: &[u8]) -> Result<Folder, Box<str>> {
    // A descriptor of its own, opened and not duplicated, so that a failed fsync is reported to each of them.
    let mut here = open_folder(root, b".").map_err(|errno| sentence("opening the folder", b".", errno))?;
    if path.is_empty() {
        return Ok(Folder::Open(here));
    }
    for component in path.split(|&byte| byte == b'/') {
        match open_folder(here.as_fd(), component) {
            Ok(next) => here = next,
            Err(Errno::NOENT) => return Ok(Folder::Missing(here)),
            Err(errno) => return Err(sentence("opening the folder", path, errno)),
        }
    }
    Ok(Folder::Open(here))
}

/// Opens one folder inside `at`; a symbolic link or anything else that is not a folder gives `ENOTDIR`.
pub(super) fn open_folder(at: BorrowedFd<'_>, component: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, component, flags, Mode::empty())
}

/// What failed, on which path, with which answer of the system, and what to do.
pub(super) fn sentence(doing: &str, path: &[u8], errno: Errno) -> Box<str> {
    format!("{doing} `{}` failed: {errno}; {}", path.escape_ascii(), advice(errno)).into_boxed_str()
}

/// What a person can do about an error of the file system.
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
    fn a_key_is_split_at_its_last_slash() {
        let path = RelPath::parse(b"a/b/c").unwrap();
        assert_eq!((path.parent, path.name), (&b"a/b"[..], &b"c"[..]));
        let path = RelPath::parse(b"c").unwrap();
        assert_eq!((path.parent, path.name), (&b""[..], &b"c"[..]));
    }

    #[test]
    fn a_key_that_could_leave_the_root_is_refused_with_its_reason() {
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
            (b"sub/.sexton-quarantine/1-1/0", "quarantine"),
            (b".sexton-quarantine", "quarantine"),
        ] {
            let why = RelPath::parse(key).unwrap_err();
            assert!(why.contains(reason), "{key:?}: {why}");
            assert!(why.contains("correct the registration"), "{why}");
        }
        assert!(RelPath::parse(&[b'a'; 1025]).unwrap_err().contains("1025"));
    }

    #[test]
    fn names_that_only_look_dangerous_are_fine() {
        for key in [&b"..."[..], b"..a/b..", b".hidden", b"a/.sexton-quarantine2", b"\xff\xfe/\x80", b"a\nb"]
        {
            assert_eq!(RelPath::parse(key).unwrap().key, key);
        }
    }

    proptest! {
        #[test]
        fn a_key_that_is_accepted_has_only_plain_components(key in "[a./]{1,12}") {
            let plain = key.split('/').all(|c| !matches!(c, "" | "." | ".."));
            prop_assert_eq!(RelPath::parse(key.as_bytes()).is_ok(), plain);
        }
    }
}
