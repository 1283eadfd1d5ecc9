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
//! | root | both kinds: the first 8 bytes of the root's id | in another root every file is missing, and would count as deleted |
//! | device, mount | no | both numbers change at every boot. At deletion they are compared with those of the root |
//!
//! `Exact` misses two cases. One is a file rewritten in place with the same size, whose mtime is set back by hand. The
//! other is a file rewritten within the clock tick (up to 10 ms) in which it was identified. Linux 6.13 and later have
//! finer time stamps, which exclude this case. If files are written in place, identify them when they are complete.

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, statx};
use rustix::io::Errno;
use sexton_proof::time::Timestamp;

use super::root_id::RootId;

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
    /// Version to register: self-describing, 30 or 50 bytes. It names the root of the file.
    pub version: Vec<u8>,
    /// Size, bytes.
    pub size: u64,
    /// Last modification. Anyone who may write the file can set it to any instant.
    pub modified: Timestamp,
    /// Birth time, if the file system knows it. No call sets it. A copy of a file is born when it is made.
    pub born: Option<Timestamp>,
    pub(super) seen: Seen,
    pub(super) root: RootId,
}

/// Relation of a file to the version that is registered for its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Likeness {
    /// It is the registered file.
    Same,
    /// It is the registered file by its inode and birth time, with other content.
    OtherContent,
    /// It is another file under the name, or one of another root. Without birth times, a file with other content is another
    /// one, because inode numbers are reused.
    Another,
    /// The version is not one of a directory store, so it tells nothing.
    Unknown,
}

/// File of a root by inode and birth time, whatever its name and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    root: [u8; 8],
    inode: u64,
    /// Seconds and nanoseconds.
    birth: (i64, u32),
}

impl FileId {
    /// Returns the file that has this version. `None` if the version does not tell: it names no root or no birth time, or is
    /// not one of a directory store.
    pub fn of(version: &[u8]) -> Option<FileId> {
        let FileVersion { root, inode, birth, .. } = FileVersion::decode(version).ok()?;
        let birth = birth?;
        Some(FileId { root: root?, inode, birth: (birth.s, birth.ns) })
    }
}

impl Identified {
    /// Returns the relation of the file to a registered version.
    pub fn likeness(&self, registered: &[u8]) -> Likeness {
        let Ok(version) = FileVersion::decode(registered) else { return Likeness::Unknown };
        let is_by_inode = FileVersion { content: None, ..version }.is(&self.seen);
        if !version.is_of(self.root) {
            Likeness::Another
        } else if version.is(&self.seen) {
            Likeness::Same
        } else if is_by_inode && self.born.is_some() {
            Likeness::OtherContent
        } else {
            Likeness::Another
        }
    }
}

/// Time stamp of the file system: seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instant {
    s: i64,
    ns: u32,
}

impl Instant {
    /// Returns it in whole milliseconds.
    fn timestamp(self) -> Timestamp {
        let whole = self.s.saturating_mul(1000);
        Timestamp::from_unix_ms(whole.saturating_add(i64::from(self.ns / 1_000_000)))
    }
}

impl From<StatxTimestamp> for Instant {
    fn from(stamp: StatxTimestamp) -> Self {
        Self { s: stamp.tv_sec, ns: stamp.tv_nsec }
    }
}

/// File system and mount in which a file is found. Both numbers hold until the next boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Major and minor number of the device.
    device: (u32, u32),
    /// Mount, if the kernel tells it (Linux 5.8).
    pub(super) mount: Option<u64>,
}

/// Metadata of a name in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: FileType,
    pub(super) links: u32,
    pub(super) size_bytes: u64,
    pub(super) place: Place,
    inode: u64,
    birth: Option<Instant>,
    modified: Instant,
}

