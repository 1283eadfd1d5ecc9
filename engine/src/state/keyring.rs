//! Keys that blind commitments: one per class version and due month (`docs/format.md` §6).
//!
//! The key file lies outside the index and its backups. Without it no tombstone can be made. Once one of its keys is
//! destroyed, the tombstones of that month reveal nothing.

use crate::platform::entropy::Entropy;
use crate::platform::error::{Error, Result};
use crate::platform::files::{Access, Files};
use parking_lot::RwLock;
use sexton_proof::checked_text::{self, KEYRING_TITLE};
use sexton_proof::id::ClassId;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Path of the key file below the data folder.
pub(crate) const PATH: &str = "keys/keyring";

/// First year that the key file cannot name.
const YEARS_END: u32 = 10_000;

/// Calendar month, UTC: months since year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Month(u32);

impl Month {
    fn of_slot(slot: u64) -> Result<Self> {
        // Called for every object, so computed without the calendar library. Years are counted from March, so that a leap
        // day comes last; 400 years always have 146,097 days (Howard Hinnant, "chrono-Compatible Low-Level Date
        // Algorithms").
        let day = slot / 86_400_000 + 719_468;
        let (cycle, day) = (day / 146_097, day % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let months_from_march = (5 * day + 2) / 153;
        let month = (cycle * 400 + year) * 12 + months_from_march + 2;
        match u32::try_from(month) {
            Ok(month) if month < YEARS_END * 12 => Ok(Month(month)),
            _ => Err(Error::invalid(format!(
                "an object would be due {slot} ms after 1970, beyond the year 9999; correct its start or its class"
            ))),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        if year.len() != 4 || month.len() != 2 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            return None;
        }
        let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
        (1..=12).contains(&month).then_some(Month(year * 12 + month - 1))
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

/// Returns the month of a slot as text, like `2026-08`.
pub(crate) fn month_of(slot: u64) -> String {
    Month::of_slot(slot).map_or_else(|_| format!("slot {slot}"), |month| month.to_string())
}

/// Key that is wiped from memory when its last reference is dropped.
pub(crate) type Key = Arc<Zeroizing<[u8; 32]>>;
type Name = (ClassId, Month);
type Keys = BTreeMap<Name, Key>;

/// Keys of an open engine and the file that stores them.
pub(crate) struct KeyRing {
    keys: RwLock<Keys>,
    files: Arc<dyn Files>,
    entropy: Arc<dyn Entropy>,
}

impl KeyRing {
    /// Reads the key file, which may be missing only if the engine is new (`fresh`).
    pub(crate) fn load(files: Arc<dyn Files>, entropy: Arc<dyn Entropy>, fresh: bool) -> Result<Self> {
        let keys = match files.read(PATH)? {
            Some(bytes) => parse(&Zeroizing::new(bytes))?,
            None if fresh => Keys::new(),
            None => {
                return Err(Error::corrupt(format!(
                    "the key file {PATH} is missing, without which no tombstone can be made; put it back"
                )));
            }
        };
        let ring = KeyRing { keys: RwLock::new(keys), files, entropy };
        if fresh {
            ring.store(&ring.keys.read())?;
        }
        Ok(ring)
    }

    /// Returns the key for pages of `class` in the month of `slot`, if there is one.
    pub(crate) fn get(&self, class: ClassId, slot: u64) -> Result<Option<Key>> {
        let month = Month::of_slot(slot)?;
        Ok(self.keys.read().get(&(class, month)).cloned())
    }

    /// Returns the key for pages of `class` in the month of `slot`, and makes one if there is none.
    ///
    /// After `Ok` the key survives the loss of power. It is durable before the first row that needs it, so a crash leaves at
    /// worst a key without rows.
    pub(crate) fn get_or_create(&self, class: ClassId, slot: u64) -> Result<Key> {
        let month = Month::of_slot(slot)?;
        if let Some(key) = self.keys.read().get(&(class, month)) {
            return Ok(Arc::clone(key));
        }
        let mut keys = self.keys.write();
        if let Some(key) = keys.get(&(class, month)) {
            return Ok(Arc::clone(key));
        }
        let key: Key = Arc::new(Zeroizing::new(self.entropy.secret()?));
        let mut next = keys.clone();
        next.insert((class, month), Arc::clone(&key));
        self.store(&next)?;
        *keys = next;
        Ok(key)
    }

    fn store(&self, keys: &Keys) -> Result<()> {
        // Growing would leave a copy of the keys in freed memory. A line has at most 90 bytes, and title and check line have
        // 90 together.
        let mut text = Zeroizing::new(String::with_capacity(90 * (keys.len() + 1)));
        let _ = writeln!(text, "{KEYRING_TITLE}");
        for (name, key) in keys {
            write_line(&mut text, *name, key);
        }
        checked_text::append_check(&mut text);
        self.files.replace(PATH, text.as_bytes(), Access::Private)
    }
}

/// Appends the line of a key, which has at most 90 bytes.
fn write_line(text: &mut String, (class, month): Name, key: &[u8; 32]) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "key {class} {month} {}", *Zeroizing::new(hex::encode(key)));
}

fn parse(bytes: &[u8]) -> Result<Keys> {
    let malformed = |why: &str| Error::corrupt(format!("the key file {PATH} {why}; restore its own backup"));
    let body = checked_text::parse(bytes, KEYRING_TITLE).map_err(|e| malformed(&e.to_string()))?;
    let mut keys = Keys::new();
    for line in body.split_inclusive('\n') {
        let (name, key) = parse_line(line).ok_or_else(|| malformed("has a malformed line"))?;
        if keys.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(malformed("is not in ascending order"));
        }
        keys.insert(name, Arc::new(key));
    }
    Ok(keys)
}

