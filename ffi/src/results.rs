//! Results of calls that register and change, as C gets them.

use crate::error::plain;
use crate::failure::{Failure, no_number};
use crate::pointer::{self, lend};
use crate::status::{self, SEXTON_INTERNAL, SEXTON_NOT_FOUND, SEXTON_OK};
use crate::time::split_instant;
use crate::types::{EMPTY, sexton_bytes, sexton_changed, sexton_id, sexton_registered};
use sexton::drive::{Answers, Completion};
use sexton::{Changed, Previous, Registered};
use std::ptr;

/// The key had no live registration, or its class has find = "none".
pub const SEXTON_PREVIOUS_NONE: i32 = 0;
/// The previous registration is replaced. Its object is no longer deleted at its own time.
pub const SEXTON_PREVIOUS_REPLACED: i32 = 1;
/// The previous registration is already in a batch, so its object may still be deleted at the previous time. The new
/// registration is live.
pub const SEXTON_PREVIOUS_TOO_LATE: i32 = 2;
/// The previous registration has the same key, version and class. Nothing was registered, and `id` is that of the
/// previous registration: a safe retry.
pub const SEXTON_PREVIOUS_IDENTICAL: i32 = 3;
/// The previous registration is kept because of SEXTON_ONLY_MISSING. Nothing was registered.
pub const SEXTON_PREVIOUS_KEPT: i32 = 4;

/// Results of a call that registers or changes, one for each registration or change, in their order. Opaque; freed with
/// sexton_results_free(). It owns its memory and may outlive the engine.
pub struct sexton_results {
    token: u64,
    status: i32,
    message: String,
    registered: Vec<sexton_registered>,
    changed: Vec<sexton_changed>,
    /// Bytes that the results point to. They never move.
    _lent: Vec<Vec<u8>>,
}

impl sexton_results {
    fn new(token: u64) -> Self {
        let (registered, changed) = (Vec::new(), Vec::new());
        sexton_results {
            token,
            status: SEXTON_OK,
            message: String::new(),
            registered,
            changed,
            _lent: Vec::new(),
        }
    }

    /// Keeps bytes for as long as the results live, and lends them.
    fn keep(&mut self, bytes: Option<Vec<u8>>) -> sexton_bytes {
        let Some(bytes) = bytes else { return EMPTY };
        let lent = lend(&bytes);
        self._lent.push(bytes);
        lent
    }

    pub(crate) fn of_registered(token: u64, answers: impl IntoIterator<Item = Option<Registered>>) -> Self {
        let answers = answers.into_iter();
        let mut results = sexton_results::new(token);
        results.registered.reserve(answers.size_hint().0);
        for answer in answers {
            let registered = match answer {
                Some(answer) => {
                    let (status, previous, previous_id) = previous(answer.previous);
                    let (id, ticket) = (answer.id.into(), results.keep(answer.ticket));
                    sexton_registered { status, previous, id, previous_id, ticket }
                }
                None => sexton_registered {
                    status: SEXTON_NOT_FOUND,
                    previous: SEXTON_PREVIOUS_NONE,
                    id: sexton_id::default(),
                    previous_id: sexton_id::default(),
                    ticket: EMPTY,
                },
            };
            results.registered.push(registered);
        }
        results
    }

    pub(crate) fn of_changed(token: u64, answers: Vec<sexton::Result<Changed>>) -> Self {
        let mut results = sexton_results::new(token);
        for answer in answers {
            let changed = match answer {
                Ok(changed) => {
                    let (has_floor, floor_ms) = split_instant(changed.floor);
                    let (has_ceiling, ceiling_ms) = split_instant(changed.ceiling);
                    sexton_changed {
                        status: SEXTON_OK,
                        id: changed.id.into(),
                        has_floor,
                        has_ceiling,
                        floor_ms,
                        ceiling_ms,
                        ticket: results.keep(changed.ticket),
                        message: EMPTY,
                    }
                }
                Err(error) => sexton_changed {
                    status: status::of(error.kind()),
                    id: sexton_id::default(),
                    has_floor: false,
                    has_ceiling: false,
                    floor_ms: 0,
                    ceiling_ms: 0,
                    ticket: EMPTY,
                    message: results.keep(Some(error.to_string().into_bytes())),
                },
            };
            results.changed.push(changed);
        }
        results
    }

