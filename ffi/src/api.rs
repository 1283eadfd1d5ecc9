//! The API of docs/api.md, for hosts that answer it on a Unix socket of their own.

use crate::error::sexton_error;
use crate::failure::{CallResult, Failure, invalid};
use crate::handle::{sexton_engine, with_folder};
use crate::open::with_signals_blocked;
use crate::pointer::{self, Out};
use crate::reports::needs_of;
use crate::status::SEXTON_IO;
use crate::text::sexton_text;
use crate::types::{sexton_api_request, sexton_bytes};
use sexton::Driver;
use sexton_service::api::Context;
use sexton_service::{exchange, ownership};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest body of a request to the API, bytes. A host that reads one byte more of a longer body and passes it on gets
/// the response to that.
pub const SEXTON_API_BODY_BYTES_MAX: usize = 8_388_608;

const _: () = assert!(SEXTON_API_BODY_BYTES_MAX == exchange::BODY_MAX_BYTES);

/// Borrows the value of a header. An empty one is absent.
unsafe fn header<'a>(value: sexton_bytes, name: &str) -> CallResult<Option<&'a [u8]>> {
    // SAFETY: by the contract borrowed for the call.
    Ok(Some(unsafe { pointer::bytes(value, name) }?).filter(|value| !value.is_empty()))
}

unsafe fn request_of<'a>(request: &sexton_api_request) -> CallResult<exchange::Request<'a>> {
    Ok(exchange::Request {
        // SAFETY: by the contract borrowed for the call.
        method: unsafe { pointer::bytes(request.method, "method") }?,
        // SAFETY: as above.
        target: unsafe { pointer::bytes(request.target, "target") }?,
        // SAFETY: as above.
        media_type: unsafe { header(request.content_type, "content_type") }?,
        // SAFETY: as above.
        idempotency_key: unsafe { header(request.idempotency_key, "idempotency_key") }?,
        // SAFETY: as above.
        body: unsafe { pointer::bytes(request.body, "body") }?,
    })
}

/// Runs the operation of the API that a request names, as docs/api.md says. Writes the HTTP status of the response to
/// *http_status and its body to *body. The body is the JSON of the answer if the status is 200, and otherwise a problem
/// document (application/problem+json). A response of 429 or 503 has the header Retry-After: 1.
///
/// SEXTON_OK means that there is a response, also if it is a problem. A reader of the feed gets its response at once,
/// whatever time it would wait. A request with an idempotency key is refused, since no responses are kept. Operations on
/// sources are refused: only `sexton serve` has sources.
///
/// All operations are those of an operator. The host decides who may connect to its socket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_api(
    engine: *mut sexton_engine,
    request: *const sexton_api_request,
    http_status: *mut u32,
    body: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let answer = |driver: &Driver, folder: &Path| {
        let (http_status, body) = (Out::new(http_status, "http_status")?, Out::new(body, "body")?);
        // SAFETY: by the contract it points to a request.
        let given = unsafe { pointer::borrow(request, "request") }?;
        // SAFETY: by the contract its fields are borrowed for the call.
        let request = unsafe { request_of(given) }?;
        let peer = pointer::optional(given.has_uid, given.uid, "has_uid", "uid")?;
        let needs: Vec<String> = needs_of(driver).into_iter().collect();
        let folder = folder.canonicalize().ok();
        let context = Context {
            engine: driver.engine(),
            sources: None,
            folder: folder.as_deref(),
            peer,
            needs: &needs,
        };
        let response = with_signals_blocked(|| Ok(exchange::respond(&request, &context)))?;
        http_status.put(response.status.into());
        body.give_text(response.body);
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_folder(engine, error, answer) }
}

/// Notes in the data folder that this process answers the API at the Unix socket `path`, which is absolute. `sexton`
/// commands on the folder then use the socket. The host listens there first. An empty path withdraws the note.
///
/// The note stays when the engine is closed. So a command does not open the folder of a host by accident, unless it has
/// --offline. After SEXTON_OK the note survives a power failure.
///
/// Errors: SEXTON_INVALID if the path is not absolute or contains a NUL; SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_set_control_socket(
    engine: *mut sexton_engine,
    path: sexton_bytes,
    error: *mut *mut sexton_error,
) -> i32 {
    let note = |_: &Driver, folder: &Path| {
        // SAFETY: by the contract borrowed for the call.
        let path = unsafe { pointer::bytes(path, "path") }?;
        if path.is_empty() {
            let failed = |e| Failure::new(SEXTON_IO, format!("the note of the control socket stays: {e}"));
            return ownership::give_up(folder).map_err(failed);
        }
        let socket = Path::new(OsStr::from_bytes(path));
        if !socket.is_absolute() || path.contains(&0) {
            return Err(invalid(format!("the path {} is not absolute, or contains a NUL", socket.display())));
        }
        Ok(ownership::claim(folder, socket)?)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_folder(engine, error, note) }
}
