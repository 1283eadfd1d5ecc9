//! Receipts, and their verification, which needs no engine.

use crate::error::{call, plain, sexton_error};
use crate::failure::{Failure, invalid};
use crate::handle::{sexton_engine, with_engine};
use crate::pointer::{self, Out, lend};
use crate::status::SEXTON_NOT_VERIFIED;
use crate::text::sexton_text;
use crate::time::split_instant;
use crate::types::{EMPTY, sexton_bytes, sexton_id};
use sexton::{Engine, Opener};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, Compliance, DOES_NOT_PROVE, Verdict};
use sexton_proof::time::{Timestamp, whole_ms};
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::LazyLock;

/// Opener of a receipt: the key of the object, for classes with openings = "operator".
pub const SEXTON_OPENER_KEY: i32 = 1;
/// Opener of a receipt: the ticket from the registration, for classes with openings = "ticket".
pub const SEXTON_OPENER_TICKET: i32 = 2;

/// The promise was kept: deleted or anonymised, not before the floor and not after the ceiling.
pub const SEXTON_COMPLIANCE_KEPT: i32 = 1;
/// Deleted or anonymised before the floor.
pub const SEXTON_COMPLIANCE_EARLY: i32 = 2;
/// Deleted or anonymised after the ceiling.
pub const SEXTON_COMPLIANCE_LATE: i32 = 3;
/// Deleted or anonymised after the ceiling, because of a legal hold that the operator recorded.
pub const SEXTON_COMPLIANCE_AFTER_HOLD: i32 = 4;
/// The registration ended, and the receipt shows no deletion by the engine. With the method "requested" the server was
/// asked to delete the object inside the window and did not refuse.
pub const SEXTON_COMPLIANCE_NOT_A_DELETION: i32 = 5;

/// Contents of an authentic receipt. Opaque; freed with sexton_verdict_free(). An authentic receipt may show a broken
/// promise: look at sexton_verdict_compliance(), and show the sentences of sexton_does_not_prove() with the result.
pub struct sexton_verdict(Verdict);

/// Writes the receipt of an ended registration to *out: the text of a C2SP tlog-proof file, for sexton_verify() and
/// `sexton verify`. `opener` is SEXTON_OPENER_*, and `with` is the key or the ticket. If the log entry is not published
/// yet, it is published first.
///
/// Errors: SEXTON_NOT_FOUND if there is no such registration, it has not ended, or its opening is gone; SEXTON_INVALID
/// if `with` does not open it; SEXTON_FORKED, SEXTON_POISONED, SEXTON_FULL or SEXTON_IO if its log entry cannot be
/// published.
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
            other => return Err(invalid(format!("opener {other}; 1 and 2 are allowed"))),
        };
        out.give_text(engine.receipt((*id).into(), opener)?);
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Writes a trust policy to *out: a C2SP tlog-policy that trusts this log and requires no witnesses.
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

/// Verifies a receipt under a trust policy, offline and without an engine. `now_ms` is the caller's own time, Unix ms.
/// If the policy requires witnesses, cosignatures dated more than 300 seconds after `now_ms` do not count, and neither do
/// those dated more than 300 seconds before the deletion.
///
/// Errors: SEXTON_NOT_VERIFIED if the receipt is not authentic or not witnessed, with the failed check in the message;
/// SEXTON_INVALID if the policy is malformed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verify(
    receipt: sexton_bytes,
    policy: sexton_bytes,
    now_ms: i64,
    out: *mut *mut sexton_verdict,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || {
        let out = Out::new(out, "out")?;
        // SAFETY: by the contract borrowed for the call.
        let receipt = unsafe { pointer::bytes(receipt, "receipt") }?;
        // SAFETY: by the contract borrowed for the call.
        let policy = unsafe { pointer::text(policy, "policy") }?;
        let policy =
            Policy::parse(policy).map_err(|e| invalid(format!("the trust policy is malformed: {e}")))?;
        let verdict = receipt::verify(receipt, &policy, Timestamp::from_unix_ms(now_ms));
        out.give(sexton_verdict(verdict.map_err(|e| Failure::new(SEXTON_NOT_VERIFIED, e.to_string()))?));
        Ok(())
    })
}

/// Returns a value of a verdict, or `otherwise` for NULL.
unsafe fn of<T: Copy>(verdict: *const sexton_verdict, otherwise: T, pick: impl FnOnce(&Verdict) -> T) -> T {
    plain(otherwise, || {
        // SAFETY: by the contract NULL or a verdict that is not freed yet.
        let verdict = unsafe { pointer::maybe(verdict) };
        verdict.map_or(otherwise, |verdict| pick(&verdict.0))
    })
}

