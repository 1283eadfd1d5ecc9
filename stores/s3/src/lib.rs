//! S3 buckets as a store of objects.
//!
//! [`S3Store`] deletes the registered object and no other, and answers no more than it knows:
//!
//! * **A deletion names the version.** Objects, delete markers and multipart uploads are identified by [`Version`]. A deletion
//!   leaves no delete marker in the place of a version.
//! * **Without versioning a deletion is conditional.** Opening probes, on a throwaway object, which conditions the server
//!   checks. If it checks none, the bucket is refused unless [`Options::unsafe_unversioned`] is set.
//! * **In doubt the object is kept.** A missing bucket, credentials that expired, a clock that is off or a lost answer are
//!   failures. None of them is ever answered as absent.
//! * **Without [`Options::confirm`] the answer is `Requested`**: servers give the same acknowledgement for an object that they
//!   did not have.
//!
//! [`S3Store::list`] takes objects in, page by page. [`contradictions`] compares the bucket's own lifecycle rules with
//! promises.
//!
//! ```no_run
//! use sexton_s3::{Options, Position, S3Store};
//!
//! let store = S3Store::open(&Options::new("uploads", "eu-central-1"))?;
//! let mut position = Some(Position::start(""));
//! while let Some(at) = position {
//!     let page = store.list(&at)?;
//!     for object in &page.objects {
//!         let version = object.version.encode()?;
//!         // Register `object.key` with `version` and the start `object.modified_ms`.
//!     }
//!     position = page.next; // Store it, after the objects are registered.
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod call;
mod client;
mod delete;
mod error;
mod hold;
mod key;
mod label;
mod lifecycle;
mod listing;
mod options;
mod probe;
mod rules;
mod shared;
mod span;
mod state;
mod store;
mod trouble;
mod version;

pub use error::Error;
pub use label::LABEL_KEY;
pub use lifecycle::{LifecycleRule, Promise, contradictions};
pub use listing::{ListedObject, Page, Position};
pub use options::{BULK_OBJECTS, Credentials, Options};
pub use probe::{Conditions, PROBE_PREFIX};
pub use rules::{Rule, first_rule};
pub use state::Versioning;
pub use store::{Capabilities, S3Store};
pub use version::{VERSION_MAX_BYTES, Version, VersionError};

/// The examples of the documentation, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/s3.md")]
struct Documentation;
