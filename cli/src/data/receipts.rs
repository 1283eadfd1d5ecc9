//! Writes receipts and the trust policy to verify them with.

use crate::cores::on_all_cores;
use crate::format;
use crate::output::{self, Failure, Output};
use rustix::fs::syncfs;
use serde_json::{Value, json};
use sexton::{Engine, ErrorKind, Opener, RegistrationId};
use sexton_proof::id::printable;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// File name of the trust policy beside the receipts.
pub(super) const POLICY: &str = "trust.policy";

/// Maker of receipts: an engine, or a service that has the data folder open.
pub(crate) trait Prover: Sync {
    /// Returns the receipt of a registration, or why it cannot be made.
    ///
    /// # Errors
    /// Those that concern the whole folder.
    fn receipt(&self, id: RegistrationId, opener: Opener<'_>) -> Result<Result<String, String>, Failure>;

    /// Returns the trust policy of the log.
    fn policy(&self) -> Result<String, Failure>;
}

impl Prover for Engine {
    fn receipt(&self, id: RegistrationId, opener: Opener<'_>) -> Result<Result<String, String>, Failure> {
        match Engine::receipt(self, id, opener) {
            Ok(receipt) => Ok(Ok(receipt)),
            // These errors concern the whole folder. All others concern this object, or an entry that cannot be published.
            Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Internal) => Err(e.into()),
            Err(e) => Ok(Err(e.to_string())),
        }
    }

    fn policy(&self) -> Result<String, Failure> {
        Ok(Engine::policy(self))
    }
}

/// Receipt to be written.
pub(crate) struct Wanted<'a> {
    /// Registration that ended.
    pub(crate) id: RegistrationId,
    pub(crate) opener: Opener<'a>,
    pub(crate) path: PathBuf,
}

impl<'a> Wanted<'a> {
    /// Returns the receipt of `id` in a file of its name in `folder`.
    pub(super) fn in_folder(folder: &Path, id: RegistrationId, opener: Opener<'a>) -> Self {
        Wanted { id, opener, path: folder.join(format!("{id}.tlog-proof")) }
    }

    /// Returns the key, unless the receipt is made with a ticket.
    fn key(&self) -> Option<&'a [u8]> {
        match self.opener {
            Opener::Key(key) => Some(key),
            _ => None,
        }
    }

    /// Returns the printable key, or the id if the receipt is made with a ticket.
    pub(super) fn name(&self) -> String {
        self.key().map_or_else(|| self.id.to_string(), printable)
    }

    /// Returns the receipt's object as JSON, with one more field.
    fn json(&self, field: &str, text: &str) -> Value {
        object_json(self.key(), Some(self.id), field, text)
    }
}

/// Returns an object as JSON, with one more field.
pub(super) fn object_json(key: Option<&[u8]>, id: Option<RegistrationId>, field: &str, text: &str) -> Value {
    json!({
        "key": key.map(printable),
        "key_hex": key.map(hex::encode),
        "id": id.map(|id| id.to_string()),
        field: text,
    })
}

/// Receipts that were written, and those that could not be made, each with the reason.
#[derive(Default)]
pub(super) struct Issued<'a> {
    pub(super) written: Vec<Wanted<'a>>,
    pub(super) refused: Vec<(Wanted<'a>, String)>,
}

impl Issued<'_> {
    /// Returns the written and the refused receipts as JSON.
    pub(super) fn json(&self) -> (Vec<Value>, Vec<Value>) {
        let file = |wanted: &Wanted<'_>| {
            let name = wanted.path.file_name().unwrap_or_default().to_string_lossy();
            wanted.json("file", &name)
        };
        let written = self.written.iter().map(file).collect();
        (written, self.refused.iter().map(|(wanted, why)| wanted.json("why", why)).collect())
    }
}

/// Prints how many receipts were written, and why others were not.
pub(super) fn print(issued: &Issued<'_>, folder: &Path, pending: usize, output: &mut Output) {
    output.line(format_args!(
        "{} in {}, objects still pending: {}",
        format::counted(issued.written.len(), "receipt", "receipts"),
        folder.display(),
        format::count(pending as u64)
    ));
    for (wanted, why) in &issued.refused {
        print_refused(&wanted.name(), why, output);
    }
    output::message(format_args!("to verify: sexton verify {0} --policy {0}/{POLICY}", folder.display()));
}

/// Prints why an object has no receipt.
pub(super) fn print_refused(name: &str, why: &str, output: &mut Output) {
    output.line(format_args!("{} {name}: {why}", output.bad("no receipt:")));
}

/// Writes the trust policy and the receipts into `folder`, durably. Creates the folder if it is missing.
pub(super) fn issue<'a>(
    prover: &impl Prover,
    folder: &Path,
    mut wanted: Vec<Wanted<'a>>,
) -> Result<Issued<'a>, Failure> {
    create_folder(folder)?;
    write_policy(prover, &folder.join(POLICY))?;
    // Receipts of one batch come together, so its files are read once.
    wanted.sort_unstable_by_key(|wanted| wanted.id);
    wanted.dedup_by_key(|wanted| wanted.id);
    let answers = write_each(prover, &wanted)?;
    // One call for all files: an fsync for each takes most of the time.
    File::open(folder)
        .and_then(|folder| Ok(syncfs(folder)?))
        .map_err(|e| Failure::new(format!("cannot make the files in {} durable: {e}", folder.display())))?;
    let mut issued = Issued::default();
    for (wanted, answer) in wanted.into_iter().zip(answers) {
        match answer {
            None => issued.written.push(wanted),
            Some(why) => issued.refused.push((wanted, why)),
        }
    }
    Ok(issued)
}

/// Writes each receipt to its file, not durably. Returns for each why it cannot be made, if so.
pub(crate) fn write_each(
    prover: &impl Prover,
    wanted: &[Wanted<'_>],
) -> Result<Vec<Option<String>>, Failure> {
    let bar = output::progress(wanted.len(), "writing receipts");
    let answers = on_all_cores(wanted, |wanted| {
        bar.inc(1);
        match prover.receipt(wanted.id, wanted.opener)? {
            Ok(receipt) => write(&wanted.path, receipt.as_bytes()).map(|()| None),
            Err(why) => Ok(Some(why)),
        }
    });
    bar.finish_and_clear();
    answers
}

/// Writes the trust policy of the log.
pub(crate) fn write_policy(prover: &impl Prover, path: &Path) -> Result<(), Failure> {
    write(path, prover.policy()?.as_bytes())
}

/// Creates a folder and its parents, if they are missing.
pub(crate) fn create_folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .map_err(|e| Failure::new(format!("cannot create the folder {}: {e}", folder.display())))
}

/// Writes a file, not durably.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))
}