impl Seen {
    /// Reads the metadata of `name` in `folder`, never through a symbolic link; `None` if there is no such name.
    pub(super) fn at(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Self>, Errno> {
        match statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, Self::wanted()) {
            Ok(found) => Ok(Some(Self::from(&found))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Reads the metadata of an open file or folder.
    pub(super) fn of(open: BorrowedFd<'_>) -> Result<Self, Errno> {
        statx(open, c"", AtFlags::EMPTY_PATH, Self::wanted()).map(|found| Self::from(&found))
    }

    fn wanted() -> StatxFlags {
        StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID
    }

    /// Returns `true` if both are the same folder, perhaps seen through different mounts.
    pub(super) fn same_folder(&self, other: &Self) -> bool {
        (self.inode, self.place.device) == (other.inode, other.place.device)
    }

    /// Returns inode and birth time as text.
    pub(super) fn inode_and_birth(&self) -> String {
        let birth = self.birth.map_or("-".into(), |birth| format!("{}.{:09}", birth.s, birth.ns));
        format!("{} {birth}", self.inode)
    }

    /// Returns the file as it is registered in a root; `None` if the file system does not tell enough for this kind.
    pub(super) fn identified(self, identity: Identity, root: RootId) -> Option<Identified> {
        Some(Identified {
            version: self.version(identity, root)?.encode(),
            size: self.size_bytes,
            modified: self.modified.timestamp(),
            born: self.birth.map(Instant::timestamp),
            seen: self,
            root,
        })
    }

    /// Returns the version of this file of a root; `None` if the file system does not tell enough for this kind.
    pub(super) fn version(&self, identity: Identity, root: RootId) -> Option<FileVersion> {
        let content = match identity {
            Identity::Exact => Some((self.size_bytes, self.modified)),
            Identity::InodeOnly if self.birth.is_some() => None,
            Identity::InodeOnly => return None,
        };
        Some(FileVersion { root: Some(root.tag()), inode: self.inode, birth: self.birth, content })
    }
}

impl From<&Statx> for Seen {
    fn from(found: &Statx) -> Self {
        let given = StatxFlags::from_bits_retain(found.stx_mask);
        let birth = Instant::from(found.stx_btime);
        // A file older than the support for birth times in its ext4 has a zero: unknown, not 1970.
        let known = given.contains(StatxFlags::BTIME) && birth != Instant { s: 0, ns: 0 };
        Self {
            kind: FileType::from_raw_mode(u32::from(found.stx_mode)),
            links: found.stx_nlink,
            size_bytes: found.stx_size,
            place: Place {
                device: (found.stx_dev_major, found.stx_dev_minor),
                mount: given.contains(StatxFlags::MNT_ID).then_some(found.stx_mnt_id),
            },
            inode: found.stx_ino,
            birth: known.then_some(birth),
            modified: Instant::from(found.stx_mtime),
        }
    }
}

/// First byte of a version. Earlier releases wrote versions without a root.
const KIND_EXACT_WITHOUT_ROOT: u8 = 1;
const KIND_INODE_ONLY_WITHOUT_ROOT: u8 = 2;
const KIND_EXACT: u8 = 3;
const KIND_INODE_ONLY: u8 = 4;
/// Longest version.
const EXACT_BYTES: usize = 50;

/// Decoded version.
///
/// Layout, big-endian: kind u8 ‖ birth known u8 ‖ root (8) ‖ inode u64 ‖ birth s i64 ‖ birth ns u32, and for an exact one
/// also size u64 ‖ mtime s i64 ‖ mtime ns u32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileVersion {
    /// First bytes of the root's id; `None` in a version of an earlier release.
    root: Option<[u8; 8]>,
    inode: u64,
    birth: Option<Instant>,
    /// Size and mtime; `None` for `InodeOnly`.
    content: Option<(u64, Instant)>,
}

impl FileVersion {
    /// Returns the bytes to be registered.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(EXACT_BYTES);
        out.push(match (self.content, self.root) {
            (Some(_), Some(_)) => KIND_EXACT,
            (None, Some(_)) => KIND_INODE_ONLY,
            (Some(_), None) => KIND_EXACT_WITHOUT_ROOT,
            (None, None) => KIND_INODE_ONLY_WITHOUT_ROOT,
        });
        out.push(u8::from(self.birth.is_some()));
        out.extend(self.root.iter().flatten());
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
        let (&[kind, known], mut rest) = version.split_first_chunk()?;
        let (is_exact, has_root) = match kind {
            KIND_EXACT => (true, true),
            KIND_INODE_ONLY => (false, true),
            KIND_EXACT_WITHOUT_ROOT => (true, false),
            KIND_INODE_ONLY_WITHOUT_ROOT => (false, false),
            _ => return None,
        };
        let root = if has_root { Some(take(&mut rest)?) } else { None };
        let inode = u64::from_be_bytes(take(&mut rest)?);
        let stored = take_instant(&mut rest)?;
        let birth = match (known, stored == Instant { s: 0, ns: 0 }) {
            (0, true) => None,
            (1, false) => Some(stored),
            _ => return None,
        };
        let content = if is_exact {
            Some((u64::from_be_bytes(take(&mut rest)?), take_instant(&mut rest)?))
        } else {
            None
        };
        let is_enough = content.is_some() || birth.is_some();
        (is_enough && rest.is_empty()).then_some(Self { root, inode, birth, content })
    }

    /// Returns `true` if `seen` is the registered file.
    ///
    /// Only a regular file can be. A birth time known on one side only counts as different: in doubt a file is kept.
    pub(super) fn is(&self, seen: &Seen) -> bool {
        seen.kind == FileType::RegularFile
            && seen.inode == self.inode
            && seen.birth == self.birth
            && self.content.is_none_or(|content| content == (seen.size_bytes, seen.modified))
    }

    /// Returns `true` if the file was registered in this root. A version of an earlier release fits every root.
    pub(super) fn is_of(&self, root: RootId) -> bool {
        self.root.is_none_or(|tag| tag == root.tag())
    }
}

/// Takes `N` bytes off the front; `None` if there are fewer.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn take_instant(bytes: &mut &[u8]) -> Option<Instant> {
    let (s, ns) = (i64::from_be_bytes(take(bytes)?), u32::from_be_bytes(take(bytes)?));
    (ns < 1_000_000_000).then_some(Instant { s, ns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT: RootId = RootId::from_bytes([9; 16]);
    const T: Instant = Instant { s: 1_700_000_000, ns: 5 };

    fn version(birth: Option<Instant>, content: Option<(u64, Instant)>) -> FileVersion {
        FileVersion { root: Some(ROOT.tag()), inode: 7, birth, content }
    }

    /// Every kind of version, also those that earlier releases wrote.
    fn versions() -> impl Iterator<Item = FileVersion> {
        let known = [(Some(T), None), (Some(T), Some((3, T))), (None, Some((3, T)))];
        let versions = known.map(|(birth, content)| version(birth, content));
        versions.into_iter().flat_map(|version| [version, FileVersion { root: None, ..version }])
    }

    fn seen(birth: Option<Instant>) -> Seen {
        Seen {
            kind: FileType::RegularFile,
            links: 1,
            size_bytes: 3,
            place: Place { device: (8, 1), mount: None },
            inode: 7,
            birth,
            modified: T,
        }
    }

    #[test]
    fn version_reads_back_and_is_short() {
        for v in versions() {
            let bytes = v.encode();
            assert!(bytes.len() <= EXACT_BYTES);
            assert_eq!(FileVersion::decode(&bytes).unwrap(), v);
        }
    }

    #[test]
    fn version_fits_its_own_root_only() {
        let own = version(Some(T), None);
        assert!(own.is_of(ROOT) && !own.is_of(RootId::from_bytes([8; 16])));
        let without = FileVersion { root: None, ..own };
        assert!(without.is_of(ROOT) && without.is_of(RootId::from_bytes([8; 16])));
        let earlier = [&[2, 1, 0, 0, 0, 0, 0, 0, 0, 7][..], &T.s.to_be_bytes(), &T.ns.to_be_bytes()].concat();
        assert_eq!(FileVersion::decode(&earlier).unwrap(), without);
    }

    #[test]
    fn bare_inode_number_is_refused_as_version() {
        let bytes = version(None, None).encode();
        assert!(FileVersion::decode(&bytes).unwrap_err().contains("identify"));
        let seen = seen(None);
        assert!(seen.version(Identity::InodeOnly, ROOT).is_none());
        assert!(seen.version(Identity::Exact, ROOT).is_some());
    }

    #[test]
    fn birth_time_known_on_one_side_is_another_file() {
        let v = seen(Some(T)).version(Identity::Exact, ROOT).unwrap();
        assert!(v.is(&seen(Some(T))) && !v.is(&seen(None)));
    }

    #[test]
    fn likeness_tells_other_content_from_another_file() {
        let old = seen(Some(T));
        let registered = |identity| old.version(identity, ROOT).unwrap().encode();
        let grown = Seen { size_bytes: 4, ..old };
        let of = |seen: Seen, root| seen.identified(Identity::Exact, root).unwrap();
        let exact = registered(Identity::Exact);
        assert_eq!(of(old, ROOT).likeness(&exact), Likeness::Same);
        assert_eq!(of(grown, ROOT).likeness(&exact), Likeness::OtherContent);
        assert_eq!(of(grown, ROOT).likeness(&registered(Identity::InodeOnly)), Likeness::Same);
        assert_eq!(of(Seen { inode: 8, ..old }, ROOT).likeness(&exact), Likeness::Another);
        assert_eq!(of(Seen { birth: None, ..old }, ROOT).likeness(&exact), Likeness::Another);
        assert_eq!(of(old, RootId::from_bytes([8; 16])).likeness(&exact), Likeness::Another);
        assert_eq!(of(old, ROOT).likeness(b"etag-1"), Likeness::Unknown);
        let nameless = seen(None).version(Identity::Exact, ROOT).unwrap().encode();
        assert_eq!(of(Seen { birth: None, ..grown }, ROOT).likeness(&nameless), Likeness::Another);
    }

    #[test]
    fn truncated_or_extended_version_is_refused() {
        for v in versions() {
            let bytes = v.encode();
            for len in 0..bytes.len() {
                assert!(FileVersion::decode(&bytes[..len]).is_err());
            }
            assert!(FileVersion::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    proptest! {
        #[test]
        fn accepted_bytes_are_written_back_the_same(kind in 0u8..6, known in 0u8..3,
            rest in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 18..52)) {
            let bytes = [&[kind, known][..], &rest].concat();
            if let Ok(v) = FileVersion::decode(&bytes) {
                prop_assert_eq!(v.encode(), bytes);
            }
        }
    }
}
