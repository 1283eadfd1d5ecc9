//! Fields of byte strings: reading from the front, and writing with a length prefix.

/// Error of bytes that end within a field, or go on after the last field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A field is cut off.
    #[error("{field} takes {needed} bytes, {left} are left")]
    Short {
        /// Name of the field.
        field: &'static str,
        /// Bytes that the field takes.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// There are bytes after the last field.
    #[error("{surplus} bytes after the last field, allowed are none")]
    Surplus {
        /// Number of surplus bytes.
        surplus: usize,
    },
}

/// Reader of fields from the front of a byte string.
pub(crate) struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(crate) fn take(&mut self, field: &'static str, needed: usize) -> Result<&'a [u8], LayoutError> {
        let left = self.left.len();
        let (taken, rest) =
            self.left.split_at_checked(needed).ok_or(LayoutError::Short { field, needed, left })?;
        self.left = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], LayoutError> {
        let left = self.left.len();
        let (taken, rest) =
            self.left.split_first_chunk().ok_or(LayoutError::Short { field, needed: N, left })?;
        self.left = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, LayoutError> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, LayoutError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, LayoutError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Returns the bytes that are not read yet.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.left
    }

    pub(crate) fn end(&self) -> Result<(), LayoutError> {
        if !self.left.is_empty() {
            return Err(LayoutError::Surplus { surplus: self.left.len() });
        }
        Ok(())
    }
}

/// Appends a u8 length and the bytes. A length beyond u8 is written as 255, which every reader in this crate refuses.
pub(crate) fn put_bytes8(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

/// Appends a u16 length and the bytes. A length beyond u16 is written as 65,535, which every reader in this crate
/// refuses.
pub(crate) fn put_bytes16(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}
