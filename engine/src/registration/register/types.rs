//! Arguments and answers of a registering call.

use crate::model::class::Class;
use crate::model::schema::{Doubt, FINGERPRINT_BYTES, Flags, Links, Row};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Reason;
use sexton_proof::time::Timestamp;
use sexton_proof::window::Bounds;

/// Limit on the registrations of one call.
pub const REGISTER_MAX: usize = 100_000;

/// Object to be registered.
///
/// [`Registration::new`] takes what every object has. The other methods add what the host knows beside it.
///
/// ```
/// use sexton::Registration;
/// let upload = Registration::new("upload-3h", b"cat.jpg").version(b"etag-1").size(4_096);
/// assert_eq!((upload.key, upload.size, upload.start), (&b"cat.jpg"[..], Some(4_096), None));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Registration<'a> {
    /// Key by which the host knows the object: 1 to 2,048 bytes. If its class finds by key, a key has at most one live
    /// registration.
    pub key: &'a [u8],
    /// Name of the class that the object falls under.
    pub class: &'a str,
    /// Version by which the store recognises this very object: at most 1,024 bytes. Empty if the store has no versions.
    pub version: &'a [u8],
    /// Instant from which the promise counts. If it is `None`, the class decides: the instant of registration,
    /// or an open start until `max_open` has passed.
    pub start: Option<Timestamp>,
    /// Digest of the content: at most 64 bytes, or empty.
    pub digest: &'a [u8],
    /// Size of the object in bytes; `None` if it is not known.
    pub size: Option<u64>,
    /// Person or account that the data belong to: at most 255 bytes, or empty. It stays in the index and never enters
    /// evidence.
    pub subject: &'a [u8],
}

impl<'a> Registration<'a> {
    /// Returns the registration of an object of `class` of which only the key is known.
    #[must_use]
    pub const fn new(class: &'a str, key: &'a [u8]) -> Self {
        Registration { key, class, version: &[], start: None, digest: &[], size: None, subject: &[] }
    }

    /// Sets the version by which the store recognises this very object.
    #[must_use]
    pub const fn version(self, version: &'a [u8]) -> Self {
        Registration { version, ..self }
    }

    /// Sets the instant from which the promise counts. `None` leaves it to the class.
    #[must_use]
    pub fn start(self, start: impl Into<Option<Timestamp>>) -> Self {
        Registration { start: start.into(), ..self }
    }

    /// Sets the digest of the content.
    #[must_use]
    pub const fn digest(self, digest: &'a [u8]) -> Self {
        Registration { digest, ..self }
    }

    /// Sets the size of the object in bytes; `None` if it is not known.
    #[must_use]
    pub fn size(self, bytes: impl Into<Option<u64>>) -> Self {
        Registration { size: bytes.into(), ..self }
    }

    /// Sets the person or account that the data belong to.
    #[must_use]
    pub const fn subject(self, subject: &'a [u8]) -> Self {
        Registration { subject, ..self }
    }
}

/// Durability of a call when it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The call returns after an fsync, which all calls that wait at that moment share. What it answered survives the
    /// loss of power.
    #[default]
    Synced,
    /// The call returns at once. What it answered survives the end of the process, and the loss of power once a later
    /// call was synced. A registration lost to power never counted, and its id may be given again.
    Buffered,
}

/// Options of a registering call.
///
/// [`Durability`] alone converts into them, because most calls differ in nothing else.
///
/// ```
/// use sexton::{Durability, RegisterOptions};
/// assert_eq!(RegisterOptions::from(Durability::Buffered), RegisterOptions::new().buffered());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisterOptions {
    /// Durability of the call when it returns.
    pub durability: Durability,
    /// `true` if a key that has a live registration is left alone. Only classes that find by key can tell.
    pub only_missing: bool,
}

impl RegisterOptions {
    /// Returns the options of a call that is synced and registers every object.
    #[must_use]
    pub const fn new() -> Self {
        RegisterOptions { durability: Durability::Synced, only_missing: false }
    }

    /// Lets the call return before an fsync ([`Durability::Buffered`]).
    #[must_use]
    pub const fn buffered(self) -> Self {
        RegisterOptions { durability: Durability::Buffered, ..self }
    }

