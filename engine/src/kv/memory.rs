//! An ordered map with a live and a durable image and a plan of faults: simulation and fault tests run on it.

use super::{Change, Family, IsVoid, Kv, Order, Run, Visit, VisitEach, WriteSet};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{Faults, Outcome};
use parking_lot::Mutex;
use sexton_proof::id::ClassId;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// All of its content, by family.
pub type Image = BTreeMap<Family, BTreeMap<Vec<u8>, Vec<u8>>>;

/// The in-memory index. Clones share their content, as two openings of one folder would.
#[derive(Clone, Default)]
pub struct MemoryKv {
    state: Arc<Mutex<State>>,
    faults: Faults,
}

#[derive(Default)]
struct State {
    live: Image,
    durable: Image,
}

impl MemoryKv {
    /// An empty index whose writes and syncs ask `faults` how they go.
    pub fn new(faults: Faults) -> Self {
        MemoryKv { state: Arc::default(), faults }
    }

    /// A copy of its content.
    pub fn image(&self) -> Image {
        self.state.lock().live.clone()
    }

    /// Puts a copy in the place of its content, as restoring a backup does.
    pub fn restore(&self, image: Image) {
        let mut state = self.state.lock();
        state.durable = image.clone();
        state.live = image;
    }

    /// What a machine finds after it lost power: everything since the last sync is gone.
    pub fn lose_power(&self) {
        let mut state = self.state.lock();
        state.live = state.durable.clone();
    }
}

fn apply<'a>(image: &mut Image, changes: impl Iterator<Item = (Family, Change<'a>)>) {
    for (family, change) in changes {
        let map = image.entry(family).or_default();
        match change {
            Change::Put(key, value) => {
                map.insert(key.to_vec(), value.to_vec());
            }
            Change::Delete(key) => {
                map.remove(key);
            }
            Change::DeleteRange(from, to) => map.retain(|key, _| &key[..] < from || &key[..] >= to),
        }
    }
}

fn injected(what: &str) -> Error {
    Error::new(ErrorKind::Io, format!("injected fault: {what}"))
}

impl Kv for MemoryKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.state.lock().live.get(&family).and_then(|map| map.get(key)).cloned())
    }

    fn scan(&self, family: Family, range: Range<&[u8]>, order: Order, visit: &mut Visit<'_>) -> Result<()> {
        if range.start >= range.end {
            return Ok(());
        }
        // Copied out first: the visitor may read the index again, and sees one consistent view.
        let entries: Vec<(Vec<u8>, Vec<u8>)> = match self.state.lock().live.get(&family) {
            Some(map) => map
                .range::<[u8], _>((
                    std::ops::Bound::Included(range.start),
                    std::ops::Bound::Excluded(range.end),
                ))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            None => return Ok(()),
        };
        let each = |(key, value): &(Vec<u8>, Vec<u8>)| visit(key, value).is_break();
        match order {
            Order::Ascending => entries.iter().any(each),
            Order::Descending => entries.iter().rev().any(each),
        };
        Ok(())
    }

    fn scan_each(&self, family: Family, ranges: &[Range<Vec<u8>>], visit: &mut VisitEach<'_>) -> Result<()> {
        // Copied out first, as above.
        let entries: Vec<(usize, Vec<u8>, Vec<u8>)> = match self.state.lock().live.get(&family) {
            Some(map) => {
                let of_range = |(at, range): (usize, &Range<Vec<u8>>)| {
                    map.range(range.clone()).map(move |(key, value)| (at, key.clone(), value.clone()))
                };
                ranges.iter().enumerate().flat_map(of_range).collect()
            }
            None => return Ok(()),
        };
        entries.iter().any(|(at, key, value)| visit(*at, key, value).is_break());
        Ok(())
    }

    fn write(&self, set: WriteSet) -> Result<()> {
        let outcome = self.faults.next();
        let mut state = self.state.lock();
        match outcome {
            Outcome::Done => apply(&mut state.live, set.changes()),
            Outcome::Lost => return Err(injected("the write was lost")),
            Outcome::DoneButError => {
                apply(&mut state.live, set.changes());
                state.durable = state.live.clone();
                return Err(injected("the write is durable but was reported as failed"));
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let outcome = self.faults.next();
        let mut state = self.state.lock();
        match outcome {
            Outcome::Done => state.durable = state.live.clone(),
            Outcome::Lost => return Err(injected("the sync did not happen")),
            Outcome::DoneButError => {
                state.durable = state.live.clone();
                return Err(injected("the sync happened but was reported as failed"));
            }
        }
        Ok(())
    }

    fn write_run(&self, family: Family, keys: &mut Run<'_>) -> Result<()> {
        let mut keys = keys.peekable();
        if keys.peek().is_none() {
            return Err(Error::internal("a run without keys cannot be written"));
        }
        let outcome = self.faults.next();
        if outcome == Outcome::Lost {
            return Err(injected("the run was lost"));
        }
        let mut state = self.state.lock();
        for (key, is_there) in keys {
            let change = if is_there { Change::Put(&key, &[]) } else { Change::Delete(&key) };
            // Durable by itself, whatever was not synced before it.
            apply(&mut state.live, std::iter::once((family, change)));
            apply(&mut state.durable, std::iter::once((family, change)));
        }
        match outcome {
            Outcome::DoneButError => Err(injected("the run is durable but was reported as failed")),
            _ => Ok(()),
        }
    }

    fn drop_void(&self, family: Family, _live: u64, is_void: IsVoid) -> Result<bool> {
        if let Some(map) = self.state.lock().live.get_mut(&family) {
            map.retain(|key, _| !is_void(key));
        }
        Ok(false)
    }

    fn create_rows(&self, _class: ClassId) -> Result<()> {
        Ok(())
    }

    fn reclaim(&self, _family: Family, _ranges: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        Ok(())
    }

    fn purge(&self, _family: Family, _range: &Range<Vec<u8>>) -> Result<()> {
        Ok(())
    }

    fn finish_purge(&self) -> Result<()> {
        Ok(())
    }
}
