//! Naive scheduler: a list of registrations and the rules in their simplest form. It has no pages, rows, batches or
//! logs. It counts in integer milliseconds, so it shares no arithmetic with the engine.

mod back;

pub(crate) use self::back::Back;

use super::steps::Target;
use sexton::store::Disposition;
use sexton_proof::id::RegistrationId;
use sexton_proof::record::{Method, Reason};
use sexton_proof::wire::{NO_CEILING, NO_FLOOR};
use sexton_tests::{FailureMode, anonymised};
use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;
/// Time after which a held object is planned again.
const HELD_MS: i64 = 30 * 24 * HOUR_MS;

/// Terms of one edition of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) name: &'static str,
    pub(crate) edition: u32,
    pub(crate) keep_s: Option<i64>,
    pub(crate) within_s: Option<i64>,
    pub(crate) slot_s: i64,
    pub(crate) lead_s: i64,
    pub(crate) max_open_s: Option<i64>,
    pub(crate) disposition: Disposition,
    pub(crate) feed: bool,
    /// `true` if objects are found by key, so that a key has one live registration.
    pub(crate) by_key: bool,
}

const PLAIN: Terms = Terms {
    name: "short",
    edition: 0,
    keep_s: None,
    within_s: Some(20),
    slot_s: 2,
    lead_s: 3,
    max_open_s: None,
    disposition: Disposition::Delete,
    feed: false,
    by_key: true,
};

/// Classes in their first edition.
pub(crate) const CLASSES: [Terms; 7] = [
    PLAIN,
    Terms { name: "kept", keep_s: Some(30), within_s: Some(90), slot_s: 5, lead_s: 2, feed: true, ..PLAIN },
    Terms { name: "long", within_s: Some(240 * 3_600), slot_s: 3_600, lead_s: 1_800, ..PLAIN },
    Terms { name: "open", max_open_s: Some(40), ..PLAIN },
    Terms {
        name: "anonymous",
        within_s: Some(15),
        slot_s: 1,
        lead_s: 1,
        disposition: Disposition::Anonymise,
        feed: true,
        ..PLAIN
    },
    Terms { name: "archive", keep_s: Some(25), within_s: None, slot_s: 5, lead_s: 1, ..PLAIN },
    Terms { name: "blind", within_s: Some(25), by_key: false, ..PLAIN },
];

impl Terms {
    /// Returns the terms of an edition, counted from 0. Consecutive editions differ.
    pub(crate) fn edition(class: usize, edition: u32) -> Terms {
        let more_s = [0, 30, 10][edition as usize % 3];
        let first = CLASSES[class];
        Terms {
            edition,
            keep_s: first.keep_s.map(|s| s + more_s),
            within_s: first.within_s.map(|s| s + 2 * more_s),
            max_open_s: first.max_open_s.map(|s| s + more_s),
            ..first
        }
    }

    pub(crate) fn toml(&self) -> String {
        let seconds = |field: &str, s: Option<i64>| s.map(|s| format!("{field} = \"{s}s\"\n"));
        let mut text = format!("[class.{}]\n", self.name);
        text.extend(seconds("keep", self.keep_s));
        text.extend(seconds("within", self.within_s));
        text.extend(seconds("slot", Some(self.slot_s)));
        text.extend(seconds("lead", Some(self.lead_s)));
        if self.max_open_s.is_some() {
            text += "start = \"explicit\"\n";
            text.extend(seconds("max_open", self.max_open_s));
        }
        if self.disposition == Disposition::Anonymise {
            text += "disposition = \"anonymise\"\n";
        }
        if !self.by_key {
            text += "find = \"none\"\n";
        }
        if self.feed {
            text += "feed = true\nremember = \"1d\"\n";
        }
        text
    }

    pub(crate) fn bounds(&self, start_ms: i64) -> (i64, i64) {
        (
            self.keep_s.map_or(NO_FLOOR, |s| start_ms + s * 1_000),
            self.within_s.map_or(NO_CEILING, |s| start_ms + s * 1_000),
        )
    }

    /// Returns the first multiple of the slot at or after `ms`.
    fn slot_at(&self, ms: i64) -> i64 {
        let slot_ms = self.slot_s * 1_000;
        (ms + slot_ms - 1).div_euclid(slot_ms) * slot_ms
    }

