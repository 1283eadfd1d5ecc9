//! Receipts, and verifying them, which needs no engine.

use crate::error::{EMPTY, Failure, call, invalid, plain, sexton_error};
use crate::handle::{sexton_engine, with_engine};
use crate::pointer::{self, Out, lend};
use crate::status::SEXTON_NOT_VERIFIED;
use crate::text::sexton_text;
use crate::types::{sexton_bytes, sexton_id};
use sexton::{Engine, Opener};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, DOES_NOT_PROVE, Outcome, Verdict};
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::LazyLock;

/// A receipt is opened by the object's key (openings = "operator").
pub const SEXTON_OPENER_KEY: i32 = 1;
/// A receipt is opened by the ticket that registering gave (openings = "ticket").
pub const SEXTON_OPENER_TICKET: i32 = 2;

/// Deleted or anonymised, not before the floor and not after the ceiling.
pub const SEXTON_OUTCOME_KEPT: i32 = 1;
/// Deleted before the floor.
pub const SEXTON_OUTCOME_EARLY: i32 = 2;
/// Deleted after the ceiling.
pub const SEXTON_OUTCOME_LATE: i32 = 3;
/// Deleted after the ceiling, once a legal hold was lifted that had kept it, as the operator recorded.
pub const SEXTON_OUTCOME_AFTER_HOLD: i32 = 4;
/// The registration ended, but not by a deletion of the engine's.
pub const SEXTON_OUTCOME_NOT_A_DELETION: i32 = 5;

/// What an authentic receipt says. Opaque; freed with sexton_verdict_free(). Authentic is not yet kept: look at
/// sexton_verdict_outcome(), and tell people what sexton_does_not_prove() says.
pub struct sexton_verdict(Verdict);

/// The receipt for a registration that has ended: the text of a C2SP tlog-proof file, which sexton_verify() and `sexton verify`
/// check. `with` is the object's key, or the ticket.
///
/// SEXTON_NOT_FOUND where there is no such registration, it has not ended, or nothing opens it any more; SEXTON_INVALID where
/// `with` does not open it; SEXTON_FORKED, SEXTON_POISONED, SEXTON_FULL or SEXTON_IO where its log
/// entry cannot be published.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_receipt(
    engine: *const sexton_engine,
    id: *const sexton_id,
    opener: i32,
    with: sexton_bytes,
    out: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(out, "out")?;
        // SAFETY: by the contract it points to an id.
        let id = unsafe { pointer::borrow(id, "id") }?;
        // SAFETY: by the contract borrowed for the call.
        let with = unsafe { pointer::bytes(with, "with") }?;
        let opener = match opener {
            SEXTON_OPENER_KEY => Opener::Key(with),
            SEXTON_OPENER_TICKET => Opener::Ticket(with),
            other => return Err(invalid(format!("opener {other}; there are 1 and 2"))),
        };
        out.give_text(engine.receipt((*id).into(), opener)?);
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// A C2SP tlog-policy that trusts this log and asks for no witnesses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_policy(
    engine: *const sexton_engine,
    out: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        Out::new(out, "out")?.give_text(engine.policy());
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Verifies a receipt under a policy: offline, without an engine.
///
/// SEXTON_NOT_VERIFIED where the receipt is not authentic; the message names the failed check. SEXTON_INVALID where the policy
/// is malformed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verify(
    receipt: sexton_bytes,
    policy: sexton_bytes,
    out: *mut *mut sexton_verdict,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || {
        let out = Out::new(out, "out")?;
        // SAFETY: by the contract borrowed for the call.
        let receipt = unsafe { pointer::bytes(receipt, "receipt") }?;
        // SAFETY: as above.
        let policy = unsafe { pointer::text(policy, "policy") }?;
        let policy = Policy::parse(policy).map_err(|e| invalid(format!("the policy is malformed: {e}")))?;
        let verdict = receipt::verify(receipt, &policy);
        out.give(sexton_verdict(verdict.map_err(|e| Failure::new(SEXTON_NOT_VERIFIED, e.to_string()))?));
        Ok(())
    })
}

