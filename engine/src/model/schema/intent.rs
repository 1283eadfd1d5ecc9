//! Value of an intent: the pages of a batch, durable before the store hears of any of its objects.

use super::Reader;
use crate::platform::error::{Error, Result};
use sexton_proof::id::{ClassId, PageId};
use sexton_proof::time::Timestamp;

/// Page as an intent names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRows {
    pub(crate) page: PageId,
    /// Number of rows: seqs 0 to `rows` − 1.
    pub(crate) rows: u32,
}

/// Note that a batch is about to be handed to the store. It is durable before the store hears of any object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) batch: u64,
    pub(crate) class: ClassId,
    /// Instant at which the batch was planned.
    pub(crate) started: Timestamp,
    /// Pages of the batch, ascending. They settle together.
    pub(crate) pages: Vec<PageRows>,
    /// Pages that take what is carried. Empty until the store has answered.
    pub(crate) to: Vec<PageRows>,
}

impl Intent {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 20 * (self.pages.len() + self.to.len()));
        out.extend_from_slice(&self.batch.to_be_bytes());
        out.extend_from_slice(&self.class.to_be_bytes());
        out.extend_from_slice(&self.started.to_be_bytes());
        for pages in [&self.pages, &self.to] {
            out.extend_from_slice(&u32::try_from(pages.len()).unwrap_or(u32::MAX).to_be_bytes());
            for page in pages {
                out.extend_from_slice(&page.page.to_bytes());
                out.extend_from_slice(&page.rows.to_be_bytes());
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        Self::read(&mut reader).ok_or_else(|| Error::corrupt_index("an intent is malformed"))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (batch, class, started) = (reader.u64()?, reader.u32()?, reader.timestamp()?);
        let mut pages = || -> Option<Vec<PageRows>> {
            let n = reader.u32()?;
            (0..n)
                .map(|_| Some(PageRows { page: PageId::from_bytes(&reader.array()?), rows: reader.u32()? }))
                .collect()
        };
        let (pages, to) = (pages()?, pages()?);
        reader.0.is_empty().then_some(Intent { batch, class, started, pages, to })
    }
}
