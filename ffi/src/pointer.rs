//! Pointers from C and to C. No other module dereferences a pointer from C. The caller's part of the contract is in
//! docs/c-api.md. A pointer that is not NULL points to values of its type, for the length that goes with it. No other
//! thread writes there during the call.

use crate::failure::{CallResult, Failure, invalid};
use crate::types::sexton_bytes;
use std::fmt::Display;
use std::slice;

/// Borrows the value at `pointer`. NULL is invalid.
pub(crate) unsafe fn borrow<'a, T>(pointer: *const T, name: &str) -> CallResult<&'a T> {
    // SAFETY: by the contract it is NULL or points to a T that outlives the call.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// Borrows the value at `pointer`, or `None` for NULL.
pub(crate) unsafe fn maybe<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: by the contract it is NULL or points to a T that outlives the call.
    unsafe { pointer.as_ref() }
}

/// Borrows the value at `pointer` mutably. NULL is invalid.
pub(crate) unsafe fn borrow_mut<'a, T>(pointer: *mut T, name: &str) -> CallResult<&'a mut T> {
    // SAFETY: by the contract it is NULL or points to a T that outlives the call, and no other thread uses it
    // meanwhile.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(name))
}

/// Borrows `len` values at `data`. NULL with a length of 0 is empty.
#[inline]
pub(crate) unsafe fn values<'a, T>(data: *const T, len: usize, name: &str) -> CallResult<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || !data.is_aligned() || len > isize::MAX.unsigned_abs() / size_of::<T>().max(1) {
        return Err(impossible(data.is_null(), len, name));
    }
    // SAFETY: not NULL, aligned, not longer than memory can be; by the contract `len` values lie there.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// Borrows bytes.
#[inline]
pub(crate) unsafe fn bytes<'a>(bytes: sexton_bytes, name: &str) -> CallResult<&'a [u8]> {
    // SAFETY: by the contract `len` bytes lie at `data`.
    unsafe { values(bytes.data, bytes.len, name) }
}

/// Borrows bytes as text, which must be UTF-8.
pub(crate) unsafe fn text<'a>(text: sexton_bytes, name: &str) -> CallResult<&'a str> {
    // SAFETY: by the contract `len` bytes lie at `data`.
    let bytes = unsafe { bytes(text, name) }?;
    str::from_utf8(bytes).map_err(|e| invalid(format!("{name} is not UTF-8: {e}")))
}

/// Refuses a call with more than `max` values.
pub(crate) fn at_most(len: usize, max: usize, name: &str) -> CallResult<()> {
    if len > max { Err(invalid(format!("{len} {name} in one call; {max} is the limit"))) } else { Ok(()) }
}

/// Reads a field with its presence flag. A value without the flag is refused: the caller forgot to set the flag.
#[inline]
pub(crate) fn optional<T>(is_set: bool, value: T, flag: &str, field: &str) -> CallResult<Option<T>>
where
    T: Copy + Default + PartialEq + Display,
{
    if is_set {
        return Ok(Some(value));
    }
    if value == T::default() { Ok(None) } else { Err(flag_missing(&value, flag, field)) }
}

/// Lends bytes to C. The pointer is good as long as the bytes stay at their address.
pub(crate) fn lend(bytes: &[u8]) -> sexton_bytes {
    sexton_bytes { data: bytes.as_ptr(), len: bytes.len() }
}

/// Place for a result of a call. It is written only if the call succeeds.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Takes the place at `pointer`. NULL is invalid.
    pub(crate) fn new(pointer: *mut T, name: &str) -> CallResult<Self> {
        if pointer.is_null() { Err(null(name)) } else { Ok(Out(pointer)) }
    }

    /// Writes the result.
    pub(crate) fn put(self, value: T) {
        // SAFETY: not NULL; by the contract there is room for a T, aligned. The old value belongs to C and is not
        // dropped.
        unsafe { self.0.write(value) };
    }
}

impl<T> Out<*mut T> {
    /// Gives C an object of its own. The object's `_free` function takes it back.
    pub(crate) fn give(self, value: T) {
        self.put(Box::into_raw(Box::new(value)));
    }
}

/// Writes a result that the caller may leave out by passing NULL.
pub(crate) unsafe fn put_if_wanted<T>(pointer: *mut T, value: T) {
    if let Ok(out) = Out::new(pointer, "") {
        out.put(value);
    }
}

/// Takes back an object that was given to C, or `None` for NULL.
pub(crate) unsafe fn take<T>(pointer: *mut T) -> Option<Box<T>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not NULL, so by the contract it came from `give`, and is freed once.
    Some(unsafe { Box::from_raw(pointer) })
}

#[cold]
fn impossible(is_null: bool, len: usize, name: &str) -> Failure {
    match is_null {
        true => invalid(format!("{name} is NULL, and its length is {len}")),
        false => invalid(format!("{name}: the length {len} is too large, or the address is not aligned")),
    }
}

#[cold]
fn flag_missing(value: &dyn Display, flag: &str, field: &str) -> Failure {
    invalid(format!("{field} is {value}, but {flag} is false; set {flag}, or leave {field} at 0"))
}

fn null(name: &str) -> Failure {
    invalid(format!("{name} is NULL"))
}
