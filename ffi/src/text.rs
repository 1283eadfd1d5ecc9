//! Texts that C is given: JSON, receipts, policies.

use crate::error::{EMPTY, Outcome, call, invalid, plain, sexton_error};
use crate::handle::{sexton_engine, with_driver};
use crate::pointer::{self, Out};
use crate::types::{sexton_bytes, sexton_id};
use serde_json::Value;
use sexton::{Driver, Engine, RegistrationId};

/// A text with its length: JSON, a receipt, a policy. UTF-8, not NUL-terminated. Opaque; freed with sexton_text_free().
pub struct sexton_text(String);

impl Out<*mut sexton_text> {
    /// Gives C a text.
    pub(crate) fn give_text(self, text: impl Into<String>) {
        self.give(sexton_text(text.into()));
    }
}

/// Does `body` and gives C its answer as JSON.
pub(crate) unsafe fn give_json(
    engine: *const sexton_engine,
    out: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
    body: impl FnOnce(&Engine) -> Outcome<Value>,
) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json_of_driver(engine, out, error, |driver| body(driver.engine())) }
}

/// The same of what drives the engine.
pub(crate) unsafe fn give_json_of_driver(
    engine: *const sexton_engine,
    out: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
    body: impl FnOnce(&Driver) -> Outcome<Value>,
) -> i32 {
    let told = |driver: &Driver| {
        let out = Out::new(out, "json")?;
        out.give_text(body(driver)?.to_string());
        Ok(())
    };
    // SAFETY: as above.
    unsafe { with_driver(engine, error, told) }
}

/// The bytes of a text; they live as long as it. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_text_bytes(text: *const sexton_text) -> sexton_bytes {
    // SAFETY: by the contract NULL or a text that is not freed yet.
    plain(EMPTY, || unsafe { pointer::maybe(text) }.map_or(EMPTY, |text| pointer::lend(text.0.as_bytes())))
}

/// Frees a text. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_text_free(text: *mut sexton_text) {
    // SAFETY: by the contract NULL or a text that is not freed yet.
    plain((), || drop(unsafe { pointer::take(text) }));
}

/// Reads a registration id from its 40 hexadecimal digits.
///
/// SEXTON_INVALID where the text is not one.
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

/// Writes a registration id as its 40 hexadecimal digits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_id_format(
    id: *const sexton_id,
    out: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || -> Outcome<()> {
        let out = Out::new(out, "out")?;
        // SAFETY: by the contract it points to an id.
        let id = unsafe { pointer::borrow(id, "id") }?;
        out.give_text(RegistrationId::from(*id).to_string());
        Ok(())
    })
}
