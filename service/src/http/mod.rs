//! The operations over HTTP/1.1 on Unix sockets.
//!
//! Request and answer are JSON. An error is a problem document (RFC 9457). The document of the API (OpenAPI 3.1) is
//! made from the types of the operations and is served as `/v1/openapi.json`.

mod begun;
pub mod client;
mod document;
mod idempotency;
mod idle;
mod listener;
mod router;

use crate::problem;
pub use document::document;
pub use listener::{Limits, Listener};
pub use router::{Server, router};
