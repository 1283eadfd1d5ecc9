//! Sets of writes that are applied together.

use super::ColumnFamily;
use std::ops::Range;

/// Write of a [`WriteSet`].
#[derive(Clone, Copy, Debug)]
pub enum WriteOp<'a> {
    /// Sets the value of a key.
    Put(&'a [u8], &'a [u8]),
    /// Removes a key.
    Delete(&'a [u8]),
    /// Removes every key from the first, included, to the second, excluded.
    DeleteRange(&'a [u8], &'a [u8]),
}

#[derive(Clone, Copy, Debug)]
enum OpKind {
    Put,
    Delete,
    DeleteRange,
}

/// Write whose bytes are in the set's buffer: `begin..middle` is the key, `middle..end` the value or the end of the range.
#[derive(Clone, Copy, Debug)]
struct StagedOp {
    family: ColumnFamily,
    kind: OpKind,
    begin: usize,
    middle: usize,
    end: usize,
}

/// Writes to be applied together.
///
/// All bytes are in one buffer, so that staging a row makes no allocation of its own.
#[derive(Clone, Debug, Default)]
pub struct WriteSet {
    bytes: Vec<u8>,
    ops: Vec<StagedOp>,
    /// Values that later calls of [`WriteSet::append`] extend.
    growing: Vec<(ColumnFamily, Vec<u8>, Vec<u8>)>,
}

impl WriteSet {
    /// Creates an empty set with room for `ops` writes of `bytes` bytes together.
    pub fn with_capacity(ops: usize, bytes: usize) -> Self {
        WriteSet { bytes: Vec::with_capacity(bytes), ops: Vec::with_capacity(ops), growing: Vec::new() }
    }

    /// Stages setting `key` to `value`.
    pub fn put(&mut self, family: ColumnFamily, key: &[u8], value: &[u8]) {
        self.push(family, OpKind::Put, key, |bytes| bytes.extend_from_slice(value));
    }

    /// Stages setting `key` to what `write` appends to the buffer.
    pub fn put_with(&mut self, family: ColumnFamily, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.push(family, OpKind::Put, key, write);
    }

    /// Appends `more` to the value that an earlier call staged under a key with the same first `prefix` bytes.
    ///
    /// The first call stages `more` under `key`. So a set can hold a list that its callers build up one entry at a time.
    pub fn append(&mut self, family: ColumnFamily, key: &[u8], prefix: usize, more: &[u8]) {
        let begun =
            self.growing.iter_mut().find(|(of, begun, _)| *of == family && begun[..prefix] == key[..prefix]);
        match begun {
            Some((_, _, value)) => value.extend_from_slice(more),
            None => self.growing.push((family, key.to_vec(), more.to_vec())),
        }
    }

    /// Stages removing `key`.
    pub fn delete(&mut self, family: ColumnFamily, key: &[u8]) {
        self.push(family, OpKind::Delete, key, |_| ());
    }

    /// Stages removing all keys of `range`.
    pub fn delete_range(&mut self, family: ColumnFamily, range: Range<&[u8]>) {
        self.push(family, OpKind::DeleteRange, range.start, |bytes| bytes.extend_from_slice(range.end));
    }

    /// Returns the number of staged writes.
    pub fn len(&self) -> usize {
        self.ops.len() + self.growing.len()
    }

    /// Returns `true` if nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.growing.is_empty()
    }

    /// Returns the writes in the order of staging, those of [`WriteSet::append`] last.
    pub fn ops(&self) -> impl Iterator<Item = (ColumnFamily, WriteOp<'_>)> {
        let grown = self.growing.iter().map(|(family, key, value)| (*family, WriteOp::Put(key, value)));
        let staged = self.ops.iter().map(|op| {
            let key = &self.bytes[op.begin..op.middle];
            let rest = &self.bytes[op.middle..op.end];
            let write = match op.kind {
                OpKind::Put => WriteOp::Put(key, rest),
                OpKind::Delete => WriteOp::Delete(key),
                OpKind::DeleteRange => WriteOp::DeleteRange(key, rest),
            };
            (op.family, write)
        });
        staged.chain(grown)
    }

    fn push(&mut self, family: ColumnFamily, kind: OpKind, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        write(&mut self.bytes);
        self.ops.push(StagedOp { family, kind, begin, middle, end: self.bytes.len() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(set: &WriteSet) -> Vec<String> {
        set.ops().map(|(family, op)| format!("{} {op:?}", family.name())).collect()
    }

    #[test]
    fn ops_keep_their_order_and_appended_values_come_last() {
        let mut set = WriteSet::with_capacity(2, 8);
        assert!(set.is_empty());
        set.append(ColumnFamily::Pending, b"p1", 1, b"x");
        set.put(ColumnFamily::Meta, b"k", b"v");
        set.append(ColumnFamily::Pending, b"p2", 1, b"y");
        set.append(ColumnFamily::Pending, b"q1", 1, b"z");
        set.delete(ColumnFamily::Rows(7), b"d");
        set.delete_range(ColumnFamily::Marks, b"a"..b"b");
        let expected = [
            "meta Put([107], [118])",
            "class-7 Delete([100])",
            "marks DeleteRange([97], [98])",
            "notes Put([112, 49], [120, 121])",
            "notes Put([113, 49], [122])",
        ];
        assert_eq!(shown(&set), expected);
        assert_eq!(set.len(), 5);
    }
}
