//! Registering: checked as a whole, numbered and written under the shard's lock, then one fsync for all who wait.

use crate::class::Class;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::hold;
use crate::index::{PageState, Shard};
use crate::kv::{Family, WriteSet};
use crate::locator::{self, Candidates, Sought};
use crate::place::{self, Place, descriptor_of};
use crate::schema::{self, FINGERPRINT_BYTES, Flags, Mark, Row, Tally};
use crate::selector::SUBJECT_MAX_BYTES;
use crate::writer::Ticket;
use sexton_proof::commitment::{self, Opening};
use sexton_proof::id::{
    ClassId, DIGEST_MAX_BYTES, KEY_MAX_BYTES, RegistrationId, SIZE_UNKNOWN, VERSION_MAX_BYTES,
};
use sexton_proof::leaf::{Openings, StartRule};
use sexton_proof::record::Reason;
use sexton_proof::window::Bounds;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most registrations in one call.
pub const REGISTER_MAX: usize = 100_000;

/// An object to be registered.
#[derive(Clone, Copy, Debug)]
pub struct Registration<'a> {
    /// What the host knows the object by: 1 to 1024 bytes. One live registration per key, where the class finds by
    /// key.
    pub key: &'a [u8],
    /// The class it falls under.
    pub class: &'a str,
    /// What the store recognises this very object by: at most 64 bytes, empty where it has nothing of the kind.
    pub version: &'a [u8],
    /// The instant the promise counts from, Unix ms. Where none is given the class's rule applies: the instant of
    /// registration, or open until `max_open` has passed.
    pub start_ms: Option<i64>,
    /// A digest of the content, at most 64 bytes, or empty.
    pub digest: &'a [u8],
    /// Size of the object, [`SIZE_UNKNOWN`] where not known.
    pub size_bytes: u64,
    /// Whose data it is: at most 255 bytes, or empty. Stays in the index, goes into no evidence.
    pub subject: &'a [u8],
}

impl<'a> Registration<'a> {
    /// An object of `class` with nothing said beyond its key.
    pub fn new(class: &'a str, key: &'a [u8]) -> Self {
        Registration {
            key,
            class,
            version: &[],
            start_ms: None,
            digest: &[],
            size_bytes: SIZE_UNKNOWN,
            subject: &[],
        }
    }
}

/// When a registering call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After an fsync, shared with everybody who waits at that moment: what was answered survives the loss of power.
    Synced,
    /// At once: survives the end of the process, and the loss of power only once a later call was synced. What is
    /// lost so was never registered, and its registration id may be given again.
    Buffered,
}

/// The answer to one registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The registration id: keep it to ask for a receipt.
    pub id: RegistrationId,
    /// What happened to an earlier live registration of the key.
    pub earlier: Earlier,
    /// Where the class says `openings = "ticket"`: what opens the commitment. Nobody else keeps it.
    pub ticket: Option<Vec<u8>>,
}

/// An earlier live registration of the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// There was none, or the class does not find by key.
    None,
    /// It is replaced: its object is not deleted on its time any more.
    Replaced(RegistrationId),
    /// It is on its way to deletion already, so its object may still go on the earlier time. The new registration
    /// stands. A store that keeps versions apart deletes the earlier object only.
    TooLate(RegistrationId),
    /// It is this very object (same key, version and class), so nothing was registered again: a safe retry.
    Same,
    /// It stands, and only what was missing was to be registered.
    Stands,
}

/// How to register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// What has a live registration under its key is left alone.
    pub(crate) only_missing: bool,
    /// Why the objects will end.
    pub(crate) reason: Reason,
    /// By how much the wall is ahead of the time that is trusted, ms. A person may find that it is right.
    pub(crate) ahead_ms: i64,
}

impl Manner {
    /// As hosts do.
    pub(crate) const USUAL: Manner = Manner { only_missing: false, reason: Reason::Due, ahead_ms: 0 };
}

struct Prepared<'c> {
    class: &'c Class,
    /// Whether its start is not known yet.
    is_open: bool,
    start_ms: i64,
    bounds: Bounds,
    slot: u64,
    surprise: bool,
    shard: usize,
    fingerprint: [u8; FINGERPRINT_BYTES],
    reason: Reason,
}

/// One call.
struct Call<'c, 'i> {
    items: &'c [Registration<'i>],
    prepared: Vec<Prepared<'c>>,
    manner: Manner,
}

