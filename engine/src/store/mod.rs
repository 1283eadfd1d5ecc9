//! The seam between the engine and the place where the objects live.
//!
//! The engine decides *what* goes and *when*; a [`Store`] deletes it and answers for every object what became of it.
//! The answers end up in tombstones, so an answer is a statement of fact and never a hope.
//!
//! # The contract
//!
//! * **Idempotent.** After a crash the engine hands the same intent over again, with a higher `attempt`, because it
//!   cannot know how far the first attempt came. A store then answers [`Answer::Absent`] for what is already gone.
//! * **Only the object registered.** The version says which one. Anything else found under the key, newer or older,
//!   is left alone and answered with [`Answer::Changed`].
//! * **Durable before it is said.** [`Answer::Deleted`] and [`Answer::Absent`] are given only when a power failure
//!   can no longer bring the object back. A store that cannot promise it answers [`Answer::Failed`].
//! * **One answer per object, in the order of the request.** Any other number of answers counts as failed for the
//!   whole part, since nobody could tell which answer belongs to which object.
//! * **Many at once.** `delete` is called from several threads at the same time, with different parts.

pub mod dir;

pub use sexton_proof::leaf::Disposition;

/// What a store is asked to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The name of the object in the store.
    pub key: &'a [u8],
    /// What the store said of the object when it was registered; it recognises the very object by it.
    pub version: &'a [u8],
    /// The digest of the content as registered; empty where none was given.
    pub digest: &'a [u8],
    /// The size as registered. A statement for the evidence; the store recognises the object by its version.
    pub size_bytes: u64,
}

/// A part of a batch as it is handed to the store.
#[derive(Debug, Clone, Copy)]
pub struct SubBatch<'a> {
    /// The batch that this is a part of.
    pub batch: u64,
    /// The retention class of all objects in it.
    pub class: &'a str,
    /// What is to be done with the objects.
    pub disposition: Disposition,
    /// How often this intent has been handed over, this time included.
    pub attempt: u32,
    /// The fencing epoch: a store that serves several owners refuses a smaller one than it has seen.
    pub epoch: u64,
    /// The objects to be deleted.
    pub objects: &'a [Request<'a>],
}

/// What became of one object.
///
/// The reasons are for people. They may name keys, so they go into the database and the log file of the program, and
/// never into the transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The object registered was there, is gone now, and a power failure will not bring it back.
    Deleted,
    /// The object registered was there, was rewritten so that it concerns nobody any more, and a power failure will not
    /// bring the earlier content back; with the digest of what is there now, at most 64 bytes. Only for a class whose
    /// disposition is `anonymise`.
    Anonymised(Box<[u8]>),
    /// Nothing is there under this key, and a power failure will not bring anything back.
    Absent,
    /// Something is there, but not the object registered. It was left as it is.
    Changed,
    /// The store knows the object and declines, for example because it holds it itself; with the reason.
    Refused(Box<str>),
    /// It could not be done, or not be made durable; with the reason and what to do. It will be asked for again.
    Failed(Box<str>),
}

/// The place where the objects live.
pub trait Store: Send + Sync {
    /// Deletes the objects of `part` and answers for each of them, in the same order.
    ///
    /// See the [module documentation](self) for what an answer promises. It is called without any lock held, may block
    /// as long as the work takes, and must not panic.
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer>;
}