    /// Returns the instant at which an object with these bounds goes: at its floor, or in time for its ceiling if it
    /// has no floor. It is never in the past.
    fn usual_ms(&self, bounds: (i64, i64), now_ms: i64) -> i64 {
        self.falls_due_ms(bounds).max(second_of(now_ms))
    }

    /// Returns the instant from which an object with these bounds would go.
    pub(crate) fn falls_due_ms(&self, (floor_ms, ceiling_ms): (i64, i64)) -> i64 {
        self.slot_at(match floor_ms {
            NO_FLOOR => ceiling_ms - (self.slot_s + self.lead_s) * 1_000,
            floor_ms => floor_ms,
        })
    }

    /// Returns the earliest instant at which an object with this floor may go.
    fn soonest_ms(&self, floor_ms: i64, from_ms: i64) -> i64 {
        if floor_ms > from_ms { self.slot_at(floor_ms) } else { second_of(from_ms) }
    }
}

pub(crate) fn second_of(ms: i64) -> i64 {
    ms / 1_000 * 1_000
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) method: Method,
    pub(crate) reason: Reason,
    pub(crate) time_ms: i64,
}

/// Registration while the wall clock was wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doubt {
    /// Number of the doubt, from 1.
    pub(crate) number: usize,
    pub(crate) wall_ms: i64,
    pub(crate) true_ms: i64,
}

/// Registration of an object.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: RegistrationId,
    /// Key that it is stored under.
    pub(crate) key: u8,
    /// Key that it was registered under.
    pub(crate) first: u8,
    pub(crate) version: Vec<u8>,
    pub(crate) class: usize,
    pub(crate) subject: Option<u8>,
    /// Class, start and version that the host stated when it registered the object.
    pub(crate) stated: (usize, Option<i64>, Vec<u8>),
    pub(crate) terms: Terms,
    pub(crate) start_ms: i64,
    pub(crate) is_open: bool,
    /// Instant of registration of an open item.
    pub(crate) opened_ms: i64,
    /// `true` if the start was read from the clock.
    pub(crate) is_clocked: bool,
    /// Instants of registration by the wall clock and by a correct clock, if the engine could not tell which is right.
    pub(crate) doubt: Option<Doubt>,
    /// Number of times that time had been taken back before.
    pub(crate) era: u32,
    pub(crate) floor_ms: i64,
    pub(crate) ceiling_ms: i64,
    pub(crate) reason: Reason,
    /// Instant at which it falls due.
    pub(crate) go_ms: i64,
    pub(crate) attempts: u32,
    /// `true` if a failed attempt may have deleted it. A refusal, or another object under the key, did not.
    pub(crate) maybe_deleted: bool,
    pub(crate) is_released: bool,
    pub(crate) is_replaced: bool,
    /// Registration of the key that it took the place of when it was registered.
    pub(crate) replaces: Option<RegistrationId>,
    /// `true` if a hold kept it when it fell due.
    pub(crate) is_parked: bool,
    /// `true` if a hold kept it past its ceiling and was lifted.
    pub(crate) outlasted: bool,
    /// Instant at which the host registered it or stated its terms, if it was due by then.
    pub(crate) stated_ms: Option<i64>,
    pub(crate) end: Option<End>,
}

impl Item {
    /// Applies terms that count from a start.
    pub(crate) fn fall_under(&mut self, terms: Terms, start_ms: i64, now_ms: i64) {
        (self.terms, self.start_ms) = (terms, start_ms);
        (self.floor_ms, self.ceiling_ms) = terms.bounds(start_ms);
        self.attempts = 0;
        self.come_up(now_ms);
    }

    /// Falls due at its usual time, or at once if a request moved it up.
    fn come_up(&mut self, now_ms: i64) {
        self.go_ms = match self.reason {
            Reason::Due => self.terms.usual_ms((self.floor_ms, self.ceiling_ms), now_ms),
            _ => self.terms.soonest_ms(self.floor_ms, now_ms),
        };
    }

