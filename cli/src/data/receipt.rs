//! `sexton receipt`: receipts of objects that ended.

use super::args::{DataArgs, help};
use super::keys::{self, KeyForm};
use super::open;
use super::parse::{self, When};
use super::receipts::{self, POLICY, Wanted};
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use serde_json::json;
use sexton::decision::{Progress, RequestKind};
use sexton::feed::FEED_MAX;
use sexton::report::KeyHistory;
use sexton::{Engine, Opener, RegistrationId};
use sexton_proof::id::printable;
use sexton_proof::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

const ALL_WRITTEN: u8 = 0;
const SOME_REFUSED: u8 = 1;

/// Message for a key whose end is not on record.
const NOT_REMEMBERED: &str = "its end is not remembered, and neither the feed nor an erasure has it; name the \
                              registration that ended (--id). The host got the id when it registered the object, \
                              and `sexton enforce --receipts` needs none";

/// Arguments of `sexton receipt`.
#[derive(Debug, ClapArgs)]
#[command(
    group = clap::ArgGroup::new("ends").args(["key", "keys", "since", "ticket"]).required(true).multiple(true),
    after_long_help = help!(
        "sexton receipt /var/lib/sexton cat.jpg dog.jpg --out receipts",
        "some objects have no receipt; they are listed with the reason",
        in steps
    )
)]
pub(crate) struct ReceiptArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Keys of the objects
    #[arg(value_name = "KEY", conflicts_with_all = ["keys", "ticket"])]
    key: Vec<String>,
    /// Take the keys of this file, one key per line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "ticket"])]
    keys: Option<PathBuf>,
    #[command(flatten)]
    form: KeyForm,
    /// Registration of the one KEY, or of the ticket
    #[arg(long, value_name = "ID", conflicts_with = "since")]
    id: Option<RegistrationId>,
    /// Ticket of the registration, in hexadecimal, if its class has `openings = "ticket"`
    #[arg(long, value_name = "HEX", requires = "id")]
    ticket: Option<String>,
    /// Only objects that ended since: RFC 3339, or - and a span, like -7d; without keys, all in the feed and in erasures
    #[arg(long, value_name = "WHEN", value_parser = parse::since, allow_hyphen_values = true)]
    since: Option<When>,
    /// Folder for the receipts and their trust policy; created if it is missing
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Objects that ended, and objects without a receipt.
#[derive(Default)]
struct Found {
    /// Key and registration of each object that ended.
    ended: Vec<(Vec<u8>, RegistrationId)>,
    /// Objects whose end is not on record, each with the reason.
    unknown: Vec<(Vec<u8>, String)>,
    /// Number of objects that are live.
    pending: usize,
}

pub(super) fn run(args: &ReceiptArgs, output: &mut Output) -> Result<u8, Failure> {
    let keys = keys::keys(&args.key, args.keys.as_deref(), args.form)?;
    if args.id.is_some() && keys.len() > 1 {
        return Err(Failure::new(format!("--id names one registration, not those of {} keys", keys.len())));
    }
    let ticket = args.ticket.as_deref().map(|ticket| parse::bytes(ticket, true)).transpose()?;
    let engine = open::data(&args.data.folder)?;
    let since = args.since.map(|since| since.resolve(engine.now())).transpose()?;
    let found = match (args.id, since) {
        (Some(id), _) => Found { ended: keys.into_iter().map(|key| (key, id)).collect(), ..Found::default() },
        (None, Some(since)) if keys.is_empty() => all_since(&engine, since)?,
        (None, since) => by_key(&engine, keys, since.unwrap_or(Timestamp::MIN))?,
    };
    let out = &args.out;
    let by_key = found.ended.iter().map(|(key, id)| Wanted::in_folder(out, *id, Opener::Key(key)));
    let by_ticket = args.id.zip(ticket.as_deref());
    let by_ticket = by_ticket.map(|(id, ticket)| Wanted::in_folder(out, id, Opener::Ticket(ticket)));
    let issued = receipts::issue(&engine, out, by_key.chain(by_ticket).collect())?;
    if args.data.json {
        let (written, mut refused) = issued.json();
        let unknown = found.unknown.iter();
        refused.extend(unknown.map(|(key, why)| receipts::object_json(Some(key), None, "why", why)));
        output.json(&json!({
            "policy": POLICY, "written": written, "refused": refused, "pending": found.pending,
        }));
    } else {
        receipts::print(&issued, out, found.pending, output);
        for (key, why) in &found.unknown {
            receipts::print_refused(&printable(key), why, output);
        }
    }
    let all = issued.refused.is_empty() && found.unknown.is_empty();
    Ok(if all { ALL_WRITTEN } else { SOME_REFUSED })
}

