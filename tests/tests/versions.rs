//! Classes with `find = "version"`: each version of a key is an object of its own, and decisions by key cover all of them.

use parking_lot::Mutex;
use sexton::store::{Answer, Store, SubBatch};
use sexton::testing::Clock as _;
use sexton::{
    Change, Changed, Durability, ErrorKind, Opener, Previous, RegisterOptions, Registered, Registration,
    RegistrationId, Result, Selector, Which,
};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{Compliance, Verifier};
use sexton_proof::record::Method;
use sexton_tests::simulation::{Simulation, key, subject};
use sexton_tests::{DAY, HOUR, MINUTE};
use std::collections::BTreeSet;
use std::time::Duration;

const CLASSES: &str = r#"
[class.bucket]
within = "3h"
slot = "1s"
lead = "1s"
find = "version"
remember = "90d"

[class.archive]
within = "9h"
slot = "1s"
lead = "1s"
find = "version"

[class.open]
within = "3h"
slot = "1s"
lead = "1s"
start = "explicit"
max_open = "720h"
find = "version"

[class.files]
within = "3h"
slot = "1s"
lead = "1s"

[class.blind]
within = "3h"
slot = "1s"
lead = "1s"
find = "none"
"#;

/// Store that keeps several versions of a key.
#[derive(Default)]
struct Bucket(Mutex<BTreeSet<(Vec<u8>, Vec<u8>)>>);

impl Store for Bucket {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        let mut versions = self.0.lock();
        let mut delete = |key: &[u8], version: &[u8]| versions.remove(&(key.to_vec(), version.to_vec()));
        let answer = |is_there| if is_there { Answer::Deleted } else { Answer::Absent };
        sub_batch.objects.iter().map(|object| answer(delete(object.key, object.version))).collect()
    }
}

impl Bucket {
    /// Returns the versions that are stored under a key.
    fn versions(&self, key: &str) -> Vec<String> {
        let stored = self.0.lock();
        let of_key = stored.iter().filter(|(found, _)| found == key.as_bytes());
        of_key.map(|(_, version)| String::from_utf8(version.clone()).unwrap()).collect()
    }
}

/// Simulation with a bucket.
struct Site {
    sim: Simulation,
    bucket: Bucket,
}

impl Site {
    fn new() -> Self {
        Site { sim: Simulation::new(CLASSES), bucket: Bucket::default() }
    }

    /// Registers objects in one call.
    fn register(&self, objects: &[(&str, &str, &str)]) -> Result<Vec<Registered>> {
        let registrations: Vec<_> =
            objects.iter().map(|(class, key, version)| registration(class, key, version)).collect();
        self.sim.engine().register(&registrations, Durability::Synced)
    }

    /// Stores an object and registers it.
    fn put(&self, class: &str, key: &str, version: &str) -> RegistrationId {
        self.bucket.0.lock().insert((key.into(), version.into()));
        self.register(&[(class, key, version)]).unwrap().remove(0).id
    }

    /// Lets time pass, a minute at a time, and deletes what falls due.
    fn pass(&self, span: Duration) {
        let end = self.sim.machine.clock.now().saturating_add(span);
        loop {
            self.sim.engine().enforce(&self.bucket).unwrap();
            let now = self.sim.machine.clock.now();
            if now >= end {
                return;
            }
            self.sim.machine.clock.set(now.saturating_add(MINUTE).min(end));
        }
    }

    fn live(&self, key: &str) -> Vec<String> {
        let live = self.sim.engine().versions(key.as_bytes()).unwrap();
        let mut versions: Vec<_> =
            live.into_iter().map(|live| String::from_utf8(live.version).unwrap()).collect();
        versions.sort_unstable();
        versions
    }
}

fn registration<'a>(class: &'a str, key: &'a str, version: &'a str) -> Registration<'a> {
    Registration::new(class, key.as_bytes()).version(version.as_bytes()).subject(b"anna")
}

