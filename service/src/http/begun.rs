//! Record of requests that began, for those that must not run twice: it survives a restart, unlike the answers.
//!
//! A request that is not [repeatable](crate::api::Operation::is_repeatable) and has an `Idempotency-Key` is noted in the
//! file `requests` of the data folder before it runs. If the key comes again after a restart, the request is refused,
//! because it may be done. Keys are noted as hashes, without content: the record may outlive an object for a day.
//!
//! The file is a sequence of entries: an instant in Unix milliseconds (8 bytes, big endian) and a hash (32 bytes). The
//! instant 0 forgets the hash.

use super::idempotency::RequestKey;
use parking_lot::Mutex;
use sexton::testing::Pool;
use sexton::testing::files::disk::DiskFiles;
use sexton::testing::files::{Access, Files};
use sexton::{Error, ErrorKind, Result, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind as IoErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const FILE: &str = "requests";
const ENTRY_BYTES: usize = 8 + 32;
/// Time for which a request is known.
const KEEP: Duration = Duration::from_secs(24 * 3_600);
/// Most requests that are known.
const KNOWN_MAX: usize = 100_000;

type Hash = [u8; 32];

/// Survival of an entry.
#[derive(Clone, Copy)]
enum Keep {
    /// It survives a power failure.
    Durable,
    /// It survives the end of the process.
    Buffered,
}

/// Requests that began.
pub(super) struct Begun {
    data: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    known: HashMap<Hash, i64>,
    /// File to append to; `None` until the first request, and after a failure until the file is written again.
    file: Option<File>,
    /// Entries in the file.
    entries: usize,
}

impl Begun {
    /// Reads the record of a data folder. The caller has the folder open, so no other process writes.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn open(data: &Path) -> io::Result<Begun> {
        let bytes = match fs::read(data.join(FILE)) {
            Err(error) if error.kind() == IoErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let mut known = HashMap::new();
        // A crash may have left a part of an entry, whose request did not begin.
        for entry in bytes.chunks_exact(ENTRY_BYTES) {
            let (instant, hash) = entry.split_at(8);
            let (Ok(instant), Ok(hash)) = (instant.try_into(), Hash::try_from(hash)) else { continue };
            match i64::from_be_bytes(instant) {
                0 => known.remove(&hash),
                at_ms => known.insert(hash, at_ms),
            };
        }
        Ok(Begun { data: data.to_owned(), inner: Mutex::new(Inner { known, ..Inner::default() }) })
    }

    /// Notes that a request begins, durably. Returns `false` if it began before.
    ///
    /// # Errors
    /// `Full` or `Io`. The request is not noted then, and must not run.
    pub(super) fn note(&self, key: &RequestKey, now: Timestamp) -> Result<bool> {
        let mut inner = self.inner.lock();
        let hash = hash(key);
        inner.expire(now);
        if inner.known.contains_key(&hash) {
            return Ok(false);
        }
        // An instant of 0 would forget the request.
        let at_ms = now.unix_ms().max(1);
        if let Err(error) = inner.append(&self.data, (at_ms, hash), Keep::Durable) {
            let why = format!("the request cannot be noted in the data folder, and was not run: {error}");
            return Err(Error::new(error.kind(), why));
        }
        inner.known.insert(hash, at_ms);
        Ok(true)
    }

    /// Forgets a request that changed nothing, so that it can be sent again.
    pub(super) fn forget(&self, key: &RequestKey) {
        let mut inner = self.inner.lock();
        let hash = hash(key);
        inner.known.remove(&hash);
        // If this is lost, the request is refused after a restart: it is then only known that it began.
        let _ = inner.append(&self.data, (0, hash), Keep::Buffered);
    }
}

impl Inner {
    /// Appends an entry. The file is replaced by one with the known requests only first, if it is not open or has many others.
    fn append(&mut self, data: &Path, entry: (i64, Hash), keep: Keep) -> Result<()> {
        let mut file = match self.file.take() {
            Some(file) if self.entries < 2 * KNOWN_MAX => file,
            _ => self.replaced(data)?,
        };
        let written = file.write_all(&encode(entry)).and_then(|()| match keep {
            Keep::Durable => file.sync_data(),
            Keep::Buffered => Ok(()),
        });
        // After a failure the end of the file is unknown, and the next request replaces the file.
        written.map_err(|error| failure(&error))?;
        self.entries += 1;
        self.file = Some(file);
        Ok(())
    }

    /// Replaces the file by one with the known requests only, and opens it.
    fn replaced(&mut self, data: &Path) -> Result<File> {
        let known = self.known.iter().flat_map(|(hash, at_ms)| encode((*at_ms, *hash)));
        let known: Vec<u8> = known.collect();
        DiskFiles::new(data, Arc::new(Pool::none())).replace(FILE, &known, Access::Private)?;
        self.entries = self.known.len();
        OpenOptions::new().append(true).open(data.join(FILE)).map_err(|error| failure(&error))
    }

    /// Forgets requests that began more than a day ago, and the oldest if there are too many.
    fn expire(&mut self, now: Timestamp) {
        let since = now.saturating_sub(KEEP).unix_ms();
        if self.known.len() >= KNOWN_MAX {
            let by_age: BTreeSet<(i64, Hash)> =
                self.known.iter().map(|(hash, at_ms)| (*at_ms, *hash)).collect();
            for (_, hash) in by_age.into_iter().take(KNOWN_MAX / 10) {
                self.known.remove(&hash);
            }
        }
        self.known.retain(|_, at_ms| *at_ms > since);
    }
}

fn failure(error: &io::Error) -> Error {
    let kind = match error.kind() {
        IoErrorKind::StorageFull | IoErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("{FILE}: {error}"))
}

fn encode((at_ms, hash): (i64, Hash)) -> [u8; ENTRY_BYTES] {
    let mut entry = [0; ENTRY_BYTES];
    entry[..8].copy_from_slice(&at_ms.to_be_bytes());
    entry[8..].copy_from_slice(&hash);
    entry
}

/// Returns the hash of a request: its user, its path, and its key.
fn hash((uid, path, key): &RequestKey) -> Hash {
    let uid = uid.map_or([0; 5], |uid| {
        let [a, b, c, d] = uid.to_be_bytes();
        [1, a, b, c, d]
    });
    let mut hasher = blake3::Hasher::new();
    // Neither a path nor a key has a byte 0.
    hasher.update(&uid).update(path.as_bytes()).update(&[0]).update(key.as_bytes());
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);

    fn key(key: &str) -> RequestKey {
        (Some(0), "/v1/erasures/request", key.to_owned())
    }

    #[test]
    fn request_is_known_after_a_restart_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let begun = Begun::open(folder.path()).unwrap();
        assert!(!folder.path().join(FILE).exists());
        assert!(begun.note(&key("a"), NOW).unwrap() && begun.note(&key("b"), NOW).unwrap());
        assert!(!begun.note(&key("a"), NOW).unwrap());
        begun.forget(&key("b"));
        drop(begun);
        let begun = Begun::open(folder.path()).unwrap();
        assert!(!begun.note(&key("a"), NOW).unwrap());
        let other_user = (Some(1), "/v1/erasures/request", "a".to_owned());
        assert!(begun.note(&key("b"), NOW).unwrap() && begun.note(&other_user, NOW).unwrap());
        assert!(begun.note(&key("a"), NOW.saturating_add(KEEP)).unwrap());
    }

    #[test]
    fn part_of_an_entry_at_the_end_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        Begun::open(folder.path()).unwrap().note(&key("a"), NOW).unwrap();
        let path = folder.path().join(FILE);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&[7; ENTRY_BYTES - 1]).unwrap();
        let begun = Begun::open(folder.path()).unwrap();
        assert!(begun.note(&key("b"), NOW).unwrap());
        let begun = Begun::open(folder.path()).unwrap();
        assert!(!begun.note(&key("a"), NOW).unwrap() && !begun.note(&key("b"), NOW).unwrap());
    }

    #[test]
    fn request_that_cannot_be_noted_is_refused_and_can_be_sent_again() {
        let folder = tempfile::tempdir().unwrap();
        let begun = Begun::open(&folder.path().join("absent")).unwrap();
        let error = begun.note(&key("a"), NOW).unwrap_err();
        assert!(error.to_string().contains("was not run"), "{error}");
        fs::create_dir(folder.path().join("absent")).unwrap();
        assert!(begun.note(&key("a"), NOW).unwrap());
    }

    #[test]
    fn number_of_known_requests_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let begun = Begun::open(folder.path()).unwrap();
        let known =
            (0..KNOWN_MAX as u64).map(|n| (*blake3::hash(&n.to_be_bytes()).as_bytes(), NOW.unix_ms()));
        begun.inner.lock().known = known.collect();
        assert!(begun.note(&key("a"), NOW).unwrap());
        assert!(begun.inner.lock().known.len() <= KNOWN_MAX);
    }
}
