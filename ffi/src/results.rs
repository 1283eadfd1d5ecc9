//! The answers to what registers and changes, as C gets them.

use crate::error::{EMPTY, Failure, plain};
use crate::pointer::{self, lend};
use crate::status::{self, SEXTON_NOT_FOUND, SEXTON_OK};
use crate::types::{SEXTON_UNKNOWN_MS, sexton_bytes, sexton_changed, sexton_id, sexton_registered};
use sexton::{Answers, Changed, Completion, Earlier, Registered};
use std::ptr;

/// There was no earlier live registration of the key, or its class does not find by key.
pub const SEXTON_EARLIER_NONE: i32 = 0;
/// The earlier registration is replaced: its object is not deleted on its time any more.
pub const SEXTON_EARLIER_REPLACED: i32 = 1;
/// The earlier one is on its way to deletion already, so its object may still go on the earlier time.
pub const SEXTON_EARLIER_TOO_LATE: i32 = 2;
/// It is this very object, so nothing was registered again: a safe retry.
pub const SEXTON_EARLIER_SAME: i32 = 3;
/// It stands, and only what was missing was to be registered.
pub const SEXTON_EARLIER_STANDS: i32 = 4;

/// The answers to a call that registers or changes, an answer for each of its items, in their order. Opaque; freed with
/// sexton_results_free().
pub struct sexton_results {
    token: u64,
    status: i32,
    message: String,
    registered: Vec<sexton_registered>,
    changed: Vec<sexton_changed>,
    /// What the answers point to; none of them ever moves.
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

    /// Keeps bytes and lends them.
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
            let one = match answer {
                Some(answer) => {
                    let (earlier, earlier_id) = earlier(answer.earlier);
                    let ticket = results.keep(answer.ticket);
                    sexton_registered { status: SEXTON_OK, earlier, id: answer.id.into(), earlier_id, ticket }
                }
                None => sexton_registered {
                    status: SEXTON_NOT_FOUND,
                    earlier: SEXTON_EARLIER_NONE,
                    id: sexton_id::default(),
                    earlier_id: sexton_id::default(),
                    ticket: EMPTY,
                },
            };
            results.registered.push(one);
        }
        results
    }

    pub(crate) fn of_changed(token: u64, answers: Vec<sexton::Result<Changed>>) -> Self {
        let mut results = sexton_results::new(token);
        for answer in answers {
            let one = match answer {
                Ok(Changed { id, floor_ms, ceiling_ms, ticket }) => {
                    let ticket = results.keep(ticket);
                    sexton_changed {
                        status: SEXTON_OK,
                        id: id.into(),
                        floor_ms,
                        ceiling_ms,
                        ticket,
                        message: EMPTY,
                    }
                }
                Err(error) => sexton_changed {
                    status: status::of(error.kind()),
                    id: sexton_id::default(),
                    floor_ms: SEXTON_UNKNOWN_MS,
                    ceiling_ms: SEXTON_UNKNOWN_MS,
                    ticket: EMPTY,
                    message: results.keep(Some(error.to_string().into_bytes())),
                },
            };
            results.changed.push(one);
        }
        results
    }

    pub(crate) fn of_completion(completion: Completion) -> Self {
        let token = completion.token;
        match completion.result {
            Ok(Answers::Registered(answers)) => Self::of_registered(token, answers.into_iter().map(Some)),
            Ok(Answers::Changed(answers)) => Self::of_changed(token, answers),
            Err(error) => {
                let Failure { status, message } = error.into();
                sexton_results { status, message, ..Self::new(token) }
            }
        }
    }
}

fn earlier(earlier: Earlier) -> (i32, sexton_id) {
    match earlier {
        Earlier::None => (SEXTON_EARLIER_NONE, sexton_id::default()),
        Earlier::Replaced(id) => (SEXTON_EARLIER_REPLACED, id.into()),
        Earlier::TooLate(id) => (SEXTON_EARLIER_TOO_LATE, id.into()),
        Earlier::Same => (SEXTON_EARLIER_SAME, sexton_id::default()),
        Earlier::Stands => (SEXTON_EARLIER_STANDS, sexton_id::default()),
    }
}

/// The answers to registrations, *len of them (len may be NULL). They live as long as the results. NULL and 0 where the call
/// was not one that registers, or failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_registered(
    results: *const sexton_results,
    len: *mut usize,
) -> *const sexton_registered {
    // SAFETY: by the contract NULL or results that are not freed yet.
    plain(ptr::null(), || unsafe { array(results, len, |results| &results.registered) })
}

/// The answers to changes, *len of them (len may be NULL). They live as long as the results. NULL and 0 where the call was not
/// one that changes, or failed.
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

/// The token of a completion; 0 for NULL and for calls that waited.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_token(results: *const sexton_results) -> u64 {
    // SAFETY: by the contract NULL or results that are not freed yet.
    plain(0, || unsafe { pointer::maybe(results) }.map_or(0, |results| results.token))
}

/// The status of a completed call as a whole: what the call that waits would have given. SEXTON_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_status(results: *const sexton_results) -> i32 {
    // SAFETY: by the contract NULL or results that are not freed yet.
    plain(SEXTON_OK, || unsafe { pointer::maybe(results) }.map_or(SEXTON_OK, |results| results.status))
}

/// Why a completed call failed, UTF-8; empty where it did not. Lives as long as the results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_message(results: *const sexton_results) -> sexton_bytes {
    plain(EMPTY, || {
        // SAFETY: by the contract NULL or results that are not freed yet.
        unsafe { pointer::maybe(results) }.map_or(EMPTY, |results| lend(results.message.as_bytes()))
    })
}

/// Frees results. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_results_free(results: *mut sexton_results) {
    // SAFETY: by the contract NULL or results that are not freed yet.
    plain((), || drop(unsafe { pointer::take(results) }));
}
