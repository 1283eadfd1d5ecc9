//! A receipt for every file, and what a stranger makes of them.

use super::cores::on_all_cores;
use super::{Places, Registered};
use crate::output::{self, Failure};
use sexton::{Engine, Opener};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, Outcome, Verdict, Verifier};
use sexton_proof::record::Method;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What verifying all the receipts gave.
pub(super) struct Verified {
    pub(super) valid: usize,
    /// Why the others are not, the first few of them.
    pub(super) problems: Vec<String>,
    /// Of each valid one what the table is made of.
    pub(super) ends: Vec<End>,
}

/// How a registration ended, by its receipt.
pub(super) struct End {
    pub(super) class: String,
    pub(super) method: Method,
    pub(super) outcome: Outcome,
    pub(super) floor_ms: i64,
    pub(super) ceiling_ms: i64,
    pub(super) slot_ms: i64,
    pub(super) time_ms: i64,
}

impl From<Verdict> for End {
    fn from(verdict: Verdict) -> Self {
        End {
            outcome: verdict.outcome(),
            method: verdict.method,
            floor_ms: verdict.floor_ms,
            ceiling_ms: verdict.ceiling_ms,
            slot_ms: i64::try_from(verdict.id.page.slot).unwrap_or(i64::MAX),
            time_ms: verdict.time_ms,
            class: verdict.class_name,
        }
    }
}

const PROBLEMS_LISTED: usize = 10;

/// Writes the policy and a receipt for every file. They are not fsynced one by one: each can be made again.
pub(super) fn issue(engine: &Engine, registered: &[Registered], places: &Places) -> Result<(), Failure> {
    write(&places.policy, engine.policy().as_bytes())?;
    let paths: Vec<PathBuf> = registered.iter().map(|one| one.receipt_path(places)).collect();
    let mut last = None;
    for folder in paths.iter().filter_map(|path| path.parent()) {
        if last != Some(folder) {
            fs::create_dir_all(folder)
                .map_err(|e| Failure::new(format!("cannot make the folder {}: {e}", folder.display())))?;
            last = Some(folder);
        }
    }
    let bar = output::progress(registered.len(), "issuing receipts");
    let all: Vec<(&Registered, &PathBuf)> = registered.iter().zip(&paths).collect();
    on_all_cores(&all, |(one, path)| {
        let receipt = engine.receipt(one.id, Opener::Key(&one.planned.key))?;
        write(path, receipt.as_bytes()).inspect(|()| bar.inc(1))
    })?;
    bar.finish_and_clear();
    Ok(())
}

/// Verifies every receipt from its file, under the policy from its file: by what a stranger has, and nothing else.
pub(super) fn verify(registered: &[Registered], places: &Places) -> Result<Verified, Failure> {
    let policy = policy(places)?;
    let mut verifier = Verifier::new(&policy);
    let mut all = Verified { valid: 0, problems: Vec::new(), ends: Vec::with_capacity(registered.len()) };
    let bar = output::progress(registered.len(), "verifying receipts");
    for one in registered {
        let path = one.receipt_path(places);
        let problem = match verifier.verify(&read(&path)?) {
            // A receipt for another object would be as valid.
            Ok(verdict) if verdict.key == one.planned.key && verdict.digest == one.planned.digest => {
                all.valid += 1;
                all.ends.push(verdict.into());
                None
            }
            Ok(_) => Some("it is for another object".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = problem.filter(|_| all.problems.len() < PROBLEMS_LISTED) {
            all.problems.push(format!("{}: {why}", path.display()));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(all)
}

/// Changes one byte of one receipt, keeps it beside the others, and gives why it is refused; `None` where it is not.
pub(super) fn change_one_byte(registered: &[Registered], places: &Places) -> Result<Option<String>, Failure> {
    let Some(one) = registered.get(registered.len() / 2) else { return Ok(None) };
    let mut bytes = read(&one.receipt_path(places))?;
    change(&mut bytes);
    write(&places.changed, &bytes)?;
    let policy = policy(places)?;
    Ok(receipt::verify(&read(&places.changed)?, &policy).err().map(|error| error.to_string()))
}

/// Changes a letter shortly before the end of the extra line: what stands there is the opening, with the object's
/// digest. The letter after it is another valid one, so the file keeps its form, and only its statement is wrong.
fn change(receipt: &mut [u8]) {
    let line_end =
        |from: usize| receipt.iter().skip(from).position(|byte| *byte == b'\n').map(|at| from + at);
    let extra_end = line_end(0).and_then(|first| line_end(first + 1)).unwrap_or(receipt.len() / 2);
    if let Some(byte) = receipt.get_mut(extra_end.saturating_sub(40)) {
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
}

fn policy(places: &Places) -> Result<Policy, Failure> {
    Policy::parse(read(&places.policy)?)
        .map_err(|e| Failure::new(format!("the policy {} cannot be used: {e}", places.policy.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| Failure::new(format!("cannot read {}: {e}", path.display())))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_change_is_one_letter_of_the_extra_line() {
        let good =
            format!("c2sp.org/tlog-proof@v1\nextra {}\nindex 1\n\nrest\n", "A".repeat(80)).into_bytes();
        let mut bad = good.clone();
        change(&mut bad);
        let changed: Vec<usize> = (0..good.len()).filter(|at| good[*at] != bad[*at]).collect();
        assert_eq!(changed.len(), 1);
        assert!((29..109).contains(&changed[0]));
    }
}
