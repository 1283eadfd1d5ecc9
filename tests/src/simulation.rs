//! Simulated host. Virtual time passes on a machine in memory, and its engine deletes objects when they fall due.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::{DAY, HOUR, Machine};
use sexton::decision::HoldKind;
use sexton::report::ClassStatus;
use sexton::testing::kv::ColumnFamily;
use sexton::testing::{Clock as _, StoredLinks};
use sexton::{
    Attribution, Change, Changed, ClassSet, Durability, Engine, Erasure, HoldName, NewHold, Opener,
    Registration, RegistrationId, Result, Selector, Which,
};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{Compliance, Verdict, Verifier};
use sexton_proof::record::{Method, Reason};
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Machine with an open engine.
pub struct Simulation {
    /// Machine on which the engine is open.
    pub machine: Machine,
    engine: Option<Engine>,
}

impl Simulation {
    /// Opens an engine with the classes of `class_file` on an empty machine.
    pub fn new(class_file: &str) -> Self {
        let mut machine = Machine::new();
        machine.options.classes = ClassSet::from_toml(class_file).unwrap();
        Simulation::on(machine)
    }

    /// Opens an engine on this machine.
    pub fn on(machine: Machine) -> Self {
        let engine = Some(machine.open().unwrap());
        Simulation { machine, engine }
    }

    /// Returns the open engine.
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// Closes the engine.
    pub fn close(&mut self) {
        self.engine = None;
    }

    /// Closes the engine and opens it again.
    pub fn reopen(&mut self) {
        self.close();
        self.engine = Some(self.machine.open().unwrap());
    }

    /// Closes the engine, loses power, and opens the engine again.
    pub fn lose_power(&mut self) {
        self.close();
        self.machine.kv.lose_power();
        self.reopen();
    }

    /// Returns the links of every row in the index, by registration.
    pub fn links(&self) -> BTreeMap<RegistrationId, StoredLinks> {
        links(&self.machine)
    }

    /// Returns the time that the engine trusts.
    pub fn now(&self) -> Timestamp {
        self.engine().now()
    }

    /// Stores an object and registers it with the start that its class gives.
    pub fn put(&self, class: &str, key: &str) -> RegistrationId {
        self.put_of(class, key, "", None)
    }

    /// Stores an object and registers it with a subject and a start.
    pub fn put_of(&self, class: &str, key: &str, subject: &str, start: Option<Timestamp>) -> RegistrationId {
        let version = format!("{key}@{}", self.now().unix_ms());
        self.machine.store.put(key.as_bytes(), version.as_bytes());
        let registration = Registration::new(class, key.as_bytes())
            .version(version.as_bytes())
            .subject(subject.as_bytes())
            .start(start)
            .size(1_000);
        self.engine().register(&[registration], Durability::Synced).unwrap()[0].id
    }

    /// Returns `true` if the store has an object with this key.
    pub fn has(&self, key: &str) -> bool {
        self.machine.store.has(key.as_bytes())
    }

    /// Deletes the objects that are due now.
    pub fn enforce(&self) {
        self.engine().enforce(&*self.machine.store).unwrap();
    }

    /// Lets time pass and deletes each object when it falls due.
    pub fn pass(&self, span: Duration) {
        let until = self.clock_time().saturating_add(span);
        // The wheel does not know the instants that requests wait for, so the host also enforces in between.
        let step = (span / 200).clamp(Duration::from_secs(1), HOUR);
        loop {
            self.enforce();
            let now = self.clock_time();
            if now >= until {
                return;
            }
            let due = self.engine().next_due().filter(|due| *due > now).unwrap_or(Timestamp::MAX);
            self.machine.clock.set(due.min(now.saturating_add(step)).min(until));
        }
    }

    /// Lets time pass until an instant and deletes each object when it falls due.
    pub fn pass_until(&self, end: Timestamp) {
        self.pass(end.since(self.clock_time()));
    }

    fn clock_time(&self) -> Timestamp {
        self.machine.clock.now()
    }

    /// Applies one change to an object.
    pub fn change(&self, change: Change<'_>) -> Result<Changed> {
        self.engine().change(&[change], Durability::Synced).unwrap().remove(0)
    }

    /// Sets the start of an object to now.
    pub fn start(&self, key: &str) {
        self.change(Change::Start { of: Which::Key(key.as_bytes()), start: self.now() }).unwrap();
    }

