//! The codes in records, and their names (`docs/format.md` §3).

use super::{CARRY_BYTES, RECORD_BYTES};

/// An enum whose variants have a code in a byte and a name.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every variant, in the order of the codes.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The byte in a record.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The variant of a byte, if it has one.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// The name in texts.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

codes! {
    /// Why a registration ended.
    Reason {
        /// Its time had come.
        Due = 1, "due";
        /// Somebody asked for it to be erased.
        Erasure = 2, "erasure";
        /// Its class, or the whole service, was closed down.
        Closed = 3, "closed";
        /// A legal hold had kept it past its time and was lifted.
        Lifted = 4, "lifted";
        /// It had come back from a backup after its end.
        Restored = 5, "restored";
        /// The host had deleted it itself.
        Host = 6, "host";
    }
}

impl Reason {
    /// Whether a registration can have ended for this reason by `method`: what the host deleted itself was released or
    /// replaced, and nothing else was released.
    #[must_use]
    pub const fn goes_with(self, method: Method) -> bool {
        match self {
            Self::Host => matches!(method, Method::Released | Method::Replaced),
            _ => !matches!(method, Method::Released),
        }
    }
}

codes! {
    /// How a registration ended.
    Method {
        /// The store deleted the object.
        Deleted = 1, "deleted";
        /// The object was not there.
        Absent = 2, "absent";
        /// The object was not there, after an earlier attempt of ours to delete it.
        AbsentAfterIntent = 3, "absent-after-intent";
        /// A newer registration of the key took its place.
        Replaced = 4, "replaced";
        /// The host deleted it itself, as it says; nothing of ours touched it.
        Released = 5, "released";
        /// The store rewrote it so that it concerns nobody any more.
        Anonymised = 6, "anonymised";
    }
}

codes! {
    /// Why a registration lives on in another page.
    Cause {
        /// The store could not delete the object.
        Failed = 1, "failed";
        /// The store would not delete the object.
        Refused = 2, "refused";
        /// The object there is not the one registered.
        Changed = 3, "changed";
        /// Its floor had not passed.
        Floor = 4, "floor";
        /// A legal hold keeps it.
        Held = 5, "held";
        /// Its start became known.
        Started = 6, "started";
        /// Its terms changed, and no bound became looser.
        Tightened = 7, "tightened";
        /// Its terms changed: its ceiling became later or its floor earlier.
        Loosened = 8, "loosened";
        /// It was moved up because somebody asked for it to be erased.
        Erasure = 9, "erasure";
        /// It was moved up because its class, or the whole service, is closed down.
        Closed = 10, "closed";
        /// A legal hold was lifted.
        Lifted = 11, "lifted";
        /// It was moved up because the host deleted it itself.
        Released = 12, "released";
    }
}

codes! {
    /// What the records of a file are.
    FileKind {
        /// Tombstones.
        Tombstones = 1, "tombstones";
        /// Carries.
        Carries = 2, "carries";
        /// Sealed openings, private to the operator.
        Openings = 4, "openings";
        /// What anonymised objects were rewritten to.
        Results = 5, "results";
    }
}

impl FileKind {
    /// Length of a record behind the header, in bytes; none for openings, which differ in length.
    #[must_use]
    pub const fn record_bytes(self) -> Option<usize> {
        match self {
            Self::Tombstones | Self::Results => Some(RECORD_BYTES),
            Self::Carries => Some(CARRY_BYTES),
            Self::Openings => None,
        }
    }
}
