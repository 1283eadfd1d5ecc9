//! A site with an engine on which time passes as it does for a host: whatever falls due on the way is deleted then.

use sexton::{
    Change, Changed, ClassSet, ClassStatus, Durability, Engine, Erasure, HoldKind, NewHold, Opener,
    Registration, RegistrationId, Result, Selector, Which,
};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{Outcome, Verdict, Verifier};
use sexton_proof::record::{Method, Reason};
use sexton_proof::window::Calendar;
use sexton_tests::{HOUR_MS, Machine};

/// A minute.
pub(crate) const MINUTE_MS: i64 = 60_000;
/// A day.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// A machine, and the engine that is open on it.
pub(crate) struct Site {
    /// The machine.
    pub(crate) machine: Machine,
    engine: Option<Engine>,
}

impl Site {
    /// A new site with these classes.
    pub(crate) fn new(class_file: &str) -> Self {
        let mut machine = Machine::new();
        machine.options.classes = ClassSet::from_toml(class_file).unwrap();
        Site::on(machine)
    }

    /// A site on this machine.
    pub(crate) fn on(machine: Machine) -> Self {
        let engine = Some(machine.open().unwrap());
        Site { machine, engine }
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// Closes the engine.
    pub(crate) fn close(&mut self) {
        self.engine = None;
    }

    /// Closes the engine and opens it again.
    pub(crate) fn reopen(&mut self) {
        self.close();
        self.engine = Some(self.machine.open().unwrap());
    }

    /// The same with a loss of power in between.
    pub(crate) fn lose_power(&mut self) {
        self.close();
        self.machine.kv.lose_power();
        self.reopen();
    }

    /// Now.
    pub(crate) fn now_ms(&self) -> i64 {
        self.engine().now_ms()
    }

    /// Stores an object and registers it; its start is what the class says.
    pub(crate) fn put(&self, class: &str, key: &str) -> RegistrationId {
        self.put_of(class, key, "", None)
    }

    /// The same with a subject and a start.
    pub(crate) fn put_of(
        &self,
        class: &str,
        key: &str,
        subject: &str,
        start_ms: Option<i64>,
    ) -> RegistrationId {
        let version = format!("{key}@{}", self.now_ms());
        self.machine.store.put(key.as_bytes(), version.as_bytes());
        let item = Registration {
            version: version.as_bytes(),
            subject: subject.as_bytes(),
            start_ms,
            size_bytes: 1_000,
            ..Registration::new(class, key.as_bytes())
        };
        self.engine().register(&[item], Durability::Synced).unwrap()[0].id
    }

    /// Whether an object is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.machine.store.has(key.as_bytes())
    }

    /// Deletes what is due now.
    pub(crate) fn enforce(&self) {
        self.engine().enforce(&*self.machine.store).unwrap();
    }

    /// Lets time pass, and deletes what falls due on the way, when it does.
    pub(crate) fn pass(&self, ms: i64) {
        let until_ms = self.machine_now_ms().saturating_add(ms);
        // Requests wait for an instant that the wheel does not know: a host looks now and then.
        let step_ms = (ms / 200).clamp(1_000, HOUR_MS);
        loop {
            self.enforce();
            let now_ms = self.machine_now_ms();
            if now_ms >= until_ms {
                return;
            }
            let due_ms = self.engine().next_due_ms().filter(|due_ms| *due_ms > now_ms).unwrap_or(i64::MAX);
            self.machine.clock.set(due_ms.min(now_ms + step_ms).min(until_ms));
        }
    }

    /// The same until an instant.
    pub(crate) fn pass_until(&self, ms: i64) {
        self.pass(ms - self.machine_now_ms());
    }

    fn machine_now_ms(&self) -> i64 {
        use sexton::Clock as _;
        self.machine.clock.now_ms()
    }

    /// Says one thing of an object.
    pub(crate) fn change(&self, change: Change<'_>) -> Result<Changed> {
        self.engine().change(&[change], Durability::Synced).unwrap().remove(0)
    }

