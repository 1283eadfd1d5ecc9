//! Texts that are given to C: JSON, receipts, trust policies, registration ids.

use crate::error::{call, plain, sexton_error};
use crate::failure::{CallResult, invalid};
use crate::handle::{sexton_engine, with_driver};
use crate::pointer::{self, Out};
use crate::types::{EMPTY, sexton_bytes, sexton_id};
use serde_json::Value;
use sexton::{Driver, Engine, RegistrationId};

/// Text with its length, UTF-8, not NUL-terminated: JSON, a receipt or a trust policy. Opaque; freed with
/// sexton_text_free().
pub struct sexton_text(String);

impl Out<*mut sexton_text> {
    /// Gives C a text.
    pub(crate) fn give_text(self, text: impl Into<String>) {
        self.give(sexton_text(text.into()));
    }
}

/// Runs the body of a C function that asks the engine for JSON.
pub(crate) unsafe fn give_json(
    engine: *const sexton_engine,
    out: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
    body: impl FnOnce(&Engine) -> CallResult<Value>,
) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json_of_driver(engine, out, error, |driver| body(driver.engine())) }
}

/// Runs the body of a C function that asks the driver for JSON.
pub(crate) unsafe fn give_json_of_driver(
    engine: *const sexton_engine,
    out: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
    body: impl FnOnce(&Driver) -> CallResult<Value>,
) -> i32 {
    let give = |driver: &Driver| {
        let out = Out::new(out, "json")?;
        out.give_text(body(driver)?.to_string());
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, give) }
}

/// Returns the bytes of a text. They live as long as the text. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_text_bytes(text: *const sexton_text) -> sexton_bytes {
    // SAFETY: by the contract NULL or a text that is not freed yet.
    plain(EMPTY, || unsafe { pointer::maybe(text) }.map_or(EMPTY, |text| pointer::lend(text.0.as_bytes())))
}

/// Frees a text. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_text_free(text: *mut sexton_text) {
    // SAFETY: by the contract NULL or a text that is not freed yet.
    plain((), || drop(unsafe { pointer::take(text) }));
}

/// Reads a registration id from its 40 hexadecimal digits.
///
/// Errors: SEXTON_INVALID if the text is not one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_id_parse(
    text: sexton_bytes,
    out: *mut sexton_id,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || {
        let out = Out::new(out, "out")?;
        // SAFETY: by the contract the text is borrowed for the call.
        let text = unsafe { pointer::text(text, "text") }?;
        let id: RegistrationId =
            text.parse().map_err(|e| invalid(format!("{text:?} is no registration id: {e}")))?;
        out.put(id.into());
        Ok(())
    })
}

/// Writes a registration id as 40 hexadecimal digits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_id_format(
    id: *const sexton_id,
    out: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || -> CallResult<()> {
        let out = Out::new(out, "out")?;
        // SAFETY: by the contract it points to an id.
        let id = unsafe { pointer::borrow(id, "id") }?;
        out.give_text(RegistrationId::from(*id).to_string());
        Ok(())
    })
}
