//! Evidence files of a batch in memory, in the chunks that the tasks made.

use super::summary::row_count;
use crate::platform::files::{Access, NewFile};
use crate::state::batch::Batch;
use sexton_proof::file;
use sexton_proof::leaf::FileRef;
use sexton_proof::record::{FileKind, Header, RECORD_BYTES};
use std::iter;

/// Content of a file, in chunks that follow one another.
pub(super) struct Chunks(Vec<Vec<u8>>);

impl Chunks {
    pub(super) fn new(head: Vec<u8>, rest: impl Iterator<Item = Vec<u8>>) -> Self {
        Chunks(iter::once(head).chain(rest).collect())
    }

    /// Appends the check of a container of sealed openings.
    pub(super) fn with_check(mut self) -> Self {
        self.0.push(file::openings_check(self.iter()).to_vec());
        self
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Returns the file to be written with this content.
    pub(super) fn file(&self, path: String, access: Access) -> NewFile<'_> {
        NewFile { path, chunks: self.iter().collect(), access }
    }

    /// Returns `true` if a file has exactly this content.
    pub(super) fn equals(&self, file: &[u8]) -> bool {
        let left = self.iter().try_fold(file, |left, chunk| left.strip_prefix(chunk));
        left.is_some_and(<[u8]>::is_empty)
    }
}

/// File of records, and the reference by which the leaf names it.
pub(super) struct RecordFile {
    pub(super) chunks: Chunks,
    pub(super) reference: FileRef,
}

impl RecordFile {
    pub(super) fn new(batch: &Batch, kind: FileKind, records: Vec<Vec<u8>>) -> Self {
        let bytes: usize = records.iter().map(Vec::len).sum();
        let n = row_count(bytes / kind.record_bytes().unwrap_or(RECORD_BYTES));
        let head = Header { kind, batch: batch.number(), n }.to_bytes().to_vec();
        let chunks = Chunks::new(head, records.into_iter());
        let reference = FileRef { n, root: file::root_of_parts(chunks.iter()) };
        RecordFile { chunks, reference }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reference.n == 0
    }

    /// Returns `true` if `file` has exactly this content, or is missing and there are no records.
    pub(super) fn equals(&self, file: Option<&[u8]>) -> bool {
        match file {
            Some(bytes) => !self.is_empty() && self.chunks.equals(bytes),
            None => self.is_empty(),
        }
    }
}
