//! What people decide about what is registered, and what they are shown.

use super::{Engine, read};
use crate::alarm::Alarm;
use crate::alarms;
use crate::answers::{self, Item};
use crate::error::Result;
use crate::feed::{self, FeedEntry};
use crate::hold::{Hold, NewHold};
use crate::legal::{self, Placed};
use crate::preview::{self, Action, Forecast};
use crate::register::{self, Durability, Manner, Registered, Registration};
use crate::request::Request;
use crate::requests::{self, Erasure};
use crate::screen::{self, Screened};
use crate::selector::Selector;
use crate::status::{self, Status};
use sexton_proof::record::Reason;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

impl Engine {
    /// Places a legal hold: what it covers, now and later, is not deleted until it is lifted. After `Ok` it survives
    /// the loss of power. What was on its way to deletion already is in the answer.
    ///
    /// # Errors
    /// `Invalid` where the selector is empty, a text is missing, the name is taken or the class unknown; `Forked`,
    /// `Poisoned`, `Io`.
    pub fn place_hold(&self, hold: NewHold) -> Result<Placed> {
        legal::place(&self.core, hold, self.now_ms())
    }

    /// Lifts the hold named `name`. What it kept past its ceiling goes when `grace_ms` have passed, what is still in
    /// its window goes in time; what an event hold covered counts from now on. After `Ok` that survives the loss of
    /// power; the objects are found at the next planning.
    ///
    /// # Errors
    /// `NotFound` where no such hold stands; `Invalid`, `Forked`, `Poisoned`, `Io`.
    pub fn lift_hold(&self, name: &str, reason: &str, author: &str, grace_ms: i64) -> Result<Hold> {
        legal::lift(&self.core, name, reason, author, grace_ms, self.now_ms())
    }

    /// All legal holds, lifted ones too.
    pub fn holds(&self) -> Vec<Hold> {
        self.core.holds.read().iter().cloned().collect()
    }

    /// Takes an erasure. After `Ok` it survives the loss of power. When it can no longer be cancelled, the next
    /// planning finds its objects, and each goes as soon as its floor allows and no hold covers it. It covers what is
    /// registered by then, not what comes later.
    ///
    /// # Errors
    /// `NotFound` where nothing that lives belongs to the subject, which takes reading every row; `Invalid` with the value and the bound; `Forked`, `Poisoned`, `Io`.
    pub fn erase(&self, erasure: Erasure) -> Result<Request> {
        requests::erase(&self.core, erasure, self.now_ms())
    }

