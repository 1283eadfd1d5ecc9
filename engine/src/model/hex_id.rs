//! Random ids of 16 bytes, each a type of its own. As text, and in stored JSON, an id is 32 hexadecimal digits.

/// Defines an id type; `$what` names the id in errors.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "hex::serde")] [u8; 16]);

        impl $name {
            /// Returns the bytes of the id.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0
            }

            /// Creates an id from its bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                $name(bytes)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::platform::error::Error;

            fn from_str(text: &str) -> $crate::platform::error::Result<Self> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| {
                    $crate::platform::error::Error::invalid(format!(
                        concat!($what, " {:?} is not 32 hexadecimal digits"),
                        text
                    ))
                })?;
                Ok($name(bytes))
            }
        }
    };
}

pub(crate) use hex_id;
