//! Taking, cancelling and listing requests.

use crate::class::Class;
use crate::core::{Core, Planner};
use crate::error::{Error, ErrorKind, Result};
use crate::hold::check_text;
use crate::kv::{self, Family, WriteSet};
use crate::request::{Request, RequestKind, RequestState};
use crate::schema::{self, Flags, Row};
use crate::selector::Selector;
use sexton_proof::window::{Calendar, Span, Window};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Longest time in which an erasure can be cancelled, ms: a year.
const CANCELLABLE_MAX_MS: i64 = 366 * 86_400_000;

/// An erasure that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Whose or which objects: a subject or keys.
    pub selector: Selector,
    /// When the request was received, Unix ms; not in the future.
    pub received_ms: i64,
    /// Within what time from then it is to be answered, if that was promised; in UTC.
    pub within: Option<Span>,
    /// The days on which nobody works, where `within` is in working days.
    pub calendar: Calendar,
    /// How long it can be cancelled, ms from `received_ms` on; nothing is erased before. 0: at once.
    pub cancellable_ms: i64,
    /// Why, for people.
    pub reason: String,
    /// Who recorded it.
    pub author: String,
}

/// A request of `kind`, received and ready now.
pub(crate) fn new(core: &Core, kind: RequestKind, selector: Selector, now_ms: i64) -> Request {
    let number = core.last_request.fetch_add(1, Ordering::SeqCst) + 1;
    Request {
        number,
        kind,
        selector,
        reason: String::new(),
        author: String::new(),
        received_ms: now_ms,
        ready_ms: now_ms,
        due_ms: None,
        state: RequestState::Waiting,
        changed_ms: now_ms,
        objects: 0,
    }
}

/// Stages a request, and that its number is taken for ever.
pub(crate) fn stage(core: &Core, set: &mut WriteSet, request: &Request) -> Result<()> {
    set.put(Family::Meta, &schema::request_key(request.number), &schema::to_json(request)?);
    let last = core.last_request.load(Ordering::SeqCst);
    set.put(Family::Meta, schema::REQUEST, &u64::from(last).to_be_bytes());
    Ok(())
}

/// Makes a request durable; the caller holds the planner's lock. A crash before the write leaves no request, and nobody was told of one.
pub(crate) fn store(core: &Core, mut set: WriteSet, request: Request) -> Result<Request> {
    stage(core, &mut set, &request)?;
    core.writer.write_durably(set)?;
    core.requests.lock().insert(request.number, request.clone());
    Ok(request)
}

/// Takes an erasure.
pub(crate) fn erase(core: &Core, erasure: Erasure, now_ms: i64) -> Result<Request> {
    core.check_writable()?;
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
    let due_ms = due_ms(&erasure)?;
    let ready_ms = erasure.received_ms.saturating_add(erasure.cancellable_ms);
    if due_ms.is_some_and(|due_ms| due_ms < ready_ms) {
        return Err(Error::invalid(
            "it could be cancelled for longer than it may take; shorten the one or lengthen the other",
        ));
    }
    // A list of keys may name what is gone already; a subject of whom nothing is stored is a wrong subject.
    if matches!(erasure.selector, Selector::Subject(_)) && !is_known(core, &erasure.selector)? {
        return Err(Error::not_found(format!(
            "nothing that lives belongs to {}: there is nothing to erase",
            erasure.selector.describe()
        )));
    }
    let planner = core.planner.lock();
    let request = Request {
        reason: erasure.reason,
        author: erasure.author,
        received_ms: erasure.received_ms,
        ready_ms,
        due_ms,
        ..new(core, RequestKind::Erase, erasure.selector, now_ms)
    };
    let request = store(core, WriteSet::default(), request)?;
    drop(planner);
    Ok(request)
}

