//! Offsets: by how many slot widths a ceiling lies behind its slot.

use crate::time::Timestamp;
use std::num::NonZeroU64;

/// Offset of an entry whose class promises no ceiling.
pub const NO_CEILING: i64 = i64::MAX;

/// Place of a page in time, by which offsets count. All values are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Beginning of the page's slot, Unix time.
    pub slot: u64,
    /// Lead of the class.
    pub lead: u64,
    /// Width of the class's slots.
    pub width: NonZeroU64,
}

impl Geometry {
    /// Returns the offset of a ceiling: b with slot + lead + b · width < ceiling ≤ slot + lead + (b + 1) · width. Without a
    /// ceiling it is [`NO_CEILING`].
    ///
    /// An object with a ceiling and no floor that is scheduled in time has offset 0. Returns `None` if the offset does not
    /// fit; no class of an engine gets there.
    #[must_use]
    pub fn offset(&self, ceiling: Option<Timestamp>) -> Option<i64> {
        let Some(ceiling) = ceiling else { return Some(NO_CEILING) };
        let beyond = i128::from(ceiling.unix_ms()) - self.origin();
        let offset = (beyond - 1).div_euclid(i128::from(self.width.get()));
        i64::try_from(offset).ok().filter(|offset| *offset != NO_CEILING)
    }

    /// Returns lo and hi of an offset: lo < ceiling ≤ hi. For [`NO_CEILING`] no ceiling is later than lo.
    ///
    /// They need not fit an instant. A value that does not even fit 128 bits is replaced by the nearest. That takes a slot of
    /// millions of years.
    #[must_use]
    pub fn interval(&self, offset: i64) -> (i128, i128) {
        let width = i128::from(self.width.get());
        let lo = (i128::from(offset) * width).saturating_add(self.origin());
        (lo, lo.saturating_add(width))
    }

    fn origin(&self) -> i128 {
        i128::from(self.slot) + i128::from(self.lead)
    }
}
