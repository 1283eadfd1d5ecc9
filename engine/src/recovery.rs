//! Opening: the pieces are put together from what is on disk, and what a crash interrupted is finished by the same
//! steps that would have finished it.

use crate::class::{Class, Definition};
use crate::commit::{self, Committer};
use crate::core::{Classes, Core, Ledger, Limits, Planner};
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::evidence::{self, Evidence, Fate, Paths};
use crate::files::{Access, Files};
use crate::index::{Index, PAGE_ROWS_MAX, Page, PageState};
use crate::keyring::KeyRing;
use crate::kv::{Family, Kv, Order, WriteSet};
use crate::log::{self, Log};
use crate::options::Options;
use crate::plan;
use crate::publish;
use crate::schema::{self, ClassRecord, Counts, Intent, Shape};
use crate::writer::Writer;
use parking_lot::{Mutex, RwLock};
use sexton_proof::file::EvidenceFile;
use sexton_proof::id::{ClassId, PageId};
use sexton_proof::leaf::Leaf;
use sexton_proof::note::Signer;
use sexton_proof::record::FileKind;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use zeroize::Zeroizing;

/// Where the signing key lies under the data folder.
const SIGNING_KEY: &str = "keys/log.key";

/// The seams an engine is opened over.
#[derive(Clone)]
pub struct Seams {
    /// The index.
    pub kv: Arc<dyn Kv>,
    /// The files beside it.
    pub files: Arc<dyn Files>,
    /// Where secrets come from.
    pub entropy: Arc<dyn Entropy>,
}

/// Puts an engine together and finishes what was interrupted.
pub(crate) fn recover(seams: Seams, options: &Options, now_ms: i64) -> Result<Core> {
    options.check_limits()?;
    let core = assemble(seams, options, now_ms)?;
    if core.forked.is_some() {
        return Ok(core);
    }
    define_classes(&core, options, now_ms)?;
    finish_interrupted(&core, now_ms)?;
    publish::publish_or_warn(&core, &mut core.ledger.lock());
    Ok(core)
}

fn assemble(seams: Seams, options: &Options, now_ms: i64) -> Result<Core> {
    let Seams { kv, files, entropy } = seams;
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
        return Err(Error::corrupt("the log's hashes contradict its root; restore a backup"));
    }
    let checkpoint = publish::read_checkpoint(&*files, &signer.verifier())?;
    let forked = fork(&*kv, &*files, &log, checkpoint.as_ref().map(|c| (c.size, c.root)))?;
    let writer = Writer::new(Arc::clone(&kv));
    let epoch = if forked.is_some() { 0 } else { next_epoch(&*kv, &writer, fresh.then_some(&shape))? };
    let (classes, counts) = load_classes(&*kv)?;
    let index = Index::new(shape.shards, shape.secret);
    for class in classes.iter() {
        restore_pages(&*kv, &index, class, now_ms)?;
    }
    let planner = load_planner(&*kv, &index)?;
    let published = checkpoint.map_or(0, |c| c.size);
    let limits = Limits {
        batch_rows: options.batch_rows,
        batches_in_flight: options.batches_in_flight,
        disk_reserve_bytes: options.disk_reserve_bytes,
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
        ledger: Mutex::new(Ledger { log, published, counts, publish_error: None }),
        planner: Mutex::new(planner),
        in_flight: AtomicU64::new(0),
        dropped: Arc::default(),
        forked,
    })
}

