//! Requests: recording and cancelling. A sweep carries them out.

use crate::model::class::Class;
use crate::model::clock_guard::Trusted;
use crate::model::request::{Request, RequestKind, RequestState};
use crate::model::schema::{self, Flags, Row};
use crate::model::selector::Selector;
use crate::model::text::Attribution;
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::kv::{self, ColumnFamily, WriteSet};
use crate::registration::change::check_compatible;
use crate::state::core::{Core, Planner};
use sexton_proof::time::Timestamp;
use sexton_proof::window::{Calendar, Span, Window};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest span in which an erasure can be cancelled: 366 days.
const CANCELLABLE_MAX: Duration = Duration::from_hours(366 * 24);

/// Erasure to be recorded: a person's request that their data be deleted before the ceiling.
///
/// [`Erasure::new`] makes one that begins at once and promises no answer. The other methods change that.
///
/// ```
/// use sexton::{Attribution, Erasure, Selector, Timestamp};
/// use std::time::Duration;
/// let received = Timestamp::from_unix_ms(1_767_225_600_000); // 2026-01-01
/// let who = Attribution::new("privacy desk", "letter of 2026-01-01");
/// let erasure = Erasure::new(Selector::Subject(b"user-7".to_vec()), received, who)
///     .within("30d".parse()?)
///     .cancellable(Duration::from_hours(24));
/// assert_eq!(erasure.received, received);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erasure {
    /// Objects to erase: those of a subject, or keys.
    pub selector: Selector,
    /// Instant at which the request was received. Not in the future; while the clock is in doubt, by either clock.
    pub received: Timestamp,
    /// Span from `received` within which the request is to be answered, in UTC; `None` if nothing was promised.
    pub within: Option<Span>,
    /// Days that are no working days, if `within` is in working days.
    pub calendar: Calendar,
    /// Span from `received` in which the erasure can be cancelled, at most 366 days. Nothing is erased before its end.
    /// Zero means that erasing begins at once.
    pub cancellable: Duration,
    /// Reason for the request, and the person who recorded it.
    pub attribution: Attribution,
}

impl Erasure {
    /// Returns the erasure of `selector`, received at `received`. It cannot be cancelled, and no answer is promised.
    #[must_use]
    pub fn new(selector: Selector, received: Timestamp, attribution: Attribution) -> Self {
        Erasure {
            selector,
            received,
            within: None,
            calendar: Calendar::default(),
            cancellable: Duration::ZERO,
            attribution,
        }
    }

    /// Sets the span within which the request is to be answered.
    #[must_use]
    pub fn within(self, within: Span) -> Self {
        Erasure { within: Some(within), ..self }
    }

    /// Sets the days that are no working days.
    #[must_use]
    pub fn calendar(self, calendar: Calendar) -> Self {
        Erasure { calendar, ..self }
    }

    /// Sets the span in which the erasure can be cancelled.
    #[must_use]
    pub fn cancellable(self, cancellable: Duration) -> Self {
        Erasure { cancellable, ..self }
    }
}

