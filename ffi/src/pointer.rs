//! Every dereference of a pointer that C gave, and every pointer that C is given. The caller's part of the contract is in
//! docs/c-api.md: a pointer that is not NULL points to what its type says, for the length that goes with it, and nobody
//! writes there meanwhile.

use crate::error::{Failure, Outcome, invalid};
use crate::types::sexton_bytes;
use std::slice;

/// What `pointer` points to.
pub(crate) unsafe fn borrow<'a, T>(pointer: *const T, name: &str) -> Outcome<&'a T> {
    // SAFETY: by the contract it is NULL or points to a T that outlives the call.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// What `pointer` points to, or nothing.
pub(crate) unsafe fn maybe<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: by the contract it is NULL or points to a T that outlives the call.
    unsafe { pointer.as_ref() }
}

/// What `pointer` points to, to be changed.
pub(crate) unsafe fn borrow_mut<'a, T>(pointer: *mut T, name: &str) -> Outcome<&'a mut T> {
    // SAFETY: by the contract it is NULL or points to a T that outlives the call, and nobody else uses it meanwhile.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(name))
}

/// The `len` values at `data`. NULL with a length of 0 is empty.
#[inline]
pub(crate) unsafe fn values<'a, T>(data: *const T, len: usize, name: &str) -> Outcome<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || !data.is_aligned() || len > isize::MAX.unsigned_abs() / size_of::<T>().max(1) {
        return Err(cannot_be(data.is_null(), len, name));
    }
    // SAFETY: not NULL, aligned, not longer than memory can be; by the contract `len` values lie there.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// The bytes that C lends.
#[inline]
pub(crate) unsafe fn bytes<'a>(bytes: sexton_bytes, name: &str) -> Outcome<&'a [u8]> {
    // SAFETY: as for every pointer and length.
    unsafe { values(bytes.data, bytes.len, name) }
}

/// The same as text.
pub(crate) unsafe fn text<'a>(text: sexton_bytes, name: &str) -> Outcome<&'a str> {
    // SAFETY: as for every pointer and length.
    let bytes = unsafe { bytes(text, name) }?;
    str::from_utf8(bytes).map_err(|e| invalid(format!("{name} is not UTF-8: {e}")))
}

/// Lends bytes to C, for as long as they live where they are.
pub(crate) fn lend(bytes: &[u8]) -> sexton_bytes {
    sexton_bytes { data: bytes.as_ptr(), len: bytes.len() }
}

/// A place for an answer, which is written only when everything has gone well.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// The place at `pointer`, which may not be NULL.
    pub(crate) fn new(pointer: *mut T, name: &str) -> Outcome<Self> {
        if pointer.is_null() { Err(null(name)) } else { Ok(Out(pointer)) }
    }

    pub(crate) fn put(self, value: T) {
        // SAFETY: not NULL; by the contract there is room for a T, aligned. What was there is not dropped: it is C's.
        unsafe { self.0.write(value) };
    }
}

impl<T> Out<*mut T> {
    /// Gives C a value of its own, which its `_free` function takes back.
    pub(crate) fn give(self, value: T) {
        self.put(Box::into_raw(Box::new(value)));
    }
}

/// Writes where there is a place for it.
pub(crate) unsafe fn put_if_wanted<T>(pointer: *mut T, value: T) {
    if let Ok(out) = Out::new(pointer, "") {
        out.put(value);
    }
}

/// Takes back what C was given; nothing where it is NULL.
pub(crate) unsafe fn take<T>(pointer: *mut T) -> Option<Box<T>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not NULL, so by the contract it came from `give`, and is freed once.
    Some(unsafe { Box::from_raw(pointer) })
}

#[cold]
fn cannot_be(is_null: bool, len: usize, name: &str) -> Failure {
    match is_null {
        true => invalid(format!("{name} is NULL, and its length is {len}")),
        false => invalid(format!("{name}: a length of {len}, or an address, that cannot be")),
    }
}

fn null(name: &str) -> Failure {
    invalid(format!("{name} is NULL"))
}
