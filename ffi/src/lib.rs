//! libsexton, the C library. Every public item has the same name in `sexton.h`, which is generated from this source.
//! The contract that all functions share is in docs/c-api.md.
#![allow(non_camel_case_types, reason = "the names are those of the header")]

// In the order of the header.

mod version;

mod status;

mod types;

mod error;

mod text;

mod options;

mod logging;

mod clock;

mod handle;

mod open;

mod register;

mod results;

mod batch;

mod governance;

mod reports;

mod api;

mod verify;

// Not in the header.

mod failure;
mod pointer;
mod reentrancy;
mod time;

pub use api::*;
pub use batch::*;
pub use clock::*;
pub use error::*;
pub use governance::*;
pub use handle::*;
pub use logging::*;
pub use open::*;
pub use options::*;
pub use register::*;
pub use reports::*;
pub use results::*;
pub use status::*;
pub use text::*;
pub use types::*;
pub use verify::*;
pub use version::*;
