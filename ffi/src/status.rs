//! Status numbers, which every function that can fail returns.

use sexton::ErrorKind;
use std::ffi::{CStr, c_char};

/// The call succeeded.
pub const SEXTON_OK: i32 = 0;
/// A value is outside its stated bounds. The call changed nothing. Correct it and call again.
pub const SEXTON_INVALID: i32 = 1;
/// The named object, hold, request, class or alarm does not exist.
pub const SEXTON_NOT_FOUND: i32 = 2;
/// A legal hold forbids the call, or a waiting erasure does. Lift the hold, or cancel the erasure, first.
pub const SEXTON_HELD: i32 = 3;
/// The object is already in a batch or gone, or the request is final.
pub const SEXTON_TOO_LATE: i32 = 4;
/// A stated limit is reached, the folder is open already, or the call is not allowed inside a callback. Try again
/// later.
pub const SEXTON_BUSY: i32 = 5;
/// The disk is full, or free space is below disk_reserve_bytes. Make room.
pub const SEXTON_FULL: i32 = 6;
/// The operating system reported an error. The message names the file.
pub const SEXTON_IO: i32 = 7;
/// Stored data contradict each other. Keep the folder as it is, run the full check, and see Backups in
/// docs/operations.md.
pub const SEXTON_CORRUPT: i32 = 8;
/// The log in the folder does not extend the published one, or the folder is a copy. The engine registers, deletes and
/// signs nothing. Unrelated to fork().
pub const SEXTON_FORKED: i32 = 9;
/// An earlier write or fsync failed, so the contents of the disk are unknown. Close the engine and open it again.
pub const SEXTON_POISONED: i32 = 10;
/// The engine is closed, or belongs to the process from which this one was forked.
pub const SEXTON_CLOSED: i32 = 11;
/// A defect in Sexton. Free the handle and open the engine again.
pub const SEXTON_INTERNAL: i32 = 12;
/// The receipt is not authentic under the trust policy.
pub const SEXTON_NOT_VERIFIED: i32 = 13;

/// Every status with its name. A number never gets another meaning. None is retired.
const ALL: [(i32, &CStr); 14] = [
    (SEXTON_OK, c"SEXTON_OK"),
    (SEXTON_INVALID, c"SEXTON_INVALID"),
    (SEXTON_NOT_FOUND, c"SEXTON_NOT_FOUND"),
    (SEXTON_HELD, c"SEXTON_HELD"),
    (SEXTON_TOO_LATE, c"SEXTON_TOO_LATE"),
    (SEXTON_BUSY, c"SEXTON_BUSY"),
    (SEXTON_FULL, c"SEXTON_FULL"),
    (SEXTON_IO, c"SEXTON_IO"),
    (SEXTON_CORRUPT, c"SEXTON_CORRUPT"),
    (SEXTON_FORKED, c"SEXTON_FORKED"),
    (SEXTON_POISONED, c"SEXTON_POISONED"),
    (SEXTON_CLOSED, c"SEXTON_CLOSED"),
    (SEXTON_INTERNAL, c"SEXTON_INTERNAL"),
    (SEXTON_NOT_VERIFIED, c"SEXTON_NOT_VERIFIED"),
];

/// Returns the status of an error kind.
pub(crate) fn of(kind: ErrorKind) -> i32 {
    match kind {
        ErrorKind::Invalid => SEXTON_INVALID,
        ErrorKind::NotFound => SEXTON_NOT_FOUND,
        ErrorKind::Held => SEXTON_HELD,
        ErrorKind::TooLate => SEXTON_TOO_LATE,
        ErrorKind::Busy => SEXTON_BUSY,
        ErrorKind::Full => SEXTON_FULL,
        ErrorKind::Io => SEXTON_IO,
        ErrorKind::Corrupt => SEXTON_CORRUPT,
        ErrorKind::Forked => SEXTON_FORKED,
        ErrorKind::Poisoned => SEXTON_POISONED,
        ErrorKind::Closed => SEXTON_CLOSED,
        // An unknown kind is a defect of this library.
        _ => SEXTON_INTERNAL,
    }
}

/// Returns the name of a status, like "SEXTON_BUSY", or "unknown". Static and NUL-terminated. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sexton_status_name(status: i32) -> *const c_char {
    let found = ALL.iter().find(|(number, _)| *number == status);
    found.map_or(c"unknown", |(_, name)| *name).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_kinds_correspond_one_to_one() {
        let kinds = [
            ErrorKind::Invalid,
            ErrorKind::NotFound,
            ErrorKind::Held,
            ErrorKind::TooLate,
            ErrorKind::Busy,
            ErrorKind::Full,
            ErrorKind::Io,
            ErrorKind::Corrupt,
            ErrorKind::Forked,
            ErrorKind::Poisoned,
            ErrorKind::Closed,
            ErrorKind::Internal,
        ];
        let numbers: Vec<i32> = kinds.into_iter().map(of).collect();
        assert_eq!(numbers, (1..=12).collect::<Vec<i32>>(), "stable, and each has its own");
        for (kind, number) in kinds.iter().zip(numbers) {
            let words = format!("{kind:?}").to_lowercase();
            let name = ALL.iter().find(|(n, _)| *n == number).unwrap().1.to_str().unwrap();
            assert_eq!(name.trim_start_matches("SEXTON_").replace('_', "").to_lowercase(), words);
        }
    }

    #[test]
    fn status_number_is_its_index() {
        for (index, (number, _)) in (0..).zip(ALL) {
            assert_eq!(index, number);
        }
    }
}
