//! Arguments and answers of a registering call.

use crate::model::class::Class;
use crate::model::schema::{FINGERPRINT_BYTES, Flags, Row};
use sexton_proof::id::{RegistrationId, SIZE_UNKNOWN};
use sexton_proof::record::Reason;
use sexton_proof::window::Bounds;

/// Limit on the registrations of one call.
pub const REGISTER_MAX: usize = 100_000;

/// Object to be registered.
#[derive(Clone, Copy, Debug)]
pub struct Registration<'a> {
    /// Key by which the host knows the object: 1 to 1,024 bytes. If its class finds by key, a key has at most one live
    /// registration.
    pub key: &'a [u8],
    /// Name of the class that the object falls under.
    pub class: &'a str,
    /// Version by which the store recognises this very object: at most 64 bytes. Empty if the store has no versions.
    pub version: &'a [u8],
    /// Instant from which the promise counts, Unix ms. If it is `None`, the class decides: the instant of registration,
    /// or an open start until `max_open` has passed.
    pub start_ms: Option<i64>,
    /// Digest of the content: at most 64 bytes, or empty.
    pub digest: &'a [u8],
    /// Size of the object in bytes; [`SIZE_UNKNOWN`] if it is not known.
    pub size_bytes: u64,
    /// Person or account that the data belong to: at most 255 bytes, or empty. It stays in the index and goes into no
    /// evidence.
    pub subject: &'a [u8],
}

impl<'a> Registration<'a> {
    /// Returns the registration of an object of `class` of which only the key is known.
    pub fn new(class: &'a str, key: &'a [u8]) -> Self {
        Registration {
            key,
            class,
            version: &[],
            start_ms: None,
            digest: &[],
            size_bytes: SIZE_UNKNOWN,
            subject: &[],
        }
    }
}

/// Durability of a call when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The call returns after an fsync, which all calls that wait at that moment share. What it answered survives the
    /// loss of power.
    Synced,
    /// The call returns at once. What it answered survives the end of the process, and the loss of power once a later
    /// call was synced. A registration lost to power never counted, and its id may be given again.
    Buffered,
}

/// Answer to one registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Registration id. The host keeps it to ask for a receipt.
    pub id: RegistrationId,
    /// Previous live registration of the key, and what became of it.
    pub previous: Previous,
    /// Encoded opening of the commitment, if the class says `openings = "ticket"`. The engine keeps no copy.
    pub ticket: Option<Vec<u8>>,
}

/// Previous live registration of the same key, as a new registration found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// There was none, or the class does not find by key.
    None,
    /// The new registration replaced it. Its object is no longer deleted at its time.
    Replaced(RegistrationId),
    /// A batch has it already, so its object may still be deleted at the previous time. The new registration counts. A
    /// store that tells versions apart deletes only the previous object.
    TooLate(RegistrationId),
    /// It is this very object: same key, version and class. Nothing was registered, so a retry is safe.
    Identical,
    /// It was kept: the call registers only keys that have no live registration.
    Kept,
}

/// Options of a registering call that only the engine sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegisterMode {
    /// `true` if a key that has a live registration is left alone.
    pub(crate) only_missing: bool,
    /// Reason for which the objects will end.
    pub(crate) reason: Reason,
    /// Lead of the wall clock over the trusted time, ms. An operator may later find that the wall clock is right.
    pub(crate) ahead_ms: i64,
}

impl RegisterMode {
    /// Mode of a host's own call.
    pub(crate) const USUAL: RegisterMode =
        RegisterMode { only_missing: false, reason: Reason::Due, ahead_ms: 0 };
}

/// Registration that passed validation, with its terms and its shard.
pub(super) struct Validated<'c> {
    pub(super) class: &'c Class,
    /// `true` if its start is not known yet.
    pub(super) is_open: bool,
    pub(super) start_ms: i64,
    pub(super) bounds: Bounds,
    pub(super) slot: u64,
    pub(super) short_notice: bool,
    pub(super) shard: usize,
    pub(super) fingerprint: [u8; FINGERPRINT_BYTES],
    pub(super) reason: Reason,
}

impl Validated<'_> {
    /// Row of `registration`, which these terms were made for.
    pub(super) fn row<'a>(&self, registration: &Registration<'a>) -> Row<'a> {
        Row {
            cause: 0,
            attempts: 0,
            flags: if self.is_open { Flags::OPEN } else { Flags::NONE },
            reason: self.reason,
            start_ms: self.start_ms,
            floor_ms: self.bounds.floor_ms,
            ceiling_ms: self.bounds.ceiling_ms,
            size_bytes: registration.size_bytes,
            key: registration.key,
            version: registration.version,
            digest: registration.digest,
            subject: registration.subject,
        }
    }
}

/// Validated call.
pub(super) struct RegisterCall<'c, 'r> {
    pub(super) registrations: &'c [Registration<'r>],
    /// Terms of each registration, in the same order.
    pub(super) validated: Vec<Validated<'c>>,
    pub(super) mode: RegisterMode,
}
