//! Requests: taking and cancelling. A sweep carries them out.

use crate::model::class::Class;
use crate::model::request::{Request, RequestKind, RequestState};
use crate::model::schema::{self, Flags, Row};
use crate::model::selector::Selector;
use crate::model::text::check_text;
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::kv::{self, ColumnFamily, WriteSet};
use crate::registration::change::check_compatible;
use crate::state::core::{Core, Planner};
use sexton_proof::window::{Calendar, Span, Window};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Longest span in which an erasure can be cancelled, ms: a year.
const CANCELLABLE_MAX_MS: i64 = 366 * 86_400_000;

/// Erasure to be taken: a person's request that their data be deleted before the ceiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Objects to erase: those of a subject, or keys.
    pub selector: Selector,
    /// Instant at which the request was received, Unix ms; not in the future.
    pub received_ms: i64,
    /// Span from `received_ms` within which the request is to be answered, in UTC; `None` if nothing was promised.
    pub within: Option<Span>,
    /// Days that are no working days, if `within` is in working days.
    pub calendar: Calendar,
    /// Span from `received_ms` in which the erasure can be cancelled, ms, at most a year. Nothing is erased before its end.
    /// 0 means that erasing begins at once.
    pub cancellable_ms: i64,
    /// Reason, for people: 1 to 1,000 bytes.
    pub reason: String,
    /// Person who recorded the request: 1 to 1,000 bytes.
    pub author: String,
}

/// Makes a request of `kind` that was received and is ready now. Its number is taken for good; see [`stage_request`].
pub(crate) fn new_request(core: &Core, kind: RequestKind, selector: Selector, now_ms: i64) -> Request {
    let number = core.governance.last_request.fetch_add(1, Ordering::SeqCst) + 1;
    Request {
        number,
        kind,
        selector,
        reason: String::new(),
        author: String::new(),
        received_ms: now_ms,
        ready_ms: now_ms,
        answer_by_ms: None,
        state: RequestState::Waiting,
        changed_ms: now_ms,
        objects: 0,
    }
}

/// Stages a request, and the last number taken, so that no later request gets the same number.
pub(crate) fn stage_request(core: &Core, set: &mut WriteSet, request: &Request) -> Result<()> {
    set.put(ColumnFamily::Meta, &schema::request_key(request.number), &schema::to_json(request)?);
    let last = core.governance.last_request.load(Ordering::SeqCst);
    set.put(ColumnFamily::Meta, schema::REQUEST, &schema::encode_number(last.into()));
    Ok(())
}

/// Makes a request durable, in one write with `set`. The caller holds the planner's lock.
///
/// A crash before the write leaves no request, and the caller was told of none.
pub(crate) fn store(core: &Core, mut set: WriteSet, request: Request) -> Result<Request> {
    stage_request(core, &mut set, &request)?;
    core.writer.write_durably(set)?;
    core.governance.requests.lock().insert(request.number, request.clone());
    Ok(request)
}

/// Takes an erasure, durably. Returns the request.
///
/// # Errors
/// `Invalid` if the selector, a text, an instant or a span is not allowed; `NotFound` if no live object belongs to the
/// subject; `Forked`, `Poisoned`, `Io`.
pub(crate) fn erase(core: &Core, erasure: Erasure, now_ms: i64) -> Result<Request> {
    core.check_writable()?;
    check_erasure(&erasure, now_ms)?;
    let answer_by_ms = answer_by_ms(&erasure)?;
    let ready_ms = erasure.received_ms.saturating_add(erasure.cancellable_ms);
    if answer_by_ms.is_some_and(|answer_by_ms| answer_by_ms < ready_ms) {
        return Err(Error::invalid(
            "it could be cancelled for longer than it may take; shorten the one or lengthen the other",
        ));
    }
    // A list of keys may name objects that are gone. A subject without a live object is most likely a mistake.
    if matches!(erasure.selector, Selector::Subject(_)) && !is_known(core, &erasure.selector)? {
        return Err(Error::not_found(format!(
            "nothing that lives belongs to {}: there is nothing to erase",
            erasure.selector.describe()
        )));
    }
    let planner = core.batches.planner.lock();
    let request = Request {
        reason: erasure.reason,
        author: erasure.author,
        received_ms: erasure.received_ms,
        ready_ms,
        answer_by_ms,
        ..new_request(core, RequestKind::Erase, erasure.selector, now_ms)
    };
    let request = store(core, WriteSet::default(), request)?;
    drop(planner);
    Ok(request)
}

