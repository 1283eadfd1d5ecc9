//! Folders inside one another, seen through symbolic links and bind mounts.
//!
//! A path tells little: links and mounts give a folder several. Two things are compared. The folders above a folder are
//! found by walking up from it, and compared by device and inode. The walk ends at the top of a bind mount and does not see
//! the folders above its source. So the positions inside the file system are compared too, as the table of mounts has them.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::identity::Seen;

/// Calls `visit` with an open folder and each folder above it, up to the root of the process, until it returns `true`.
/// Returns that last answer.
pub(super) fn any_upwards(
    folder: BorrowedFd<'_>,
    mut visit: impl FnMut(BorrowedFd<'_>, &Seen) -> Result<bool, Errno>,
) -> Result<bool, Errno> {
    // A folder that is only searched, and not read, needs no permission to read.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here: OwnedFd = openat(folder, ".", flags, Mode::empty())?;
    let mut seen = Seen::of(here.as_fd())?;
    loop {
        if visit(here.as_fd(), &seen)? {
            return Ok(true);
        }
        let above = openat(&here, "..", flags, Mode::empty())?;
        let above_seen = Seen::of(above.as_fd())?;
        if above_seen.same_folder(&seen) && above_seen.place == seen.place {
            return Ok(false);
        }
        (here, seen) = (above, above_seen);
    }
}

/// Returns `true` if one of two open folders is the other, or is inside it.
pub(super) fn overlap(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(is_below(a, b)? || is_below(b, a)? || positions_overlap(a, b))
}

/// Returns `true` if `folder` is `other`, or a walk upwards from it comes to `other`.
fn is_below(folder: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool, Errno> {
    let other = Seen::of(other)?;
    any_upwards(folder, |_, seen| Ok(seen.same_folder(&other)))
}

fn positions_overlap(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    let (Some(a), Some(b)) = (Position::of(a), Position::of(b)) else { return false };
    a.device == b.device && (a.path.starts_with(&b.path) || b.path.starts_with(&a.path))
}

/// Position of a folder inside its file system, whatever part of it is mounted where.
#[derive(Debug, PartialEq, Eq)]
struct Position {
    /// Number of the device, as the table of mounts has it.
    device: Vec<u8>,
    path: PathBuf,
}

impl Position {
    /// Returns `None` if the kernel does not tell it, for example without `/proc`.
    fn of(folder: BorrowedFd<'_>) -> Option<Self> {
        let mount = Seen::of(folder).ok()?.place.mount?;
        let path = fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd())).ok()?;
        Self::from_table(&fs::read("/proc/self/mountinfo").ok()?, mount, &path)
    }

    /// Finds the mount in the table of mounts. `path` is where the process sees the folder.
    fn from_table(table: &[u8], mount: u64, path: &Path) -> Option<Self> {
        let id = mount.to_string();
        // A line: id, parent, device, root of the mount inside its file system, mount point, and more.
        table.split(|&byte| byte == b'\n').find_map(|line| {
            let mut fields = line.split(|&byte| byte == b' ');
            if fields.next()? != id.as_bytes() {
                return None;
            }
            let device = fields.nth(1)?.to_vec();
            let [root, point] = [fields.next()?, fields.next()?].map(unescape);
            Some(Position { device, path: root.join(path.strip_prefix(point).ok()?) })
        })
    }
}

/// Returns the path of a field, in which the kernel writes white space and `\` as `\` and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, behind)) = rest.split_first() {
        let octal = behind
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(byte));
        rest = behind.get(if octal.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn position_is_root_of_mount_and_path_below_it() {
        let table = b"21 1 254:0 / / rw - ext4 /dev/vda rw\n\
                      35 21 254:0 /var/my\\040lib /mnt/a\\134b rw shared:1 - ext4 /dev/vda rw\n";
        let position = |mount, path: &str| Position::from_table(table, mount, Path::new(path));
        let at = |path: &str| Some(Position { device: b"254:0".to_vec(), path: path.into() });
        assert_eq!(position(21, "/var/my lib/x"), at("/var/my lib/x"));
        assert_eq!(position(35, "/mnt/a\\b/x/y"), at("/var/my lib/x/y"));
        assert_eq!(position(35, "/mnt/a\\b"), at("/var/my lib"));
        assert_eq!(position(35, "/elsewhere"), None);
        assert_eq!(position(2, "/"), None);
    }

    #[test]
    fn unescape_keeps_what_is_no_octal_number() {
        for (field, path) in
            [("\\040", " "), ("a\\0", "a\\0"), ("\\777", "\\777"), ("\\011b", "\tb"), ("", "")]
        {
            assert_eq!(unescape(field.as_bytes()).as_os_str().as_bytes(), path.as_bytes());
        }
    }
}
