//! S3 buckets as a store of objects.

mod call;
mod client;
mod delete;
mod error;
mod key;
mod options;
mod probe;
mod shared;
mod span;
mod state;
mod store;
mod trouble;
mod version;

pub use error::Error;
pub use options::{BULK_OBJECTS, Credentials, Options};
pub use probe::{Conditions, PROBE_PREFIX};
pub use state::Versioning;
pub use store::S3Store;
pub use version::{VERSION_MAX_BYTES, Version, VersionError};
