//! Result for one receipt under one trust policy.

use super::sources::Source;
use crate::input;
use sexton_proof::receipt::{Compliance, RECEIPT_MAX_BYTES, Verdict, Verifier, VerifyError};
use sexton_proof::record::Method;
use sexton_proof::time::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// A receipt with its verdict.
pub(super) struct Judged {
    pub(super) path: PathBuf,
    pub(super) result: ReceiptResult,
    /// Content of a receipt that is authentic, or unwitnessed and otherwise authentic.
    pub(super) verdict: Option<Box<Verdict>>,
}

impl Judged {
    pub(super) fn code(&self) -> u8 {
        self.result.code()
    }
}

/// Result for a receipt, one for each case that `sexton verify` tells apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReceiptResult {
    Kept,
    NotValid { check: Option<u8>, why: String },
    Unreadable { why: String },
    Early { by: Duration },
    Late { by: Duration },
    AfterHold { by: Duration },
    Unwitnessed { why: String },
    NotADeletion { method: Method },
}

impl ReceiptResult {
    /// Returns the exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            ReceiptResult::Kept => 0,
            ReceiptResult::NotValid { .. } => 1,
            ReceiptResult::Unreadable { .. } => 2,
            ReceiptResult::Early { .. } | ReceiptResult::Late { .. } | ReceiptResult::AfterHold { .. } => 3,
            ReceiptResult::Unwitnessed { .. } => 4,
            ReceiptResult::NotADeletion { .. } => 5,
        }
    }

    /// Returns the word for the result in JSON.
    pub(super) fn name(&self) -> &'static str {
        match self {
            ReceiptResult::Kept => "kept",
            ReceiptResult::NotValid { .. } => "not-valid",
            ReceiptResult::Unreadable { .. } => "unreadable",
            ReceiptResult::Early { .. } => "early",
            ReceiptResult::Late { .. } => "late",
            ReceiptResult::AfterHold { .. } => "after-hold",
            ReceiptResult::Unwitnessed { .. } => "unwitnessed",
            ReceiptResult::NotADeletion { .. } => "not-a-deletion",
        }
    }
}

impl From<Compliance> for ReceiptResult {
    fn from(compliance: Compliance) -> Self {
        match compliance {
            Compliance::Kept => ReceiptResult::Kept,
            Compliance::Early { by } => ReceiptResult::Early { by },
            Compliance::Late { by } => ReceiptResult::Late { by },
            Compliance::AfterHold { by } => ReceiptResult::AfterHold { by },
            Compliance::NotADeletion(method) => ReceiptResult::NotADeletion { method },
        }
    }
}

/// Judges a receipt at the verifier's time `now`. The library gives the verdict; the command only names it.
pub(super) fn judge(verifier: &mut Verifier<'_>, source: Source, now: Timestamp) -> Judged {
    let Source { path, problem } = source;
    let bytes = match problem {
        Some(why) => Err(why),
        None => input::read(&path, RECEIPT_MAX_BYTES).map_err(|error| error.to_string()),
    };
    let (result, verdict) = match bytes.map(|bytes| verifier.verify(&bytes, now)) {
        Err(why) => (ReceiptResult::Unreadable { why }, None),
        Ok(Ok(verdict)) => (verdict.compliance().into(), Some(Box::new(verdict))),
        Ok(Err(VerifyError::Quorum(unwitnessed))) => {
            let why = unwitnessed.to_string();
            (ReceiptResult::Unwitnessed { why }, Some(Box::new(unwitnessed.verdict)))
        }
        Ok(Err(error)) => (ReceiptResult::NotValid { check: check(&error), why: error.to_string() }, None),
    };
    Judged { path, result, verdict }
}

/// Returns the number of the failed check in `docs/format.md` §5, or `None` if the file is no receipt at all.
fn check(error: &VerifyError) -> Option<u8> {
    use VerifyError as E;
    Some(match error {
        E::Checkpoint(_) | E::Origin(_) => 1,
        E::Inclusion(_) | E::BatchLeaf(_) | E::NotBatch => 2,
        E::ClassHash { .. } | E::ClassLeaf(_) | E::NotClass | E::ClassId { .. } => 3,
        E::ClassInclusion(_) | E::ClassLater { .. } | E::Class(_) => 3,
        E::Chunk(_) | E::Header { .. } => 4,
        E::Record(_) | E::Page { .. } | E::Seq { .. } | E::Position { .. } | E::SeqOfPosition { .. } => 5,
        E::Commitment { .. } | E::NoResult | E::SurplusResult { .. } | E::Disposition { .. } => 6,
        E::NoResults | E::ResultChunk(_) | E::ResultHeader { .. } | E::ResultRecord(_) => 6,
        E::ResultPlace { .. } | E::ResultCommitment { .. } | E::InBounds { .. } => 6,
        E::Bounds(_) | E::Floor { .. } | E::Ceiling { .. } | E::FloorMax { .. } | E::CeilingMin { .. } => 7,
        E::Rounding { .. } => 7,
        E::Time { .. } | E::BeforeStart { .. } => 8,
        E::Quorum(_) => 9,
        _ => return None,
    })
}

/// Returns the subject of a check, in words.
pub(super) fn check_name(check: u8) -> &'static str {
    match check {
        1 => "the checkpoint under the policy",
        2 => "the batch in the log",
        3 => "the class",
        4 => "the tombstone in its file",
        5 => "the tombstone",
        6 => "the commitment to the object, or to what was written instead",
        7 => "the bounds of the promise",
        8 => "the time of the deletion",
        _ => "the quorum of witnesses",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_proof::policy::Policy;

    /// Returns the receipt vectors: name and bytes.
    fn vectors() -> Vec<(String, Vec<u8>)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../proof/vectors/receipt.txt");
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let entry = |line: &str| {
            let (name, value) = line.split_once(' ').unwrap();
            (name.to_owned(), hex::decode(value.trim_start_matches('-')).unwrap())
        };
        lines.map(entry).collect()
    }

    #[test]
    fn check_rejected_vector_has_a_number_unless_no_receipt() {
        let vectors = vectors();
        let get = |name: &str| vectors.iter().find(|(found, _)| found == name).unwrap().1.as_slice();
        let policy = Policy::parse(get("policy")).unwrap();
        let now = Timestamp::from_be_bytes(get("now").try_into().unwrap());
        let mut refused = 0;
        for (name, receipt) in vectors.iter().filter(|(name, _)| name.starts_with("reject.")) {
            let error = Verifier::new(&policy).verify(receipt, now).expect_err(name);
            let variant = name.split('.').nth(1).unwrap();
            let no_receipt = ["File", "NoExtra", "Extra", "Length"].contains(&variant);
            assert_eq!(check(&error).is_none(), no_receipt, "{name}: {error}");
            refused += 1;
        }
        assert!(refused > 40, "{refused}");
    }

    #[test]
    fn result_after_hold_is_3_and_released_is_5() {
        let after_hold = ReceiptResult::from(Compliance::AfterHold { by: Duration::from_millis(5) });
        assert_eq!((after_hold.code(), after_hold.name()), (3, "after-hold"));
        let released = ReceiptResult::from(Compliance::NotADeletion(Method::Released));
        assert_eq!((released.code(), released.name()), (5, "not-a-deletion"));
        assert_eq!(ReceiptResult::from(Compliance::Kept).code(), 0);
    }
}
