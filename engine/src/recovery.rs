//! Opening: the pieces are put together from what is on disk, and what a crash interrupted is finished by the same
//! steps that would have finished it.

use crate::alarm::{Alarm, AlarmCause};
use crate::alarms;
use crate::batch::{Batch, Unanswered};
use crate::breaker::Breaker;
use crate::class::{Class, ClassSet, Definition};
use crate::commit::{self, Committer};
use crate::core::{Classes, Core, Ledger, Limits, Planner, Published};
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::evidence::{self, Evidence, Fate, Fates, Paths};
use crate::feed;
use crate::files::{Access, Files};
use crate::hold::HoldSet;
use crate::index::{Index, PAGE_ROWS_MAX, Page, PageState};
use crate::keyring::KeyRing;
use crate::kv::{self, Family, Kv, Order, WriteSet, collect};
use crate::locator;
use crate::log::{self, Log};
use crate::options::Options;
use crate::plan;
use crate::pool::Pool;
use crate::publish;
use crate::request::Request;
use crate::schema::{self, Arrivals, ClassRecord, Counts, Intent, Mark, PageRecord, Shape, Tally};
use crate::writer::{PoisoningMutex, Writer};
use parking_lot::{Mutex, RwLock};
use serde::de::DeserializeOwned;
use sexton_proof::file::{EvidenceFile, OpeningsFile};
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::leaf::Leaf;
use sexton_proof::note::Signer;
use sexton_proof::record::{FileKind, Method};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};
use zeroize::Zeroizing;

/// Where the signing key lies under the data folder.
const SIGNING_KEY: &str = "keys/log.key";

/// The attempt at a batch that an earlier opening handed over.
const AGAIN: u32 = 2;

/// The seams an engine is opened over.
#[derive(Clone)]
pub struct Seams {
    /// The index.
    pub kv: Arc<dyn Kv>,
    /// The files beside it.
    pub files: Arc<dyn Files>,
    /// Where secrets come from.
    pub entropy: Arc<dyn Entropy>,
    /// What shares the hashing of a batch.
    pub pool: Arc<Pool>,
}

/// Puts an engine together and finishes what was interrupted.
pub(crate) fn recover(seams: Seams, options: &Options, now_ms: i64) -> Result<Core> {
    let core = assemble(seams, options, now_ms)?;
    if core.forked.is_some() {
        return Ok(core);
    }
    define_classes(&core, &options.classes, now_ms)?;
    finish_interrupted(&core, now_ms)?;
    publish::publish_or_warn(&core);
    Ok(core)
}

