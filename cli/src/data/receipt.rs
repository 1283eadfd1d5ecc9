//! `sexton receipt`: receipts of objects that ended.

use super::args::{DataArgs, help};
use super::host::Host;
use super::keys::{self, KeyForm};
use super::parse::{self, When};
use super::receipts::{self, POLICY, Wanted};
use super::{feed, history, requests};
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use serde_json::json;
use sexton::{Opener, RegistrationId};
use sexton_proof::id::printable;
use sexton_proof::time::Timestamp;
use sexton_service::api::FeedEntry;
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
    let keys: Vec<Vec<u8>> = keys::keys(&args.key, args.keys.as_deref(), args.form)?;
    if args.id.is_some() && keys.len() > 1 {
        return Err(Failure::new(format!("--id names one registration, not those of {} keys", keys.len())));
    }
    let ticket = args.ticket.as_deref().map(|ticket| parse::bytes(ticket, true)).transpose()?;
    let host = Host::of(&args.data)?;
    let since = match args.since {
        None => None,
        Some(since) => Some(since.resolve(host.now()?)?),
    };
    let found = match (args.id, since) {
        (Some(id), _) => Found { ended: keys.into_iter().map(|key| (key, id)).collect(), ..Found::default() },
        (None, Some(since)) if keys.is_empty() => all_since(&host, since)?,
        (None, since) => by_key(&host, keys, since.unwrap_or(Timestamp::MIN))?,
    };
    let out = &args.out;
    let by_key = found.ended.iter().map(|(key, id)| Wanted::in_folder(out, *id, Opener::Key(key)));
    let by_ticket = args.id.zip(ticket.as_deref());
    let by_ticket = by_ticket.map(|(id, ticket)| Wanted::in_folder(out, id, Opener::Ticket(ticket)));
    let issued = receipts::issue(&host, out, by_key.chain(by_ticket).collect())?;
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
fn by_key(host: &Host, keys: Vec<Vec<u8>>, since: Timestamp) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut unknown = Vec::new();
    let histories = history::of(host, &keys)?;
    for (key, (_, history)) in keys.into_iter().zip(histories) {
        match (&*history.state, history::end(&history)?) {
            ("ended", Some((time, id))) if time >= since => found.ended.push((key, id)),
            ("ended", _) => {}
            ("live", _) if since > Timestamp::MIN => found.pending += 1,
            // The engine refuses its receipt, and says when it is due.
            ("live", Some((_, id))) => found.ended.push((key, id)),
            _ => unknown.push(key),
        }
    }
    if unknown.is_empty() {
        return Ok(found);
    }
    let mut recorded: HashMap<Vec<u8>, Vec<(Timestamp, Option<RegistrationId>)>> = HashMap::new();
    for ((key, time), id) in recorded_ends(host)? {
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
fn all_since(host: &Host, since: Timestamp) -> Result<Found, Failure> {
    let mut found = Found::default();
    let ends: Vec<_> = recorded_ends(host)?.into_iter().filter(|((_, time), _)| *time >= since).collect();
    let unknown = ends.iter().filter(|(_, id)| id.is_none());
    let keys: Vec<Vec<u8>> = unknown.map(|((key, _), _)| key.clone()).collect();
    let mut remembered = HashMap::new();
    for (key, (_, history)) in keys.iter().zip(history::of(host, &keys)?) {
        if history.state == "ended"
            && let Some((time, id)) = history::end(&history)?
        {
            remembered.insert((key.clone(), time), id);
        }
    }
    for ((key, time), id) in ends {
        let id = id.or_else(|| remembered.get(&(key.clone(), time)).copied());
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
fn recorded_ends(host: &Host) -> Result<RecordedEnds, Failure> {
    let mut ends = BTreeMap::new();
    feed::each(host, 0, u64::MAX, &mut |_, entry: FeedEntry| {
        let id = entry.id.as_deref().map(history::id).transpose()?;
        ends.insert((history::key(&entry.key_hex)?, Timestamp::from_unix_ms(entry.time_ms)), id);
        Ok(())
    })?;
    for number in requests::erasures(host)? {
        for (id, (_, object)) in requests::objects(host, number)?.objects {
            if let Some(time_ms) = object.time_ms {
                let end = (history::key(&object.key_hex)?, Timestamp::from_unix_ms(time_ms));
                ends.entry(end).or_default().get_or_insert(id);
            }
        }
    }
    Ok(ends)
}