/// Refuses an erasure that does not make sense by itself.
fn check_erasure(erasure: &Erasure, now_ms: i64) -> Result<()> {
    if !matches!(erasure.selector, Selector::Subject(_) | Selector::Keys(_)) {
        return Err(Error::invalid(format!(
            "an erasure of {}; it takes a subject or keys (to end a class, close it)",
            erasure.selector.describe()
        )));
    }
    erasure.selector.check()?;
    check_text("reason", &erasure.reason)?;
    check_text("author", &erasure.author)?;
    if erasure.received_ms > now_ms {
        return Err(Error::invalid(format!(
            "received {} ms lies in the future (now is {now_ms} ms)",
            erasure.received_ms
        )));
    }
    if !(0..=CANCELLABLE_MAX_MS).contains(&erasure.cancellable_ms) {
        return Err(Error::invalid(format!(
            "cancellable for {} ms; 0 to {CANCELLABLE_MAX_MS} ms are allowed",
            erasure.cancellable_ms
        )));
    }
    Ok(())
}

/// Returns `true` if the selector covers a live object. It reads rows until it finds one, and all of them if there is none.
pub(crate) fn is_known(core: &Core, selector: &Selector) -> Result<bool> {
    for class in core.classes.all() {
        if is_known_in(core, &class, selector)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_known_in(core: &Core, class: &Class, selector: &Selector) -> Result<bool> {
    let mut pages = Vec::new();
    core.schedule.each_page(&mut |id, page| {
        if id.class == class.id && page.live() > 0 {
            pages.push(id);
        }
    });
    let covers = |row: &Row<'_>| {
        !row.flags.has(Flags::MOVED) && selector.covers(&class.definition.name, row.key, row.subject)
    };
    let mut found = false;
    for page in pages {
        kv::try_scan(&*core.kv, ColumnFamily::Rows(class.id), &schema::page_row_range(page), |_, value| {
            found = covers(&Row::decode(value)?);
            Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if found {
            break;
        }
    }
    Ok(found)
}

/// Returns the instant by which an erasure is to be answered, Unix ms; `None` if nothing was promised.
fn answer_by_ms(erasure: &Erasure) -> Result<Option<i64>> {
    let Some(within) = erasure.within else { return Ok(None) };
    let window = Window::new(None, Some(within), "UTC", &erasure.calendar)
        .map_err(|e| Error::invalid(format!("within {within}: {e}")))?;
    let bounds = window
        .bounds(erasure.received_ms)
        .map_err(|e| Error::invalid(format!("within {within} of {} ms: {e}", erasure.received_ms)))?;
    Ok(Some(bounds.ceiling_ms))
}

/// Cancels an erasure, durably. Cancelling it again is a no-op.
///
/// # Errors
/// `NotFound` if there is no such request; `Invalid` if it is not an erasure; `TooLate` if its period has ended or a sweep
/// looks for its objects; `Forked`, `Poisoned`, `Io`.
pub(crate) fn cancel(core: &Core, number: u32, now_ms: i64) -> Result<Request> {
    core.check_writable()?;
    // Under the planner's lock no sweep begins between this check and the write.
    let planner = core.batches.planner.lock();
    let request = get(core, number)?;
    if request.kind != RequestKind::Erase {
        return Err(Error::invalid(format!("request {number} is no erasure; only those can be cancelled")));
    }
    match request.state {
        RequestState::Waiting if now_ms < request.ready_ms && !is_swept(&planner, number) => {}
        RequestState::Cancelled => return Ok(request),
        _ => {
            return Err(Error::new(
                ErrorKind::TooLate,
                format!("erasure {number} could be cancelled until {} ms; it is final", request.ready_ms),
            ));
        }
    }
    let request = Request { state: RequestState::Cancelled, changed_ms: now_ms, ..request };
    let request = store(core, WriteSet::default(), request)?;
    drop(planner);
    Ok(request)
}

/// Returns `true` if the sweep under way looks for the objects of the request.
fn is_swept(planner: &Planner, number: u32) -> bool {
    planner.sweep.iter().flat_map(|sweep| &sweep.active).any(|active| active.request.number == number)
}

/// Returns the earliest instant at which a waiting request is ready for a sweep, Unix ms; `None` if none waits.
pub(crate) fn next_ready_ms(core: &Core) -> Option<i64> {
    let requests = core.governance.requests.lock();
    let waiting = requests.values().filter(|request| request.state == RequestState::Waiting);
    waiting.map(|request| request.ready_ms).min()
}

/// Returns the request with this number.
pub(crate) fn get(core: &Core, number: u32) -> Result<Request> {
    let found = core.governance.requests.lock().get(&number).cloned();
    found.ok_or_else(|| Error::not_found(format!("there is no request {number}")))
}

/// Closes a class down, or all classes, durably. It takes no registrations from now on. Its live objects are deleted with
/// the notice of a slot, or when their floor has passed.
///
/// # Errors
/// `Invalid` if the class is unknown, the selector is neither a class nor everything, or a text is empty or too long;
/// `Forked`, `Poisoned`, `Io`.
pub(crate) fn close(
    core: &Core,
    selector: Selector,
    reason: &str,
    author: &str,
    now_ms: i64,
) -> Result<Request> {
    core.check_writable()?;
    check_text("reason", reason)?;
    check_text("author", author)?;
    let names: Vec<String> = match &selector {
        Selector::Class(name) => vec![core.classes.read().known(name)?.definition.name.clone()],
        Selector::Everything => core.classes.read().names().iter().map(|name| (*name).to_owned()).collect(),
        other => {
            return Err(Error::invalid(format!(
                "{} cannot be closed; a class can, or everything",
                other.describe()
            )));
        }
    };
    let planner = core.batches.planner.lock();
    let mut set = WriteSet::default();
    for name in &names {
        set.put(ColumnFamily::Meta, &schema::closed_key(name), &schema::encode_instant(now_ms));
    }
    let request = Request {
        reason: reason.to_owned(),
        author: author.to_owned(),
        ..new_request(core, RequestKind::Close, selector, now_ms)
    };
    // The gate waits for calls that saw the class open: their rows are written when it is taken, and later calls are
    // refused. A crash before the write below leaves the class open, and the caller was told of no closing.
    let closing = core.classes.closing.write();
    core.classes.write().close(&names);
    drop(closing);
    let request = store(core, set, request)?;
    drop(planner);
    Ok(request)
}

/// Takes the request to put the objects of a class's earlier versions under its newest version, durably.
///
/// # Errors
/// `Invalid` if the class is unknown, a text is empty or too long, or a version with live objects has another `find` or
/// `openings` rule; `Forked`, `Poisoned`, `Io`.
pub(crate) fn apply_class(
    core: &Core,
    name: &str,
    reason: &str,
    author: &str,
    now_ms: i64,
) -> Result<Request> {
    core.check_writable()?;
    check_text("reason", reason)?;
    check_text("author", author)?;
    let newest = Arc::clone(core.classes.read().known(name)?);
    let mut lived_in = BTreeSet::new();
    core.schedule.each_page(&mut |id, page| {
        lived_in.extend((page.live() > 0).then_some(id.class));
    });
    for earlier in core.classes.read().iter().filter(|class| lived_in.contains(&class.id)) {
        if earlier.definition.name == name && earlier.id < newest.id {
            check_compatible(earlier, &newest)?;
        }
    }
    let planner = core.batches.planner.lock();
    let kind = RequestKind::Apply { class: newest.id };
    let request = Request {
        reason: reason.to_owned(),
        author: author.to_owned(),
        ..new_request(core, kind, Selector::Class(name.to_owned()), now_ms)
    };
    let request = store(core, WriteSet::default(), request)?;
    drop(planner);
    Ok(request)
}