fn assemble(seams: Seams, options: &Options, now_ms: i64) -> Result<Core> {
    let Seams { kv, files, entropy, pool } = seams;
    let stored = kv.get(Family::Meta, schema::SHAPE)?.map(|bytes| Shape::decode(&bytes)).transpose()?;
    let fresh = stored.is_none();
    let shape = match stored {
        Some(shape) => shape,
        None => new_shape(&*files, &*entropy, options)?,
    };
    options.check_shape(&shape.origin, shape.shards)?;
    let keyring = KeyRing::load(Arc::clone(&files), Arc::clone(&entropy), fresh)?;
    let signer = load_signer(&*files, &*entropy, &shape.origin, fresh)?;
    let log = Log::load(&*kv)?;
    if log::root_at(&*kv, log.size())? != log.root() {
        return Err(Error::corrupt(
            "the log's hashes contradict its root; see Backups in docs/operations.md",
        ));
    }
    let checkpoint = publish::read_checkpoint(&*files, &signer.verifier())?;
    let forked = fork(&*kv, &*files, &log, checkpoint.as_ref().map(|c| (c.size, c.root)))?;
    let writer = Arc::new(Writer::new(Arc::clone(&kv)));
    let epoch = if forked.is_some() { 0 } else { next_epoch(&*kv, &writer, fresh.then_some(&shape))? };
    let (classes, counts) = load_classes(&*kv)?;
    let index = Index::new(shape.shards, shape.secret, &writer);
    for class in classes.iter() {
        restore_pages(&*kv, &index, class, now_ms)?;
    }
    restore_marks(&*kv, &index)?;
    locator::restore(&*kv, &index)?;
    let planner = load_planner(&*kv, &index, options, now_ms)?;
    let last_request = number(&*kv, schema::REQUEST, "the last request")?;
    let feed = number(&*kv, schema::FEED, "the last entry of the feed")?;
    let feed_key = feed::load_key(&*files, &*entropy, feed)?;
    let mut holds = HoldSet::default();
    for hold in records(&*kv, b"hold/", "a hold")? {
        holds.insert(hold);
    }
    let requests: Vec<Request> = records(&*kv, b"request/", "a request")?;
    let alarms: Vec<Alarm> = records(&*kv, b"alarm/", "an alarm")?;
    let published = checkpoint.map_or(0, |c| c.size);
    let ledger = PoisoningMutex::new(Ledger { log, counts, feed }, &writer);
    let planner = PoisoningMutex::new(planner, &writer);
    let limits = Limits {
        batch_rows: options.batch_rows,
        batches_in_flight: options.batches_in_flight,
        disk_reserve_bytes: options.disk_reserve_bytes,
        recent_keys: (options.recent_keys as usize / usize::from(shape.shards)).max(1),
    };
    Ok(Core {
        kv,
        files,
        writer,
        index,
        keyring,
        signer,
        origin: shape.origin,
        epoch,
        limits,
        classes: RwLock::new(classes),
        closing: RwLock::default(),
        ledger,
        published: Mutex::new(Published { size: published, tried_ms: None, error: None }),
        planner,
        in_flight: AtomicU64::new(0),
        // Nobody knows what an earlier opening left.
        traces: AtomicU64::new(1),
        cleared: Mutex::new(0),
        returns: Arc::default(),
        forked,
        entropy,
        pool,
        holds: RwLock::new(holds),
        last_request: AtomicU32::new(u32::try_from(last_request).unwrap_or(u32::MAX)),
        requests: Mutex::new(requests.into_iter().map(|request| (request.number, request)).collect()),
        alarms: Mutex::new(alarms.into_iter().map(|alarm| (alarm.id, alarm)).collect()),
        feed_key,
    })
}

/// The shape of a new engine; it is stored only when the keys are durable.
fn new_shape(files: &dyn Files, entropy: &dyn Entropy, options: &Options) -> Result<Shape> {
    if files.read(publish::HEAD)?.is_some() || files.read(publish::CHECKPOINT)?.is_some() {
        return Err(Error::corrupt(
            "the index is empty but a log was published from this folder; bring the index back (see Backups in \
             docs/operations.md), or use a new folder and a new origin",
        ));
    }
    let (origin, shards) = options.new_shape()?;
    Ok(Shape { shards, secret: entropy.secret()?, origin })
}

fn load_signer(files: &dyn Files, entropy: &dyn Entropy, origin: &str, fresh: bool) -> Result<Signer> {
    let unusable =
        |why: String| Error::corrupt(format!("the signing key {SIGNING_KEY} cannot be used: {why}"));
    if let Some(bytes) = files.read(SIGNING_KEY)? {
        let text = Zeroizing::new(String::from_utf8(bytes).map_err(|_| unusable("it is not text".into()))?);
        let signer = Signer::from_private(text.trim_end()).map_err(|e| unusable(e.to_string()))?;
        if signer.verifier().name() == origin {
            return Ok(signer);
        }
        let name = signer.verifier().name().to_owned();
        if !fresh {
            return Err(unusable(format!("it belongs to the origin {name:?}, not {origin:?}")));
        }
        // A crash ended the creation of this folder under another origin: nothing was ever signed with it.
    } else if !fresh {
        return Err(unusable("it is missing; put it back".into()));
    }
    let signer = Signer::generate(origin, entropy.secret()?).map_err(|e| Error::invalid(e.to_string()))?;
    let text = Zeroizing::new(format!("{}\n", signer.to_private()));
    files.replace(SIGNING_KEY, text.as_bytes(), Access::Private)?;
    Ok(signer)
}