/// What `pick` says of a verdict, or `otherwise`.
unsafe fn of<T: Copy>(verdict: *const sexton_verdict, otherwise: T, pick: impl FnOnce(&Verdict) -> T) -> T {
    plain(otherwise, || {
        // SAFETY: by the contract NULL or a verdict that is not freed yet.
        let verdict = unsafe { pointer::maybe(verdict) };
        verdict.map_or(otherwise, |verdict| pick(&verdict.0))
    })
}

/// How the promise fared: SEXTON_OUTCOME_*. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_outcome(verdict: *const sexton_verdict) -> i32 {
    let pick = |verdict: &Verdict| match verdict.outcome() {
        Outcome::Kept => SEXTON_OUTCOME_KEPT,
        Outcome::Early { .. } => SEXTON_OUTCOME_EARLY,
        Outcome::Late { .. } => SEXTON_OUTCOME_LATE,
        Outcome::AfterHold { .. } => SEXTON_OUTCOME_AFTER_HOLD,
        Outcome::NotADeletion(_) => SEXTON_OUTCOME_NOT_A_DELETION,
    };
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, 0, pick) }
}

/// By how much it was early or late, ms; 0 where it was neither.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_by_ms(verdict: *const sexton_verdict) -> u64 {
    let pick = |verdict: &Verdict| match verdict.outcome() {
        Outcome::Early { by_ms } | Outcome::Late { by_ms } | Outcome::AfterHold { by_ms } => by_ms,
        Outcome::Kept | Outcome::NotADeletion(_) => 0,
    };
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, 0, pick) }
}

/// The instant the promise counts from, Unix ms. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_start_ms(verdict: *const sexton_verdict) -> i64 {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, 0, |verdict| verdict.start_ms) }
}

/// The floor, Unix ms; SEXTON_UNKNOWN_MS where none was promised. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_floor_ms(verdict: *const sexton_verdict) -> i64 {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, 0, |verdict| verdict.floor_ms) }
}

/// The ceiling, Unix ms; SEXTON_NO_CEILING_MS where none was promised. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_ceiling_ms(verdict: *const sexton_verdict) -> i64 {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, 0, |verdict| verdict.ceiling_ms) }
}

/// When the end was known, Unix ms. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_time_ms(verdict: *const sexton_verdict) -> i64 {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, 0, |verdict| verdict.time_ms) }
}

/// The origin line of the log. Lives as long as the verdict. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_origin(verdict: *const sexton_verdict) -> sexton_bytes {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, EMPTY, |verdict| lend(verdict.origin.as_bytes())) }
}

/// The name of the class. Lives as long as the verdict. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_class(verdict: *const sexton_verdict) -> sexton_bytes {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, EMPTY, |verdict| lend(verdict.class_name.as_bytes())) }
}

/// The key of the object. Lives as long as the verdict. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_key(verdict: *const sexton_verdict) -> sexton_bytes {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, EMPTY, |verdict| lend(&verdict.key)) }
}

/// How the registration ended: "deleted", "absent", "absent-after-intent", "anonymised", "replaced" or "released". Static.
/// Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_method(verdict: *const sexton_verdict) -> sexton_bytes {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, EMPTY, |verdict| lend(verdict.method.name().as_bytes())) }
}

/// The registration that ended: the last one of the object, which may have moved since the id that was asked for. All 0 for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_id(verdict: *const sexton_verdict) -> sexton_id {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, sexton_id::default(), |verdict| verdict.id.into()) }
}

static SENTENCES: LazyLock<Vec<CString>> =
    LazyLock::new(|| DOES_NOT_PROVE.iter().filter_map(|sentence| CString::new(*sentence).ok()).collect());

/// What a valid receipt does not prove, sentence by sentence from 0; NULL behind the last. Static and NUL-terminated. These
/// belong beside every result that is shown.
#[unsafe(no_mangle)]
pub extern "C" fn sexton_does_not_prove(i: usize) -> *const c_char {
    plain(ptr::null(), || SENTENCES.get(i).map_or(ptr::null(), |sentence| sentence.as_ptr()))
}

/// Frees a verdict. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_free(verdict: *mut sexton_verdict) {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    plain((), || drop(unsafe { pointer::take(verdict) }));
}
