//! Values of leaves.

use std::time::Duration;

use crate::id::{ClassId, PageId};
use crate::time::Timestamp;
use crate::window::{Calendar, Span};

/// Longest class name in bytes.
pub const CLASS_NAME_MAX_BYTES: usize = 64;
/// Longest name of the tool in a batch leaf, in bytes.
pub const TOOL_MAX_BYTES: usize = 64;

/// Joins words by bars.
macro_rules! alternatives {
    ($first:literal $(, $more:literal)*) => { concat!($first $(, "|", $more)*) };
}

/// Defines an enum whose variants are words in a leaf.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Words of all variants, for an error message.
            pub(super) const EXPECTED: &str = alternatives!($($text),+);

            /// Returns the word of the variant.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Returns the variant of a word, or `None` if the word is unknown.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// Source of the start, the instant from which the promise counts.
    StartRule {
        /// The host states the start.
        Explicit = "explicit";
        /// The start is the instant of registration.
        Registered = "registered";
    }
}

words! {
    /// Treatment of an object whose retention expired.
    Disposition {
        /// The store deletes the object.
        Delete = "delete";
        /// The store rewrites the object so that it no longer concerns a person.
        Anonymise = "anonymise";
    }
}

words! {
    /// Keeper of the openings, which rebuild commitments.
    Openings {
        /// The operator, sealed under a key of the class and month and the object's key.
        Operator = "operator";
        /// The host, from registration on.
        Ticket = "ticket";
    }
}

/// Identity of the objects of a class: what tells two of them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Find {
    /// The key. Registering a live key again replaces the earlier registration.
    Key,
    /// Key and version. Each version of a key is an object of its own, so several may live beside each other. Decisions by key
    /// cover all of them.
    Version,
    /// The registration id that the host keeps, never the key. Registering is faster.
    None,
}

impl Find {
    /// Returns the word for it in a class file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Version => "version",
            Self::None => "none",
        }
    }

    /// Returns the word for it in a class leaf, which has no such line if objects are found by key.
    pub(super) fn line(self) -> Option<&'static str> {
        (self != Self::Key).then(|| self.name())
    }

    /// Returns the identity of a word in a class leaf.
    pub(super) fn from_line(word: &str) -> Option<Self> {
        [Self::Version, Self::None].into_iter().find(|find| find.line() == Some(word))
    }
}

words! {
    /// Kind of the event that an event leaf records.
    EventKind {
        /// A legal hold was placed.
        Hold = "hold";
        /// A legal hold was lifted.
        Lift = "lift";
        /// An alarm stopped deleting until an operator decides.
        Alarm = "alarm";
        /// An operator let deleting continue after an alarm.
        Resume = "resume";
    }
}

/// Leaf that defines a class version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassLeaf {
    /// Instant of logging.
    pub logged: Timestamp,
    /// Name of the class: 1 to 64 of `a-z 0-9 - . _`, beginning with a letter.
    pub name: String,
    /// Number of the class version among those of all names, from 1.
    pub id: ClassId,
    /// Number of the class version among those of this name, from 1.
    pub version: u32,
    /// Floor, counted from the start.
    pub keep: Option<Span>,
    /// Ceiling, counted from the start. At least one of floor and ceiling is present.
    pub within: Option<Span>,
    /// IANA name of the zone in which calendar spans and working days count.
    pub zone: String,
    /// Holidays and workdays of a ceiling in working days. Empty for any other class.
    pub calendar: Calendar,
    /// Source of the start.
    pub start: StartRule,
    /// Exact span after registration at which an object without a start gets one. Only with [`StartRule::Explicit`].
    pub max_open: Option<Span>,
    /// Width of a slot: whole milliseconds, at least one, at most 2^64 − 1.
    pub slot: Duration,
    /// Time reserved for the work before the ceiling: whole milliseconds, at most 2^64 − 1.
    pub lead: Duration,
    /// Treatment of objects whose retention expired.
    pub disposition: Disposition,
    /// Keeper of the openings.
    pub openings: Openings,
    /// Identity of the objects.
    pub find: Find,
    /// Exact span within which a registration is sealed.
    pub seal_within: Span,
    /// Span for which openings are kept after the end: exact from 31 days on, or in months or years. `None` if they are
    /// never destroyed.
    pub evidence: Option<Span>,
}

