//! Receipts: the file that proves the end of one object, and its verification (`docs/format.md` §5).

mod checks;
mod encoding;
mod error;
mod known;
mod result;
mod verdict;
mod verifier;

pub use self::checks::WITNESS_SLACK;
pub use self::encoding::{EXTRA_FIRST_LINE, Receipt, ResultProof};
pub use self::error::{RECEIPT_MAX_BYTES, ReceiptError, VerifyError};
pub use self::verdict::{Compliance, DOES_NOT_PROVE, Verdict};
pub use self::verifier::{Verifier, verify};

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