    pub(crate) fn of_completion(completion: Completion) -> Self {
        let token = completion.token;
        match completion.result {
            Ok(Answers::Registered(answers)) => Self::of_registered(token, answers.into_iter().map(Some)),
            Ok(Answers::Changed(answers)) => Self::of_changed(token, answers),
            Ok(_) => Self::of_failure(token, no_number("kind of answers")),
            Err(error) => Self::of_failure(token, error.into()),
        }
    }

    fn of_failure(token: u64, failure: Failure) -> Self {
        let Failure { status, message } = failure;
        sexton_results { status, message, ..Self::new(token) }
    }
}

/// Returns the status of a registration, the effect on the previous one, and the id of that.
fn previous(previous: Previous) -> (i32, i32, sexton_id) {
    match previous {
        Previous::None => (SEXTON_OK, SEXTON_PREVIOUS_NONE, sexton_id::default()),
        Previous::Replaced(id) => (SEXTON_OK, SEXTON_PREVIOUS_REPLACED, id.into()),
        Previous::TooLate(id) => (SEXTON_OK, SEXTON_PREVIOUS_TOO_LATE, id.into()),
        Previous::Identical => (SEXTON_OK, SEXTON_PREVIOUS_IDENTICAL, sexton_id::default()),
        Previous::Kept => (SEXTON_OK, SEXTON_PREVIOUS_KEPT, sexton_id::default()),
        // An effect without a number is a defect of this library.
        _ => (SEXTON_INTERNAL, SEXTON_PREVIOUS_NONE, sexton_id::default()),
    }
}

/// Returns the results of registrations and writes their number to *len, which may be NULL. They live as long as the
/// results. NULL and 0 if the call failed or was not one that registers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_registered(
    results: *const sexton_results,
    len: *mut usize,
) -> *const sexton_registered {
    // SAFETY: by the contract NULL or results that are not freed yet.
    plain(ptr::null(), || unsafe { array(results, len, |results| &results.registered) })
}

/// Returns the results of changes and writes their number to *len, which may be NULL. They live as long as the results.
/// NULL and 0 if the call failed or was not one that changes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_changed(
    results: *const sexton_results,
    len: *mut usize,
) -> *const sexton_changed {
    // SAFETY: by the contract NULL or results that are not freed yet.
    plain(ptr::null(), || unsafe { array(results, len, |results| &results.changed) })
}

unsafe fn array<T>(
    results: *const sexton_results,
    len: *mut usize,
    pick: impl FnOnce(&sexton_results) -> &Vec<T>,
) -> *const T {
    // SAFETY: by the contract NULL or results that are not freed yet.
    let found = unsafe { pointer::maybe(results) }.map(pick).filter(|found| !found.is_empty());
    // SAFETY: by the contract NULL or room for a length.
    unsafe { pointer::put_if_wanted(len, found.map_or(0, Vec::len)) };
    found.map_or(ptr::null(), |found| found.as_ptr())
}

/// Returns the token of a completion. 0 for NULL and for results of sexton_register() and sexton_change().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_token(results: *const sexton_results) -> u64 {
    // SAFETY: by the contract NULL or results that are not freed yet.
    plain(0, || unsafe { pointer::maybe(results) }.map_or(0, |results| results.token))
}

/// Returns the status of a completed submission: what sexton_register() or sexton_change() would have returned.
/// SEXTON_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_status(results: *const sexton_results) -> i32 {
    // SAFETY: by the contract NULL or results that are not freed yet.
    plain(SEXTON_OK, || unsafe { pointer::maybe(results) }.map_or(SEXTON_OK, |results| results.status))
}

/// Returns the reason why a completed submission failed, UTF-8. Empty if it succeeded. It lives as long as the results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_message(results: *const sexton_results) -> sexton_bytes {
    plain(EMPTY, || {
        // SAFETY: by the contract NULL or results that are not freed yet.
        unsafe { pointer::maybe(results) }.map_or(EMPTY, |results| lend(results.message.as_bytes()))
    })
}

/// Frees results. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_free(results: *mut sexton_results) {
    // SAFETY: by the contract NULL or results that are not freed yet.
    plain((), || drop(unsafe { pointer::take(results) }));
}