/// Why the log here is not the one that was published, where that is so: the recorded head and the published
/// checkpoint must both be prefixes of it.
fn fork(
    kv: &dyn Kv,
    files: &dyn Files,
    log: &Log,
    checkpoint: Option<(u64, [u8; 32])>,
) -> Result<Option<String>> {
    let head = publish::read_head(files)?;
    for (what, seen) in [("recorded head", head), ("published checkpoint", checkpoint)] {
        let Some((size, root)) = seen else { continue };
        let why = if size > log.size() {
            format!("has {size} entries, the log in the index only {}", log.size())
        } else if log::root_at(kv, size)? != root {
            format!("of {size} entries has another root than the log in the index had at that size")
        } else {
            continue;
        };
        let why = format!(
            "the {what} {why}: an older copy of the index was restored, or another engine signs under this name; \
             nothing is signed, registered or deleted. Bring back the newest index, or start a new folder with a \
             new origin"
        );
        tracing::error!("{why}");
        return Ok(Some(why));
    }
    Ok(None)
}

/// Counts this opening, and on the first one stores the shape.
fn next_epoch(kv: &dyn Kv, writer: &Writer, shape: Option<&Shape>) -> Result<u64> {
    let last = kv
        .get(Family::Meta, schema::EPOCH)?
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes);
    let mut set = WriteSet::default();
    set.put(Family::Meta, schema::EPOCH, &(last + 1).to_be_bytes());
    if let Some(shape) = shape {
        set.put(Family::Meta, schema::SHAPE, &shape.encode());
    }
    writer.write_durably(set)?;
    Ok(last + 1)
}

fn load_classes(kv: &dyn Kv) -> Result<(Classes, BTreeMap<ClassId, Counts>)> {
    let records =
        collect(kv, Family::Meta, &schema::prefix(b"class/"), |_, value| ClassRecord::decode(value))?;
    let mut classes = Classes::default();
    let mut counts = BTreeMap::new();
    for record in records {
        let bytes = log::entry(kv, record.leaf)?;
        let Ok(Leaf::Class(leaf)) = Leaf::parse(&bytes) else {
            return Err(Error::corrupt(format!("log entry {} does not define a class", record.leaf)));
        };
        if let Some(stored) = kv.get(Family::Meta, &schema::counts_key(leaf.id))? {
            counts.insert(leaf.id, Counts::decode(&stored)?);
        }
        classes.add(Arc::new(Class::new(&leaf, record.leaf, bytes, record.local)?));
    }
    let closed = collect(kv, Family::Meta, &schema::prefix(b"closed/"), |key, _| {
        Ok(String::from_utf8_lossy(&key[b"closed/".len()..]).into_owned())
    })?;
    classes.close(&closed);
    Ok((classes, counts))
}

/// The JSON records under a prefix.
fn records<T: DeserializeOwned>(kv: &dyn Kv, prefix: &[u8], what: &str) -> Result<Vec<T>> {
    collect(kv, Family::Meta, &schema::prefix(prefix), |_, value| schema::from_json(what, value))
}

/// A number in the index; 0 where it was never written.
fn number(kv: &dyn Kv, key: &[u8], what: &str) -> Result<u64> {
    match kv.get(Family::Meta, key)?.map(<[u8; 8]>::try_from) {
        None => Ok(0),
        Some(Ok(bytes)) => Ok(u64::from_be_bytes(bytes)),
        Some(Err(_)) => Err(Error::corrupt(format!("the number of {what} is malformed"))),
    }
}

