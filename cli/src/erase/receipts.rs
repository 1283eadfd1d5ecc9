//! `sexton erase receipts`: a receipt for each object of an erasure that ended.

use super::numbered;
use crate::args::EraseReceiptsArgs;
use crate::output::{self, Failure, Output};
use crate::{folder, show};
use serde_json::json;
use sexton::{Engine, ErrorKind, Item, Opener, Progress};
use sexton_proof::id::printable;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

const ALL_WRITTEN: u8 = 0;
const SOME_REFUSED: u8 = 1;

/// The name of the policy beside the receipts.
const POLICY: &str = "trust.policy";

pub(super) fn run(args: &EraseReceiptsArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::open(&args.data.folder)?;
    numbered(&engine, args.number)?;
    let items = engine.erasure_items(args.number)?;
    let out = &args.out;
    fs::create_dir_all(out)
        .map_err(|e| Failure::new(format!("cannot make the folder {}: {e}", out.display())))?;
    write(&out.join(POLICY), engine.policy().as_bytes())?;
    let (mut written, mut refused, mut waiting) = (Vec::new(), Vec::new(), 0_usize);
    let bar = output::progress(items.len(), "writing receipts");
    for item in &items {
        bar.inc(1);
        if let Progress::Waits { .. } = item.progress {
            waiting += 1;
            continue;
        }
        match receipt(&engine, item)? {
            Ok(receipt) => {
                let name = format!("{}.tlog-proof", item.id);
                write(&out.join(&name), receipt.as_bytes())?;
                written.push((item, name));
            }
            Err(why) => refused.push((item, why)),
        }
    }
    bar.finish_and_clear();
    let code = if refused.is_empty() { ALL_WRITTEN } else { SOME_REFUSED };
    if args.data.json {
        let one = |item: &Item, field: &str, text: &str| json!({ "key": printable(&item.key), "key_hex": hex::encode(&item.key), field: text });
        let written: Vec<_> = written.iter().map(|(item, name)| one(item, "file", name)).collect();
        let refused: Vec<_> = refused.iter().map(|(item, why)| one(item, "why", why)).collect();
        output.json(&json!({
            "policy": POLICY, "written": written, "refused": refused, "waiting": waiting,
        }));
        return Ok(code);
    }
    let receipts = show::counted(written.len(), "receipt", "receipts");
    output.line(format_args!(
        "{receipts} in {}, {} not ended yet",
        out.display(),
        show::count(waiting as u64)
    ));
    for (item, why) in refused {
        output.line(format_args!("{} {}: {why}", output.bad("no receipt:"), printable(&item.key)));
    }
    output::talk(format_args!("to verify: sexton verify {0} --policy {0}/{POLICY}", out.display()));
    Ok(code)
}

/// The receipt, or why there is none for this object.
fn receipt(engine: &Engine, item: &Item) -> Result<Result<String, String>, Failure> {
    match engine.receipt(item.id, Opener::Key(&item.key)) {
        Ok(receipt) => Ok(Ok(receipt)),
        // What goes for the whole folder; the others are of this object, or of an entry that cannot be published now.
        Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Internal) => Err(e.into()),
        Err(e) => Ok(Err(e.to_string())),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))
}
