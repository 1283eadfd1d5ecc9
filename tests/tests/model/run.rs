//! Runs a history on the engine and on the naive scheduler, and compares them after each step.

mod changes;
mod links;

use super::naive::{Back, CLASSES, Doubt, HOUR_MS, Hold, Item, Lifted, Model, Progress, Wish};
use super::steps::{Begin, KEYS, Step, Target, key_bytes, key_in, prefix_bytes, subject_bytes, subject_of};
use sexton::decision::{Alarm, AlarmCause, HoldKind, RequestKind, RequestState};
use sexton::report::ClockState;
use sexton::testing::Clock;
use sexton::{
    Attribution, ClassSet, Durability, Engine, Erasure, ErrorKind, HoldName, NewHold, Opener, Previous,
    Registration, Result, Selector,
};
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_proof::record::{Method, Reason};
use sexton_proof::time::Timestamp;
use sexton_proof::wire;
use sexton_tests::{FailureMode, Machine, NEW_YEAR};
use std::time::Duration;

/// Size of a forward step of the wall clock.
const FORWARD_MS: i64 = 2 * HOUR_MS;
/// Sizes of its backward steps: without and with earlier jumps, and their objects, behind it.
const BACK_MS: i64 = 5 * 60_000;
const FAR_BACK_MS: i64 = 5 * HOUR_MS;
const FAR_MS: i64 = 10 * 366 * 24 * HOUR_MS;

/// Running history.
pub(crate) struct Run {
    pub(crate) machine: Machine,
    engine: Option<Engine>,
    pub(crate) model: Model,
    versions: u32,
    /// Time of a correct clock, with the clock steps that an operator accepted.
    true_ms: i64,
    /// Error of the wall clock.
    off_ms: i64,
    /// `true` if the wall clock turned out to be right in the present or last doubt about it.
    wall_was_right: bool,
    /// `true` if the engine was opened while a clock alarm stood. It may then wait for an operator longer than it must.
    is_wary: bool,
    acknowledged: u64,
    /// Number of openings, which seeds the entropy of each one.
    openings: u64,
    /// `true` if due batches get their turn in the middle of a sweep.
    sweeps_in_parts: bool,
    links: links::Seen,
}

fn class_file(model: &Model) -> ClassSet {
    let text: String = (0..CLASSES.len()).map(|class| model.newest(class).toml()).collect();
    ClassSet::from_toml(&text).unwrap()
}

pub(crate) fn selector(of: Target) -> Selector {
    match of {
        Target::Key(key) => Selector::keys([key_bytes(key)]),
        Target::Prefix(prefix) => Selector::Prefix(prefix_bytes(prefix)),
        Target::Subject(subject) => Selector::Subject(subject_bytes(subject)),
        Target::Class(class) => Selector::Class(CLASSES[class].name.into()),
    }
}

/// Returns the instant at these Unix milliseconds.
fn instant(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

/// Returns the span of these milliseconds, which are not negative.
fn span(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap())
}

/// Returns the milliseconds of a span.
fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap()
}

fn by_ops(reason: &str) -> Attribution {
    Attribution::new("ops", reason)
}

fn hold_name(name: u8) -> HoldName {
    HoldName::new(format!("case {name}")).unwrap()
}

/// Returns the answer, or the kind of the error.
fn kind<T>(answer: Result<T>) -> std::result::Result<T, ErrorKind> {
    answer.map_err(|error| error.kind())
}

impl Run {
    /// Returns a history in which due batches get their turn after every two rows of a sweep.
    pub(crate) fn with_sweeps_in_parts() -> Self {
        let mut run = Run::new();
        run.machine.options.sweep_rows = 2;
        run.sweeps_in_parts = true;
        run.engine = None;
        run.engine = Some(run.machine.open_seeded(0).unwrap());
        run
    }

