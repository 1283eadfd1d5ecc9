//! Input that the engine refuses.

use sexton::class::{START_AHEAD_MAX, START_MIN};
use sexton::{ClassSet, Durability, Engine, ErrorKind, Options, Registration, RegistrationId};
use sexton_proof::time::Timestamp;
use sexton_tests::{DAY, HOUR, Machine, NEW_YEAR};

/// Registers a good and a bad object in one call. Asserts that the call is refused as a whole, and returns its message.
fn refused(engine: &Engine, bad: Registration<'_>) -> String {
    let good = Registration::new("log-73h", b"good");
    let error = engine.register(&[good, bad], Durability::Synced).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(engine.find(b"good").unwrap(), None, "{error}");
    assert_eq!(engine.status().unwrap().classes["log-73h"].live, 0);
    error.to_string()
}

/// The error names the value and the bound.
#[test]
fn registration_out_of_bounds_is_refused_as_a_whole() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let ok = Registration::new("log-73h", b"key");
    let starts = |ms| ok.start(Timestamp::from_unix_ms(ms));
    let long = vec![b'k'; 2049];
    for (bad, words) in [
        (
            Registration::new("log-72h", b"key"),
            ["log-72h", "known are: data-30d, log-6mo, log-73h, upload-3h"],
        ),
        (Registration::new("log-73h", b""), ["key of 0 bytes", "1 to 2048"]),
        (Registration::new("log-73h", &long), ["key of 2049 bytes", "1 to 2048"]),
        (ok.version(&long[..1025]), ["version of 1025 bytes", "0 to 1024"]),
        (ok.digest(&long[..65]), ["digest of 65 bytes", "0 to 64"]),
        (ok.subject(&long[..256]), ["subject of 256 bytes", "0 to 255"]),
        (starts(0), ["start 0 ms is before 1990-01-01", "631152000000"]),
        (starts(-5), ["start -5 ms", "1990-01-01"]),
        (starts(i64::MIN), ["start -9223372036854775808 ms", "1990-01-01"]),
        (starts(253_370_764_800_000), ["253370764800000 ms", "ten years"]),
        (starts(i64::MAX), ["9223372036854775807 ms", "ten years"]),
    ] {
        let said = refused(&engine, bad);
        assert!(said.starts_with("registration 2 of 2: "), "{said}");
        for word in words {
            assert!(said.contains(word), "{said:?} lacks {word:?}");
        }
    }
    for start in [START_MIN, NEW_YEAR.saturating_add(START_AHEAD_MAX)] {
        let edge = Registration::new("log-73h", b"edge").start(start);
        engine.register(&[edge], Durability::Synced).unwrap();
    }
    assert!(engine.check().unwrap().is_sound());
}

#[test]
fn object_without_a_start_is_open_or_refused_by_its_class() {
    let mut machine = Machine::new();
    let text = "[class.strict]\nwithin = \"1h\"\nstart = \"explicit\"\n";
    machine.options.classes = ClassSet::built_in().and(ClassSet::from_toml(text).unwrap());
    let engine = machine.open().unwrap();
    let said = refused(&engine, Registration::new("strict", b"key"));
    assert!(said.contains("give the object's start"), "{said}");
    engine.register(&[Registration::new("upload-3h", b"open")], Durability::Synced).unwrap();
    // The object is open for 24 hours, then has three more.
    let due = engine.next_due().unwrap();
    assert!((DAY..DAY + 3 * HOUR).contains(&due.since(NEW_YEAR)), "{due}");
}

#[test]
fn malformed_class_file_is_refused_with_an_explanation() {
    for (text, words) in [
        ("[class.a]\nwithin = 3h\n", "malformed"),
        ("[class.a]\nwithin = \"3h\"\nceiling = \"4h\"\n", "ceiling"),
        ("[klass.a]\nwithin = \"3h\"\n", "klass"),
        ("[class.a]\nstart = \"registered\"\n", "keep"),
        ("[class.a]\nwithin = \"0h\"\n", "within"),
        ("[class.a]\nwithin = \"3 hours\"\n", "3 hours"),
        ("[class.A]\nwithin = \"3h\"\n", "class name"),
        ("[class.a]\nwithin = \"3h\"\nstart = \"later\"\n", "registered, explicit"),
        ("[class.a]\nwithin = \"3h\"\nslot = \"1mo\"\n", "calendar span"),
        ("[class.a]\nwithin = \"3h\"\nslot = \"4h\"\n", "nothing could be deleted in time"),
        ("[class.a]\nwithin = \"1s\"\n", "nothing could be deleted in time"),
        ("[class.a]\nkeep = \"6mo\"\nwithin = \"180d\"\n", "class \"a\""),
        ("[class.a]\nwithin = \"3h\"\nzone = \"Mars/Olympus\"\n", "Mars/Olympus"),
        ("[class.a]\nwithin = \"3h\"\nmax_open = \"2h\"\nstart = \"registered\"\n", "explicit"),
        ("[class.a]\nwithin = \"3h\"\nfind = \"maybe\"\n", "key, version, none"),
        ("[class.a]\nwithin = \"3h\"\ndisposition = \"shred\"\n", "delete"),
    ] {
        let error = ClassSet::from_toml(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(words), "{text:?} is refused with {error:?}, without {words:?}");
    }
}

