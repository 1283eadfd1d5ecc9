//! Receipts for all files, and their verification.

use super::{Locations, Registered};
use crate::data::receipts::{self, Wanted};
use crate::output::{self, Failure};
use sexton::{Engine, Opener};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, Compliance, Verdict, Verifier};
use sexton_proof::record::Method;
use sexton_proof::time::Timestamp;
use std::fs;
use std::path::{Path, PathBuf};

/// Result of the verification of all receipts.
pub(super) struct Verified {
    pub(super) valid: usize,
    /// Reasons why receipts are invalid, for the first invalid ones.
    pub(super) problems: Vec<String>,
    /// End that each valid receipt states, for the table.
    pub(super) ends: Vec<End>,
}

/// End of a registration, as its receipt states it.
pub(super) struct End {
    pub(super) class: String,
    pub(super) method: Method,
    pub(super) compliance: Compliance,
    pub(super) floor: Option<Timestamp>,
    pub(super) ceiling: Option<Timestamp>,
    /// Beginning of the slot.
    pub(super) slot: Timestamp,
    pub(super) time: Timestamp,
}

impl From<Verdict> for End {
    fn from(verdict: Verdict) -> Self {
        End {
            compliance: verdict.compliance(),
            method: verdict.method,
            floor: verdict.floor,
            ceiling: verdict.ceiling,
            slot: verdict.id.page.slot_start(),
            time: verdict.time,
            class: verdict.class_name,
        }
    }
}

const PROBLEMS_LISTED_MAX: usize = 10;

/// Writes the trust policy and a receipt for every file. None is fsynced, because each can be issued again.
pub(super) fn issue(
    engine: &Engine,
    registered: &[Registered],
    locations: &Locations,
) -> Result<(), Failure> {
    receipts::write_policy(engine, &locations.policy)?;
    let mut last = PathBuf::new();
    let mut wanted = Vec::with_capacity(registered.len());
    for file in registered {
        let path = file.receipt_path(locations);
        if let Some(folder) = path.parent().filter(|folder| *folder != last) {
            receipts::create_folder(folder)?;
            last = folder.to_owned();
        }
        wanted.push(Wanted { id: file.id, opener: Opener::Key(&file.planned.key), path });
    }
    match receipts::write_each(engine, &wanted)?.into_iter().flatten().next() {
        Some(why) => Err(Failure::new(why)),
        None => Ok(()),
    }
}

/// Verifies every receipt file under the policy file. Any third party with these files can do the same.
pub(super) fn verify(
    registered: &[Registered],
    locations: &Locations,
    now: Timestamp,
) -> Result<Verified, Failure> {
    let policy = policy(locations)?;
    let mut verifier = Verifier::new(&policy);
    let mut all = Verified { valid: 0, problems: Vec::new(), ends: Vec::with_capacity(registered.len()) };
    let bar = output::progress(registered.len(), "verifying receipts");
    for file in registered {
        let path = file.receipt_path(locations);
        let problem = match verifier.verify(&read(&path)?, now) {
            // A receipt for another object would be valid too.
            Ok(verdict) if verdict.key == file.planned.key && verdict.digest == file.planned.digest => {
                all.valid += 1;
                all.ends.push(verdict.into());
                None
            }
            Ok(_) => Some("it is for another object".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = problem.filter(|_| all.problems.len() < PROBLEMS_LISTED_MAX) {
            all.problems.push(format!("{}: {why}", path.display()));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(all)
}

/// Writes a copy of one receipt with one changed byte, and returns why it is refused; `None` if it is valid.
pub(super) fn change_one_byte(
    registered: &[Registered],
    locations: &Locations,
    now: Timestamp,
) -> Result<Option<String>, Failure> {
    let Some(file) = registered.get(registered.len() / 2) else { return Ok(None) };
    let mut bytes = read(&file.receipt_path(locations))?;
    change(&mut bytes);
    receipts::write(&locations.changed, &bytes)?;
    let policy = policy(locations)?;
    Ok(receipt::verify(&read(&locations.changed)?, &policy, now).err().map(|error| error.to_string()))
}

/// Changes one letter shortly before the end of the extra line, where the opening has the object's digest. The new
/// letter is valid base64, so the file keeps its form and only its statement is wrong.
fn change(receipt: &mut [u8]) {
    let line_end =
        |from: usize| receipt.iter().skip(from).position(|byte| *byte == b'\n').map(|at| from + at);
    let extra_end = line_end(0).and_then(|first| line_end(first + 1)).unwrap_or(receipt.len() / 2);
    if let Some(byte) = receipt.get_mut(extra_end.saturating_sub(40)) {
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
}

fn policy(locations: &Locations) -> Result<Policy, Failure> {
    Policy::parse(read(&locations.policy)?).map_err(|e| {
        Failure::new(format!("the trust policy {} cannot be used: {e}", locations.policy.display()))
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| Failure::new(format!("cannot read {}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_alters_one_letter_of_the_extra_line() {
        let good =
            format!("c2sp.org/tlog-proof@v1\nextra {}\nindex 1\n\nrest\n", "A".repeat(80)).into_bytes();
        let mut bad = good.clone();
        change(&mut bad);
        let changed: Vec<usize> = (0..good.len()).filter(|at| good[*at] != bad[*at]).collect();
        assert_eq!(changed.len(), 1);
        assert!((29..109).contains(&changed[0]));
    }
}
