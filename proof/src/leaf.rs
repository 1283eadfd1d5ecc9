//! Leaves of the log: strict `name value` lines in a fixed order (`docs/format.md` §4).

mod check;
mod text;

use self::check::{check_batch, check_class, check_event};
use self::text::{Lines, parse_batch, parse_class, parse_event, write_batch, write_class, write_event};
use crate::id::{ClassId, PageId};
use crate::window::{Calendar, CalendarError, Span, WindowError};

/// Longest leaf in bytes.
pub const LEAF_MAX_BYTES: usize = 60_000;
/// Longest class name in bytes.
pub const CLASS_NAME_MAX_BYTES: usize = 64;
/// Longest name of the tool in a batch leaf, in bytes.
pub const TOOL_MAX_BYTES: usize = 64;

const KIND_PREFIX: &str = "sexton/v0 ";
const CLASS_KIND: &str = "class";
const BATCH_KIND: &str = "batch";

/// Words joined by bars.
macro_rules! alternatives {
    ($first:literal $(, $more:literal)*) => { concat!($first $(, "|", $more)*) };
}

/// An enum whose variants are words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// The words, for an error message.
            const EXPECTED: &str = alternatives!($($text),+);

            /// The word in a leaf.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The variant of a word, if it has one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// How the instant from which the promise counts becomes known.
    StartRule {
        /// The host tells it.
        Explicit = "explicit";
        /// It is the instant of registration.
        Registered = "registered";
    }
}

words! {
    /// What becomes of an object when its time has come.
    Disposition {
        /// The store deletes it.
        Delete = "delete";
        /// The store rewrites it so that it concerns nobody any more.
        Anonymise = "anonymise";
    }
}

words! {
    /// Who keeps what rebuilds a commitment.
    Openings {
        /// The operator, sealed under a key of the class and month and the object's key.
        Operator = "operator";
        /// The host, from registration on.
        Ticket = "ticket";
    }
}

words! {
    /// What happened, as an event leaf says.
    EventKind {
        /// A legal hold was placed.
        Hold = "hold";
        /// A legal hold was lifted.
        Lift = "lift";
        /// Deleting was stopped, for a person to look.
        Alarm = "alarm";
        /// A person let deleting go on after an alarm.
        Resume = "resume";
    }
}

/// The leaf that defines a class version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassLeaf {
    /// When it was logged, Unix milliseconds.
    pub logged_ms: i64,
    /// Name of the class: 1 to 64 of `a-z 0-9 - . _`, beginning with a letter.
    pub name: String,
    /// Number of the class version among all, from 1.
    pub id: ClassId,
    /// Number of the version of this name, from 1.
    pub version: u32,
    /// The floor, counted from the start.
    pub keep: Option<Span>,
    /// The ceiling, counted from the start. At least one of the two is there.
    pub within: Option<Span>,
    /// IANA name of the zone in which calendar spans and working days count.
    pub zone: String,
    /// With a ceiling in working days: on which days people work. Elsewhere it names no date.
    pub calendar: Calendar,
    /// How the start becomes known.
    pub start: StartRule,
    /// With [`StartRule::Explicit`]: an object without a start has it this long after registration. Exact.
    pub max_open: Option<Span>,
    /// Width of a slot in milliseconds, at least 1.
    pub slot_ms: u64,
    /// Time left for the work, in milliseconds.
    pub lead_ms: u64,
    /// What becomes of objects.
    pub disposition: Disposition,
    /// Who keeps the openings.
    pub openings: Openings,
}

/// A page that a batch settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLine {
    /// Beginning of the slot, Unix milliseconds.
    pub slot: u64,
    /// The shard.
    pub shard: u16,
    /// The part.
    pub part: u16,
    /// Registrations in the page, at least 1: tombstones and carries together.
    pub seqs: u32,
    /// Those that ended.
    pub tombstones: u32,
    /// Those that live on in another page.
    pub carries: u32,
}

/// An evidence file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// Records in it.
    pub n: u32,
    /// Its root.
    pub root: [u8; 32],
}

/// The leaf that says how the registrations of some pages ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLeaf {
    /// When it was logged, Unix milliseconds.
    pub logged_ms: i64,
    /// Number of the batch, from 1.
    pub batch: u64,
    /// The class version, from 1.
    pub class: ClassId,
    /// RFC 6962 leaf hash of the leaf that defined it.
    pub class_leaf: [u8; 32],
    /// The pages, at least one, strictly ascending by slot, shard, part.
    pub pages: Vec<PageLine>,
    /// The file of tombstones.
    pub tombstones: FileRef,
    /// The file of carries, where anything was carried.
    pub carries: Option<FileRef>,
    /// The file of results, where any tombstone has the method `anonymised`: one for each of them.
    pub results: Option<FileRef>,
    /// The latest floor among the tombstones, where one of them has a floor, Unix milliseconds.
    pub floor_max_ms: Option<i64>,
    /// The earliest ceiling among the tombstones, where one of them has a ceiling, Unix milliseconds.
    pub ceiling_min_ms: Option<i64>,
    /// When the batch was planned, Unix milliseconds.
    pub started_ms: i64,
    /// When its last outcome was known, Unix milliseconds.
    pub finished_ms: i64,
    /// The tool and its version: 1 to 64 of `A-Z a-z 0-9 - . _ /`.
    pub tool: String,
}