/// Reads a line that [`write_line`] writes, with its line feed. A key has one valid encoding.
fn parse_line(line: &str) -> Option<(Name, Zeroizing<[u8; 32]>)> {
    let mut words = line.strip_suffix('\n')?.strip_prefix("key ")?.split(' ');
    let (class, month, key) = (words.next()?, words.next()?, words.next()?);
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(key, &mut bytes[..]).ok()?;
    let name: Name = (class.parse().ok().filter(|class| *class >= 1)?, Month::parse(month)?);
    // Growing would leave a copy of the key in freed memory.
    let mut written = Zeroizing::new(String::with_capacity(90));
    write_line(&mut written, name, &bytes);
    (*written == line).then_some((name, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::entropy::SeededEntropy;
    use crate::platform::fault::Faults;
    use crate::platform::files::memory::MemoryFiles;

    const AUGUST: u64 = 1_785_542_400_000; // 2026-08-01T00:00:00Z

    fn ring(files: &MemoryFiles, fresh: bool) -> Result<KeyRing> {
        KeyRing::load(Arc::new(files.clone()), Arc::new(SeededEntropy::new(1)), fresh)
    }

    #[test]
    fn keys_differ_by_class_and_month_and_survive_reopening() {
        let files = MemoryFiles::new(Faults::none());
        let first = ring(&files, true).unwrap();
        let key = first.get_or_create(1, AUGUST).unwrap();
        assert_eq!(key, first.get_or_create(1, AUGUST + 30 * 86_400_000).unwrap());
        assert_ne!(key, first.get_or_create(1, AUGUST + 31 * 86_400_000).unwrap());
        assert_ne!(key, first.get_or_create(1, AUGUST - 1).unwrap());
        assert_ne!(key, first.get_or_create(2, AUGUST).unwrap());
        let second = ring(&files, false).unwrap();
        assert_eq!(second.get(1, AUGUST).unwrap(), Some(key));
        assert_eq!(second.get(3, AUGUST).unwrap(), None);
    }

    #[test]
    fn month_of_slot_agrees_with_the_calendar_library() {
        const DAY_MS: u64 = 86_400_000;
        // Every day for more than 400 years, then one in a hundred to the end of the calendar.
        for day in (0..160_000).chain((160_000..2_932_000).step_by(97)) {
            for slot in [day * DAY_MS, day * DAY_MS + DAY_MS - 1] {
                let date = jiff::Timestamp::from_millisecond(i64::try_from(slot).unwrap()).unwrap();
                assert_eq!(Month::of_slot(slot).unwrap().to_string(), date.strftime("%Y-%m").to_string());
            }
        }
        assert!(Month::of_slot(253_402_300_799_999).is_ok());
        assert!(Month::of_slot(253_402_300_800_000).is_err() && Month::of_slot(u64::MAX).is_err());
    }

    #[test]
    fn key_file_has_one_valid_encoding() {
        let key = "0123456789abcdef".repeat(4);
        let load = |body: &str| {
            let files = MemoryFiles::new(Faults::none());
            let mut text = format!("{KEYRING_TITLE}\n{body}");
            checked_text::append_check(&mut text);
            files.replace(PATH, text.as_bytes(), Access::Private).unwrap();
            ring(&files, false).is_ok()
        };
        let (name, later) = ("key 1 2026-08", "key 4294967295 9999-12");
        assert!(load("") && load(&format!("{name} {key}\n{later} {key}\n")));
        for body in [
            format!("key +1 2026-08 {key}\n"),
            format!("key 01 2026-08 {key}\n"),
            format!("key 0 2026-08 {key}\n"),
            format!("key 4294967296 2026-08 {key}\n"),
            format!("key 1 2026-13 {key}\n"),
            format!("key 1 2026-8 {key}\n"),
            format!("key 1 +026-08 {key}\n"),
            format!("{name} {}\n", key.to_uppercase()),
            format!("{name} {key} \n"),
            format!("{name} {key}\r\n"),
            format!("{name} {key}0\n"),
            format!(" {name} {key}\n"),
            format!("{name} {key}\n\n"),
            format!("{name} {key}\n{name} {key}\n"),
            format!("{later} {key}\n{name} {key}\n"),
        ] {
            assert!(!load(&body), "{body:?}");
        }
    }

    #[test]
    fn key_file_that_is_missing_or_changed_is_refused() {
        let files = MemoryFiles::new(Faults::none());
        assert!(ring(&files, false).is_err());
        ring(&files, true).unwrap().get_or_create(1, AUGUST).unwrap();
        let good = files.read(PATH).unwrap().unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            files.replace(PATH, &bad, Access::Private).unwrap();
            assert!(ring(&files, false).is_err(), "byte {at} was changed and the file is accepted");
        }
    }
}
