//! The keys that blind commitments: one per class version and due month, in a file outside the index and its
//! backups (`docs/format.md` §6). Losing the file is losing the ability to go on; destroying a key of it makes the
//! tombstones of that month say nothing to anybody.

use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::files::{Access, Files};
use parking_lot::RwLock;
use sexton_proof::id::ClassId;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where the key file lies under the data folder.
pub(crate) const PATH: &str = "keys/keyring";
const TITLE: &str = "sexton keyring v0\n";

/// The first year that the key file cannot name.
const YEARS_END: u32 = 10_000;

/// Calendar month, UTC: months since year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Month(u32);

impl Month {
    fn of_slot(slot: u64) -> Result<Self> {
        // Asked for every object, so worked out here: years are counted from March, so that the odd day comes last,
        // and every 400 of them have the same days (146,097).
        let day = slot / 86_400_000 + 719_468;
        let (cycle, day) = (day / 146_097, day % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let months_from_march = (5 * day + 2) / 153;
        let month = (cycle * 400 + year) * 12 + months_from_march + 2;
        match u32::try_from(month) {
            Ok(month) if month < YEARS_END * 12 => Ok(Month(month)),
            _ => Err(Error::internal(format!("slot {slot} lies beyond the calendar"))),
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

/// A key; wiped from memory when its last holder lets go of it.
pub(crate) type Key = Arc<Zeroizing<[u8; 32]>>;
type Name = (ClassId, Month);
type Keys = BTreeMap<Name, Key>;

/// The keys of an open engine and the file behind them.
pub(crate) struct KeyRing {
    keys: RwLock<Keys>,
    files: Arc<dyn Files>,
    entropy: Arc<dyn Entropy>,
}

impl KeyRing {
    /// Reads the key file. `fresh` says that the engine is new; only then may it be missing.
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

    /// The key for pages of `class` in the month of `slot`, if there is one.
    pub(crate) fn get(&self, class: ClassId, slot: u64) -> Result<Option<Key>> {
        let month = Month::of_slot(slot)?;
        Ok(self.keys.read().get(&(class, month)).cloned())
    }

    /// The same, made where there is none. After `Ok` it survives the loss of power: it is durable before the first
    /// row that needs it, so a crash leaves at worst a key that nothing needs.
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
        let mut text = Zeroizing::new(String::from(TITLE));
        for ((class, month), key) in keys {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "key {class} {month} {}", *Zeroizing::new(hex::encode(&key[..])));
        }
        let check = blake3::hash(text.as_bytes()).to_hex();
        let _ = writeln!(text, "check {check}");
        self.files.replace(PATH, text.as_bytes(), Access::Private)
    }
}

fn parse(bytes: &[u8]) -> Result<Keys> {
    let malformed = |why: &str| Error::corrupt(format!("the key file {PATH} {why}; restore its own backup"));
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("is not text"))?;
    let check_at = text.len().checked_sub(6 + 64 + 1).ok_or_else(|| malformed("is cut short"))?;
    let (body, check) = text.split_at_checked(check_at).ok_or_else(|| malformed("is cut short"))?;
    if check != format!("check {}\n", blake3::hash(body.as_bytes()).to_hex()) {
        return Err(malformed("does not match its own checksum"));
    }
    let lines = body.strip_prefix(TITLE).ok_or_else(|| malformed("has another title or version"))?;
    let mut keys = Keys::new();
    for line in lines.lines() {
        let (name, key) = parse_line(line).ok_or_else(|| malformed("has a malformed line"))?;
        if keys.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(malformed("is not in ascending order"));
        }
        keys.insert(name, Arc::new(key));
    }
    Ok(keys)
}

fn parse_line(line: &str) -> Option<(Name, Zeroizing<[u8; 32]>)> {
    let mut words = line.strip_prefix("key ")?.split(' ');
    let (class, month, key) = (words.next()?, words.next()?, words.next()?);
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(key, &mut bytes[..]).ok()?;
    let name = (class.parse().ok()?, Month::parse(month)?);
    words.next().is_none().then_some((name, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::fault::Faults;
    use crate::files::memory::MemoryFiles;

    const AUGUST: u64 = 1_785_542_400_000; // 2026-08-01T00:00:00Z

    fn ring(files: &MemoryFiles, fresh: bool) -> Result<KeyRing> {
        KeyRing::load(Arc::new(files.clone()), Arc::new(SeededEntropy::new(1)), fresh)
    }

    #[test]
    fn a_key_is_the_same_for_a_month_and_after_reopening_and_another_for_each_class_and_month() {
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
    fn months_are_those_of_the_calendar() {
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
    fn a_missing_or_changed_key_file_is_refused() {
        let files = MemoryFiles::new(Faults::none());
        assert!(ring(&files, false).is_err());
        ring(&files, true).unwrap().get_or_create(1, AUGUST).unwrap();
        let good = files.read(PATH).unwrap().unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            files.replace(PATH, &bad, Access::Private).unwrap();
            assert!(ring(&files, false).is_err(), "byte {at} was changed and nobody noticed");
        }
    }
}