#[test]
fn data_folder_refuses_another_origin_or_shard_count() {
    let machine = Machine::new();
    drop(machine.open().unwrap());
    for (options, words) in [
        (Options::default().shards(5), "has 4 shards, not 5"),
        (Options::new("another.example/log"), "not \"another.example/log\""),
    ] {
        let error = Machine { options, ..machine.clone() }.open().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(words), "{error}");
    }
    // Options without a shape take the stored one.
    Machine { options: Options::default(), ..machine }.open().unwrap();
    let new = Machine { options: Options::default(), ..Machine::new() };
    assert!(new.open().err().unwrap().to_string().contains("needs an origin"));
    for shards in [0, 33, u16::MAX] {
        let new = Machine { options: Options::new("a.example").shards(shards), ..Machine::new() };
        assert!(new.open().err().unwrap().to_string().contains("1 to 32 are allowed"));
    }
}

/// Objects registered before keep their bounds.
#[test]
fn changed_class_becomes_a_new_version() {
    let mut machine = Machine::new();
    let class = |within: &str| ClassSet::from_toml(&format!("[class.c]\nwithin = \"{within}\"\n")).unwrap();
    machine.options.classes = class("1h");
    let engine = machine.open().unwrap();
    machine.store.put(b"old", b"1");
    machine.store.put(b"new", b"1");
    let registration = |key: &'static [u8]| Registration::new("c", key).version(b"1");
    engine.register(&[registration(b"old")], Durability::Synced).unwrap();
    drop(engine);
    machine.options.classes = class("2h");
    let engine = machine.open().unwrap();
    engine.register(&[registration(b"new")], Durability::Synced).unwrap();
    drop(engine);
    // An equal definition makes no new version.
    let size = machine.open().unwrap().status().unwrap().log_size;
    assert_eq!(machine.open().unwrap().status().unwrap().log_size, size);
    let engine = machine.open().unwrap();
    machine.clock.advance(HOUR);
    engine.enforce(&*machine.store).unwrap();
    assert!(!machine.store.has(b"old") && machine.store.has(b"new"));
    machine.clock.advance(HOUR);
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.is_empty());
    assert!(engine.check().unwrap().is_sound());
}

#[test]
fn unknown_key_id_or_class_is_not_found() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let page = sexton_proof::id::PageId { class: 9, slot: 1_000, shard: 0, part: 0 };
    let error = engine.receipt(RegistrationId { page, seq: 0 }, sexton::Opener::Key(b"x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(engine.find(b"x").unwrap(), None);
    assert_eq!(engine.next_due(), None);
    assert!(engine.next_batch().unwrap().is_none());
}

/// The refusal changes nothing, so the engine need not be opened again.
#[test]
fn nearly_full_disk_stops_new_class_versions_until_there_is_room() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let (known, new) = (engine.classes(), ClassSet::from_toml("[class.new]\nwithin = '3h'\n").unwrap());
    machine.files.set_free_bytes(1_000_000);
    assert_eq!(engine.define_classes(&new).unwrap_err().kind(), ErrorKind::Full);
    engine.define_classes(&machine.options.classes).unwrap();
    assert_eq!(engine.classes(), known);
    machine.files.set_free_bytes(1 << 30);
    engine.define_classes(&new).unwrap();
    assert_eq!(engine.classes().len(), known.len() + 1);
}

/// Registering resumes once there is room again.
#[test]
fn nearly_full_disk_stops_registering_but_not_deleting() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    machine.store.put(b"a", b"1");
    let registration = Registration::new("log-73h", b"a").version(b"1");
    engine.register(&[registration], Durability::Synced).unwrap();
    machine.files.set_free_bytes(1_000_000);
    let error = engine.register(&[Registration::new("log-73h", b"b")], Durability::Synced).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.to_string().contains("1000000 bytes free and 268435456 are kept"), "{error}");
    machine.clock.advance(73 * HOUR);
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.is_empty());
    machine.files.set_free_bytes(1 << 30);
    engine.register(&[Registration::new("log-73h", b"b")], Durability::Synced).unwrap();
}