fn version<'a>(key: &'a str, version: &'a str) -> Which<'a> {
    Which::Version { key: key.as_bytes(), version: version.as_bytes() }
}

fn kind<T>(answer: Result<T>) -> Option<ErrorKind> {
    answer.err().map(|error| error.kind())
}

#[test]
fn versions_of_a_key_live_and_end_beside_each_other() {
    for reopen in [false, true] {
        let mut site = Site::new();
        let first = site.put("bucket", "a", "v1");
        site.pass(HOUR);
        let second = site.put("bucket", "a", "v2");
        assert_eq!(site.live("a"), ["v1", "v2"]);
        let refused = site.sim.engine().find(b"a").unwrap_err();
        assert!(
            refused.to_string().contains("2 versions of the key live; name one by its version"),
            "{refused}"
        );
        assert_eq!(kind(site.sim.engine().live(b"a")), Some(ErrorKind::Invalid));
        if reopen {
            site.sim.lose_power();
        }
        site.sim.assert_sound();
        site.pass(2 * HOUR + MINUTE);
        assert_eq!((site.live("a"), site.bucket.versions("a")), (vec!["v2".into()], vec!["v2".into()]));
        assert_eq!(site.sim.engine().find(b"a").unwrap(), Some(second));
        site.pass(HOUR);
        assert!(site.live("a").is_empty() && site.bucket.versions("a").is_empty());
        for id in [first, second] {
            let text = site.sim.engine().receipt(id, Opener::Key(b"a")).unwrap();
            let policy = Policy::parse(site.sim.engine().policy()).unwrap();
            let verdict = Verifier::new(&policy).verify(text.as_bytes(), site.sim.now()).unwrap();
            assert_eq!((verdict.compliance(), verdict.method), (Compliance::Kept, Method::Deleted));
        }
        site.sim.assert_sound();
    }
}

#[test]
fn version_registered_again_leaves_the_others_alone() {
    let site = Site::new();
    let first = site.put("bucket", "a", "v1");
    let second = site.put("bucket", "a", "v2");
    // A repeated call, and one version twice in a call.
    let again =
        site.register(&[("bucket", "a", "v1"), ("bucket", "a", "v2"), ("bucket", "a", "v1")]).unwrap();
    let answers: Vec<_> = again.iter().map(|answer| (answer.id, answer.previous)).collect();
    let identical = |id| (id, Previous::Identical);
    assert_eq!(answers, [identical(first), identical(second), identical(first)]);
    // Another class, within one call and by a later one.
    let moved =
        site.register(&[("archive", "a", "v1"), ("bucket", "a", "v3"), ("archive", "a", "v1")]).unwrap();
    let previous: Vec<_> = moved.iter().map(|answer| answer.previous).collect();
    assert_eq!(previous, [Previous::Replaced(first), Previous::None, Previous::Identical]);
    assert_eq!(site.live("a"), ["v1", "v2", "v3"]);
    // Only what is missing.
    let missing = ["v2", "v4"].map(|version| registration("bucket", "a", version));
    let answers = site.sim.engine().register(&missing, RegisterOptions::new().only_missing()).unwrap();
    assert_eq!(answers[0].previous, Previous::Identical, "the same terms");
    let other = [registration("archive", "a", "v2")];
    let answers = site.sim.engine().register(&other, RegisterOptions::new().only_missing()).unwrap();
    assert_eq!(answers[0].previous, Previous::Kept);
    assert_eq!(site.live("a"), ["v1", "v2", "v3", "v4"]);
    site.sim.assert_sound();
    site.pass(3 * HOUR + MINUTE);
    assert_eq!(site.live("a"), ["v1"], "its class keeps it longer");
    site.sim.assert_sound();
}

