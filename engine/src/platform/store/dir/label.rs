//! The label of a root: the file `.sexton-quarantine/root`, which holds the root's id.
//!
//! ```text
//! sexton root 1
//! 5b0c1d…                        id: 16 random bytes
//! 1835010 1767225600.000000000   inode and birth time of the label itself; `-` if the birth time is unknown
//! ```
//!
//! The label names its own inode. So a copy of the root is told apart from the root: in the copy the label is another file.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::DirError;
use super::disk::Disk;
use super::identity::Seen;
use super::path::{QUARANTINE, failure_message};
use super::root_id::RootId;

const LABEL: &str = "root";
/// Name of a label that is not complete yet.
const NEW_LABEL: &str = "root.new";
const HEADER: &str = "sexton root 1\n";
/// Limit of the size of a label, bytes. A complete one has fewer.
const LABEL_BYTES_MAX: u64 = 256;

/// State of the label of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// The root has none: it is no root of a store yet, or the disk is not mounted.
    Missing,
    /// The label is damaged, or was copied here from another root.
    NotOurs,
    /// The root has this id.
    Of(RootId),
}

impl Label {
    /// Reads the label in a quarantine folder.
    pub(super) fn read(quarantine: BorrowedFd<'_>) -> Result<Self, DirError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(quarantine, LABEL, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Label::Missing),
            Err(errno) => return Err(failed("reading", errno)),
        };
        let seen = Seen::of(file.as_fd()).map_err(|errno| failed("reading", errno))?;
        if seen.kind != FileType::RegularFile {
            return Ok(Label::NotOurs);
        }
        let mut bytes = Vec::new();
        File::from(file)
            .take(LABEL_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|error| failed("reading", Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        Ok(parse_id(&bytes)
            .filter(|id| bytes == text(*id, &seen).as_bytes())
            .map_or(Label::NotOurs, Label::Of))
    }

    /// Gives the root of a quarantine folder this id. It is durable when this returns.
    ///
    /// A crash leaves the former label or the new one.
    pub(super) fn write(quarantine: BorrowedFd<'_>, id: RootId, disk: &Disk) -> Result<(), DirError> {
        let _ = unlinkat(quarantine, NEW_LABEL, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(quarantine, NEW_LABEL, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| failed("writing", errno))?;
        let seen = Seen::of(file.as_fd()).map_err(|errno| failed("writing", errno))?;
        let mut file = File::from(file);
        file.write_all(text(id, &seen).as_bytes())
            .map_err(|error| failed("writing", Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        disk.sync(file.as_fd(), NEW_LABEL.as_bytes()).map_err(DirError::Io)?;
        renameat(quarantine, NEW_LABEL, quarantine, LABEL).map_err(|errno| failed("writing", errno))?;
        disk.sync(quarantine, QUARANTINE.as_bytes()).map_err(DirError::Io)
    }
}

/// Returns the content of a label that is the file `seen`.
fn text(id: RootId, seen: &Seen) -> String {
    format!("{HEADER}{id}\n{}\n", seen.inode_and_birth())
}

/// Returns the id in the bytes of a label.
fn parse_id(bytes: &[u8]) -> Option<RootId> {
    let mut id = [0; 16];
    let hex = bytes.strip_prefix(HEADER.as_bytes())?.get(..2 * id.len())?;
    hex::decode_to_slice(hex, &mut id).ok()?;
    Some(RootId::from_bytes(id))
}

fn failed(doing: &str, errno: Errno) -> DirError {
    DirError::Io(failure_message(doing, format!("{QUARANTINE}/{LABEL}").as_bytes(), errno))
}