    pub(crate) fn new() -> Self {
        let mut machine = Machine::new();
        let model = Model::default();
        machine.options.classes = class_file(&model);
        machine.options.shards = Some(2);
        let engine = Some(machine.open_seeded(0).unwrap());
        Run {
            machine,
            engine,
            model,
            versions: 0,
            true_ms: NEW_YEAR.unix_ms(),
            off_ms: 0,
            wall_was_right: false,
            is_wary: false,
            acknowledged: 0,
            openings: 0,
            sweeps_in_parts: false,
            links: links::Seen::default(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// Returns the time of the engine. Asserts that it is never ahead of the true time, and equal if the wall is right.
    fn now_ms(&self) -> i64 {
        let now_ms = self.engine().now().unix_ms();
        assert!(now_ms <= self.true_ms, "the engine is {} ms ahead of time", now_ms - self.true_ms);
        assert!(now_ms == self.true_ms || self.off_ms != 0 || self.is_wary, "{now_ms} for {}", self.true_ms);
        now_ms
    }

    pub(crate) fn step(&mut self, step: &Step) {
        self.do_step(step);
        // The clock is read after every step, as a working engine does, because two jumps between readings cancel out.
        // A wall clock that was behind and caught up by itself had been corrected.
        let now_ms = self.engine().now().unix_ms();
        if self.off_ms < 0 && now_ms == self.true_ms + self.off_ms {
            self.true_ms += self.off_ms;
            self.off_ms = 0;
            self.wall_was_right = true;
        }
        self.decide_doubt();
        self.compare_links();
    }

    fn clock(&self) -> ClockState {
        self.engine().status().unwrap().clock
    }

    /// Notes the outcome of a doubt about the clock, once the engine has seen that the clock agrees.
    fn decide_doubt(&mut self) {
        if self.model.doubts > self.model.verdicts.len() && self.clock() == ClockState::Agrees {
            self.model.verdicts.push(self.wall_was_right);
        }
    }

    /// Returns the doubt of a registration now; `None` if the clock agrees.
    fn doubt(&mut self) -> Option<Doubt> {
        if self.clock() == ClockState::Agrees {
            return None;
        }
        if self.model.doubts == self.model.verdicts.len() {
            self.model.doubts += 1;
            self.wall_was_right = false;
        }
        let (wall_ms, true_ms) = (self.machine.clock.now().unix_ms(), self.true_ms);
        Some(Doubt { number: self.model.doubts, wall_ms, true_ms })
    }

    fn do_step(&mut self, step: &Step) {
        match *step {
            Step::Upload { key, class, begin } => {
                let key = key_in(key, CLASSES[class].by_key);
                if !CLASSES[class].by_key && self.model.meant(key, true).is_some() {
                    return; // The store has one object per key, so only one registration may be live.
                }
                let version = self.put(key);
                let start_ms = match begin {
                    Begin::Unsaid => None,
                    Begin::Ago(ms) => Some(self.now_ms() - ms),
                };
                self.register((key, Some(subject_of(key))), class, version, start_ms);
            }
            Step::Retry { key } => self.retry(key),
            Step::Again { key, class, subject } => self.again(key, class, subject),
            Step::Overwrite { key } => {
                self.put(key);
            }
            Step::Remove { key } => {
                self.machine.store.remove(&key_bytes(key));
                self.model.objects.remove(&key);
            }
            Step::FailureMode { key, mode } => self.set_failure_mode(key, mode),
            Step::Start { key, by_id, ago_ms } => self.start(key, by_id, ago_ms),
            Step::Reschedule { key, by_id, class, ago_ms } => self.reschedule(key, by_id, class, ago_ms),
            Step::Content { key, by_id, is_new, ago_ms } => self.content(key, by_id, is_new, ago_ms),
            Step::Rename { key, by_id, to } => self.rename(key, by_id, to),
            Step::Release { key, by_id } => self.release(key, by_id),
            Step::Hold { name, of, is_event } => self.place_hold(name, of, is_event),
            Step::Lift { name, grace_ms } => self.lift(name, grace_ms),
            Step::Erase { of, cancellable_ms } => self.erase(of, cancellable_ms),
            Step::Cancel { nth } => self.cancel(nth),
            Step::Close { class } => {
                self.engine().close_down(selector(Target::Class(class)), by_ops("over")).unwrap();
                let now_ms = self.now_ms();
                self.model.closed.insert(class);
                self.model.wish(Wish::Close(class), now_ms);
            }
            Step::Define { class } => {
                self.model.editions[class] += 1;
                self.machine.options.classes = class_file(&self.model);
                self.engine().define_classes(&self.machine.options.classes).unwrap();
            }
            Step::Apply { class } => {
                self.engine().apply_class(CLASSES[class].name, by_ops("new terms")).unwrap();
                let now_ms = self.now_ms();
                self.model.wish(Wish::Apply(class, self.model.editions[class]), now_ms);
            }
            Step::Feed { acknowledge } => self.read_feed(acknowledge),
            Step::ClockForward => self.step_clock(FORWARD_MS),
            Step::ClockBack { far } => self.step_clock(if far { -FAR_BACK_MS } else { -BACK_MS }),
            Step::ClockUndo => self.undo_clock(),
            Step::Resume { back } => self.resume(back),
            Step::Advance { ms } => {
                // While the clock is behind it is read every minute, as a working engine does: after a long pause a wall
                // clock that caught up by itself and one that was set right look the same.
                let minute = if self.off_ms < 0 { 60_000.min(ms) } else { 0 };
                let mut left_ms = ms;
                for _ in 0..1 - self.off_ms.min(0) / 60_000 {
                    let part_ms = minute.min(left_ms);
                    self.machine.clock.advance(span(part_ms));
                    (self.true_ms, left_ms) = (self.true_ms + part_ms, left_ms - part_ms);
                    self.engine().now();
                }
                self.machine.clock.advance(span(left_ms));
                self.true_ms += left_ms;
            }
            Step::Enforce => self.enforce(),
            Step::Reopen { power_lost } => self.reopen(power_lost),
        }
    }

    fn put(&mut self, key: u8) -> Vec<u8> {
        self.versions += 1;
        let version = self.versions.to_be_bytes().to_vec();
        self.machine.store.put(&key_bytes(key), &version);
        self.model.objects.insert(key, version.clone());
        version
    }

    fn set_failure_mode(&mut self, key: u8, mode: Option<FailureMode>) {
        self.machine.store.set_failure_mode(&key_bytes(key), mode);
        match mode {
            Some(mode) => self.model.failure_modes.insert(key, mode),
            None => self.model.failure_modes.remove(&key),
        };
    }

    /// Repeats the call that registered the live object of a key.
    fn retry(&mut self, key: u8) {
        let Some(live) = self.model.live(key).cloned() else { return };
        let (class, start_ms, version) = live.stated;
        self.register((key, live.subject), class, version, start_ms);
    }

    /// Registers the live object of a key again.
    fn again(&mut self, key: u8, class: Option<usize>, subject: Option<Option<u8>>) {
        let Some(live) = self.model.live(key).cloned() else { return };
        let (stated, start_ms, _) = live.stated;
        let (class, subject) = (class.unwrap_or(stated), subject.unwrap_or(live.subject));
        // In a class that does not find by key it would live twice, so there only the refusal is tried.
        let is_refused = !live.is_released && self.model.loses_hold(&live, [key; 2], class, subject);
        if CLASSES[class].by_key || is_refused {
            self.register((key, subject), class, live.version, start_ms);
        }
    }

    fn register(
        &mut self,
        (key, subject): (u8, Option<u8>),
        class: usize,
        version: Vec<u8>,
        start_ms: Option<i64>,
    ) {
        let (bytes, said) = (key_bytes(key), subject.map(subject_bytes).unwrap_or_default());
        let item = Registration::new(CLASSES[class].name, &bytes)
            .version(&version)
            .start(start_ms.map(instant))
            .subject(&said);
        let answer = kind(self.engine().register(&[item], Durability::Synced));
        if self.model.closed.contains(&class) {
            assert_eq!(answer.err(), Some(ErrorKind::Invalid), "a closed class refuses objects");
            return;
        }
        let now_ms = self.now_ms();
        let doubt = self.doubt();
        let mut earlier = Previous::None;
        if let Some(live) = self.model.live(key).cloned() {
            let (stated, stated_ms, ref stated_version) = live.stated;
            let is_same = [&live.version, stated_version].contains(&&version) && !live.is_released;
            let is_repeated =
                is_same && class == stated && start_ms.is_none_or(|start_ms| Some(start_ms) == stated_ms);
            let (to, names, whose) = match is_repeated {
                true => (live.class, live.names(), subject.or(live.subject)),
                false => (class, [key; 2], subject),
            };
            let is_lost =
                self.model.loses_hold(&live, names, to, whose) || self.model.loses_erasure(&live, whose);
            if is_same && is_lost {
                assert_eq!(answer.err(), Some(ErrorKind::Held), "{key} leaves a hold or an erasure");
                return;
            }
            let holds = self.model.holds.clone();
            let live = self.model.live(key).unwrap();
            earlier = answer.as_ref().unwrap()[0].previous;
            if is_repeated {
                assert_eq!(earlier, Previous::Identical, "{key}");
                if live.subject != whose {
                    live.subject = whose;
                    live.go_on(&holds, now_ms);
                }
                return;
            }
            live.is_replaced = true;
            assert!(matches!(earlier, Previous::Replaced(_)), "{earlier:?}");
        }
        let answer = answer.unwrap().remove(0);
        assert_eq!(answer.previous, earlier);
        assert!(self.model.items.iter().all(|item| item.id != answer.id), "{} was given twice", answer.id);
        let terms = self.model.newest(class);
        let is_open = start_ms.is_none() && terms.max_open_s.is_some();
        // Either clock may be right, and the floor must hold in both cases.
        let counts_from_ms = match doubt {
            Some(doubt) if terms.keep_s.is_some() => now_ms.max(doubt.wall_ms).max(self.expected_ms(doubt)),
            _ => now_ms,
        };
        let is_clocked = start_ms.is_none();
        let stated = (class, start_ms, version.clone());
        let start_ms = start_ms.unwrap_or(counts_from_ms + terms.max_open_s.unwrap_or(0) * 1_000);
        let mut item = Item {
            id: answer.id,
            key,
            first: key,
            version,
            class,
            subject,
            stated,
            terms,
            start_ms,
            is_open,
            opened_ms: counts_from_ms,
            is_clocked,
            doubt,
            era: self.model.era,
            floor_ms: 0,
            ceiling_ms: 0,
            reason: Reason::Due,
            go_ms: 0,
            attempts: 0,
            maybe_deleted: false,
            is_released: false,
            is_replaced: false,
            replaces: match earlier {
                Previous::Replaced(id) => Some(id),
                _ => None,
            },
            is_parked: false,
            outlasted: false,
            stated_ms: None,
            end: None,
        };
        item.fall_under_stated(terms, start_ms, now_ms);
        self.model.items.push(item);
    }

    /// Returns `true` if the hold of that name stands and covers the key in the class.
    pub(crate) fn model_hold_covers(&self, name: &str, key: &[u8], class: &str) -> bool {
        let key = (0..KEYS).find(|number| key_bytes(*number) == key).unwrap();
        let class = CLASSES.iter().position(|terms| terms.name == class).unwrap();
        let covers = |hold: &Hold| {
            let mut live = self.model.items.iter().filter(|item| item.key == key && item.lives());
            live.any(|item| item.names().iter().any(|key| hold.of.covers(*key, item.subject, class)))
        };
        let mut holds = self.model.holds.iter().filter(|hold| hold.lifted.is_none());
        holds.any(|hold| format!("case {}", hold.name) == name && covers(hold))
    }

    fn place_hold(&mut self, name: u8, of: Target, is_event: bool) {
        let hold = NewHold::new(
            hold_name(name),
            selector(of),
            if is_event { HoldKind::Event } else { HoldKind::Temporary },
            Attribution::new("counsel", "a court asked"),
            NEW_YEAR.saturating_add(span(10 * FAR_MS)),
        );
        let answer = kind(self.engine().place_hold(hold));
        if self.model.holds.iter().any(|hold| hold.name == name && hold.lifted.is_none()) {
            assert_eq!(answer.err(), Some(ErrorKind::Invalid));
            return;
        }
        assert_eq!(answer.unwrap().too_late, [], "no batch is in flight");
        self.model.holds.push(Hold { name, of, is_event, lifted: None });
    }

    fn lift(&mut self, name: u8, grace_ms: i64) {
        let attribution = Attribution::new("counsel", "settled");
        let answer = kind(self.engine().lift_hold(&hold_name(name), attribution, span(grace_ms)));
        let at_ms = self.now_ms();
        if self.clock() != ClockState::Agrees {
            assert_eq!(answer.err(), Some(ErrorKind::Busy), "a lift in doubt");
            return;
        }
        let found = self.model.holds.iter().position(|hold| hold.name == name && hold.lifted.is_none());
        match found {
            None => assert_eq!(answer.err(), Some(ErrorKind::NotFound)),
            Some(at) => {
                answer.unwrap();
                self.model.holds[at].lifted = Some(Lifted { at_ms, grace_ms, is_done: false });
                self.model.wish(Wish::Lift(at), at_ms);
            }
        }
    }

    fn erase(&mut self, of: Target, cancellable_ms: i64) {
        let received_ms = self.now_ms();
        let attribution = Attribution::new("desk", "asked for");
        let erasure =
            Erasure::new(selector(of), instant(received_ms), attribution).cancellable(span(cancellable_ms));
        let answer = kind(self.engine().erase(erasure));
        if self.model.is_known(of) {
            answer.unwrap();
            self.model.wish_after(Wish::Erase(of), received_ms, cancellable_ms);
        } else {
            assert_eq!(answer.err(), Some(ErrorKind::NotFound), "erase {of:?}");
        }
    }

    fn cancel(&mut self, nth: u32) {
        let now_ms = self.now_ms();
        let answer = kind(self.engine().cancel_erasure(nth)).map(|request| request.state);
        let expected = match self.model.requests.get_mut(nth as usize - 1) {
            None => Err(ErrorKind::NotFound),
            Some(request) if !matches!(request.wish, Wish::Erase(_)) => Err(ErrorKind::Invalid),
            Some(request) if request.progress == Progress::CarriedOut => Err(ErrorKind::TooLate),
            Some(request) if request.progress == Progress::Waiting && request.ready_ms <= now_ms => {
                Err(ErrorKind::TooLate)
            }
            Some(request) => {
                request.progress = Progress::Cancelled;
                Ok(RequestState::Cancelled)
            }
        };
        assert_eq!(answer, expected, "cancel {nth}");
    }

    fn read_feed(&mut self, acknowledge: bool) {
        let entries = self.engine().feed(self.acknowledged, 10_000).unwrap();
        let numbers: Vec<u64> = entries.iter().map(|entry| entry.number).collect();
        let expected: Vec<u64> = (self.acknowledged + 1..).take(entries.len()).collect();
        assert_eq!(numbers, expected, "the feed has gaps");
        let told = |e: sexton::feed::FeedEntry| super::naive::News {
            class: e.class,
            key: (0..KEYS).find(|key| key_bytes(*key) == e.key).unwrap(),
            version: e.version,
            method: e.method,
            reason: e.reason,
            time_ms: e.time.unix_ms(),
        };
        let mut told: Vec<_> = entries.into_iter().map(told).collect();
        told.sort();
        self.model.news.sort();
        assert_eq!(told, self.model.news, "entries of the feed");
        if acknowledge {
            let last = self.acknowledged + told.len() as u64;
            self.engine().acknowledge_feed(last).unwrap();
            assert_eq!(kind(self.engine().acknowledge_feed(last + 1)), Err(ErrorKind::Invalid));
            self.acknowledged = last;
            self.model.news.clear();
        }
    }

    /// Steps the wall clock, back if `ms` is negative.
    fn step_wall(&self, ms: i64) {
        if ms < 0 {
            self.machine.clock.step_back(span(-ms));
        } else {
            self.machine.clock.step_forward(span(ms));
        }
    }

    fn step_clock(&mut self, ms: i64) {
        if self.off_ms == 0 {
            self.step_wall(ms);
            self.off_ms = ms;
        }
    }

    fn undo_clock(&mut self) {
        self.step_wall(-self.off_ms);
        self.off_ms = 0;
    }

    /// Returns the instant of a doubt by the monotonic clock. After an opening in doubt it is not known, and not needed:
    /// the wall clock is then later.
    fn expected_ms(&self, doubt: Doubt) -> i64 {
        if self.is_wary { doubt.wall_ms } else { doubt.true_ms }
    }

    /// Resumes after every alarm, as an operator who accepts that time goes `back`, or else corrects a clock that is behind.
    fn resume(&mut self, back: bool) {
        if self.off_ms < 0 && !back {
            self.step(&Step::ClockUndo);
        }
        let alarms = self.engine().status().unwrap().alarms;
        let clock = self.clock();
        let before_ms = self.now_ms();
        for alarm in &alarms {
            self.engine().resume(alarm.id, by_ops("looked")).unwrap();
        }
        if alarms.is_empty() {
            return;
        }
        self.wall_was_right = self.off_ms != 0 && clock != ClockState::Agrees;
        match clock {
            ClockState::Behind { .. } => self.take_back(before_ms),
            ClockState::Ahead { by } => self.model.jumps.push((before_ms, ms(by))),
            _ => {}
        }
        if clock != ClockState::Agrees {
            self.true_ms += self.off_ms;
            self.off_ms = 0;
        }
        // The doubt ends with the acceptance.
        self.decide_doubt();
        let now_ms = self.now_ms();
        self.model.end_doubts(now_ms);
        self.is_wary = false;
    }

    /// Takes the model's time back with the engine's. Doubts end by the time before, and their objects go back with the rest.
    fn take_back(&mut self, before_ms: i64) {
        self.model.verdicts.resize(self.model.doubts, false);
        self.model.end_doubts(before_ms);
        let requests = self.engine().requests().unwrap();
        let Some(RequestKind::Back(back)) = requests.last().map(|request| request.kind.clone()) else {
            panic!("time did not go back: {requests:?}");
        };
        let jumps: Vec<_> = back.jumps.iter().map(|jump| (jump.at.unix_ms(), ms(jump.by))).collect();
        // The engine may count more jumps: time off of which only a synchronised clock tells.
        assert!(self.model.jumps.iter().all(|jump| jumps.contains(jump)), "{:?}: {back:?}", self.model.jumps);
        let since_ms = self.model.backs.last().map(|back| back.to_ms);
        let (to_ms, by_ms) = (self.true_ms + self.off_ms, -self.off_ms);
        assert_eq!((back.to, back.by, back.era), (instant(to_ms), span(by_ms), self.model.era + 1));
        self.model.take_back(Back { to_ms, by_ms, jumps, since_ms });
    }

    fn reopen(&mut self, power_lost: bool) {
        if self.off_ms < 0 || self.model.doubts > self.model.verdicts.len() {
            // What an opening in doubt can know about earlier registrations is tested elsewhere.
            self.step(&Step::ClockUndo);
            self.enforce();
        }
        if self.model.doubts > self.model.ended_doubts {
            return;
        }
        let stops_all = |alarm: &Alarm| alarm.cause != AlarmCause::Behind;
        let alarmed = self.engine().status().unwrap().alarms.iter().any(stops_all);
        self.engine = None;
        if power_lost {
            self.machine.kv.lose_power();
        }
        self.openings += 1;
        self.engine = Some(self.machine.open_seeded(self.openings).unwrap());
        if alarmed {
            self.is_wary = true;
        } else if self.off_ms > 0 {
            // No alarm was raised, and the clock is NTP-synchronised after the time off.
            self.true_ms += self.off_ms;
            self.off_ms = 0;
        }
    }

    /// Returns `true` if a wrong clock stops deleting. Asserts that it does if the wall clock is ahead, and not if it
    /// is right.
    pub(crate) fn is_stopped(&self) -> bool {
        let stopped = matches!(self.clock(), ClockState::Ahead { .. });
        assert!(stopped || self.off_ms <= 0, "the wall is {} ms ahead and deleting goes on", self.off_ms);
        assert!(!stopped || self.off_ms > 0 || self.is_wary, "deleting stopped though the wall is right");
        stopped
    }

    fn enforce(&mut self) {
        let stopped = self.is_stopped();
        self.decide_doubt();
        let is_behind = matches!(self.clock(), ClockState::Behind { .. });
        let done = self.engine().enforce(&*self.machine.store).unwrap();
        let now_ms = self.now_ms();
        self.model.end_doubts(now_ms);
        if stopped {
            assert_eq!((done.batches, done.objects), (0, 0), "deleted by a wrong clock");
            assert!(!self.engine().status().unwrap().alarms.is_empty(), "deleting stopped without an alarm");
        } else {
            let causes: Vec<AlarmCause> =
                self.engine().status().unwrap().alarms.into_iter().map(|alarm| alarm.cause).collect();
            let expected = if is_behind { vec![AlarmCause::Behind] } else { vec![] };
            assert_eq!(causes, expected, "alarms");
            self.model.enforce(now_ms, is_behind);
        }
        self.compare(now_ms);
    }

    fn compare(&mut self, now_ms: i64) {
        for key in 0..KEYS {
            let expected = self.model.objects.contains_key(&key);
            assert_eq!(self.machine.store.has(&key_bytes(key)), expected, "object {key} at {now_ms}");
            let found = self.engine().find(&key_bytes(key)).unwrap().is_some();
            assert_eq!(found, self.model.live(key).is_some(), "registration of {key} at {now_ms}");
        }
        let classes = self.engine().status().unwrap().classes;
        for (number, class) in CLASSES.iter().enumerate() {
            let found = classes[class.name];
            let mine = || self.model.items.iter().filter(|item| item.class == number);
            let live = || mine().filter(|item| item.end.is_none());
            let count = |method| mine().filter(|item| item.end.is_some_and(|e| e.method == method)).count();
            let n = |count: usize| count as u64;
            let what = format!("{} at {now_ms}", class.name);
            assert_eq!(found.live, n(live().count()), "{what}: live");
            if !self.sweeps_in_parts {
                // What a batch carried in the middle of a sweep is moved up once more, and held once more.
                assert_eq!(found.held, n(live().filter(|item| item.is_parked).count()), "{what}: held");
                assert_eq!(found.due, n(live().filter(|item| item.go_ms <= now_ms).count()), "{what}: due");
                assert_eq!(found.ended.held, self.model.held[number], "{what}: times held");
            }
            let overdue = live().filter(|item| item.ceiling_ms < now_ms).count();
            assert_eq!(found.overdue, n(overdue), "{what}: overdue");
            let ended = found.ended;
            let methods = [
                (ended.deleted, Method::Deleted),
                (ended.absent, Method::Absent),
                (ended.absent_after_intent, Method::AbsentAfterIntent),
                (ended.replaced, Method::Replaced),
                (ended.released, Method::Released),
                (ended.anonymised, Method::Anonymised),
                (ended.requested, Method::Requested),
            ];
            for (found, method) in methods {
                assert_eq!(found, n(count(method)), "{what}: {method}");
            }
            let late = mine().filter(|item| item.is_late() && !item.is_after_hold()).count();
            let after_hold = mine().filter(|item| item.is_late() && item.is_after_hold()).count();
            assert_eq!((ended.late, ended.late_after_hold), (n(late), n(after_hold)), "{what}: late");
            assert_eq!(ended.early, n(mine().filter(|item| item.is_early()).count()), "{what}: early");
        }
    }

    /// Ends all objects and compares their evidence with the model.
    pub(crate) fn finish(&mut self) {
        for key in 0..KEYS {
            self.set_failure_mode(key, None);
        }
        self.step(&Step::ClockUndo);
        self.enforce();
        self.resume(false);
        self.enforce();
        for name in 0..3 {
            self.lift(name, 0);
        }
        for _ in 0..3 {
            // An object overwritten behind the engine's back would stay owed for ever, so it is removed.
            for item in self.model.items.clone().iter().filter(|item| item.lives()) {
                if self.model.objects.get(&item.key).is_some_and(|version| *version != item.version) {
                    self.step(&Step::Remove { key: item.key });
                }
            }
            self.step(&Step::Advance { ms: 800 * HOUR_MS });
            self.enforce();
        }
        self.reopen(true);
        let report = self.engine().check().unwrap();
        assert!(report.is_sound(), "{:#?}", report.problems);
        self.read_feed(true);
        self.compare_requests();
        self.compare_receipts();
    }

    fn compare_requests(&self) {
        let found = self.engine().requests().unwrap();
        assert_eq!(found.len(), self.model.requests.len());
        for (request, expected) in found.iter().zip(&self.model.requests) {
            let state = match expected.progress {
                Progress::Cancelled => RequestState::Cancelled,
                _ => RequestState::Finished,
            };
            assert_eq!(request.state, state, "{request:?}");
            if request.kind == RequestKind::Erase {
                assert_eq!(request.objects, expected.items.len() as u64, "{request:?}");
            }
        }
    }

    fn compare_receipts(&self) {
        let policy = Policy::parse(self.engine().policy()).unwrap();
        let mut verifier = receipt::Verifier::new(&policy);
        for item in &self.model.items {
            let text = self.engine().receipt(item.id, Opener::Key(&key_bytes(item.first))).unwrap();
            let verdict = verifier.verify(text.as_bytes(), self.engine().now()).unwrap();
            let end = item.end.unwrap_or_else(|| panic!("{item:?} has not ended"));
            let found = (verdict.method, verdict.reason, verdict.time.unix_ms());
            assert_eq!(found, (end.method, end.reason, end.time_ms), "{item:?}");
            let floor_ms = wire::encode_floor(verdict.floor);
            let found = (verdict.start.unix_ms(), floor_ms, wire::encode_ceiling(verdict.ceiling));
            assert_eq!(found, (item.start_ms, item.floor_ms, item.ceiling_ms), "{item:?}");
            assert_eq!((verdict.class_name.as_str(), &verdict.version), (item.terms.name, &item.version));
            assert_eq!(verdict.class_version, item.terms.edition + 1, "{item:?}");
            let never_early = matches!(end.method, Method::Replaced | Method::Released);
            assert!(never_early || end.time_ms >= item.floor_ms, "{item:?} went before its floor");
        }
    }
}
