//! Sexton as a service: the engine behind an HTTP API on Unix sockets.
//!
//! Its parts:
//!
//! * [`api`]: the operations, as requests and answers in JSON. The command runs them itself on a folder that no service
//!   has open.
//! * [`dry_run`]: engines in memory that validate as the one of a data folder does.
//! * [`exchange`]: one request and its response, for hosts that have an HTTP server of their own.
//! * [`http`] (feature `serve`): the operations on sockets, and the client.
//! * [`intake`]: what becomes of a file that is found, for the command and the service alike.
//! * [`sources`]: places whose objects the service registers and deletes.

pub mod api;
pub mod config;
pub mod dry_run;
pub mod exchange;
#[cfg(feature = "serve")]
mod health;
#[cfg(feature = "serve")]
pub mod http;
pub mod intake;
#[cfg(feature = "serve")]
mod metrics;
pub mod outlook;
pub mod ownership;
pub mod problem;
pub mod rights;
#[cfg(feature = "serve")]
pub mod run;
#[cfg(feature = "serve")]
mod serving;
pub mod sources;

#[cfg(feature = "serve")]
pub use health::Health;
#[cfg(feature = "serve")]
pub use serving::{ServeOptions, Serving};