#[test]
fn key_is_never_found_by_key_and_by_version() {
    for (there, here) in [("files", "bucket"), ("bucket", "files")] {
        let site = Site::new();
        site.put(there, "a", "v1");
        let counts = || [site.sim.class("files").live, site.sim.class("bucket").live];
        let before = counts();
        for also in ["v1", "v2"] {
            // The whole call is refused, whatever shards its keys are in.
            let mut call: Vec<(&str, &str, &str)> = vec![(here, "a", also)];
            call.extend(["k1", "k2", "k3", "k4", "k5"].map(|key| (here, key, "v1")));
            let refused = site.register(&call).unwrap_err();
            assert!(refused.to_string().contains("the key is live in class"), "{refused}");
            assert_eq!((refused.kind(), counts()), (ErrorKind::Invalid, before));
        }
        let mixed = site.register(&[(there, "n", "v1"), (here, "n", "v1")]);
        assert_eq!((kind(mixed), counts()), (Some(ErrorKind::Invalid), before), "in one call");
        let to = Change::Reschedule { of: version("a", "v1"), class: Some(here), start: None };
        assert_eq!(kind(site.sim.change(to)), Some(ErrorKind::Invalid));
        // A rename onto the key.
        site.put(here, "b", "v1");
        for (from, to) in [("b", "a"), ("a", "b")] {
            for of in [Which::Key(from.as_bytes()), version(from, "v1")] {
                let rename = Change::Rename { of, to: to.as_bytes() };
                assert_eq!(kind(site.sim.change(rename)), Some(ErrorKind::Invalid), "{from} to {to}");
            }
        }
        site.sim.assert_sound();
        site.pass(3 * HOUR + MINUTE);
        site.put(here, "a", "v1");
        site.sim.assert_sound();
    }
}

#[test]
fn decisions_cover_all_versions_that_they_select() {
    let cases: [(&str, Selector); 4] = [
        ("key", key("a")),
        ("prefix", Selector::Prefix(b"a".to_vec())),
        ("subject", subject("anna")),
        ("class", Selector::Class("bucket".into())),
    ];
    for (name, selector) in cases {
        let site = Site::new();
        for number in 1..=5 {
            site.put("bucket", "a", &format!("v{number}"));
        }
        assert_eq!(site.sim.engine().count_live(&selector).unwrap(), 5, "{name}");
        site.sim.hold("case", selector.clone());
        site.pass(DAY);
        assert_eq!(site.bucket.versions("a").len(), 5, "{name}");
        site.sim.lift("case", Duration::ZERO);
        site.pass(MINUTE);
        assert!(site.bucket.versions("a").is_empty() && site.live("a").is_empty(), "{name}");
        site.sim.assert_sound();

        if ["key", "subject"].contains(&name) {
            site.put("archive", "a", "v6");
            site.put("bucket", "a", "v7");
            site.sim.erase(selector);
            site.pass(MINUTE);
            assert!(site.bucket.versions("a").is_empty(), "{name}");
            site.sim.assert_sound();
        }
    }
}

#[test]
fn version_cannot_leave_a_hold_by_being_registered_again() {
    // The class that names the object again, its version, and if the call is refused under a hold on the class or the subject.
    let ways = [
        ("bucket", "v1", false),
        ("archive", "v1", true),
        ("archive", "v2", false),
        ("archive", "v3", false),
        ("blind", "v1", true),
        ("blind", "v3", false),
        ("blind", "", true),
    ];
    for (name, selector) in [("class", Selector::Class("bucket".into())), ("key", key("a"))] {
        for (class, again, leaves) in ways {
            for also in [false, true] {
                let site = Site::new();
                site.put("bucket", "a", "v1");
                site.put("archive", "a", "v2");
                site.sim.hold("case", selector.clone());
                let mut call = vec![(class, "a", again)];
                if also {
                    call.insert(0, ("bucket", "a", "v1"));
                }
                let what = format!("hold on the {name}, {again:?} in {class}, after a repeated one: {also}");
                let refused = (leaves && name == "class").then_some(ErrorKind::Held);
                assert_eq!(kind(site.register(&call)), refused, "{what}");
                site.pass(DAY);
                assert!(site.bucket.versions("a").contains(&"v1".to_owned()), "{what}");
                site.sim.assert_sound();
            }
        }
    }
}