/// Makes a request of `kind` that was received and is ready now. Its number is taken for good; see [`stage_request`].
pub(crate) fn new_request(
    core: &Core,
    kind: RequestKind,
    selector: Selector,
    attribution: Attribution,
    now: Timestamp,
) -> Request {
    let number = core.governance.last_request.fetch_add(1, Ordering::SeqCst) + 1;
    Request::new(number, kind, selector, attribution, now)
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
/// A crash before the write leaves no request, and no success was reported.
pub(crate) fn store(core: &Core, mut set: WriteSet, request: Request) -> Result<Request> {
    stage_request(core, &mut set, &request)?;
    core.writer.write_durably(set)?;
    core.governance.requests.lock().insert(request.number, request.clone());
    Ok(request)
}

/// Records an erasure, durably. Returns the request.
///
/// # Errors
/// `Invalid` if the selector, a text, an instant or a span is not allowed; `NotFound` if no live object belongs to the
/// subject; `Forked`, `Poisoned`, `Full`, `Io`.
pub(crate) fn erase(core: &Core, erasure: Erasure) -> Result<Request> {
    core.check_writable()?;
    check_erasure(&erasure)?;
    let answer_by = answer_by(&erasure)?;
    let ready = erasure.received.saturating_add(erasure.cancellable);
    if answer_by.is_some_and(|answer_by| answer_by < ready) {
        return Err(Error::invalid(
            "it could be cancelled for longer than it may take; shorten the one or lengthen the other",
        ));
    }
    // A list of keys may name objects that are gone. A subject without a live object is most likely a mistake.
    if matches!(erasure.selector, Selector::Subject(_)) && !is_known(core, &erasure.selector)? {
        return Err(Error::not_found(format!(
            "no live object has {}: there is nothing to erase",
            erasure.selector.describe()
        )));
    }
    let planner = core.batches.planner.lock();
    let now = core.now(&*planner);
    check_received(erasure.received, now)?;
    let now = now.now;
    let request = Request {
        received: erasure.received,
        ready,
        answer_by,
        ..new_request(core, RequestKind::Erase, erasure.selector, erasure.attribution, now)
    };
    let request = store(core, WriteSet::default(), request)?;
    drop(planner);
    Ok(request)
}

/// Refuses an erasure with an invalid selector or text, or a `cancellable` span that is too long.
fn check_erasure(erasure: &Erasure) -> Result<()> {
    if !matches!(erasure.selector, Selector::Subject(_) | Selector::Keys(_)) {
        return Err(Error::invalid(format!(
            "an erasure of {}; it takes a subject or keys (to end a class, close it)",
            erasure.selector.describe()
        )));
    }
    erasure.selector.check()?;
    erasure.attribution.check()?;
    if erasure.cancellable > CANCELLABLE_MAX {
        return Err(Error::invalid(format!(
            "cancellable for {} ms; 0 to {} ms are allowed",
            erasure.cancellable.as_millis(),
            CANCELLABLE_MAX.as_millis()
        )));
    }
    Ok(())
}

/// Refuses a receipt in the future. In doubt the later clock counts, because a true date must not be refused.
fn check_received(received: Timestamp, now: Trusted) -> Result<()> {
    let latest = now.latest();
    if received > latest {
        return Err(Error::invalid(format!("received {received} lies in the future (now is {latest})")));
    }
    Ok(())
}

/// Has open requests count as received at `now`, durably, if their receipt lies after it: a wrong clock stated it. Called once
/// the clock is in no doubt. The caller holds the planner's lock.
///
/// A crash before the write leaves the requests, and the next planning does it.
pub(crate) fn bring_back(core: &Core, now: Timestamp) -> Result<()> {
    let is_future = |request: &&Request| request.is_open() && request.received > now;
    let back = |request: &Request| request.received_earlier(request.received.since(now));
    let moved: Vec<Request> = core.governance.requests.lock().values().filter(is_future).map(back).collect();
    if moved.is_empty() {
        return Ok(());
    }
    let mut set = WriteSet::default();
    for request in &moved {
        set.put(ColumnFamily::Meta, &schema::request_key(request.number), &schema::to_json(request)?);
    }
    core.writer.write_durably(set)?;
    let mut requests = core.governance.requests.lock();
    moved.into_iter().for_each(|request| requests.insert(request.number, request));
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
        !row.flags.has(Flags::MOVED) && selector.covers(&class.definition.name, row.names(), row.subject)
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

/// Returns the instant by which an erasure is to be answered; `None` if nothing was promised.
fn answer_by(erasure: &Erasure) -> Result<Option<Timestamp>> {
    let Some(within) = erasure.within else { return Ok(None) };
    let window = Window::new(None, Some(within), "UTC", &erasure.calendar)
        .map_err(|e| Error::invalid(format!("within {within}: {e}")))?;
    let bounds = window
        .bounds(erasure.received)
        .map_err(|e| Error::invalid(format!("within {within} of {}: {e}", erasure.received)))?;
    Ok(bounds.ceiling)
}

/// Cancels an erasure, durably. Cancelling it again is a no-op.
///
/// # Errors
/// `NotFound` if there is no such request; `Invalid` if it is not an erasure; `TooLate` if its period has ended or a
/// sweep looks for its objects; `Forked`, `Poisoned`, `Full`, `Io`.
pub(crate) fn cancel(core: &Core, number: u32) -> Result<Request> {
    core.check_writable()?;
    // Under the planner's lock no sweep begins between this check and the write.
    let planner = core.batches.planner.lock();
    let now = core.now(&*planner).now;
    let request = get(core, number)?;
    if request.kind != RequestKind::Erase {
        return Err(Error::invalid(format!("request {number} is no erasure; only those can be cancelled")));
    }
    match request.state {
        RequestState::Waiting if now < request.ready && !is_swept(&planner, number) => {}
        RequestState::Cancelled => return Ok(request),
        _ => {
            return Err(Error::new(
                ErrorKind::TooLate,
                format!("erasure {number} could be cancelled until {}; it is final", request.ready),
            ));
        }
    }
    let request = Request { state: RequestState::Cancelled, changed: now, ..request };
    let request = store(core, WriteSet::default(), request)?;
    drop(planner);
    Ok(request)
}

/// Returns `true` if the sweep under way looks for the objects of the request.
fn is_swept(planner: &Planner, number: u32) -> bool {
    planner.sweep.iter().flat_map(|sweep| &sweep.active).any(|active| active.request.number == number)
}

/// Returns the earliest instant at which a waiting request is ready for a sweep; `None` if none waits.
pub(crate) fn next_ready(core: &Core) -> Option<Timestamp> {
    let requests = core.governance.requests.lock();
    let waiting = requests.values().filter(|request| request.state == RequestState::Waiting);
    waiting.map(|request| request.ready).min()
}

/// Returns the request with this number.
pub(crate) fn get(core: &Core, number: u32) -> Result<Request> {
    let found = core.governance.requests.lock().get(&number).cloned();
    found.ok_or_else(|| Error::not_found(format!("there is no request {number}")))
}

/// Closes a class down, or all classes, durably. A closed class takes no registrations. Its live objects are deleted
/// with the notice of a slot, or when their floor has passed.
///
/// # Errors
/// `Invalid` if the class is unknown, the selector is neither a class nor everything, or a text is empty or too long;
/// `Forked`, `Poisoned`, `Full`, `Io`.
pub(crate) fn close(core: &Core, selector: Selector, attribution: Attribution) -> Result<Request> {
    core.check_writable()?;
    attribution.check()?;
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
    let now = core.now(&*planner).now;
    let mut set = WriteSet::default();
    for name in &names {
        set.put(ColumnFamily::Meta, &schema::closed_key(name), &schema::encode_instant(now));
    }
    let request = new_request(core, RequestKind::Close, selector, attribution, now);
    // The gate waits for calls that saw the class open: their rows are written when it is taken, and later calls are
    // refused. A crash before the write below leaves the class open, and no success was reported.
    let closing = core.classes.closing.write();
    core.classes.write().close(&names);
    drop(closing);
    let request = store(core, set, request)?;
    drop(planner);
    Ok(request)
}

/// Records the request to put the objects of a class's earlier versions under its newest version, durably.
///
/// # Errors
/// `Invalid` if the class is unknown, a text is empty or too long, or a version with live objects has another `find` or
/// `openings` rule; `Forked`, `Poisoned`, `Full`, `Io`.
pub(crate) fn apply_class(core: &Core, name: &str, attribution: Attribution) -> Result<Request> {
    core.check_writable()?;
    attribution.check()?;
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
    let now = core.now(&*planner).now;
    let kind = RequestKind::Apply { class: newest.id };
    let request = new_request(core, kind, Selector::Class(name.to_owned()), attribution, now);
    let request = store(core, WriteSet::default(), request)?;
    drop(planner);
    Ok(request)
}