/// The trusted instant that was last recorded.
pub(crate) fn last_known_ms(kv: &dyn Kv) -> Result<Option<i64>> {
    let recorded = kv.get(Family::Meta, schema::CLOCK)?.map(<[u8; 8]>::try_from);
    let recorded = match recorded {
        None => None,
        Some(Ok(bytes)) => Some(i64::from_be_bytes(bytes)),
        Some(Err(_)) => return Err(Error::corrupt("the recorded time is malformed")),
    };
    // What the log says is as good.
    let log = Log::load(kv)?;
    let logged = (log.size() > 0).then(|| log.last_logged_ms());
    Ok(recorded.max(logged))
}

/// Whether an alarm stands because the wall clock stepped.
pub(crate) fn clock_had_stepped(kv: &dyn Kv) -> Result<bool> {
    let alarms: Vec<Alarm> = records(kv, b"alarm/", "an alarm")?;
    Ok(alarms.iter().any(|alarm| alarm.cause == AlarmCause::Clock))
}

/// Rebuilds the wheels of a class from its rows: two look-ups a page, whatever it holds.
fn restore_pages(kv: &dyn Kv, index: &Index, class: &Class, now_ms: i64) -> Result<()> {
    let settled_to = last_settled_slot(kv, class.id)?;
    let now = u64::try_from(now_ms).unwrap_or(0);
    for number in 0..index.shards() {
        let mut shard = index.lock(number);
        let tally = kv.get(Family::Meta, &schema::tally_key(class.id, shard.number()))?;
        let tally = tally.map_or(Ok(Tally::default()), |bytes| Tally::decode(&bytes))?;
        shard.add_class(class, now_ms, settled_to, tally);
    }
    for (page, rows) in live_pages(kv, class.id)? {
        if usize::from(page.shard) >= index.shards() {
            return Err(Error::corrupt(format!("page {page} is of a shard that does not exist")));
        }
        let record = kv.get(Family::Meta, &schema::page_key(page))?;
        let record = record.map_or_else(
            || Ok(PageRecord::of_slot(earliest_ceiling_ms(class, page, now))),
            |bytes| PageRecord::decode(&bytes),
        )?;
        let full = rows >= PAGE_ROWS_MAX || record.arrivals != Arrivals::Single;
        let state = if full { PageState::Closed } else { PageState::Open };
        let mut restored = Page::new(page.part, rows, state, record.arrivals, record.earliest_ceiling_ms);
        restored.surprises = record.surprises;
        index.lock(page.shard.into()).restore(page, restored)?;
    }
    Ok(())
}

/// What the slot of a page tells of its earliest ceiling.
fn earliest_ceiling_ms(class: &Class, page: PageId, now: u64) -> i64 {
    // Where objects may have been overdue already when they were registered, it tells nothing.
    match !page.slot.is_multiple_of(class.definition.slot_ms) || page.slot <= now {
        true => i64::MIN,
        false => class.earliest_ceiling_ms(page.slot),
    }
}

/// Counts, page by page, the registrations that were replaced or moved.
fn restore_marks(kv: &dyn Kv, index: &Index) -> Result<()> {
    let all = schema::prefix(&[]);
    let marks = |key: &[u8], value: &[u8]| {
        let id = schema::mark_id(key)?;
        // Under a page that is not in the wheel, and so settled, it is void.
        if let Some(page) = index.lock(id.page.shard.into()).page_mut(id.page) {
            page.marked = true;
            page.moved += u32::from(matches!(Mark::decode(value)?, Mark::Moved { .. }));
        }
        Ok(())
    };
    kv::try_scan(kv, Family::Marks, &all, |key, value| marks(key, value).map(ControlFlow::Continue))
}

fn last_settled_slot(kv: &dyn Kv, class: ClassId) -> Result<u64> {
    let range = schema::class_pages(class);
    let mut slot = 0;
    kv.scan(Family::Settled, &range.start..&range.end, Order::Descending, &mut |key, _| {
        slot = key.first_chunk().map_or(0, |id| PageId::from_bytes(id).slot);
        ControlFlow::Break(())
    })?;
    Ok(slot)
}