    /// Places a temporary legal hold.
    pub fn hold(&self, name: &str, selector: Selector) -> Vec<RegistrationId> {
        self.hold_of(name, selector, HoldKind::Temporary)
    }

    /// Places a legal hold and returns the covered registrations that were in flight already.
    pub fn hold_of(&self, name: &str, selector: Selector, kind: HoldKind) -> Vec<RegistrationId> {
        self.engine().place_hold(self.new_hold(name, selector, kind)).unwrap().too_late
    }

    /// Returns a legal hold to be placed.
    pub fn new_hold(&self, name: &str, selector: Selector, kind: HoldKind) -> NewHold {
        let name = HoldName::new(name).unwrap();
        let review = self.now().saturating_add(90 * DAY);
        NewHold::new(name, selector, kind, Attribution::new("counsel", "case 17"), review)
    }

    /// Lifts a legal hold.
    pub fn lift(&self, name: &str, grace: Duration) {
        let name = HoldName::new(name).unwrap();
        let attribution = Attribution::new("counsel", "case 17 is closed");
        self.engine().lift_hold(&name, attribution, grace).unwrap();
    }

    /// Returns an erasure that is received now and cannot be cancelled.
    pub fn erasure(&self, selector: Selector) -> Erasure {
        Erasure::new(selector, self.now(), Attribution::new("support", "they asked for it"))
    }

    /// Requests an erasure that cannot be cancelled, and returns its number.
    pub fn erase(&self, selector: Selector) -> u32 {
        self.engine().erase(self.erasure(selector)).unwrap().number
    }

    /// Returns the status of a class.
    pub fn class(&self, name: &str) -> ClassStatus {
        self.engine().status().unwrap().classes[name]
    }

    /// Verifies the receipt of an object and returns its verdict.
    pub fn verdict(&self, id: RegistrationId, key: &str) -> Verdict {
        let text = self.engine().receipt(id, Opener::Key(key.as_bytes())).unwrap();
        let policy = Policy::parse(self.engine().policy()).unwrap();
        Verifier::new(&policy).verify(text.as_bytes(), self.engine().now()).unwrap()
    }

    /// Verifies the receipt of an object and returns its compliance, method and reason.
    pub fn receipt(&self, id: RegistrationId, key: &str) -> (Compliance, Method, Reason) {
        let verdict = self.verdict(id, key);
        (verdict.compliance(), verdict.method, verdict.reason)
    }

    /// Asserts that the full check finds no problem.
    pub fn assert_sound(&self) {
        let report = self.engine().check().unwrap();
        assert!(report.is_sound(), "{:#?}", report.problems);
    }

    /// Asserts that the index holds these bytes nowhere.
    pub fn assert_forgotten(&self, bytes: &[u8]) {
        assert!(!self.index_holds(bytes), "{:?} is still in the index", String::from_utf8_lossy(bytes));
    }

    /// Returns `true` if the index holds these bytes anywhere, raw or in hexadecimal.
    pub fn index_holds(&self, bytes: &[u8]) -> bool {
        let hex = hex::encode(bytes);
        let within = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|window| window == part);
        let holds = |text: &[u8]| within(text, bytes) || within(text, hex.as_bytes());
        self.machine.kv.image().values().flatten().any(|(key, value)| holds(key) || holds(value))
    }
}

/// Returns the links of every row in the index of a machine, by registration.
pub fn links(machine: &Machine) -> BTreeMap<RegistrationId, StoredLinks> {
    let mut all = BTreeMap::new();
    for (family, rows) in machine.kv.image() {
        let ColumnFamily::Rows(class) = family else { continue };
        for (key, value) in rows {
            let id = [&class.to_be_bytes()[..], &key].concat();
            let id = RegistrationId::from_bytes(id.as_array().unwrap());
            all.insert(id, StoredLinks::of_row(&value).unwrap());
        }
    }
    all
}

/// Returns the instant of a text such as `2026-10-01T00:00:00Z`.
pub fn instant(text: &str) -> Timestamp {
    Timestamp::from_unix_ms(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// Returns a selector of one key.
pub fn key(key: &str) -> Selector {
    Selector::keys([key])
}

/// Returns a selector of one subject.
pub fn subject(subject: &str) -> Selector {
    Selector::Subject(subject.into())
}