    /// Leaves keys alone that have a live registration. Their answer is [`Previous::Kept`].
    #[must_use]
    pub const fn only_missing(self) -> Self {
        RegisterOptions { only_missing: true, ..self }
    }
}

impl From<Durability> for RegisterOptions {
    fn from(durability: Durability) -> Self {
        RegisterOptions { durability, ..RegisterOptions::new() }
    }
}

/// Answer to one registration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// Registration id. The host keeps it to ask for a receipt.
    pub id: RegistrationId,
    /// Previous live registration of the key, and what became of it.
    pub previous: Previous,
    /// Encoded opening of the commitment, if the class has `openings = "ticket"`. The engine keeps no copy.
    pub ticket: Option<Vec<u8>>,
}

/// Previous live registration of the same key, as a new registration found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Previous {
    /// There was none, or the class does not find by key. In a class that finds by version, other versions do not count.
    None,
    /// The new registration replaced it. Its object is no longer deleted at its time.
    Replaced(RegistrationId),
    /// A batch already has the previous registration, so its object may still be deleted at the previous time. The new
    /// registration counts. A store that distinguishes versions deletes only the previous object.
    TooLate(RegistrationId),
    /// Identical object: key, version, class and start are those of the last registration. Later decisions and
    /// statements, such as another class, start or content, stay. Nothing was registered, so a retry is safe. A subject
    /// that differs from the known one takes its place.
    Identical,
    /// Kept as it is: the call registers only keys that have no live registration.
    Kept,
}

/// Mode of a registering call, of which a host chooses only `only_missing`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegisterMode {
    /// `true` if a key that has a live registration is left alone.
    pub(crate) only_missing: bool,
    /// Reason for which the objects will end.
    pub(crate) reason: Reason,
}

/// Registration that passed validation, with its terms and its shard.
pub(super) struct Validated<'c> {
    pub(super) class: &'c Class,
    /// Flags of its row.
    pub(super) flags: Flags,
    pub(super) start: Timestamp,
    pub(super) bounds: Bounds,
    pub(super) slot: u64,
    pub(super) short_notice: bool,
    pub(super) shard: usize,
    pub(super) fingerprint: [u8; FINGERPRINT_BYTES],
    pub(super) reason: Reason,
    /// Doubt about the clock; `None` if there is none.
    pub(super) doubt: Option<Doubt>,
    /// Number of times that time was taken back before.
    pub(super) era: u32,
    /// Instant of the call, if the object was due by then.
    pub(super) registered: Option<Timestamp>,
}

impl Validated<'_> {
    /// Returns the row of `registration`, which these terms were made for.
    pub(super) fn row<'a>(&self, registration: &Registration<'a>) -> Row<'a> {
        Row {
            cause: 0,
            attempts: 0,
            flags: self.flags,
            reason: self.reason,
            start: self.start,
            floor: self.bounds.floor,
            ceiling: self.bounds.ceiling,
            size: registration.size,
            key: registration.key,
            first: None,
            version: registration.version,
            digest: registration.digest,
            subject: registration.subject,
            origin: None,
            doubt: self.doubt,
            era: self.era,
            registered: self.registered,
            links: Links::NONE,
        }
    }
}

/// Key of an object, and its version if that tells the objects of a key apart. Otherwise the version is empty.
pub(super) type Identity<'r> = (&'r [u8], &'r [u8]);

impl<'r> RegisterCall<'_, 'r> {
    /// Returns the identity that the class of a registration gives its object.
    pub(super) fn identity(&self, index: usize) -> Identity<'r> {
        let registration = &self.registrations[index];
        match self.validated[index].class.finds_by_version() {
            true => (registration.key, registration.version),
            false => (registration.key, &[]),
        }
    }
}

/// Validated call.
pub(super) struct RegisterCall<'c, 'r> {
    pub(super) registrations: &'c [Registration<'r>],
    /// Terms of each registration, in the same order.
    pub(super) validated: Vec<Validated<'c>>,
    pub(super) mode: RegisterMode,
    /// Trusted time of the call.
    pub(super) now: Timestamp,
}