/// Returns the compliance with the promise: SEXTON_COMPLIANCE_*. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_compliance(verdict: *const sexton_verdict) -> i32 {
    let pick = |verdict: &Verdict| match verdict.compliance() {
        Compliance::Kept => SEXTON_COMPLIANCE_KEPT,
        Compliance::Early { .. } => SEXTON_COMPLIANCE_EARLY,
        Compliance::Late { .. } => SEXTON_COMPLIANCE_LATE,
        Compliance::AfterHold { .. } => SEXTON_COMPLIANCE_AFTER_HOLD,
        Compliance::NotADeletion(_) => SEXTON_COMPLIANCE_NOT_A_DELETION,
    };
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, 0, pick) }
}

/// Returns the time by which the end was early or late, in ms. 0 if it was neither, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_by_ms(verdict: *const sexton_verdict) -> u64 {
    let pick = |verdict: &Verdict| match verdict.compliance() {
        Compliance::Early { by } | Compliance::Late { by } | Compliance::AfterHold { by } => whole_ms(by),
        Compliance::Kept | Compliance::NotADeletion(_) => 0,
    };
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, 0, pick) }
}

/// Returns the instant from which the promise counts, Unix ms. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_start_ms(verdict: *const sexton_verdict) -> i64 {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, 0, |verdict| verdict.start.unix_ms()) }
}

/// Returns true and writes the floor to *ms, Unix ms, if one was promised. Otherwise, and for NULL, returns false and
/// leaves *ms alone. `ms` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_floor_ms(verdict: *const sexton_verdict, ms: *mut i64) -> bool {
    // SAFETY: by the contract NULL or a verdict that is not freed yet, and NULL or room for an instant.
    unsafe { bound(verdict, ms, |verdict| split_instant(verdict.floor)) }
}

/// Returns true and writes the ceiling to *ms, Unix ms, if one was promised. Otherwise, and for NULL, returns false and
/// leaves *ms alone. `ms` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_ceiling_ms(verdict: *const sexton_verdict, ms: *mut i64) -> bool {
    // SAFETY: by the contract NULL or a verdict that is not freed yet, and NULL or room for an instant.
    unsafe { bound(verdict, ms, |verdict| split_instant(verdict.ceiling)) }
}

/// Writes a bound of a verdict if it has it.
unsafe fn bound(
    verdict: *const sexton_verdict,
    ms: *mut i64,
    pick: impl FnOnce(&Verdict) -> (bool, i64),
) -> bool {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    let (is_set, value) = unsafe { of(verdict, (false, 0), pick) };
    if is_set {
        // SAFETY: by the contract NULL or room for an instant.
        unsafe { pointer::put_if_wanted(ms, value) };
    }
    is_set
}

/// Returns the instant at which the end was known, Unix ms. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_time_ms(verdict: *const sexton_verdict) -> i64 {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, 0, |verdict| verdict.time.unix_ms()) }
}

/// Returns the origin line of the log. It lives as long as the verdict. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_origin(verdict: *const sexton_verdict) -> sexton_bytes {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, EMPTY, |verdict| lend(verdict.origin.as_bytes())) }
}

/// Returns the name of the class. It lives as long as the verdict. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_class(verdict: *const sexton_verdict) -> sexton_bytes {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, EMPTY, |verdict| lend(verdict.class_name.as_bytes())) }
}

/// Returns the key of the object. It lives as long as the verdict. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_key(verdict: *const sexton_verdict) -> sexton_bytes {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, EMPTY, |verdict| lend(&verdict.key)) }
}

/// Returns the method by which the registration ended: "deleted", "absent", "absent-after-intent", "anonymised",
/// "replaced", "released" or "requested". Static. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_method(verdict: *const sexton_verdict) -> sexton_bytes {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, EMPTY, |verdict| lend(verdict.method.name().as_bytes())) }
}

/// Returns the id of the registration that ended. If the object moved, it differs from the id for which the receipt was
/// made. All 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_id(verdict: *const sexton_verdict) -> sexton_id {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    unsafe { of(verdict, sexton_id::default(), |verdict| verdict.id.into()) }
}

static SENTENCES: LazyLock<Vec<CString>> =
    LazyLock::new(|| DOES_NOT_PROVE.iter().filter_map(|sentence| CString::new(*sentence).ok()).collect());

/// Returns sentence `i`, from 0, of what a valid receipt does not prove, and NULL after the last. Static and
/// NUL-terminated. Show all of them with every result.
#[unsafe(no_mangle)]
pub extern "C" fn sexton_does_not_prove(i: usize) -> *const c_char {
    plain(ptr::null(), || SENTENCES.get(i).map_or(ptr::null(), |sentence| sentence.as_ptr()))
}

/// Frees a verdict. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_verdict_free(verdict: *mut sexton_verdict) {
    // SAFETY: by the contract NULL or a verdict that is not freed yet.
    plain((), || drop(unsafe { pointer::take(verdict) }));
}