    /// Falls under terms that the host states. Holds that were lifted before give no grace.
    pub(crate) fn fall_under_stated(&mut self, terms: Terms, start_ms: i64, now_ms: i64) {
        self.fall_under(terms, start_ms, now_ms);
        let is_due = !self.is_open && terms.falls_due_ms((self.floor_ms, self.ceiling_ms)) <= now_ms;
        self.stated_ms = is_due.then_some(now_ms);
        (self.is_parked, self.outlasted) = (false, false);
    }

    /// Returns the instant from which only a hold keeps it.
    fn fell_due_ms(&self) -> i64 {
        let due_ms = self.terms.falls_due_ms((self.floor_ms, self.ceiling_ms));
        self.stated_ms.map_or(due_ms, |stated_ms| stated_ms.max(due_ms))
    }

    /// Returns the instant until which the graces of lifted holds last, and `true` if the last of them outlasted it.
    fn grace(&self, holds: &[Hold]) -> Option<(i64, bool)> {
        let mine = holds.iter().filter(|hold| self.is_covered(hold.of)).filter_map(|hold| hold.lifted);
        let mine: Vec<Lifted> = mine.filter(|lifted| lifted.at_ms > self.fell_due_ms()).collect();
        let until_ms = mine.iter().map(|lifted| lifted.at_ms + lifted.grace_ms).max()?;
        let outlasted = mine.iter().any(|lifted| lifted.at_ms > self.ceiling_ms);
        let in_time_ms = self.ceiling_ms.saturating_sub(self.terms.lead_s * 1_000);
        Some((if outlasted { until_ms } else { until_ms.min(in_time_ms) }, outlasted))
    }

    /// Goes on without a new time, but not before the grace of a lifted hold has ended.
    pub(crate) fn go_on(&mut self, holds: &[Hold], now_ms: i64) {
        self.go_ms = self.go_ms.max(second_of(now_ms));
        if !self.is_parked {
            self.wait_out(holds);
        }
    }

    /// Waits for the graces of lifted holds, unless it is to be erased or its host deleted it.
    fn wait_out(&mut self, holds: &[Hold]) {
        if self.is_released {
            return;
        }
        let grace = self.grace(holds);
        self.outlasted = grace.is_some_and(|(_, outlasted)| outlasted);
        if let (Some((until_ms, _)), true) = (grace, self.reason != Reason::Erasure) {
            self.go_ms = self.go_ms.max(self.terms.soonest_ms(self.floor_ms, until_ms));
        }
    }

    /// Returns the start under other terms, and whether it is still open. A start that is not known yet follows the new
    /// class, from the registration on.
    pub(crate) fn start_under(&self, terms: Terms, now_ms: i64) -> (i64, bool) {
        match self.is_open && self.start_ms > now_ms {
            true => (self.opened_ms + terms.max_open_s.unwrap_or(0) * 1_000, terms.max_open_s.is_some()),
            false => (self.start_ms, self.is_open),
        }
    }

    /// Reason in the evidence of its end.
    pub(crate) fn end_reason(&self) -> Reason {
        if self.outlasted { Reason::Lifted } else { self.reason }
    }

    pub(crate) fn is_late(&self) -> bool {
        self.end.is_some_and(|end| end.method != Method::Replaced && end.time_ms > self.ceiling_ms)
    }

    pub(crate) fn is_early(&self) -> bool {
        self.end.is_some_and(|end| end.method != Method::Replaced && end.time_ms < self.floor_ms)
    }

    pub(crate) fn is_after_hold(&self) -> bool {
        self.end.is_some_and(|end| end.reason == Reason::Lifted)
    }

    pub(crate) fn is_covered(&self, of: Target) -> bool {
        self.names().iter().any(|key| of.covers(*key, self.subject, self.class))
    }

    pub(crate) fn names(&self) -> [u8; 2] {
        [self.key, self.first]
    }

    /// Returns `true` if it has neither ended nor been replaced.
    pub(crate) fn lives(&self) -> bool {
        self.end.is_none() && !self.is_replaced
    }

    pub(crate) fn release(&mut self, now_ms: i64) {
        (self.is_released, self.reason) = (true, Reason::Host);
        (self.is_parked, self.outlasted) = (false, false);
        self.go_ms = second_of(now_ms);
    }

