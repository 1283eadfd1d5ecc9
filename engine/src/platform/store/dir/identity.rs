//! Versions of files, by which the registered file is recognised.
//!
//! A version is taken when a file is registered, and compared just before the file is deleted. Its parts:
//!
//! | property | part of the version | reason |
//! |---|---|---|
//! | inode | both kinds | a new file renamed over the old one has another inode |
//! | birth time | both kinds, if the file system knows it | inode numbers are reused; ext4 gives a freed one to the very next file. No call sets a birth time |
//! | size, mtime with ns | `Exact` | writing in place changes them. Logs grow, so `InodeOnly` omits them |
//! | ctime | no | it would detect an mtime set back by hand, but `chmod`, a new hard link and the rename into the quarantine change it too. After a crash, a file put back would look changed |
//! | device | no | device numbers change at every boot. One root is on one file system anyway |
//!
//! `Exact` misses two cases. One is a file rewritten in place with the same size, whose mtime is set back by hand. The
//! other is a file rewritten within the clock tick (up to 10 ms) in which it was identified. Linux 6.13 and later have
//! finer time stamps, which exclude this case. If files are written in place, identify them when they are complete.

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, statx};
use rustix::io::Errno;
use sexton_proof::time::Timestamp;

/// Properties by which a file is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Identity {
    /// Inode, birth time, size and mtime: the file with its present content. For files that are written once.
    Exact,
    /// Inode and birth time: the file, even if it grows. For logs.
    ///
    /// After a rotation, the new file of that name is another file. A file truncated in place (`copytruncate`) is the same.
    /// Needs a file system with birth times (ext4, xfs, btrfs, tmpfs), because an inode number alone soon belongs to another
    /// file.
    InodeOnly,
}

/// File as [`identify`](super::DirStore::identify) found it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identified {
    /// Version to register: self-describing, 22 or 42 bytes.
    pub version: Vec<u8>,
    /// Size, bytes.
    pub size: u64,
    /// Last modification.
    pub modified: Timestamp,
}

/// Time stamp of the file system: seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instant {
    s: i64,
    ns: u32,
}

impl From<StatxTimestamp> for Instant {
    fn from(stamp: StatxTimestamp) -> Self {
        Self { s: stamp.tv_sec, ns: stamp.tv_nsec }
    }
}

/// Metadata of a name in a folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) regular: bool,
    pub(super) folder: bool,
    pub(super) links: u32,
    pub(super) size_bytes: u64,
    /// Mount of the file, if the kernel tells it (Linux 5.8).
    pub(super) mount: Option<u64>,
    inode: u64,
    birth: Option<Instant>,
    modified: Instant,
}

impl Seen {
    /// Reads the metadata of `name` in `folder`, never through a symbolic link; `None` if there is no such name.
    pub(super) fn at(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Self>, Errno> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
        match statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, wanted) {
            Ok(found) => Ok(Some(Self::from(&found))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Returns the last modification.
    pub(super) fn modified(&self) -> Timestamp {
        let whole = self.modified.s.saturating_mul(1000);
        Timestamp::from_unix_ms(whole.saturating_add(i64::from(self.modified.ns / 1_000_000)))
    }

    /// Returns the version of this file; `None` if the file system does not tell enough for this kind.
    pub(super) fn version(&self, identity: Identity) -> Option<FileVersion> {
        let content = match identity {
            Identity::Exact => Some((self.size_bytes, self.modified)),
            Identity::InodeOnly if self.birth.is_some() => None,
            Identity::InodeOnly => return None,
        };
        Some(FileVersion { inode: self.inode, birth: self.birth, content })
    }
}

impl From<&Statx> for Seen {
    fn from(found: &Statx) -> Self {
        let given = StatxFlags::from_bits_retain(found.stx_mask);
        let kind = FileType::from_raw_mode(u32::from(found.stx_mode));
        let birth = Instant::from(found.stx_btime);
        // A file older than the support for birth times in its ext4 has a zero: unknown, not 1970.
        let known = given.contains(StatxFlags::BTIME) && birth != Instant { s: 0, ns: 0 };
        Self {
            regular: kind == FileType::RegularFile,
            folder: kind == FileType::Directory,
            links: found.stx_nlink,
            size_bytes: found.stx_size,
            mount: given.contains(StatxFlags::MNT_ID).then_some(found.stx_mnt_id),
            inode: found.stx_ino,
            birth: known.then_some(birth),
            modified: Instant::from(found.stx_mtime),
        }
    }
}

/// First byte of a version.
const KIND_EXACT: u8 = 1;
const KIND_INODE_ONLY: u8 = 2;
const INODE_ONLY_BYTES: usize = 22;
const EXACT_BYTES: usize = 42;

/// Decoded version.
///
/// Layout, big-endian: kind u8 ‖ birth known u8 ‖ inode u64 ‖ birth s i64 ‖ birth ns u32, and for `Exact` also
/// size u64 ‖ mtime s i64 ‖ mtime ns u32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileVersion {
    inode: u64,
    birth: Option<Instant>,
    /// Size and mtime; `None` for `InodeOnly`.
    content: Option<(u64, Instant)>,
}

impl FileVersion {
    /// Returns the bytes to be registered.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(EXACT_BYTES);
        out.push(if self.content.is_some() { KIND_EXACT } else { KIND_INODE_ONLY });
        out.push(u8::from(self.birth.is_some()));
        out.extend(self.inode.to_be_bytes());
        let put = |out: &mut Vec<u8>, instant: Instant| {
            out.extend(instant.s.to_be_bytes());
            out.extend(instant.ns.to_be_bytes());
        };
        put(&mut out, self.birth.unwrap_or(Instant { s: 0, ns: 0 }));
        if let Some((size_bytes, modified)) = self.content {
            out.extend(size_bytes.to_be_bytes());
            put(&mut out, modified);
        }
        out
    }

