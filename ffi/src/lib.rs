//! libsexton, the C library. Every item here is the item of the same name in `sexton.h`, which is generated from this source;
//! the contract that all functions share is docs/c-api.md.
#![allow(non_camel_case_types, reason = "the names are those of the header")]

// In the order in which the header has them.

mod version;

mod status;

mod types;

mod error;

mod text;

mod options;

mod logging;

mod clock;

mod handle;

mod register;

mod results;

mod batch;

mod decide;

mod show;

mod proof;

// What no header shows.

mod inside;
mod pointer;

pub use batch::*;
pub use clock::*;
pub use decide::*;
pub use error::*;
pub use handle::*;
pub use logging::*;
pub use options::*;
pub use proof::*;
pub use register::*;
pub use results::*;
pub use show::*;
pub use status::*;
pub use text::*;
pub use types::*;
pub use version::*;
