//! `sexton verify`: verifies receipts under a trust policy, offline.

mod judge;
mod report;
mod sources;

use crate::input;
use crate::output::{self, Failure, Output};
use clap::Args as ClapArgs;
use sexton_proof::policy::{POLICY_BYTES_MAX, Policy};
use sexton_proof::receipt::Verifier;
use sexton_proof::time::Timestamp;
use sexton_proof::window::Span;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Largest number of receipts of which text shows all. If there are more, only those with a problem are shown.
const SHOWN_MAX: usize = 10;

/// Arguments of `sexton verify`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  sexton verify cat.jpg.tlog-proof --policy trust.policy

Exit codes:
  0  authentic, and the promise was kept
  1  not valid: the failed check is named, with both values
  2  wrong usage, or a file could not be read
  3  authentic, but deleted early or late; or late after a legal hold, as the
     operator recorded
  4  unwitnessed, if the policy asks for witnesses: too few cosigned, or too
     few at a date from the deletion to now (and in --witnessed-within)
  5  authentic, but its outcome is not a deletion
The worst of several receipts decides: 1, then 2, 4, 3, 5, 0.
The least established comes first.")]
pub(crate) struct VerifyArgs {
    /// Receipts, or folders in which every *.tlog-proof is a receipt
    #[arg(value_name = "RECEIPT", required = true)]
    receipts: Vec<PathBuf>,
    /// Trust policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Count only cosignatures dated at most this long after the deletion, like 24h or 7d
    #[arg(long, value_name = "SPAN")]
    witnessed_within: Option<Span>,
    /// Print JSON lines on stdout: an object for each receipt, then one with the counts
    #[arg(long)]
    json: bool,
}

/// Exit codes, worst first. The receipt about which least is established decides.
const WORST_FIRST: [u8; 6] = [1, 2, 4, 3, 5, 0];

/// Number of receipts by exit code.
#[derive(Default)]
struct Counts([usize; 6]);

impl Counts {
    fn add(&mut self, code: u8) {
        if let Some(n) = self.0.get_mut(usize::from(code)) {
            *n += 1;
        }
    }

    fn of(&self, code: u8) -> usize {
        self.0.get(usize::from(code)).copied().unwrap_or(0)
    }

    fn worst(&self) -> u8 {
        WORST_FIRST.into_iter().find(|code| self.of(*code) > 0).unwrap_or(0)
    }
}

/// Verifies the receipts one by one, and shows each before it reads the next.
pub(crate) fn run(args: &VerifyArgs, output: &mut Output) -> Result<u8, Failure> {
    let policy = read_policy(&args.policy)?;
    let mut verifier = Verifier::new(&policy);
    if let Some(span) = args.witnessed_within {
        let refuse = |e| Failure::new(format!("--witnessed-within {span}: {e}"));
        verifier = verifier.witnessed_within(span).map_err(refuse)?;
    }
    let now = now();
    let sources = sources::gather(&args.receipts);
    let show_all = args.json || sources.len() <= SHOWN_MAX;
    let mut counts = Counts::default();
    let bar = output::progress(sources.len(), "verifying receipts");
    for source in sources {
        let judged = judge::judge(&mut verifier, source, now);
        counts.add(judged.code());
        if show_all || judged.code() != 0 {
            output.above(&bar, |output| report::receipt(&judged, args.json, output));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    report::summary(&counts, &policy, args.json, output);
    Ok(counts.worst())
}

#[expect(clippy::disallowed_methods, reason = "a verifier has its own time, and no engine's clock")]
fn now() -> Timestamp {
    SystemTime::now().into()
}

fn read_policy(path: &Path) -> Result<Policy, Failure> {
    let bytes = input::read(path, POLICY_BYTES_MAX)
        .map_err(|why| Failure::new(format!("the trust policy {} cannot be read: {why}", path.display())))?;
    Policy::parse(bytes)
        .map_err(|e| Failure::new(format!("the trust policy {} cannot be used: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(codes: &[u8]) -> u8 {
        let mut counts = Counts::default();
        codes.iter().for_each(|code| counts.add(*code));
        counts.worst()
    }

    #[test]
    fn worst_of_several_is_the_least_established() {
        assert_eq!(worst(&[]), 0);
        assert_eq!(worst(&[0, 0, 5]), 5);
        assert_eq!(worst(&[5, 3, 0]), 3);
        assert_eq!(worst(&[3, 4, 5]), 4);
        assert_eq!(worst(&[4, 2, 0]), 2);
        assert_eq!(worst(&[0, 1, 2, 3, 4, 5]), 1);
    }
}
