//! The seam between the engine and the place where the objects are stored.
//!
//! The engine decides *what* is deleted and *when*. A [`Store`] deletes it and gives one [`Answer`] per object. The
//! answers end up in tombstones, so an answer states a fact, never an expectation.
//!
//! # The contract
//!
//! * **Idempotent.** After a crash the engine hands over the same intent again, with a higher `attempt`. It cannot know
//!   how far the first attempt came. A store then answers [`Answer::Absent`] for an object that is already gone.
//! * **Only the registered object.** The version identifies it. The store leaves anything else under the key alone, newer or
//!   older, and answers [`Answer::Changed`].
//! * **Durable before the answer.** A store answers [`Answer::Deleted`], [`Answer::Anonymised`] or [`Answer::Absent`]
//!   only when a power failure can no longer bring the object back. Otherwise it answers [`Answer::Failed`].
//! * **No more than is known.** A store that cannot tell [`Answer::Deleted`] from [`Answer::Absent`] answers
//!   [`Answer::Requested`].
//! * **One answer per object, in the order of the objects.** With any other number, the answers cannot be matched to
//!   the objects. The whole sub-batch then counts as failed.
//! * **Concurrent.** Several threads call `delete` at the same time, with different sub-batches.

pub mod dir;

pub use sexton_proof::leaf::Disposition;

/// Object that a store is asked to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredObject<'a> {
    /// Key of the object in the store: 1 to 2,048 bytes.
    pub key: &'a [u8],
    /// Version that the host registered, at most 1,024 bytes. The store recognises the registered object by it.
    pub version: &'a [u8],
    /// Digest of the content as registered, at most 64 bytes; empty if the host gave none.
    pub digest: &'a [u8],
    /// Size as registered, bytes; `None` if the host gave none. It is for the evidence only: the store recognises the
    /// object by its version.
    pub size: Option<u64>,
}

/// Objects of a batch that are handed to the store in one call.
#[derive(Debug, Clone, Copy)]
pub struct SubBatch<'a> {
    /// Number of the batch.
    pub batch: u64,
    /// Name of the class of all objects.
    pub class: &'a str,
    /// Treatment of the objects: deleting or anonymising.
    pub disposition: Disposition,
    /// Number of times that this intent was handed over, this time included.
    pub attempt: u32,
    /// Fencing epoch. A store that serves several engines refuses a smaller epoch than it has seen.
    pub epoch: u64,
    /// Objects to be deleted.
    pub objects: &'a [StoredObject<'a>],
}

/// Answer of a store about one object.
///
/// The reasons are for operators and may name keys. So the engine keeps them in memory only, for
/// [`Status::failures`](field@crate::Status::failures): neither the program log nor the transparency log has them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The registered object was there and is deleted. A power failure cannot bring it back.
    Deleted,
    /// The registered object was there and was rewritten without personal data. A power failure cannot bring the earlier
    /// content back.
    ///
    /// Holds the digest of the new content, at most 64 bytes. Only for a class with the disposition `anonymise`.
    Anonymised(Box<[u8]>),
    /// No object is under this key, and a power failure cannot bring one back.
    Absent,
    /// The server behind the store was asked to delete the registered object and no other, and it acknowledged the request.
    /// Its acknowledgement is the same for an object that it did not have.
    ///
    /// The registration ends with the method [`Method::Requested`](sexton_proof::record::Method::Requested). Its receipt shows
    /// no deletion.
    Requested,
    /// Another object than the registered one is under this key. The store left it as it is.
    Changed,
    /// The store declines, for example because of a hold of its own. Holds the reason.
    Refused(Box<str>),
    /// The deletion failed, or could not be made durable. Holds the reason and what to do. The engine will ask again.
    Failed(Box<str>),
}

/// Place where the objects are stored.
pub trait Store: Send + Sync {
    /// Deletes the objects of `sub_batch` and returns one answer per object, in their order.
    ///
    /// The [module documentation](self) says what an answer promises. The engine holds no lock during the call. The call may
    /// block as long as the work takes, and must not panic.
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer>;
}