/// Finds the ends of these keys since an instant.
fn by_key(engine: &Engine, keys: Vec<Vec<u8>>, since: Timestamp) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut unknown = Vec::new();
    for key in keys {
        match engine.ended(&key)? {
            KeyHistory::Ended(ended) if ended.time >= since => found.ended.push((key, ended.id)),
            KeyHistory::Ended(_) => {}
            KeyHistory::Live(_) if since > Timestamp::MIN => found.pending += 1,
            // The engine refuses its receipt, and says when it is due.
            KeyHistory::Live(id) => found.ended.push((key, id)),
            _ => unknown.push(key),
        }
    }
    if unknown.is_empty() {
        return Ok(found);
    }
    let mut recorded: HashMap<Vec<u8>, Vec<(Timestamp, Option<RegistrationId>)>> = HashMap::new();
    for ((key, time), id) in recorded_ends(engine)? {
        recorded.entry(key).or_default().push((time, id));
    }
    for key in unknown {
        let Some(ends) = recorded.get(&key) else {
            found.unknown.push((key, NOT_REMEMBERED.into()));
            continue;
        };
        for (_, id) in ends.iter().filter(|(time, _)| *time >= since) {
            found.add(key.clone(), *id);
        }
    }
    Ok(found)
}

/// Finds the ends since an instant of which the key is on record.
fn all_since(engine: &Engine, since: Timestamp) -> Result<Found, Failure> {
    let mut found = Found::default();
    for ((key, time), id) in recorded_ends(engine)? {
        if time < since {
            continue;
        }
        let id = match (id, engine.ended(&key)?) {
            (None, KeyHistory::Ended(ended)) if ended.time == time => Some(ended.id),
            (id, _) => id,
        };
        found.add(key, id);
    }
    Ok(found)
}

impl Found {
    /// Adds an end whose registration may be unknown.
    fn add(&mut self, key: Vec<u8>, id: Option<RegistrationId>) {
        match id {
            Some(id) => self.ended.push((key, id)),
            None => self.unknown.push((key, NOT_REMEMBERED.into())),
        }
    }
}

/// Registration of each end by key and instant; `None` if it is not on record.
type RecordedEnds = BTreeMap<(Vec<u8>, Timestamp), Option<RegistrationId>>;

/// Returns the ends in the feed and in erasures.
fn recorded_ends(engine: &Engine) -> Result<RecordedEnds, Failure> {
    let mut ends = BTreeMap::new();
    let mut after = 0;
    loop {
        let entries = engine.feed(after, FEED_MAX)?;
        let Some(last) = entries.last() else { break };
        after = last.number;
        ends.extend(entries.into_iter().map(|entry| ((entry.key, entry.time), entry.id)));
    }
    for request in engine.requests()?.iter().filter(|request| request.kind == RequestKind::Erase) {
        for object in engine.erasure_objects(request.number)? {
            if let Progress::Ended { time, .. } = object.progress {
                ends.entry((object.key, time)).or_default().get_or_insert(object.id);
            }
        }
    }
    Ok(ends)
}
