//! Codes in records, and their names (`docs/format.md` §3).

/// Length of a header and of every record but a carry.
pub const RECORD_BYTES: usize = 64;
/// Length of a carry.
pub const CARRY_BYTES: usize = 128;

/// Defines an enum whose variants have a code of one byte and a name.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Variants in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the code in a record.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Returns the variant with this code, or `None` if the code is unknown.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// Returns the name in text output.
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
    /// Reason for the end of a registration.
    Reason {
        /// Retention expired.
        Due = 1, "due";
        /// A person asked for the erasure.
        Erasure = 2, "erasure";
        /// The class or the whole service was closed down.
        Closed = 3, "closed";
        /// A legal hold that had kept the object past its due instant was lifted.
        Lifted = 4, "lifted";
        /// The object came back from a backup after the registration had ended.
        Restored = 5, "restored";
        /// The host had deleted the object itself.
        Host = 6, "host";
    }
}

impl Reason {
    /// Returns `true` if a registration can end for this reason by `method`.
    ///
    /// [`Reason::Host`] goes with [`Method::Released`] and [`Method::Replaced`] only. Every other reason goes with
    /// every method except [`Method::Released`].
    #[must_use]
    pub const fn goes_with(self, method: Method) -> bool {
        match self {
            Self::Host => matches!(method, Method::Released | Method::Replaced),
            _ => !matches!(method, Method::Released),
        }
    }
}

codes! {
    /// Method by which a registration ended.
    Method {
        /// The store deleted the object.
        Deleted = 1, "deleted";
        /// The store did not have the object.
        Absent = 2, "absent";
        /// The store did not have the object, after an earlier attempt of the engine to delete it.
        AbsentAfterIntent = 3, "absent-after-intent";
        /// A newer registration of the key replaced it.
        Replaced = 4, "replaced";
        /// The host reported that it had deleted the object itself. The engine did not touch the object.
        Released = 5, "released";
        /// The store rewrote the object so that it no longer concerns a person.
        Anonymised = 6, "anonymised";
        /// The store was asked to delete the object and did not refuse. Its answer does not tell if the object was there.
        Requested = 7, "requested";
    }
}

impl Method {
    /// Returns `true` if the method shows that the engine deleted the object.
    #[must_use]
    pub const fn is_deletion(self) -> bool {
        matches!(self, Self::Deleted | Self::AbsentAfterIntent | Self::Anonymised)
    }
}

codes! {
    /// Cause of a carry: the reason why a registration lives on in another page.
    Cause {
        /// The store could not delete the object.
        Failed = 1, "failed";
        /// The store refused to delete the object.
        Refused = 2, "refused";
        /// The object in the store is not the one registered.
        Changed = 3, "changed";
        /// The floor had not been reached.
        Floor = 4, "floor";
        /// A legal hold keeps the object.
        Held = 5, "held";
        /// The start became known.
        Started = 6, "started";
        /// The terms changed, and no bound became looser.
        Tightened = 7, "tightened";
        /// The terms changed. The ceiling became later or the floor earlier.
        Loosened = 8, "loosened";
        /// A person asked for the erasure, so the registration was moved to an earlier slot.
        Erasure = 9, "erasure";
        /// The class or the whole service is being closed down, so the registration was moved to an earlier slot.
        Closed = 10, "closed";
        /// A legal hold was lifted.
        Lifted = 11, "lifted";
        /// The host had deleted the object itself, so the registration was moved to an earlier slot.
        Released = 12, "released";
    }
}

codes! {
    /// Kind of the records in a file.
    FileKind {
        /// Tombstones.
        Tombstones = 1, "tombstones";
        /// Carries.
        Carries = 2, "carries";
        /// Sealed openings, private to the operator.
        Openings = 4, "openings";
        /// Results of anonymising objects.
        Results = 5, "results";
        /// Commitments to new registrations ([`crate::seal`]).
        Seal = 6, "seal";
    }
}

impl FileKind {
    /// Returns the length of a record in bytes. `None` for openings and for entries of a seal, which differ in length.
    #[must_use]
    pub const fn record_bytes(self) -> Option<usize> {
        match self {
            Self::Tombstones | Self::Results => Some(RECORD_BYTES),
            Self::Carries => Some(CARRY_BYTES),
            Self::Openings | Self::Seal => None,
        }
    }
}