    /// Makes it fall due as soon as its floor allows from an instant on, unless a hold or a grace keeps it. Returns `true`
    /// if it applies.
    fn hurry(&mut self, reason: Reason, from_ms: i64, holds: &[Hold]) -> bool {
        let before = (self.reason, self.go_ms);
        if self.reason != Reason::Erasure {
            self.reason = reason;
        }
        if !self.is_parked {
            self.go_ms = self.terms.soonest_ms(self.floor_ms, from_ms);
            self.wait_out(holds);
            self.go_ms = self.go_ms.min(before.1);
        }
        before != (self.reason, self.go_ms)
    }

    /// Lets its time count from the instant at which an event hold was lifted.
    fn restart(&mut self, lifted_ms: i64, holds: &[Hold], now_ms: i64) {
        (self.is_open, self.is_parked, self.is_clocked) = (false, false, true);
        (self.doubt, self.stated_ms) = (None, None);
        self.fall_under(self.terms, lifted_ms, now_ms);
        if self.reason == Reason::Closed {
            self.go_ms = self.terms.soonest_ms(self.floor_ms, now_ms + self.terms.slot_s * 1_000);
        }
        self.wait_out(holds);
    }

    /// Releases it from a hold that was lifted. Returns `true` if the hold had kept it, or its grace moves it.
    fn let_go(&mut self, lifted: Lifted, holds: &[Hold], now_ms: i64) -> bool {
        let before = (self.outlasted, self.go_ms);
        let had_come = self.is_parked || self.go_ms < second_of(lifted.at_ms);
        if had_come {
            self.come_up(now_ms);
        }
        self.wait_out(holds);
        let goes = had_come || before != (self.outlasted, self.go_ms);
        self.is_parked &= !goes;
        goes
    }

    fn carry(&mut self, now_ms: i64) {
        self.attempts += 1;
        let wait_ms = (1_000_i64 << (self.attempts - 1).min(30)).min(HOUR_MS);
        self.go_ms = (now_ms + wait_ms + 999) / 1_000 * 1_000;
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifted {
    pub(crate) at_ms: i64,
    pub(crate) grace_ms: i64,
    /// `true` once the sweep found the objects that the hold had kept.
    pub(crate) is_done: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) name: u8,
    pub(crate) of: Target,
    pub(crate) is_event: bool,
    pub(crate) lifted: Option<Lifted>,
}

/// Kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Erase(Target),
    Close(usize),
    /// Class and its newest edition at the time of the request.
    Apply(usize, u32),
    Lift(usize),
    /// Number of a doubt about the clock, and `true` if the wall clock was right.
    Doubt(usize, bool),
    /// Number of times that time went back.
    Back(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Waiting,
    CarriedOut,
    Cancelled,
}

/// Request. Its number is its index in the list, plus 1.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) wish: Wish,
    pub(crate) received_ms: i64,
    pub(crate) ready_ms: i64,
    pub(crate) progress: Progress,
    /// Registrations that an erasure covered, as indexes into the list.
    pub(crate) items: Vec<usize>,
}

/// Entry of the feed for third parties.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct News {
    pub(crate) class: String,
    pub(crate) key: u8,
    pub(crate) version: Vec<u8>,
    pub(crate) method: String,
    pub(crate) reason: String,
    pub(crate) time_ms: i64,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) items: Vec<Item>,
    pub(crate) objects: BTreeMap<u8, Vec<u8>>,
    pub(crate) failure_modes: BTreeMap<u8, FailureMode>,
    pub(crate) holds: Vec<Hold>,
    pub(crate) requests: Vec<Request>,
    pub(crate) closed: BTreeSet<usize>,
    pub(crate) editions: [u32; 7],
    pub(crate) news: Vec<News>,
    /// Number of doubts about the clock in which an object was registered.
    pub(crate) doubts: usize,
    /// Outcomes of the first doubts, and how many of them have been requested.
    pub(crate) verdicts: Vec<bool>,
    pub(crate) ended_doubts: usize,
    /// Number of times that time was taken back.
    pub(crate) era: u32,
    /// Times that went back, the first one first.
    pub(crate) backs: Vec<Back>,
    /// Jumps ahead that were accepted since time last went back.
    pub(crate) jumps: Vec<(i64, i64)>,
    /// Number of times that a hold kept an object, by class.
    pub(crate) held: [u64; 7],
}