impl BatchLeaf {
    /// The page of ordinal `page`, from 0.
    #[must_use]
    pub fn page_id(&self, page: u32) -> Option<PageId> {
        let line = self.pages.get(usize::try_from(page).ok()?)?;
        Some(PageId { class: self.class, slot: line.slot, shard: line.shard, part: line.part })
    }
}

/// The leaf that says that something happened beside deleting. What it was about stays with the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLeaf {
    /// When it was logged, Unix milliseconds.
    pub logged_ms: i64,
    /// What happened.
    pub kind: EventKind,
    /// 16 random bytes, not all zero; a lift has the id of its hold, a resume that of its alarm.
    pub id: [u8; 16],
    /// The commitment to a text that stays with the operator ([`crate::commitment::event`]).
    pub commitment: [u8; 32],
}

/// A leaf of a kind that this version knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// Defines a class version.
    Class(ClassLeaf),
    /// Says how the registrations of some pages ended.
    Batch(BatchLeaf),
    /// Says that a hold was placed or lifted, or deleting stopped or resumed.
    Event(EventLeaf),
}

impl Leaf {
    /// Reads what [`Leaf::to_text`] writes for a leaf that passes [`Leaf::check`], and nothing else.
    ///
    /// # Errors
    /// The first line that is not as it must be, with its number, or the rule that its values break.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > LEAF_MAX_BYTES {
            return Err(LeafError::Length { found: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| LeafError::Utf8 { at: error.valid_up_to() })?;
        let mut lines = Lines::new(text);
        let first = lines.next();
        let kind = first.and_then(|line| line.strip_prefix(KIND_PREFIX));
        let leaf = match (kind, kind.and_then(EventKind::from_name)) {
            (Some(CLASS_KIND), _) => Self::Class(parse_class(&mut lines)?),
            (Some(BATCH_KIND), _) => Self::Batch(parse_batch(&mut lines)?),
            (_, Some(kind)) => Self::Event(parse_event(&mut lines, kind)?),
            _ => {
                let expected = format!("`{KIND_PREFIX}{CLASS_KIND}|{BATCH_KIND}|{}`", EventKind::EXPECTED);
                return Err(lines.wrong(expected, first));
            }
        };
        lines.end()?;
        leaf.check()?;
        Ok(leaf)
    }

    /// The leaf as it is logged. For a leaf that does not pass [`Leaf::check`] the text is one that [`Leaf::parse`]
    /// refuses.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Class(leaf) => write_class(&mut out, leaf),
            Self::Batch(leaf) => write_batch(&mut out, leaf),
            Self::Event(leaf) => write_event(&mut out, leaf),
        };
        out
    }

    /// [`Leaf::to_text`] of a leaf that is checked first, length included.
    ///
    /// # Errors
    /// The rule that its values break; a text longer than [`LEAF_MAX_BYTES`].
    pub fn encode(&self) -> Result<String, LeafError> {
        self.check()?;
        let text = self.to_text();
        if text.len() > LEAF_MAX_BYTES {
            return Err(LeafError::Length { found: text.len() });
        }
        Ok(text)
    }

    /// The text of a leaf, logged at another instant. Nothing is checked.
    #[must_use]
    pub fn logged_at(text: &str, logged_ms: i64) -> String {
        let mut lines = text.splitn(3, '\n');
        let (kind, _, rest) = (lines.next(), lines.next(), lines.next());
        format!("{}\nlogged {logged_ms}\n{}", kind.unwrap_or_default(), rest.unwrap_or_default())
    }

    /// Checks the values against each other and their limits.
    ///
    /// # Errors
    /// The rule that they break.
    pub fn check(&self) -> Result<(), LeafError> {
        match self {
            Self::Class(leaf) => check_class(leaf),
            Self::Batch(leaf) => check_batch(leaf),
            Self::Event(leaf) => check_event(leaf),
        }
    }

    /// When it was logged, Unix milliseconds.
    #[must_use]
    pub fn logged_ms(&self) -> i64 {
        match self {
            Self::Class(leaf) => leaf.logged_ms,
            Self::Batch(leaf) => leaf.logged_ms,
            Self::Event(leaf) => leaf.logged_ms,
        }
    }
}

/// Bytes that are not a leaf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// Too long.
    #[error("a leaf of {found} bytes, at most {LEAF_MAX_BYTES} are allowed")]
    Length {
        /// Its length in bytes.
        found: usize,
    },
    /// Not UTF-8.
    #[error("a leaf is UTF-8 text; it is none from byte {at}")]
    Utf8 {
        /// Offset of the first byte that is not.
        at: usize,
    },
    /// A line is not as it must be.
    #[error("line {line} of the leaf: expected {expected}, found {found:?}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What must be there.
        expected: String,
        /// The line, cut short; empty where the leaf ends.
        found: String,
    },
    /// The dates of a class leaf are not a calendar.
    #[error("dates of the class leaf: {0}")]
    Calendar(#[from] CalendarError),
    /// Working days or dates where a class has none.
    #[error("promise of the class leaf: {0}")]
    Window(#[from] WindowError),
    /// Values that do not agree with each other or with their limits.
    #[error("`{name}` line of the leaf: expected {expected}, found {found}")]
    Rule {
        /// Name of the line; for a page its ordinal is behind it.
        name: String,
        /// What must be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

#[cfg(test)]
#[path = "leaf_tests.rs"]
mod tests;