    /// Says that the start of an object is now.
    pub(crate) fn start(&self, key: &str) {
        self.change(Change::Start { of: Which::Key(key.as_bytes()), start_ms: self.now_ms() }).unwrap();
    }

    /// Places a temporary legal hold.
    pub(crate) fn hold(&self, name: &str, selector: Selector) -> Vec<RegistrationId> {
        self.hold_of(name, selector, HoldKind::Temporary)
    }

    /// Places a legal hold; gives what was out already.
    pub(crate) fn hold_of(&self, name: &str, selector: Selector, kind: HoldKind) -> Vec<RegistrationId> {
        self.engine().place_hold(self.new_hold(name, selector, kind)).unwrap().too_late
    }

    /// A legal hold to be placed.
    pub(crate) fn new_hold(&self, name: &str, selector: Selector, kind: HoldKind) -> NewHold {
        NewHold {
            name: name.into(),
            selector,
            kind,
            reason: "case 17".into(),
            author: "counsel".into(),
            review_ms: self.now_ms() + 90 * DAY_MS,
        }
    }

    /// Lifts a legal hold.
    pub(crate) fn lift(&self, name: &str, grace_ms: i64) {
        self.engine().lift_hold(name, "case 17 is closed", "counsel", grace_ms).unwrap();
    }

    /// An erasure that is received now and begins at once.
    pub(crate) fn erasure(&self, selector: Selector) -> Erasure {
        Erasure {
            selector,
            received_ms: self.now_ms(),
            within: None,
            calendar: Calendar::default(),
            cancellable_ms: 0,
            reason: "they asked for it".into(),
            author: "support".into(),
        }
    }

    /// Takes such an erasure; gives its number.
    pub(crate) fn erase(&self, selector: Selector) -> u32 {
        self.engine().erase(self.erasure(selector)).unwrap().number
    }

    /// The status of a class.
    pub(crate) fn class(&self, name: &str) -> ClassStatus {
        self.engine().status().unwrap().classes[name]
    }

    /// What the receipt of an object says; it verifies.
    pub(crate) fn verdict(&self, id: RegistrationId, key: &str) -> Verdict {
        let text = self.engine().receipt(id, Opener::Key(key.as_bytes())).unwrap();
        let policy = Policy::parse(self.engine().policy()).unwrap();
        Verifier::new(&policy).verify(text.as_bytes()).unwrap()
    }

    /// Outcome, method and reason in the receipt of an object; it verifies.
    pub(crate) fn receipt(&self, id: RegistrationId, key: &str) -> (Outcome, Method, Reason) {
        let verdict = self.verdict(id, key);
        (verdict.outcome(), verdict.method, verdict.reason)
    }

    /// That everything stored agrees with everything else.
    pub(crate) fn assert_sound(&self) {
        let report = self.engine().check().unwrap();
        assert!(report.is_sound(), "{:#?}", report.problems);
    }

    /// That the index nowhere holds these bytes.
    pub(crate) fn assert_forgotten(&self, bytes: &[u8]) {
        assert!(!self.index_holds(bytes), "{:?} is still in the index", String::from_utf8_lossy(bytes));
    }

    /// Whether the index anywhere holds these bytes, as they are or in hexadecimal.
    pub(crate) fn index_holds(&self, bytes: &[u8]) -> bool {
        let hex = hex::encode(bytes);
        let within = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|window| window == part);
        let holds = |text: &[u8]| within(text, bytes) || within(text, hex.as_bytes());
        self.machine.kv.image().values().flatten().any(|(key, value)| holds(key) || holds(value))
    }
}

/// Unix ms of a text such as `2026-10-01T00:00:00Z`.
pub(crate) fn ms(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// A selector of one key.
pub(crate) fn key(key: &str) -> Selector {
    Selector::Keys(vec![key.into()])
}

/// A selector of one subject.
pub(crate) fn subject(subject: &str) -> Selector {
    Selector::Subject(subject.into())
}