impl Model {
    pub(crate) fn newest(&self, class: usize) -> Terms {
        Terms::edition(class, self.editions[class])
    }

    /// Returns the live registration of a key that is found by key.
    pub(crate) fn live(&mut self, key: u8) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.key == key && item.lives() && item.terms.by_key)
    }

    /// Returns the index of the live registration that a key means, or that the newest id of the key means.
    pub(crate) fn meant(&self, key: u8, by_id: bool) -> Option<usize> {
        self.items.iter().rposition(|item| item.key == key && item.lives() && (by_id || item.terms.by_key))
    }

    /// Returns `true` if a hold would cover the item in a class. A lifted hold counts until its sweep, for objects that
    /// it kept and for objects whose clock it restarts.
    pub(crate) fn is_held(&self, item: &Item, class: usize) -> bool {
        is_held(&self.holds, item, class)
    }

    /// Returns `true` if a hold that covers the item would not cover it under these keys, in a class and with a subject.
    pub(crate) fn loses_hold(&self, item: &Item, names: [u8; 2], class: usize, subject: Option<u8>) -> bool {
        let lost = |hold: &&Hold| !names.iter().any(|key| hold.of.covers(*key, subject, class));
        is_held(&self.holds.iter().filter(lost).cloned().collect::<Vec<_>>(), item, item.class)
    }

    /// Returns `true` if a waiting erasure of the item's subject would not cover it with another one.
    pub(crate) fn loses_erasure(&self, item: &Item, subject: Option<u8>) -> bool {
        let mut waiting = self.requests.iter().filter(|request| request.progress == Progress::Waiting);
        item.subject != subject
            && waiting.any(|request| matches!(request.wish, Wish::Erase(Target::Subject(of)) if Some(of) == item.subject))
    }

    /// Returns `true` if an erasure is accepted: a subject must cover an item that has not ended, a key need not.
    pub(crate) fn is_known(&self, of: Target) -> bool {
        let mut lasting = self.items.iter().filter(|item| item.end.is_none());
        !matches!(of, Target::Subject(_)) || lasting.any(|item| item.is_covered(of))
    }

    pub(crate) fn wish(&mut self, wish: Wish, received_ms: i64) {
        self.wish_after(wish, received_ms, 0);
    }

    pub(crate) fn wish_after(&mut self, wish: Wish, received_ms: i64, cancellable_ms: i64) {
        let (ready_ms, progress) = (received_ms + cancellable_ms, Progress::Waiting);
        self.requests.push(Request { wish, received_ms, ready_ms, progress, items: Vec::new() });
    }

    /// Carries out ready requests and ends the items that are due. While the wall clock is behind, items of classes with a
    /// floor wait.
    pub(crate) fn enforce(&mut self, now_ms: i64, is_behind: bool) {
        self.carry_out_wishes(now_ms);
        for at in 0..self.items.len() {
            let item = &self.items[at];
            let waits = is_behind && item.terms.keep_s.is_some();
            if item.end.is_none() && item.go_ms <= now_ms && !waits {
                self.take_its_turn(at, now_ms);
            }
        }
    }

    /// Ends the doubts about the clock that have an outcome, as each planning does.
    pub(crate) fn end_doubts(&mut self, now_ms: i64) {
        for number in self.ended_doubts..self.verdicts.len() {
            self.wish(Wish::Doubt(number + 1, self.verdicts[number]), now_ms);
        }
        self.ended_doubts = self.verdicts.len();
    }

    /// Takes time back, as an operator accepted it: instants of open requests and of lifts go back as well.
    pub(crate) fn take_back(&mut self, back: Back) {
        let earlier = |ms: i64| back.correct(ms);
        for request in &mut self.requests {
            if request.progress == Progress::Waiting {
                request.ready_ms -= request.received_ms - earlier(request.received_ms);
                request.received_ms = earlier(request.received_ms);
            }
        }
        for lifted in self.holds.iter_mut().filter_map(|hold| hold.lifted.as_mut()) {
            lifted.at_ms = earlier(lifted.at_ms);
        }
        self.era += 1;
        self.jumps.clear();
        self.wish(Wish::Back(self.era), back.to_ms);
        self.backs.push(back);
    }

    fn take_its_turn(&mut self, at: usize, now_ms: i64) {
        let item = &self.items[at];
        // Only a clock that was wrong lets an object fall due before it starts. No receipt could show such an end.
        let has_begun = item.end_reason() != Reason::Due || item.start_ms <= now_ms;
        let is_held = !item.is_replaced && self.is_held(item, item.class);
        if !has_begun && !item.is_released && !is_held {
            let item = &mut self.items[at];
            item.go_ms = item.terms.usual_ms((item.floor_ms, item.ceiling_ms), now_ms);
            item.is_parked = false;
            return;
        }
        let method = if item.is_replaced {
            Some(Method::Replaced)
        } else if item.is_released {
            Some(Method::Released)
        } else if self.is_held(item, item.class) {
            self.held[item.class] += 1;
            self.items[at].go_ms = second_of(now_ms + HELD_MS);
            self.items[at].is_parked = true;
            return;
        } else {
            assert!(item.floor_ms <= now_ms, "the naive scheduler deletes early");
            self.ask_the_store(at)
        };
        let item = &mut self.items[at];
        match method {
            None => {
                item.is_parked = false;
                item.carry(now_ms);
            }
            Some(method) => {
                item.end = Some(End { method, reason: item.end_reason(), time_ms: now_ms });
                let item = item.clone();
                self.tell(&item, method, now_ms);
            }
        }
    }

    /// Returns the method by which the item ends, or `None` if the store does not delete it.
    fn ask_the_store(&mut self, at: usize) -> Option<Method> {
        let item = &mut self.items[at];
        if let Some(mode) = self.failure_modes.get(&item.key) {
            if *mode == FailureMode::Acknowledges {
                if self.objects.get(&item.key).is_some_and(|found| *found == item.version) {
                    self.objects.remove(&item.key);
                }
                return Some(Method::Requested);
            }
            item.maybe_deleted |= *mode == FailureMode::Fails;
            return None;
        }
        let anonymises = item.terms.disposition == Disposition::Anonymise;
        match self.objects.get(&item.key) {
            None if item.maybe_deleted => Some(Method::AbsentAfterIntent),
            None => Some(Method::Absent),
            Some(found) if anonymises && *found == anonymised(&item.version) => Some(Method::Anonymised),
            Some(found) if *found != item.version => None,
            Some(_) if anonymises => {
                self.objects.insert(item.key, anonymised(&item.version));
                Some(Method::Anonymised)
            }
            Some(_) => {
                self.objects.remove(&item.key);
                Some(Method::Deleted)
            }
        }
    }

    fn tell(&mut self, item: &Item, method: Method, time_ms: i64) {
        if item.terms.feed && method != Method::Replaced {
            self.news.push(News {
                class: item.terms.name.to_owned(),
                key: item.first,
                version: item.version.clone(),
                method: method.name().to_owned(),
                reason: item.end_reason().name().to_owned(),
                time_ms,
            });
        }
    }

    /// Carries out all ready requests in the order of their numbers, before any item ends.
    fn carry_out_wishes(&mut self, now_ms: i64) {
        let is_ready = |r: &&mut Request| r.progress == Progress::Waiting && r.ready_ms <= now_ms;
        let mut ready: Vec<&mut Request> = self.requests.iter_mut().filter(is_ready).collect();
        for item in self.items.iter_mut().filter(|item| item.end.is_none() && item.is_replaced) {
            end_replaced(item, &ready, &self.backs, &self.holds, now_ms);
        }
        for (at, item) in self.items.iter_mut().enumerate().filter(|(_, item)| item.lives()) {
            let mut moved = false;
            for request in &mut ready {
                let moves = match request.wish {
                    Wish::Doubt(..) | Wish::Back(_) => {
                        item.correct_clock(request.wish, &self.backs, &self.holds, now_ms)
                    }
                    _ if item.is_released => false,
                    Wish::Erase(of) if item.is_covered(of) => {
                        request.items.push(at);
                        item.hurry(Reason::Erasure, now_ms, &self.holds)
                    }
                    Wish::Close(class) if class == item.class => {
                        item.hurry(Reason::Closed, now_ms + item.terms.slot_s * 1_000, &self.holds)
                    }
                    Wish::Apply(class, edition) => {
                        let newest = Terms::edition(class, edition);
                        let applies = class == item.class && item.terms.edition < edition;
                        if applies {
                            let (start_ms, is_open) = item.start_under(newest, now_ms);
                            item.is_open = is_open;
                            let go_ms = item.go_ms;
                            item.fall_under(newest, start_ms, now_ms);
                            item.wait_out(&self.holds);
                            if item.is_parked {
                                item.go_ms = go_ms;
                            }
                        }
                        applies
                    }
                    Wish::Lift(hold) => let_go(item, hold, &self.holds, now_ms),
                    _ => false,
                };
                moved |= moves;
            }
            if moved {
                item.go_ms = item.go_ms.max(second_of(now_ms));
                item.attempts = 0;
            }
        }
        for request in ready {
            request.progress = Progress::CarriedOut;
            if let Wish::Lift(hold) = request.wish
                && let Some(lifted) = &mut self.holds[hold].lifted
            {
                lifted.is_done = true;
            }
        }
    }
}

