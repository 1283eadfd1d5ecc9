//! `sexton erase receipts`: a receipt for each ended object of an erasure.

use super::super::args::{DataArgs, help};
use super::super::history;
use super::super::host::Host;
use super::super::receipts::{self, POLICY, Wanted};
use super::super::requests;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use serde_json::json;
use sexton::{Opener, RegistrationId};
use std::path::PathBuf;

const ALL_WRITTEN: u8 = 0;
const SOME_REFUSED: u8 = 1;

/// Message for an erasure that waits.
const NOT_FOUND_YET: &str = "no receipts yet: its objects are not found yet. The first enforcement after its time to cancel \
                             looks for them";

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
    let host = Host::of(&args.data)?;
    let listed = requests::objects(&host, args.number)?;
    if listed.request.kind != "erase" {
        return Err(Failure::new(format!("request {} is no erasure, and has no receipts", args.number)));
    }
    let mut ended: Vec<(RegistrationId, Vec<u8>)> = Vec::new();
    for (id, (_, object)) in &listed.objects {
        if object.method.is_some() {
            ended.push((*id, history::key(&object.key_hex)?));
        }
    }
    let out = &args.out;
    let pending = listed.objects.len() - ended.len();
    let wanted = ended.iter().map(|(id, key)| Wanted::in_folder(out, *id, Opener::Key(key)));
    let issued = receipts::issue(&host, out, wanted.collect())?;
    let code = if issued.refused.is_empty() { ALL_WRITTEN } else { SOME_REFUSED };
    if args.data.json {
        let (written, refused) = issued.json();
        output.json(&json!({
            "policy": POLICY, "written": written, "refused": refused, "pending": pending,
        }));
        return Ok(code);
    }
    if listed.request.state == "waiting" {
        output.line(NOT_FOUND_YET);
        return Ok(code);
    }
    receipts::print(&issued, out, pending, output);
    Ok(code)
}