    /// Decodes a version strictly. Bytes that `encode` would not write are refused, because they could match another file.
    pub(super) fn decode(version: &[u8]) -> Result<Self, Box<str>> {
        Self::parse(version).ok_or_else(|| {
            let hex: String = version.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
            format!("version `{hex}` is not one of a directory store; register with the version that identify gave")
                .into_boxed_str()
        })
    }

    fn parse(version: &[u8]) -> Option<Self> {
        let kind = *version.first()?;
        let expected = match kind {
            KIND_EXACT => EXACT_BYTES,
            KIND_INODE_ONLY => INODE_ONLY_BYTES,
            _ => return None,
        };
        if version.len() != expected {
            return None;
        }
        let u64_at = |at: usize| Some(u64::from_be_bytes(version.get(at..at + 8)?.try_into().ok()?));
        let instant_at = |at: usize| {
            let s = i64::from_be_bytes(version.get(at..at + 8)?.try_into().ok()?);
            let ns = u32::from_be_bytes(version.get(at + 8..at + 12)?.try_into().ok()?);
            (ns < 1_000_000_000).then_some(Instant { s, ns })
        };
        let inode = u64_at(2)?;
        let stored = instant_at(10)?;
        let birth = match (version.get(1)?, stored == Instant { s: 0, ns: 0 }) {
            (0, true) => None,
            (1, false) => Some(stored),
            _ => return None,
        };
        let content = if kind == KIND_EXACT { Some((u64_at(22)?, instant_at(30)?)) } else { None };
        (content.is_some() || birth.is_some()).then_some(Self { inode, birth, content })
    }

    /// Returns `true` if `seen` is the registered file.
    ///
    /// Only a regular file can be. A birth time known on one side only counts as different: in doubt a file is kept.
    pub(super) fn is(&self, seen: &Seen) -> bool {
        seen.regular
            && seen.inode == self.inode
            && seen.birth == self.birth
            && self.content.is_none_or(|content| content == (seen.size_bytes, seen.modified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(birth: Option<Instant>, content: Option<(u64, Instant)>) -> FileVersion {
        FileVersion { inode: 7, birth, content }
    }

    const T: Instant = Instant { s: 1_700_000_000, ns: 5 };

    #[test]
    fn version_reads_back_and_is_short() {
        for v in [version(Some(T), None), version(Some(T), Some((3, T))), version(None, Some((3, T)))] {
            let bytes = v.encode();
            assert!(bytes.len() <= 64);
            assert_eq!(FileVersion::decode(&bytes).unwrap(), v);
        }
    }

    #[test]
    fn bare_inode_number_is_refused_as_version() {
        let bytes = version(None, None).encode();
        assert!(FileVersion::decode(&bytes).unwrap_err().contains("identify"));
        let seen = Seen {
            regular: true,
            folder: false,
            links: 1,
            size_bytes: 0,
            mount: None,
            inode: 7,
            birth: None,
            modified: T,
        };
        assert!(seen.version(Identity::InodeOnly).is_none());
        assert!(seen.version(Identity::Exact).is_some());
    }

    #[test]
    fn birth_time_known_on_one_side_is_another_file() {
        let mut seen = Seen {
            regular: true,
            folder: false,
            links: 1,
            size_bytes: 3,
            mount: None,
            inode: 7,
            birth: Some(T),
            modified: T,
        };
        let v = seen.version(Identity::Exact).unwrap();
        assert!(v.is(&seen));
        seen.birth = None;
        assert!(!v.is(&seen));
    }

    #[test]
    fn truncated_or_extended_version_is_refused() {
        for v in [version(Some(T), None), version(Some(T), Some((3, T)))] {
            let bytes = v.encode();
            for len in 0..bytes.len() {
                assert!(FileVersion::decode(&bytes[..len]).is_err());
            }
            assert!(FileVersion::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    proptest! {
        #[test]
        fn accepted_bytes_are_written_back_the_same(kind in 0u8..4, known in 0u8..3,
            rest in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 18..44)) {
            let bytes = [&[kind, known][..], &rest].concat();
            if let Ok(v) = FileVersion::decode(&bytes) {
                prop_assert_eq!(v.encode(), bytes);
            }
        }
    }
}