/// Registers all of `items` or, where one of them is invalid, none.
pub(crate) fn register(
    core: &Core,
    items: &[Registration<'_>],
    durability: Durability,
    manner: Manner,
    now_ms: i64,
) -> Result<Vec<Registered>> {
    core.check_writable()?;
    core.check_room()?;
    if items.len() > REGISTER_MAX {
        return Err(Error::invalid(format!(
            "{} registrations in one call; {REGISTER_MAX} is the limit",
            items.len()
        )));
    }
    // Closing a class down waits for calls that saw it open.
    let _open = core.closing.read();
    let classes = classes_of(core, items, manner)?;
    let call = Call { items, prepared: prepare_all(core, items, &classes, manner, now_ms)?, manner };
    let mut by_shard: Vec<Vec<usize>> = vec![Vec::new(); core.index.shards()];
    for (at, one) in call.prepared.iter().enumerate() {
        by_shard[one.shard].push(at);
    }
    let mut answers: Vec<Option<Registered>> = vec![None; items.len()];
    let mut last = None;
    for (shard, members) in by_shard.iter().enumerate().filter(|(_, members)| !members.is_empty()) {
        last = write_shard(core, shard, members, &call, &mut answers)?.or(last);
    }
    locator::write_out_where_full(core)?;
    if let (Some(ticket), Durability::Synced) = (last, durability) {
        core.writer.sync(ticket)?;
    }
    answers
        .into_iter()
        .zip(items.iter().zip(&call.prepared))
        .map(|(answer, (item, one))| {
            let answer =
                answer.ok_or_else(|| Error::internal("a registration was left without an answer"))?;
            with_ticket(core, answer, item, one)
        })
        .collect()
}

/// What is wrong with the item at `at`, and which of how many that is.
fn at_item(e: Error, at: usize, items: usize) -> Error {
    match items {
        1 => e,
        n => Error::new(e.kind(), format!("registration {} of {n}: {}", at + 1, e.message())),
    }
}

/// The classes of the items, each once: the threads that register share the count of who holds a class, so it is not
/// touched for every item.
fn classes_of(core: &Core, items: &[Registration<'_>], manner: Manner) -> Result<Vec<Arc<Class>>> {
    let known = core.classes.read();
    let mut classes: Vec<Arc<Class>> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if classes.iter().any(|class| class.definition.name == item.class) {
            continue;
        }
        if manner.reason == Reason::Due && known.is_closed(item.class) {
            return Err(at_item(closed(item.class), at, items.len()));
        }
        classes.push(Arc::clone(known.known(item.class).map_err(|e| at_item(e, at, items.len()))?));
    }
    Ok(classes)
}

fn prepare_all<'c>(
    core: &Core,
    items: &[Registration<'_>],
    classes: &'c [Arc<Class>],
    manner: Manner,
    now_ms: i64,
) -> Result<Vec<Prepared<'c>>> {
    let mut prepared = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let Some(class) = classes.iter().find(|class| class.definition.name == item.class) else { continue };
        let one = prepare(class, item, manner, now_ms).map_err(|e| at_item(e, at, items.len()))?;
        prepared.push(one);
    }
    let located = core.index.locate_each(items.iter().map(|item| item.key));
    for (one, (shard, fingerprint)) in prepared.iter_mut().zip(located) {
        (one.shard, one.fingerprint) = (shard, fingerprint);
    }
    // The keys that will blind these rows are durable before the rows are, so that no row is ever without one.
    let mut last = None;
    for one in &prepared {
        if last != Some((one.class.id, one.slot)) {
            last = Some((one.class.id, one.slot));
            core.keyring.get_or_create(one.class.id, one.slot)?;
        }
    }
    Ok(prepared)
}

pub(crate) fn closed(class: &str) -> Error {
    Error::invalid(format!("class \"{class}\" was closed down and takes no objects any more"))
}

fn prepare<'c>(
    class: &'c Class,
    item: &Registration<'_>,
    manner: Manner,
    now_ms: i64,
) -> Result<Prepared<'c>> {
    check_length("key", item.key, 1, KEY_MAX_BYTES)?;
    check_length("version", item.version, 0, VERSION_MAX_BYTES)?;
    check_length("digest", item.digest, 0, DIGEST_MAX_BYTES)?;
    check_length("subject", item.subject, 0, SUBJECT_MAX_BYTES)?;
    // Where it counts from registration and has a floor, the later of two times is taken: the floor must hold whichever of
    // them is right.
    let counts_from_ms = match (item.start_ms, class.definition.keep) {
        (None, Some(_)) => now_ms.saturating_add(manner.ahead_ms),
        _ => now_ms,
    };
    let start_ms = class.start_ms(item.start_ms, counts_from_ms)?;
    let bounds = class.bounds(start_ms)?;
    let (slot, surprise) = match manner.reason {
        Reason::Due => (class.slot(bounds, now_ms), class.is_surprise(start_ms, bounds, now_ms)),
        _ => (class.soonest_slot(bounds, now_ms), true),
    };
    let is_open = item.start_ms.is_none() && class.definition.start == StartRule::Explicit;
    let reason = manner.reason;
    // Where its key lies is found together with the others.
    let (shard, fingerprint) = Default::default();
    Ok(Prepared { class, is_open, start_ms, bounds, slot, surprise, shard, fingerprint, reason })
}

