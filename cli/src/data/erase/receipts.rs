//! `sexton erase receipts`: a receipt for each ended object of an erasure.

use super::super::args::{DataArgs, help};
use super::super::{open, requests};
use crate::format;
use crate::output::{self, Failure, Output};
use clap::Args as ClapArgs;
use serde_json::json;
use sexton::decision::{ErasureObject, Progress, RequestState};
use sexton::{Engine, ErrorKind, Opener};
use sexton_proof::id::printable;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

const ALL_WRITTEN: u8 = 0;
const SOME_REFUSED: u8 = 1;

/// Message for an erasure that waits.
const NOT_FOUND_YET: &str = "no receipts yet: its objects are not found yet. The first enforcement after its time to cancel \
                             looks for them";

/// File name of the trust policy beside the receipts.
const POLICY: &str = "trust.policy";

/// Arguments of `sexton erase receipts`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton erase receipts /var/lib/sexton 3 --out receipts-3",
    "some ended objects have no receipt; they are listed with the reason",
    in steps
))]
pub(crate) struct ReceiptsArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Number of the request
    #[arg(value_name = "N")]
    number: u32,
    /// Folder for the receipts; created if it is missing
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

pub(super) fn run(args: &ReceiptsArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::data(&args.data.folder)?;
    let request = requests::find_erasure(&engine, args.number, "has no receipts")?;
    let objects = engine.erasure_objects(args.number)?;
    let out = &args.out;
    fs::create_dir_all(out)
        .map_err(|e| Failure::new(format!("cannot create the folder {}: {e}", out.display())))?;
    write(&out.join(POLICY), engine.policy().as_bytes())?;
    let (mut written, mut refused, mut pending) = (Vec::new(), Vec::new(), 0_usize);
    let bar = output::progress(objects.len(), "writing receipts");
    for object in &objects {
        bar.inc(1);
        if let Progress::Pending { .. } = object.progress {
            pending += 1;
            continue;
        }
        match receipt(&engine, object)? {
            Ok(receipt) => {
                let name = format!("{}.tlog-proof", object.id);
                write(&out.join(&name), receipt.as_bytes())?;
                written.push((object, name));
            }
            Err(why) => refused.push((object, why)),
        }
    }
    bar.finish_and_clear();
    let code = if refused.is_empty() { ALL_WRITTEN } else { SOME_REFUSED };
    if args.data.json {
        let value = |object: &ErasureObject, field: &str, text: &str| json!({ "key": printable(&object.key), "key_hex": hex::encode(&object.key), field: text });
        let written: Vec<_> = written.iter().map(|(object, name)| value(object, "file", name)).collect();
        let refused: Vec<_> = refused.iter().map(|(object, why)| value(object, "why", why)).collect();
        output.json(&json!({
            "policy": POLICY, "written": written, "refused": refused, "pending": pending,
        }));
        return Ok(code);
    }
    if request.state == RequestState::Waiting {
        output.line(NOT_FOUND_YET);
        return Ok(code);
    }
    output.line(format_args!(
        "{} in {}, objects still pending: {}",
        format::counted(written.len(), "receipt", "receipts"),
        out.display(),
        format::count(pending as u64)
    ));
    for (object, why) in refused {
        output.line(format_args!("{} {}: {why}", output.bad("no receipt:"), printable(&object.key)));
    }
    output::message(format_args!("to verify: sexton verify {0} --policy {0}/{POLICY}", out.display()));
    Ok(code)
}

/// Returns the receipt of an object, or why it has none.
fn receipt(engine: &Engine, object: &ErasureObject) -> Result<Result<String, String>, Failure> {
    match engine.receipt(object.id, Opener::Key(&object.key)) {
        Ok(receipt) => Ok(Ok(receipt)),
        // These errors concern the whole folder. All others concern this object, or an entry that cannot be published.
        Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Internal) => Err(e.into()),
        Err(e) => Ok(Err(e.to_string())),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))
}