    /// Whether anything that lives is covered. Rows are read until one is, all of them where none is.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn is_known(&self, selector: &Selector) -> Result<bool> {
        requests::is_known(&self.core, selector)
    }

    /// Cancels an erasure that may still be cancelled. Doing it again is fine.
    ///
    /// # Errors
    /// `NotFound`, `TooLate` where it is final, `Forked`, `Poisoned`, `Io`.
    pub fn cancel_erasure(&self, number: u32) -> Result<Request> {
        requests::cancel(&self.core, number, self.now_ms())
    }

    /// All requests (erasures, closing down, applied classes, lifted holds) and how far they have come.
    ///
    /// # Errors
    /// Where the index or the evidence cannot be read.
    pub fn requests(&self) -> Result<Vec<Request>> {
        answers::requests(&self.core, &self.trail, self.now_ms())
    }

    /// The objects of an erasure that were found so far, each with what it waits for or how it ended.
    ///
    /// # Errors
    /// `NotFound`; where the index or the evidence cannot be read.
    pub fn erasure_items(&self, number: u32) -> Result<Vec<Item>> {
        answers::items(&self.core, &self.trail, number, self.now_ms())
    }

    /// Forgets a request that is over, and with it whose it was and which objects it concerned.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` where it is still open, `Forked`, `Poisoned`, `Io`.
    pub fn forget_request(&self, number: u32) -> Result<()> {
        answers::forget(&self.core, &self.trail, number, self.now_ms())
    }

    /// Closes down a class ([`Selector::Class`]) or everything ([`Selector::Everything`]): it takes no objects any
    /// more, and what lives in it goes with a slot's notice, at its floor, or when no hold covers it any more.
    ///
    /// # Errors
    /// `Invalid`, `Forked`, `Poisoned`, `Io`.
    pub fn close_down(&self, selector: Selector, reason: &str, author: &str) -> Result<Request> {
        requests::close(&self.core, selector, reason, author, self.now_ms())
    }

    /// Applies the newest version of a class to the objects that were registered under earlier ones. Without it they
    /// keep the bounds that they were promised.
    ///
    /// # Errors
    /// `Invalid` where the class is unknown or finds or opens in another way than before; `Forked`, `Poisoned`, `Io`.
    pub fn apply_class(&self, name: &str, reason: &str, author: &str) -> Result<Request> {
        requests::apply(&self.core, name, reason, author, self.now_ms())
    }

    /// Ends an alarm after somebody has looked. A clock is accepted as it stands now; what was a surprise counts as
    /// known.
    ///
    /// # Errors
    /// `NotFound` where no such alarm stands; `Invalid`, `Forked`, `Poisoned`, `Io`.
    pub fn resume(&self, alarm: &[u8; 16], reason: &str, author: &str) -> Result<Alarm> {
        let now_ms = self.now_ms();
        let ended = alarms::resume(&self.core, alarm, reason, author, now_ms)?;
        if ended.cause.is_of_time() {
            let now = self.guard.lock().accept(read(&*self.clock, true));
            let recorded = alarms::record_clock(&self.core, now.now_ms)?;
            self.core.writer.sync(recorded)?;
        }
        Ok(ended)
    }

    /// Shows every object whose time comes by `until_ms` (at least now), and what will be done with it, until `visit`
    /// breaks. Decides as [`Engine::next_batch`] does, and changes nothing. What the store will answer, and what a
    /// breaker that has not tripped would stop, is not known before.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn plan(&self, until_ms: i64, visit: &mut dyn FnMut(Forecast) -> ControlFlow<()>) -> Result<()> {
        let now = self.trusted();
        let stepped = self.clock_agreed.load(Ordering::SeqCst);
        preview::preview(&self.core, now, stepped, until_ms.max(now.now_ms), visit)
    }

    /// What of a status needs a person, in a sentence each: a stop, an alarm, what is overdue and held by nobody, a log that
    /// could not be published, a clock that is behind, an erasure that was to be answered by now, a hold that was to be reviewed. Where much is held
    /// past its ceiling it looks at all that lives, and it looks at each object of the erasures that are past their date.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn needs(&self, status: &Status) -> Result<Vec<String>> {
        let mut needs = status::needs(status, self.is_late(status)?);
        needs.extend(answers::past_their_date(&self.core, &self.trail, status.as_of_ms));
        Ok(needs)
    }

    /// Whether something is overdue that no legal hold keeps: what is held may be past its ceiling.
    fn is_late(&self, status: &Status) -> Result<bool> {
        if status.classes.values().all(|class| class.overdue == 0) {
            return Ok(false);
        }
        if status.classes.values().any(|class| class.overdue > class.held) {
            return Ok(true);
        }
        // Only then all that lives has to be looked at.
        let mut is_late = false;
        self.plan(i64::MAX, &mut |forecast| {
            let is_held =
                matches!(forecast.action, Action::Hold(_) | Action::EndReplaced | Action::EndReleased);
            is_late |= forecast.ceiling_ms < status.as_of_ms && !is_held;
            if is_late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(is_late)
    }

    /// Up to `max` (at most 10,000) deletions behind number `after`, in their order, of the classes with `feed = true`.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn feed(&self, after: u64, max: usize) -> Result<Vec<FeedEntry>> {
        feed::read(&self.core, after, max)
    }

    /// Forgets the feed up to number `through`. After `Ok` that survives the loss of power.
    ///
    /// # Errors
    /// `Invalid` where there is no such entry yet; `Forked`, `Poisoned`, `Io`.
    pub fn acknowledge_feed(&self, through: u64) -> Result<()> {
        self.core.check_writable()?;
        feed::acknowledge(&self.core, &self.core.ledger.lock(), through)
    }

    /// What is known of a key that comes back from a backup. Ended objects are known for as long as their class says
    /// (`remember`).
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn screen(&self, key: &[u8]) -> Result<Screened> {
        let now_ms = self.now_ms();
        screen::look_up(&self.core, key, now_ms)
    }

    /// Registers objects that came back from a backup after their end, so that they are deleted again at once: in the
    /// class and with the start that they had, whatever `items` says of those, and for the reason `restored`. `None`
    /// for those that live, or of which nothing is known.
    ///
    /// # Errors
    /// As [`Engine::register`].
    pub fn delete_again(
        &self,
        items: &[Registration<'_>],
        durability: Durability,
    ) -> Result<Vec<Option<Registered>>> {
        let mut found = Vec::new();
        for (at, item) in items.iter().enumerate() {
            if let Screened::Ended(ended) = self.screen(item.key)? {
                found.push((at, self.core.class(ended.class())?, ended.start_ms));
            }
        }
        let again: Vec<Registration<'_>> = found
            .iter()
            .map(|(at, class, start_ms)| Registration {
                class: &class.definition.name,
                start_ms: Some(*start_ms),
                ..items[*at]
            })
            .collect();
        let manner = Manner { only_missing: true, reason: Reason::Restored, ..Manner::USUAL };
        let done = register::register(&self.core, &again, durability, manner, self.now_ms())?;
        let mut answers = vec![None; items.len()];
        for ((at, ..), registered) in found.into_iter().zip(done) {
            answers[at] = Some(registered);
        }
        Ok(answers)
    }
}