/// Every page of a class that has rows and is not settled, with how many. Rows of a settled page are void, even
/// where dropping files brought them back.
pub(crate) fn live_pages(kv: &dyn Kv, class: ClassId) -> Result<Vec<(PageId, u32)>> {
    let mut pages = Vec::new();
    let mut cursor = vec![0];
    let end = schema::successor(&[]);
    loop {
        let mut found = None;
        kv.scan(Family::Rows(class), &cursor..&end, Order::Ascending, &mut |key, _| {
            found = Some(schema::row_id(class, key));
            ControlFlow::Break(())
        })?;
        let Some(first) = found.transpose()? else { return Ok(pages) };
        let range = schema::page_rows(first.page);
        if kv.get(Family::Settled, &first.page.to_bytes())?.is_none() {
            let mut last = first.seq;
            kv.scan(Family::Rows(class), &range.start..&range.end, Order::Descending, &mut |key, _| {
                last = key.last_chunk().map_or(last, |seq| u32::from_be_bytes(*seq));
                ControlFlow::Break(())
            })?;
            pages.push((first.page, last + 1));
        }
        cursor = range.end;
    }
}

fn load_planner(kv: &dyn Kv, index: &Index, options: &Options, now_ms: i64) -> Result<Planner> {
    let last_batch = number(kv, schema::BATCH, "the last batch")?;
    let intents = collect(kv, Family::Meta, &schema::prefix(b"intent/"), |_, value| Intent::decode(value))?;
    for intent in &intents {
        let pages: Vec<PageId> = intent.pages.iter().map(|page| page.page).collect();
        if index.take(&pages) != intent.pages {
            return Err(Error::corrupt(format!(
                "the intent of batch {} names rows that the index does not have; see Backups in docs/operations.md",
                intent.batch
            )));
        }
    }
    Ok(Planner {
        last_batch,
        unfinished: intents.into_iter().map(|intent| Unanswered { intent, attempts: 1 }).collect(),
        sweep: None,
        breaker: Breaker::new(options.breaker),
        clock_recorded_ms: now_ms,
    })
}

/// Defines the classes that are not there, or not so.
pub(crate) fn define_classes(core: &Core, classes: &ClassSet, now_ms: i64) -> Result<()> {
    for definition in classes.iter() {
        let current = core.classes.read().current(&definition.name).cloned();
        if let Some(class) = &current {
            check_find(core, class, definition)?;
        }
        if current.is_none_or(|class| class.definition != *definition) {
            commit::define(core, definition, now_ms)?;
        }
    }
    Ok(())
}

/// Refuses to change how a class finds while objects live that were registered the other way: those registered with
/// `none` could not be found and replaced by those with `key`, and the other way round nobody would look.
fn check_find(core: &Core, class: &Class, definition: &Definition) -> Result<()> {
    let (was, is) = (class.definition.find.name(), definition.find.name());
    if was == is {
        return Ok(());
    }
    let versions = alarms::ids_of(core, &definition.name);
    let mut live = 0_u64;
    core.index.each_page(&mut |page, found| {
        live += if versions.contains(&page.class) { u64::from(found.live()) } else { 0 };
    });
    if live == 0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "class \"{}\" has find = \"{was}\" and {live} live objects; find = \"{is}\" needs a class of another name",
        definition.name
    )))
}

/// Commits the batches whose files were finished; the others stay with the planner, to be handed over again.
fn finish_interrupted(core: &Core, now_ms: i64) -> Result<()> {
    let unfinished = std::mem::take(&mut core.planner.lock().unfinished);
    for unanswered in unfinished {
        match from_files(core, &unanswered.intent, now_ms)? {
            Some(evidence) => {
                for (to, record) in evidence.carried_pages() {
                    let (part, state) = (to.page.part, PageState::Reserved);
                    let ceiling_ms = record.earliest_ceiling_ms;
                    let page = Page::new(part, to.rows, state, record.arrivals, ceiling_ms);
                    core.index.lock(to.page.shard.into()).restore(to.page, page)?;
                }
                Committer::default().commit(core, evidence, now_ms)?;
            }
            None => core.planner.lock().unfinished.push_back(unanswered),
        }
    }
    Ok(())
}