fn check_length(what: &str, bytes: &[u8], min: usize, max: usize) -> Result<()> {
    if (min..=max).contains(&bytes.len()) {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} of {} bytes; {min} to {max} are allowed", bytes.len())))
}

/// Numbers and writes the members of one shard. Under its lock a seq is taken and its row written, so the order of
/// writing is the order of seqs, and a crash can only lose the last of them, which nobody was told of.
fn write_shard(
    core: &Core,
    number: usize,
    members: &[usize],
    call: &Call<'_, '_>,
    answers: &mut [Option<Registered>],
) -> Result<Option<Ticket>> {
    let bytes = members.iter().map(|&at| call.items[at].key.len() + 160).sum();
    let mut set = WriteSet::with_capacity(members.len() * 2, bytes);
    let by_key = members.iter().map(|&at| &call.prepared[at]).filter(|one| one.class.finds_by_key());
    let sought = Sought::of(core, by_key.map(|one| one.fingerprint).collect())?;
    let mut shard = core.index.lock(number);
    let candidates = Candidates::of(core, &shard, sought)?;
    check_class_holds(core, &mut shard, members, call, &candidates)?;
    let relies =
        stage(core, &mut shard, members, call, &candidates, answers, &mut set).inspect_err(|error| {
            // Seqs may be given to rows that will not be written now. Nothing may be written behind such a gap.
            if !set.is_empty() {
                core.writer.poison(error);
            }
        })?;
    if !set.is_empty() {
        return core.writer.write(set).map(Some);
    }
    // The row that a retry found may have been buffered, or its fsync may still be under way.
    Ok(relies.then(|| core.writer.so_far()))
}

