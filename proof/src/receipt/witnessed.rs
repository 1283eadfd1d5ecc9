//! Check 9 of `docs/format.md` §5: the quorum, and the dates of the cosignatures that count.

use std::fmt;
use std::time::Duration;

use super::verdict::{Cosignature, CosignatureDate, Verdict};
use crate::policy::Policy;
use crate::time::Timestamp;
use crate::window::Span;

/// Greatest difference between the clock of a witness and the clock of the log, or of the verifier.
pub const WITNESS_SLACK: Duration = Duration::from_secs(300);

/// Longest time from a deletion to the date of a cosignature that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Within {
    span: Span,
    length: Duration,
}

impl Within {
    pub(super) fn new(span: Span, policy: &Policy) -> Result<Self, WithinError> {
        // No cosignature at all would satisfy a policy without a quorum.
        if policy.quorum().is_none() {
            return Err(WithinError::NoQuorum);
        }
        Ok(Self { span, length: span.exact().ok_or(WithinError::Calendar { span })? })
    }
}

/// Error of a limit on the dates of cosignatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WithinError {
    /// The policy requires no cosignature, so a limit on their dates would have no effect.
    #[error("a limit on cosignatures needs a policy with a quorum; this one says \"quorum none\"")]
    NoQuorum,
    /// The span has no exact length.
    #[error("{span} is a calendar span; use s, m, h, d or w")]
    Calendar {
        /// Span given.
        span: Span,
    },
}

/// Authentic receipt that too few witnesses of the policy vouch for. It passed checks 1 to 8 and fails check 9.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unwitnessed {
    /// Quorum that the policy requires.
    pub quorum: String,
    /// Statement of the receipt. The operator alone vouches for its times.
    pub verdict: Verdict,
    /// Verifier's time.
    pub now: Timestamp,
    /// Longest time from the deletion to the date of a cosignature, if the verifier limits it.
    pub within: Option<Span>,
}

impl fmt::Display for Unwitnessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quorum, verdict, now, .. } = self;
        write!(f, "the quorum {quorum:?} is not met")?;
        if let Some(span) = self.within {
            write!(f, " within {span}")?;
        }
        if verdict.cosignatures.is_empty() {
            return f.write_str(": no witness of this policy cosigned the checkpoint");
        }
        for (at, Cosignature { witness, time_s, date }) in verdict.cosignatures.iter().enumerate() {
            let between = if at == 0 { ": cosigned by" } else { ", " };
            write!(f, "{between} {witness:?} at {}", Timestamp::from_unix_s(*time_s))?;
            match date {
                CosignatureDate::Counts => {}
                CosignatureDate::BeforeDeletion => write!(f, " (before the deletion at {})", verdict.time)?,
                CosignatureDate::InFuture => write!(f, " (after the verifier's time, {now})")?,
                CosignatureDate::TooLate => write!(f, " (too late after the deletion at {})", verdict.time)?,
            }
        }
        Ok(())
    }
}

/// Limits on the dates of cosignatures that count.
#[derive(Clone, Copy, Debug)]
pub(super) struct DateLimits {
    pub(super) now: Timestamp,
    pub(super) within: Option<Within>,
}

impl DateLimits {
    /// Judges verified cosignatures on a checkpoint, given as name and date, for an object that ended at `ended`.
    pub(super) fn judge(self, cosignatures: &[(String, u64)], ended: Timestamp) -> Vec<Cosignature> {
        let judge = |(witness, time_s): &(String, u64)| Cosignature {
            witness: witness.clone(),
            time_s: *time_s,
            date: self.standing(Timestamp::from_unix_s(*time_s), ended),
        };
        cosignatures.iter().map(judge).collect()
    }

    fn standing(self, date: Timestamp, ended: Timestamp) -> CosignatureDate {
        match () {
            () if date.saturating_add(WITNESS_SLACK) < ended => CosignatureDate::BeforeDeletion,
            () if date > self.now.saturating_add(WITNESS_SLACK) => CosignatureDate::InFuture,
            () if self.within.is_some_and(|within| date > ended.saturating_add(within.length)) => {
                CosignatureDate::TooLate
            }
            () => CosignatureDate::Counts,
        }
    }
}

/// Performs check 9 on a verdict whose cosignatures are judged. It is the only judge of the quorum: the library, the C
/// library and the command all ask it.
///
/// This check comes last, so that the caller can recognise a receipt that is authentic but lacks the quorum.
pub(super) fn check_quorum(
    policy: &Policy,
    limits: DateLimits,
    mut verdict: Verdict,
) -> Result<Verdict, Box<Unwitnessed>> {
    let counts = |cosignature: &&Cosignature| cosignature.date == CosignatureDate::Counts;
    let counted = verdict.cosignatures.iter().filter(counts).map(|cosignature| cosignature.witness.as_str());
    verdict.quorum_met = policy.quorum_met_by(counted);
    if verdict.quorum_met {
        return Ok(verdict);
    }
    let quorum = policy.quorum().unwrap_or_default().to_owned();
    let within = limits.within.map(|within| within.span);
    Err(Box::new(Unwitnessed { quorum, verdict, now: limits.now, within }))
}