/// The evidence of an intent whose files were finished before the crash.
fn from_files(core: &Core, intent: &Intent, now_ms: i64) -> Result<Option<Evidence>> {
    let paths = Paths::of(intent.batch);
    let Some(tombstones) = core.files.read(&paths.tombstones)? else { return Ok(None) };
    let carries = core.files.read(&paths.carries)?;
    let results = core.files.read(&paths.results)?;
    let openings = core.files.read(&paths.openings)?;
    let batch = plan::read(core, intent.clone(), AGAIN, now_ms)?;
    let Some(mut fates) = fates_of_files(intent, &tombstones, carries.as_deref()) else { return Ok(None) };
    let results_of = results_of_files(core, &batch, &fates.of, openings.as_deref())?;
    let Some(results_of) = results_of else { return Ok(None) };
    fates.results = results_of;
    let Some(evidence) = evidence::rebuild(core, batch, fates)? else { return Ok(None) };
    let same = evidence.matches(&tombstones, carries.as_deref(), results.as_deref(), openings.as_deref());
    Ok(same.then_some(evidence))
}

/// The fate of every row of the intent, in order, if the files give each exactly one.
fn fates_of_files(intent: &Intent, tombstones: &[u8], carries: Option<&[u8]>) -> Option<Fates> {
    let tombstones = EvidenceFile::parse(tombstones, FileKind::Tombstones).ok()?;
    let carries = carries.map(|bytes| EvidenceFile::parse(bytes, FileKind::Carries)).transpose().ok()?;
    let mut found: BTreeMap<(u32, u32), (Fate, Option<RegistrationId>)> = BTreeMap::new();
    for t in tombstones.tombstones() {
        found.insert((t.page, t.seq), (Fate::Ends { method: t.method, time_ms: t.time_ms }, None));
    }
    for c in carries.iter().flat_map(EvidenceFile::carries) {
        found.insert((c.page, c.seq), (Fate::LivesOn { cause: c.cause, time_ms: c.time_ms }, Some(c.to)));
    }
    let rows =
        (0_u32..).zip(&intent.pages).flat_map(|(page, rows)| (0..rows.rows).map(move |seq| (page, seq)));
    let mut fates = Fates::default();
    for (at, row) in rows.enumerate() {
        let (fate, to) = found.remove(&row)?;
        fates.of.push(fate);
        fates.to.extend(to.map(|to| (at, to)));
    }
    Some(fates)
}

/// The digests of what the store wrote in the place of anonymised objects, from their openings; `None` where those do
/// not open.
fn results_of_files(
    core: &Core,
    batch: &Batch,
    fates: &[Fate],
    openings: Option<&[u8]>,
) -> Result<Option<BTreeMap<usize, Vec<u8>>>> {
    let mut results = BTreeMap::new();
    let file = openings.and_then(|bytes| OpeningsFile::parse(bytes).ok());
    let mut sealed = file.iter().flat_map(OpeningsFile::iter);
    for (at, (planned, fate)) in batch.rows.iter().zip(fates).enumerate() {
        let Fate::Ends { method, .. } = *fate else { continue };
        let sealed = sealed.next();
        if method == Method::Anonymised {
            let (id, row) = (batch.id(planned), batch.row(planned));
            let k = core.keyring.get_or_create(id.page.class, id.page.slot)?;
            let opened = sealed.and_then(|sealed| evidence::unseal(&k, id, row.key, sealed, method));
            let Some((_, Some(digest))) = opened else { return Ok(None) };
            results.insert(at, digest);
        }
    }
    Ok(Some(results))
}