/// The shape of a new engine; it is stored only when the keys are durable.
fn new_shape(files: &dyn Files, entropy: &dyn Entropy, options: &Options) -> Result<Shape> {
    if files.read(publish::HEAD)?.is_some() || files.read(publish::CHECKPOINT)?.is_some() {
        return Err(Error::corrupt(
            "the index is empty but a log was published from this folder; restore the index from a backup, or use \
             a new folder and a new origin",
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

/// Collects what a scan yields, stopping at the first failure.
fn collect<T>(
    kv: &dyn Kv,
    family: Family,
    range: &std::ops::Range<Vec<u8>>,
    mut read: impl FnMut(&[u8], &[u8]) -> Result<T>,
) -> Result<Vec<T>> {
    let mut all: Result<Vec<T>> = Ok(Vec::new());
    kv.scan(family, &range.start..&range.end, Order::Ascending, &mut |key, value| match (
        &mut all,
        read(key, value),
    ) {
        (Ok(list), Ok(one)) => {
            list.push(one);
            ControlFlow::Continue(())
        }
        (_, Err(error)) => {
            all = Err(error);
            ControlFlow::Break(())
        }
        (Err(_), _) => ControlFlow::Break(()),
    })?;
    all
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
        classes.add(Arc::new(Class::new(&leaf, record.leaf, bytes, record.find)?));
    }
    Ok((classes, counts))
}

/// Rebuilds the wheels of a class from its rows: two look-ups a page, whatever it holds.
fn restore_pages(kv: &dyn Kv, index: &Index, class: &Class, now_ms: i64) -> Result<()> {
    let settled_to = last_settled_slot(kv, class.id)?;
    let now = u64::try_from(now_ms).unwrap_or(0);
    for shard in 0..index.shards() {
        index.lock(shard).add_class(class, now_ms, settled_to);
    }
    for (page, rows) in live_pages(kv, class.id)? {
        if usize::from(page.shard) >= index.shards() {
            return Err(Error::corrupt(format!("page {page} is of a shard that does not exist")));
        }
        let carried = kv.get(Family::Meta, &schema::carried_page_key(page))?;
        let earliest_ceiling_ms = match carried.as_deref().map(<[u8; 8]>::try_from) {
            Some(Ok(bytes)) => i64::from_be_bytes(bytes),
            Some(Err(_)) => {
                return Err(Error::corrupt(format!("the record of carried page {page} is malformed")));
            }
            // Where objects may have been overdue already when they were registered, the slot does not tell.
            None if page.slot % class.definition.slot_ms != 0 || page.slot <= now => i64::MIN,
            None => class.earliest_ceiling_ms(page.slot),
        };
        let full = rows >= PAGE_ROWS_MAX || carried.is_some();
        let state = if full { PageState::Closed } else { PageState::Open };
        index
            .lock(page.shard.into())
            .restore(page, Page { part: page.part, rows, state, earliest_ceiling_ms })?;
    }
    Ok(())
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

fn load_planner(kv: &dyn Kv, index: &Index) -> Result<Planner> {
    let last_batch = match kv.get(Family::Meta, schema::BATCH)?.map(<[u8; 8]>::try_from) {
        None => 0,
        Some(Ok(bytes)) => u64::from_be_bytes(bytes),
        Some(Err(_)) => return Err(Error::corrupt("the number of the last batch is malformed")),
    };
    let intents = collect(kv, Family::Meta, &schema::prefix(b"intent/"), |_, value| Intent::decode(value))?;
    for intent in &intents {
        let pages: Vec<PageId> = intent.pages.iter().map(|page| page.page).collect();
        if index.take(&pages) != intent.pages {
            return Err(Error::corrupt(format!(
                "the intent of batch {} names rows that the index does not have; restore a backup",
                intent.batch
            )));
        }
    }
    Ok(Planner { last_batch, unfinished: intents.into() })
}

fn define_classes(core: &Core, options: &Options, now_ms: i64) -> Result<()> {
    for definition in options.classes.iter() {
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
    let mut live = 0_u64;
    core.index.each_page(&mut |page, found| {
        live += if page.class == class.id { u64::from(found.rows) } else { 0 };
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
    let intents = std::mem::take(&mut core.planner.lock().unfinished);
    for intent in intents {
        match from_files(core, &intent, now_ms)? {
            Some(evidence) => {
                for to in evidence.to() {
                    let state = PageState::Reserved;
                    let page =
                        Page { part: to.page.part, rows: to.rows, state, earliest_ceiling_ms: i64::MIN };
                    core.index.lock(to.page.shard.into()).restore(to.page, page)?;
                }
                Committer::default().commit(core, evidence, now_ms)?;
            }
            None => core.planner.lock().unfinished.push_back(intent),
        }
    }
    Ok(())
}

/// The evidence of an intent whose files were finished before the crash.
fn from_files(core: &Core, intent: &Intent, now_ms: i64) -> Result<Option<Evidence>> {
    let paths = Paths::of(intent.batch);
    let Some(tombstones) = core.files.read(&paths.tombstones)? else { return Ok(None) };
    let carries = core.files.read(&paths.carries)?.filter(|_| !intent.to.is_empty());
    let openings = core.files.read(&paths.openings)?;
    let batch = plan::read(core, intent.clone(), true, now_ms)?;
    let Some(fates) = fates_of_files(intent, &tombstones, carries.as_deref()) else { return Ok(None) };
    let Some(evidence) = evidence::rebuild(core, batch, fates)? else { return Ok(None) };
    Ok(evidence.matches(&tombstones, carries.as_deref(), openings.as_deref()).then_some(evidence))
}

/// The fate of every row of the intent, in order, if the files give each exactly one.
fn fates_of_files(intent: &Intent, tombstones: &[u8], carries: Option<&[u8]>) -> Option<Vec<Fate>> {
    let tombstones = EvidenceFile::parse(tombstones, FileKind::Tombstones).ok()?;
    let carries = carries.map(|bytes| EvidenceFile::parse(bytes, FileKind::Carries)).transpose().ok()?;
    let mut fates: BTreeMap<(u32, u32), Fate> = BTreeMap::new();
    for t in tombstones.tombstones() {
        fates.insert((t.page, t.seq), Fate::Ends { method: t.method, time_ms: t.time_ms });
    }
    for c in carries.iter().flat_map(EvidenceFile::carries) {
        fates.insert((c.page, c.seq), Fate::LivesOn { cause: c.cause, time_ms: c.time_ms });
    }
    let rows =
        (0_u32..).zip(&intent.pages).flat_map(|(page, rows)| (0..rows.rows).map(move |seq| (page, seq)));
    rows.map(|row| fates.remove(&row)).collect()
}