#[test]
fn change_of_a_key_with_several_versions_names_one_of_them() {
    let site = Site::new();
    site.put("open", "a", "v1");
    site.put("open", "a", "v2");
    let start = site.sim.now();
    let changes = |of| -> [Change<'static>; 3] {
        [
            Change::Start { of, start },
            Change::Reschedule { of, class: Some("archive"), start: None },
            Change::Release { of },
        ]
    };
    let refusal = |answer: Result<Changed>| answer.unwrap_err().to_string();
    for change in changes(Which::Key(b"a")) {
        assert!(refusal(site.sim.change(change)).contains("2 versions of the key live"));
    }
    for change in changes(Which::Version { key: b"a", version: b"v3" }) {
        assert!(refusal(site.sim.change(change)).contains("no live registration has this key and version"));
    }
    let of = Which::Version { key: b"a", version: b"v2" };
    let content = Change::Content { of, version: b"v9", size: None, start: None };
    assert!(refusal(site.sim.change(content)).contains("an object keeps its version"));
    for of in [of, Which::Key(b"a")] {
        let rename = Change::Rename { of, to: b"b" };
        assert!(refusal(site.sim.change(rename)).contains("an object keeps its key"));
    }
    let empty = site.register(&[("open", "a", "")]).unwrap_err();
    assert!(empty.to_string().contains("no version is given"), "{empty}");
    site.sim.assert_sound();

    for change in changes(of).into_iter().take(2) {
        site.sim.change(change).unwrap();
    }
    let classes: Vec<_> =
        site.sim.engine().versions(b"a").unwrap().into_iter().map(|live| live.class).collect();
    assert_eq!(BTreeSet::from_iter(classes), BTreeSet::from(["archive".to_owned(), "open".to_owned()]));
    site.sim.change(Change::Release { of: version("a", "v1") }).unwrap();
    // By its key alone, once it is the only one.
    site.pass(MINUTE);
    assert_eq!(site.live("a"), ["v2"]);
    site.sim.change(Change::Release { of: Which::Key(b"a") }).unwrap();
    site.pass(MINUTE);
    assert!(
        site.live("a").is_empty(),
        "{:?} {}",
        site.sim.engine().status().unwrap().alarms,
        site.live("a").len()
    );
    site.sim.assert_sound();
}

#[test]
fn thousands_of_versions_of_a_key_are_all_found() {
    let mut site = Site::new();
    let names: Vec<String> = (0..3_000).map(|number| format!("v{number}")).collect();
    site.bucket.0.lock().extend(names.iter().map(|name| (b"a".to_vec(), name.clone().into_bytes())));
    for call in names.chunks(1_000) {
        let call: Vec<_> = call.iter().map(|name| ("bucket", "a", name.as_str())).collect();
        let answers = site.register(&call).unwrap();
        assert!(answers.iter().all(|answer| answer.previous == Previous::None));
    }
    site.sim.lose_power();
    let again: Vec<_> = names[500..1_500].iter().map(|name| ("bucket", "a", name.as_str())).collect();
    assert!(site.register(&again).unwrap().iter().all(|answer| answer.previous == Previous::Identical));
    assert_eq!(site.live("a").len(), 3_000);
    assert_eq!(site.sim.engine().count_live(&key("a")).unwrap(), 3_000);
    site.sim.hold("case", key("a"));
    site.pass(4 * HOUR);
    assert_eq!(site.live("a").len(), 3_000);
    site.sim.lift("case", Duration::ZERO);
    site.pass(MINUTE);
    assert!(site.live("a").is_empty());
    site.sim.assert_sound();
}