/// Refuses to register the very object that a hold on its class keeps under another class, in which nothing keeps it.
fn check_class_holds(
    core: &Core,
    shard: &mut Shard,
    members: &[usize],
    call: &Call<'_, '_>,
    candidates: &Candidates,
) -> Result<()> {
    let holds = core.holds.read();
    if !holds.any_on_class() {
        return Ok(());
    }
    for &at in members {
        let (item, one) = (&call.items[at], &call.prepared[at]);
        if call.manner.only_missing || !one.class.finds_by_key() {
            continue;
        }
        let refused = candidates.live(core, shard, &one.fingerprint, item.key, |id, row| {
            let from = core.class(id.page.class)?;
            // Without a version nothing tells the object from another one: in doubt it is kept.
            let may_be_same =
                !row.flags.has(Flags::RELEASED) && (item.version.is_empty() || row.version == item.version);
            let left = holds.left_by(row, &from.definition.name, item.class);
            Ok(left.filter(|_| may_be_same).map(|hold| hold::held("the object is registered", hold)))
        })?;
        refused.flatten().map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Stages rows for the members and answers them; whether an answer relies on a row written before.
fn stage<'a>(
    core: &Core,
    shard: &mut Shard,
    members: &[usize],
    call: &Call<'_, 'a>,
    candidates: &Candidates,
    answers: &mut [Option<Registered>],
    set: &mut WriteSet,
) -> Result<bool> {
    let mut relies = false;
    let mut tallies: BTreeMap<ClassId, Tally> = BTreeMap::new();
    // Keys that come more than once in this call: the index does not show the first ones yet.
    let mut staged: HashMap<&'a [u8], (RegistrationId, usize)> = HashMap::new();
    for &at in members {
        let (item, one) = (&call.items[at], &call.prepared[at]);
        let by_key = one.class.finds_by_key();
        let mut earlier = Earlier::None;
        if by_key {
            let live = match staged.get(item.key) {
                Some((id, first)) => Some((*id, is_same(&call.items[*first], item), true)),
                None => candidates
                    .live(core, shard, &one.fingerprint, item.key, |id, row| {
                        Found::compare(core, id, row, item)
                    })?
                    .map(|found| (found.id, found.same, found.stands)),
            };
            match live {
                Some((id, same, true)) if same || call.manner.only_missing => {
                    let earlier = if same { Earlier::Same } else { Earlier::Stands };
                    answers[at] = Some(Registered { id, earlier, ticket: None });
                    relies = true;
                    continue;
                }
                Some((id, ..)) => {
                    set.put(Family::Marks, &id.to_bytes(), &Mark::Replaced.encode());
                    locator::forget(core, shard, &one.fingerprint, id);
                    earlier = Earlier::Replaced(id);
                    if let Some(page) = shard.page_mut(id.page) {
                        page.marked = true;
                        if page.state == PageState::InBatch {
                            earlier = Earlier::TooLate(id);
                        }
                    }
                }
                None => {}
            }
        }
        let to =
            Place { class: one.class, slot: one.slot, surprise: one.surprise, fingerprint: &one.fingerprint };
        let id = place::put(core, shard, set, to, &row(item, one))?;
        if by_key {
            staged.insert(item.key, (id, at));
        }
        tallies.entry(one.class.id).or_default().add(item.size_bytes);
        answers[at] = Some(Registered { id, earlier, ticket: None });
    }
    // In the same write as the rows, so that what was ever registered is exact.
    for (class, more) in tallies {
        let number = shard.number();
        let total = shard.tally_mut(class)?;
        *total = total.plus(more);
        set.put(Family::Meta, &schema::tally_key(class, number), &total.encode());
    }
    Ok(relies)
}

fn row<'a>(item: &Registration<'a>, one: &Prepared<'_>) -> Row<'a> {
    Row {
        cause: 0,
        attempts: 0,
        flags: if one.is_open { Flags::OPEN } else { Flags::NONE },
        reason: one.reason,
        start_ms: one.start_ms,
        floor_ms: one.bounds.floor_ms,
        ceiling_ms: one.bounds.ceiling_ms,
        size_bytes: item.size_bytes,
        key: item.key,
        version: item.version,
        digest: item.digest,
        subject: item.subject,
    }
}

/// The same object again, so that a host may repeat a call whose answer it did not get. Without a version nothing
/// tells a repeated call from an overwritten object, which must not go on its predecessor's time.
fn is_same(earlier: &Registration<'_>, item: &Registration<'_>) -> bool {
    !item.version.is_empty()
        && earlier.version == item.version
        && earlier.class == item.class
        && (item.start_ms.is_none() || item.start_ms == earlier.start_ms)
}

struct Found {
    id: RegistrationId,
    same: bool,
    /// Whether it still answers for what is stored: not if the host said that it has deleted that itself.
    stands: bool,
}

impl Found {
    fn compare(core: &Core, id: RegistrationId, row: &Row<'_>, item: &Registration<'_>) -> Result<Found> {
        let class = core.class(id.page.class)?;
        let earlier = Registration {
            class: &class.definition.name,
            version: row.version,
            start_ms: Some(row.start_ms),
            ..*item
        };
        Ok(Found { id, same: is_same(&earlier, item), stands: !row.flags.has(Flags::RELEASED) })
    }
}

fn with_ticket(
    core: &Core,
    answer: Registered,
    item: &Registration<'_>,
    one: &Prepared<'_>,
) -> Result<Registered> {
    if one.class.definition.openings != Openings::Ticket {
        return Ok(answer);
    }
    if matches!(answer.earlier, Earlier::Same | Earlier::Stands) {
        let ticket = ticket_of_live(core, answer.id)?;
        return Ok(Registered { ticket, ..answer });
    }
    let ticket = opening(core, one.class, answer.id, &row(item, one))?.encode();
    Ok(Registered { ticket: Some(ticket), ..answer })
}

fn ticket_of_live(core: &Core, id: RegistrationId) -> Result<Option<Vec<u8>>> {
    let Some(bytes) = core.kv.get(Family::Rows(id.page.class), &schema::row_key(id))? else {
        return Ok(None);
    };
    let class = core.class(id.page.class)?;
    Ok(Some(opening(core, &class, id, &Row::decode(&bytes)?)?.encode()))
}

/// What opens the commitment of a registration.
pub(crate) fn opening(core: &Core, class: &Class, id: RegistrationId, row: &Row<'_>) -> Result<Opening> {
    let k = core.keyring.get_or_create(class.id, id.page.slot)?;
    let digest = descriptor_of(core, class, id, row).digest();
    Ok(row.opening(commitment::blinding(&k, &id, &digest)))
}
