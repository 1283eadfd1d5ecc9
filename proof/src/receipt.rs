//! Receipts: the file that proves the end of one object, and its verification (`docs/format.md` §5).

mod checks;
mod encoding;
mod error;
mod known;
mod result;
mod verdict;
mod verifier;
mod witnessed;

pub use self::encoding::{EXTRA_FIRST_LINE, Receipt, ResultProof};
pub use self::error::{RECEIPT_MAX_BYTES, ReceiptError, VerifyError};
pub use self::verdict::{Compliance, Cosignature, CosignatureDate, DOES_NOT_PROVE, Verdict};
pub use self::verifier::{Verifier, verify};
pub use self::witnessed::{Unwitnessed, WITNESS_SLACK, WithinError};

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
