//! Verification of one receipt under one trust policy.

use super::sources::{self, Source};
use crate::output::Failure;
use sexton_proof::policy::{Policy, PolicyError};
use sexton_proof::receipt::{Compliance, RECEIPT_MAX_BYTES, Verdict, Verifier, VerifyError};
use sexton_proof::record::Method;
use sexton_proof::time::Timestamp;
use sexton_proof::window::Span;
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

/// Returns a policy with the same logs and witnesses, and no quorum. [`Judge`] needs it.
pub(super) fn without_quorum(policy: &Policy) -> Result<Policy, PolicyError> {
    let logs = policy.logs().iter().map(|log| format!("log {}\n", log.verifier));
    let witnesses = policy.witnesses().iter().map(|w| format!("witness {} {}\n", w.name, w.verifier));
    Policy::parse(logs.chain(witnesses).collect::<String>() + "quorum none\n")
}

/// Judges receipts under one policy.
///
/// The quorum is checked last. Everything else is verified under the same logs and witnesses without it. So a receipt
/// that is forged *and* unwitnessed is not valid, and the content of one that is only unwitnessed can be shown.
pub(super) struct Judge<'p> {
    policy: &'p Policy,
    verifier: Verifier<'p>,
    within: Option<Within>,
}

/// Largest time from a deletion to the date of a cosignature that counts.
#[derive(Clone, Copy)]
struct Within {
    span: Span,
    length: Duration,
}

impl<'p> Judge<'p> {
    /// Creates a judge. `without_quorum` is the result of [`without_quorum`] for `policy`.
    pub(super) fn new(
        policy: &'p Policy,
        without_quorum: &'p Policy,
        within: Option<Span>,
    ) -> Result<Self, Failure> {
        let within = within.map(|span| Within::new(span, policy)).transpose()?;
        Ok(Judge { policy, verifier: Verifier::new(without_quorum), within })
    }

    pub(super) fn judge(&mut self, source: Source) -> Judged {
        let Source { path, problem } = source;
        let bytes = match problem {
            Some(why) => Err(why),
            None => sources::read(&path, RECEIPT_MAX_BYTES).map_err(|error| error.to_string()),
        };
        let (result, verdict) = match bytes.map(|bytes| self.verifier.verify(&bytes)) {
            Err(why) => (ReceiptResult::Unreadable { why }, None),
            Ok(Err(error)) => {
                (ReceiptResult::NotValid { check: check(&error), why: error.to_string() }, None)
            }
            Ok(Ok(verdict)) => {
                let unwitnessed = self.unwitnessed(&verdict).map(|why| ReceiptResult::Unwitnessed { why });
                (unwitnessed.unwrap_or_else(|| verdict.compliance().into()), Some(Box::new(verdict)))
            }
        };
        Judged { path, result, verdict }
    }

    /// Returns the reason why the cosignatures do not satisfy the policy and `--witnessed-within`; `None` if they do.
    fn unwitnessed(&self, verdict: &Verdict) -> Option<String> {
        let quorum = self.policy.quorum()?;
        let counting: Vec<(String, u64)> = match self.within {
            None => verdict.cosignatures.clone(),
            Some(within) => {
                let latest = verdict.time.saturating_add(within.length);
                let counts = |(_, at_s): &&(String, u64)| Timestamp::from_unix_s(*at_s) <= latest;
                verdict.cosignatures.iter().filter(counts).cloned().collect()
            }
        };
        if self.policy.quorum_met_by(&counting) {
            return None;
        }
        let found = match verdict.cosignatures.as_slice() {
            [] => "no witness of this policy cosigned the checkpoint".to_owned(),
            all => {
                let text =
                    |(name, at_s): &(String, u64)| format!("{name} at {}", Timestamp::from_unix_s(*at_s));
                format!("cosigned by {}", all.iter().map(text).collect::<Vec<_>>().join(", "))
            }
        };
        Some(match self.within {
            None => format!("the quorum {quorum:?} is not met: {found}"),
            Some(Within { span, .. }) => format!("the quorum {quorum:?} is not met within {span}: {found}"),
        })
    }
}

impl Within {
    fn new(span: Span, policy: &Policy) -> Result<Self, Failure> {
        // No cosignature at all would satisfy a policy without a quorum.
        if policy.quorum().is_none() {
            return Err(Failure::new(
                "--witnessed-within needs a policy with a quorum; this one says \"quorum none\"",
            ));
        }
        let calendar =
            || Failure::new(format!("--witnessed-within {span} is a calendar span; use s, m, h, d or w"));
        Ok(Within { span, length: span.exact().ok_or_else(calendar)? })
    }
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
        E::ResultPlace { .. } | E::ResultCommitment { .. } => 6,
        E::Bounds(_) | E::Floor { .. } | E::Ceiling { .. } | E::FloorMax { .. } | E::CeilingMin { .. } => 7,
        E::Time { .. } | E::BeforeStart { .. } => 8,
        E::Quorum { .. } => 9,
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
        let policy = Policy::parse(vectors[0].1.clone()).unwrap();
        let mut refused = 0;
        for (name, receipt) in vectors.iter().filter(|(name, _)| name.starts_with("reject.")) {
            let error = Verifier::new(&policy).verify(receipt).expect_err(name);
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