/// Releases an item from a lifted hold: an item that no other hold keeps, or one whose clock the hold restarts. Returns
/// `true` if it was released.
fn let_go(item: &mut Item, at: usize, holds: &[Hold], now_ms: i64) -> bool {
    let hold = &holds[at];
    let Some(lifted) = hold.lifted.filter(|_| item.is_covered(hold.of)) else { return false };
    // An event hold restarts the clock of all items that it covered. A temporary hold only releases the items it kept.
    if hold.is_event && item.start_ms < lifted.at_ms {
        item.restart(lifted.at_ms, holds, now_ms);
        return true;
    }
    let keeps = |(other, hold): (usize, &Hold)| {
        let has_effect =
            hold.lifted.is_none_or(|lifted| !lifted.is_done && hold.is_event && item.start_ms < lifted.at_ms);
        other != at && has_effect && item.is_covered(hold.of)
    };
    // The hold kept every item that fell due under it, even if nothing was planned meanwhile.
    let is_kept = item.is_parked || item.fell_due_ms() < lifted.at_ms;
    is_kept && !holds.iter().enumerate().any(keeps) && item.let_go(lifted, holds, now_ms)
}

fn is_held(holds: &[Hold], item: &Item, class: usize) -> bool {
    let counts = |hold: &&Hold| {
        hold.lifted.is_none_or(|lifted| {
            let had_come = item.go_ms < second_of(lifted.at_ms);
            let covers = if hold.is_event { item.start_ms < lifted.at_ms } else { had_come };
            !lifted.is_done && (item.is_parked || covers)
        })
    };
    let covers = |hold: &Hold| item.names().iter().any(|key| hold.of.covers(*key, item.subject, class));
    holds.iter().filter(counts).any(covers)
}

/// Ends a replaced registration at once if a ready request would erase, close down or release it. Corrects its time after
/// the clock was wrong.
fn end_replaced(item: &mut Item, ready: &[&mut Request], backs: &[Back], holds: &[Hold], now_ms: i64) {
    for request in ready {
        let reason = match request.wish {
            Wish::Doubt(..) | Wish::Back(_) => {
                if item.correct_clock(request.wish, backs, holds, now_ms) {
                    item.go_ms = item.go_ms.max(second_of(now_ms));
                }
                continue;
            }
            _ if item.is_released => continue,
            Wish::Erase(of) if item.is_covered(of) => Reason::Erasure,
            Wish::Close(class) if class == item.class => Reason::Closed,
            Wish::Lift(at) if item.is_parked && item.is_covered(holds[at].of) => item.reason,
            _ => continue,
        };
        if item.go_ms > second_of(now_ms) {
            (item.reason, item.go_ms, item.is_parked) = (reason, second_of(now_ms), false);
        }
        return;
    }
}