/// Whether anything that lives is covered: rows are read until one is, all of them where none is.
pub(crate) fn is_known(core: &Core, selector: &Selector) -> Result<bool> {
    let classes: Vec<_> = core.classes.read().iter().cloned().collect();
    for class in classes {
        if lives_in(core, &class, selector)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lives_in(core: &Core, class: &Class, selector: &Selector) -> Result<bool> {
    let mut pages = Vec::new();
    core.index.each_page(&mut |id, page| {
        if id.class == class.id && page.live() > 0 {
            pages.push(id);
        }
    });
    let covers = |row: &Row<'_>| {
        !row.flags.has(Flags::MOVED) && selector.covers(&class.definition.name, row.key, row.subject)
    };
    let mut found = false;
    for page in pages {
        kv::try_scan(&*core.kv, Family::Rows(class.id), &schema::page_rows(page), |_, value| {
            found = covers(&Row::decode(value)?);
            Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if found {
            break;
        }
    }
    Ok(found)
}

fn due_ms(erasure: &Erasure) -> Result<Option<i64>> {
    let Some(within) = erasure.within else { return Ok(None) };
    let window = Window::new(None, Some(within), "UTC", &erasure.calendar)
        .map_err(|e| Error::invalid(format!("within {within}: {e}")))?;
    let bounds = window
        .bounds(erasure.received_ms)
        .map_err(|e| Error::invalid(format!("within {within} of {} ms: {e}", erasure.received_ms)))?;
    Ok(Some(bounds.ceiling_ms))
}

/// Cancels an erasure that may still be cancelled.
pub(crate) fn cancel(core: &Core, number: u32, now_ms: i64) -> Result<Request> {
    core.check_writable()?;
    // Under the planner's lock no sweep can begin between the look and the write.
    let planner = core.planner.lock();
    let request = get(core, number)?;
    if request.kind != RequestKind::Erase {
        return Err(Error::invalid(format!("request {number} is no erasure; only those can be cancelled")));
    }
    match request.state {
        RequestState::Waiting if now_ms < request.ready_ms && !is_sought(&planner, number) => {}
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

/// Whether a sweep looks for the objects of the request.
fn is_sought(planner: &Planner, number: u32) -> bool {
    planner.sweep.iter().flat_map(|sweep| &sweep.active).any(|active| active.request.number == number)
}

/// When the objects of the next request are to be looked for.
pub(crate) fn next_ready_ms(core: &Core) -> Option<i64> {
    let requests = core.requests.lock();
    let waiting = requests.values().filter(|request| request.state == RequestState::Waiting);
    waiting.map(|request| request.ready_ms).min()
}

/// The request of that number.
pub(crate) fn get(core: &Core, number: u32) -> Result<Request> {
    let found = core.requests.lock().get(&number).cloned();
    found.ok_or_else(|| Error::not_found(format!("there is no request {number}")))
}

/// Closes down a class: it takes no registrations any more, and what lives in it goes with a slot's notice, or at its
/// floor.
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
    let planner = core.planner.lock();
    let mut set = WriteSet::default();
    for name in &names {
        set.put(Family::Meta, &schema::closed_key(name), &now_ms.to_be_bytes());
    }
    let request = Request {
        reason: reason.to_owned(),
        author: author.to_owned(),
        ..new(core, RequestKind::Close, selector, now_ms)
    };
    // Registrations are refused from here on, and those that were not are written. A crash before the write below opens
    // the class again, and nobody was told.
    let closing = core.closing.write();
    core.classes.write().close(&names);
    drop(closing);
    let request = store(core, set, request)?;
    drop(planner);
    Ok(request)
}

/// Applies the newest version of a class to what was registered under earlier ones.
pub(crate) fn apply(core: &Core, name: &str, reason: &str, author: &str, now_ms: i64) -> Result<Request> {
    core.check_writable()?;
    check_text("reason", reason)?;
    check_text("author", author)?;
    let newest = Arc::clone(core.classes.read().known(name)?);
    let mut lived_in = BTreeSet::new();
    core.index.each_page(&mut |id, page| {
        lived_in.extend((page.live() > 0).then_some(id.class));
    });
    for earlier in core.classes.read().iter().filter(|class| lived_in.contains(&class.id)) {
        if earlier.definition.name == name && earlier.id < newest.id {
            crate::change::check_compatible(earlier, &newest)?;
        }
    }
    let planner = core.planner.lock();
    let kind = RequestKind::Apply { class: newest.id };
    let request = Request {
        reason: reason.to_owned(),
        author: author.to_owned(),
        ..new(core, kind, Selector::Class(name.to_owned()), now_ms)
    };
    let request = store(core, WriteSet::default(), request)?;
    drop(planner);
    Ok(request)
}