/// Page that a batch settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLine {
    /// Beginning of the slot, Unix milliseconds.
    pub slot: u64,
    /// Shard of the page.
    pub shard: u16,
    /// Part of the page.
    pub part: u16,
    /// Number of registrations in the page, at least 1: tombstones and carries together.
    pub seqs: u32,
    /// Number of registrations that ended.
    pub tombstones: u32,
    /// Number of registrations that live on in another page.
    pub carries: u32,
}

/// Reference to an evidence file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// Number of records in the file.
    pub n: u32,
    /// Root of the file.
    pub root: [u8; 32],
}

/// Leaf that records the end of the registrations of some pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLeaf {
    /// Instant of logging.
    pub logged: Timestamp,
    /// Number of the batch, from 1.
    pub batch: u64,
    /// Class version, from 1.
    pub class: ClassId,
    /// RFC 6962 leaf hash of the leaf that defined the class version.
    pub class_leaf: [u8; 32],
    /// Pages, at least one, strictly ascending by slot, shard, part.
    pub pages: Vec<PageLine>,
    /// File of tombstones.
    pub tombstones: FileRef,
    /// File of carries, if a registration was carried.
    pub carries: Option<FileRef>,
    /// File of results, one per tombstone with the method `anonymised`. `None` if there is no such tombstone.
    pub results: Option<FileRef>,
    /// Latest floor among the tombstones. `None` if no tombstone has a floor.
    pub floor_max: Option<Timestamp>,
    /// Earliest ceiling among the tombstones. `None` if no tombstone has a ceiling.
    pub ceiling_min: Option<Timestamp>,
    /// Instant at which the batch was planned.
    pub started: Timestamp,
    /// Instant at which the last outcome was known.
    pub finished: Timestamp,
    /// Tool and its version: 1 to 64 of `A-Z a-z 0-9 - . _ /`.
    pub tool: String,
}

impl BatchLeaf {
    /// Returns the id of the page of ordinal `page`, from 0.
    #[must_use]
    pub fn page_id(&self, page: u32) -> Option<PageId> {
        let line = self.pages.get(usize::try_from(page).ok()?)?;
        Some(PageId { class: self.class, slot: line.slot, shard: line.shard, part: line.part })
    }
}

/// Leaf that records a hold, a lift, an alarm or a resume. The text about it stays with the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLeaf {
    /// Instant of logging.
    pub logged: Timestamp,
    /// Kind of the event.
    pub kind: EventKind,
    /// 16 random bytes, not all zero. A lift has the id of its hold, a resume that of its alarm.
    pub id: [u8; 16],
    /// Commitment to a text that stays with the operator ([`crate::commitment::event`]).
    pub commitment: [u8; 32],
}

/// Most lines of class versions in a seal leaf.
pub const TALLIES_MAX: usize = 500;

/// Reference to the file of a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealFile {
    /// Number of entries in the file, at least 1.
    pub n: u64,
    /// Root of the file.
    pub root: [u8; 32],
}

/// Owed objects of a class version at the instant of a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassTally {
    /// Class version, from 1.
    pub class: ClassId,
    /// Live registrations, at least 1.
    pub live: u64,
    /// Live registrations whose slot has begun.
    pub due: u64,
    /// Live registrations of pages with a segment whose hi has passed.
    pub overdue: u64,
    /// Least slot of a due registration, Unix milliseconds. `None` if none is due.
    pub oldest: Option<u64>,
}

/// Leaf that commits to the registrations since the last seal, and counts the objects that are owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealLeaf {
    /// Instant of logging, until which all acknowledged registrations are sealed.
    pub logged: Timestamp,
    /// Number of the seal, from 1.
    pub number: u64,
    /// Number of shards of the engine, at least 1. Only the first seal states it.
    pub shards: Option<u16>,
    /// File of the entries, if there are any.
    pub entries: Option<SealFile>,
    /// Class versions with live registrations, strictly ascending, at most [`TALLIES_MAX`].
    pub classes: Vec<ClassTally>,
    /// Tool and its version: 1 to 64 of `A-Z a-z 0-9 - . _ /`.
    pub tool: String,
}
