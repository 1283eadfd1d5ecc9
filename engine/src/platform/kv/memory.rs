//! The index in memory: an ordered map with a live image, a durable image and injected faults, for simulation and tests.

use super::{ColumnFamily, IsVoid, Kv, Order, Run, Visit, VisitEach, WriteOp, WriteSet};
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::fault::{Faults, InjectedOutcome};
use parking_lot::Mutex;
use sexton_proof::id::ClassId;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Content of a [`MemoryKv`], by column family.
pub type Image = BTreeMap<ColumnFamily, BTreeMap<Vec<u8>, Vec<u8>>>;

/// Index in memory. Clones share their content, as two openings of one folder do.
#[derive(Clone, Default)]
pub struct MemoryKv {
    state: Arc<Mutex<Images>>,
    faults: Faults,
}

#[derive(Default)]
struct Images {
    live: Image,
    durable: Image,
}

impl MemoryKv {
    /// Creates an empty index. `faults` decides how each write and sync ends.
    pub fn new(faults: Faults) -> Self {
        MemoryKv { state: Arc::default(), faults }
    }

    /// Returns a copy of the content.
    pub fn image(&self) -> Image {
        self.state.lock().live.clone()
    }

    /// Replaces the content by a copy, as restoring a backup does.
    pub fn restore(&self, image: Image) {
        let mut state = self.state.lock();
        state.durable = image.clone();
        state.live = image;
    }

    /// Drops everything since the last sync, as a power failure does.
    pub fn lose_power(&self) {
        let mut state = self.state.lock();
        state.live = state.durable.clone();
    }
}

/// Applies writes to an image.
fn apply<'a>(image: &mut Image, ops: impl Iterator<Item = (ColumnFamily, WriteOp<'a>)>) {
    for (family, op) in ops {
        let map = image.entry(family).or_default();
        match op {
            WriteOp::Put(key, value) => {
                map.insert(key.to_vec(), value.to_vec());
            }
            WriteOp::Delete(key) => {
                map.remove(key);
            }
            WriteOp::DeleteRange(from, to) => map.retain(|key, _| &key[..] < from || &key[..] >= to),
        }
    }
}

/// Creates the error of an injected fault.
fn injected(what: &str) -> Error {
    Error::new(ErrorKind::Io, format!("injected fault: {what}"))
}

impl Kv for MemoryKv {
    fn get(&self, family: ColumnFamily, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.state.lock().live.get(&family).and_then(|map| map.get(key)).cloned())
    }

    fn scan(
        &self,
        family: ColumnFamily,
        range: Range<&[u8]>,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        if range.start >= range.end {
            return Ok(());
        }
        // Copies the entries first. So the visitor sees one consistent view and may read the index again.
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

    fn scan_each(
        &self,
        family: ColumnFamily,
        ranges: &[Range<Vec<u8>>],
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        // Copies the entries first, like `scan`.
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
            InjectedOutcome::Done => apply(&mut state.live, set.ops()),
            InjectedOutcome::Lost => return Err(injected("the write was lost")),
            InjectedOutcome::DoneButError => {
                apply(&mut state.live, set.ops());
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
            InjectedOutcome::Done => state.durable = state.live.clone(),
            InjectedOutcome::Lost => return Err(injected("the sync did not happen")),
            InjectedOutcome::DoneButError => {
                state.durable = state.live.clone();
                return Err(injected("the sync happened but was reported as failed"));
            }
        }
        Ok(())
    }

    fn write_run(&self, family: ColumnFamily, keys: &mut Run<'_>) -> Result<()> {
        let mut keys = keys.peekable();
        if keys.peek().is_none() {
            return Err(Error::internal("a run without keys cannot be written"));
        }
        let outcome = self.faults.next();
        if outcome == InjectedOutcome::Lost {
            return Err(injected("the run was lost"));
        }
        let mut state = self.state.lock();
        for (key, is_there) in keys {
            let op = if is_there { WriteOp::Put(&key, &[]) } else { WriteOp::Delete(&key) };
            // A run is durable by itself, even if earlier writes are not.
            apply(&mut state.live, std::iter::once((family, op)));
            apply(&mut state.durable, std::iter::once((family, op)));
        }
        match outcome {
            InjectedOutcome::DoneButError => Err(injected("the run is durable but was reported as failed")),
            _ => Ok(()),
        }
    }

    fn drop_void(&self, family: ColumnFamily, _live: u64, is_void: IsVoid) -> Result<bool> {
        if let Some(map) = self.state.lock().live.get_mut(&family) {
            map.retain(|key, _| !is_void(key));
        }
        Ok(false)
    }

    fn drop_rows_if_empty(&self, _class: ClassId) -> Result<()> {
        Ok(())
    }

    fn reclaim(&self, _family: ColumnFamily, _ranges: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        Ok(())
    }

    fn purge(&self, _family: ColumnFamily, _range: &Range<Vec<u8>>) -> Result<()> {
        Ok(())
    }

    fn finish_purge(&self) -> Result<()> {
        Ok(())
    }
}
