//! `demo`, `inspect` and `check`, on a real data folder.

use crate::run::{Demo, copy_folder, sexton, write};
use sexton::{Engine, Options};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

fn check(folder: &Path) -> crate::run::Ran {
    sexton([OsStr::new("check"), folder.as_os_str(), OsStr::new("--json")])
}

#[test]
fn demo_deletes_every_file_on_time() {
    let demo = Demo::shared();
    assert_eq!(demo.ran.code, 0, "{:?}", demo.ran);
    let value = demo.ran.json();
    assert_eq!(value["as_promised"], true);
    assert_eq!(value["files"], 200);
    let classes = value["classes"].as_array().unwrap();
    let names: Vec<_> = classes.iter().map(|class| class["class"].as_str().unwrap()).collect();
    assert_eq!(names, ["upload-3h", "log-73h", "data-30d", "log-6mo"]);
    for class in classes {
        for (field, expected) in [("registered", 50), ("deleted", 50), ("early", 0), ("late", 0)] {
            assert_eq!(class[field], expected, "{field} of {class}");
        }
        let [p50, p99, max] =
            ["p50", "p99", "max"].map(|field| class["lateness_ms"][field].as_u64().unwrap());
        assert!(p50 <= p99 && p99 <= max && max > 0, "{class}");
        assert!(class["least_margin_ms"].as_i64().unwrap() > 0, "{class}");
    }
    assert_eq!(value["receipts"]["issued"], 200);
    assert_eq!(value["receipts"]["valid"], 200);
    assert_eq!(value["receipts"]["changed_refused"], true);
    assert_eq!(value["check"]["sound"], true);
    assert_eq!(value["names"]["found"], 0);
    assert!(value["names"]["searched"].as_u64().unwrap() >= 200);
    assert!(value["seconds"].as_f64().unwrap() > 0.0);
    for path in value["paths"].as_object().unwrap().values() {
        assert!(Path::new(path.as_str().unwrap()).exists(), "{path}");
    }
}

#[test]
fn demo_command_verifies_receipts_and_refuses_changed_one() {
    let demo = Demo::shared();
    let value = demo.ran.json();
    let command = value["verify"].as_str().unwrap();
    let arguments: Vec<&str> = command.split(' ').skip(1).chain(["--json"]).collect();
    let verified = sexton(&arguments);
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_eq!(verified.json()["counts"]["kept"], 200);

    let policy = demo.path("trust.policy");
    let words = ["verify", "changed.tlog-proof", "--policy"].map(|word| match word {
        "changed.tlog-proof" => demo.path(word).into_os_string(),
        word => word.into(),
    });
    let refused = sexton(words.iter().map(AsRef::as_ref).chain([policy.as_os_str()]));
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stdout.starts_with("not valid:"), "{refused:?}");
    assert!(refused.stdout.contains("expected"), "the message names both values: {refused:?}");
}

#[test]
fn inspect_recognises_demo_files_and_shows_no_secret() {
    let demo = Demo::shared();
    let keyring = fs::read_to_string(demo.path("data/keys/keyring")).unwrap();
    let feed_key = fs::read_to_string(demo.path("data/keys/feed.key")).unwrap();
    let mut secrets: Vec<String> = keyring
        .lines()
        .chain(feed_key.lines())
        .filter_map(|l| l.strip_prefix("key ")?.rsplit(' ').next().map(str::to_owned))
        .collect();
    assert!(!secrets.is_empty());
    let signing_key = fs::read_to_string(demo.path("data/keys/log.key")).unwrap();
    // PRIVATE+KEY+<name>+<hash>+<base64>. The base64 text may contain more plus signs.
    secrets.push(signing_key.trim_end().splitn(5, '+').nth(4).unwrap().to_owned());
    assert!(secrets.iter().all(|secret| secret.len() >= 44));

    let mut formats = std::collections::BTreeSet::new();
    let mut receipts = 0;
    for file in demo.our_files() {
        // A few of the 200 receipts are enough.
        let is_receipt = file.starts_with(demo.path("receipts"));
        receipts += u32::from(is_receipt);
        let partial = file.parent().is_some_and(|parent| parent.extension().is_some_and(|e| e == "p"));
        let one_of_many = partial && !file.ends_with("1") && !file.ends_with("100");
        if (is_receipt && receipts > 5) || one_of_many {
            continue;
        }
        let shown = sexton([OsStr::new("inspect"), file.as_os_str(), OsStr::new("--json")]);
        assert_eq!(shown.code, 0, "{}: {shown:?}", file.display());
        formats.insert(shown.json()["format"].as_str().unwrap().to_owned());
        assert!(!secrets.iter().any(|secret| shown.stdout.contains(secret)), "{}", file.display());
        if formats.len() < 3 || file.starts_with(demo.path("data/keys")) {
            let text = sexton([OsStr::new("inspect"), file.as_os_str()]);
            assert!(text.stdout.starts_with("format"), "{text:?}");
            assert!(!secrets.iter().any(|secret| text.stdout.contains(secret)), "{}", file.display());
        }
    }
    let expected = [
        "checkpoint",
        "entry bundle",
        "feed key",
        "head",
        "keyring",
        "log key",
        "openings",
        "receipt",
        "tile of hashes",
        "tombstones",
        "trust policy",
    ];
    assert_eq!(formats.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn inspect_malformed_is_1_and_foreign_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inspect = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        write(&path, bytes);
        sexton([OsStr::new("inspect"), path.as_os_str()])
    };
    let tombstones = fs::read(Demo::shared().path("data/tombstones/001.tomb")).unwrap();
    let cut = inspect("cut.tomb", &tombstones[..tombstones.len() - 1]);
    assert_eq!(cut.code, 1, "{cut:?}");
    assert!(cut.stdout.starts_with("malformed tombstones: "), "{cut:?}");
    inspect("cat.jpg", b"\xff\xd8\xff\xe0").assert_refused("in no Sexton format");
    sexton(["inspect", "/nowhere/at/all"]).assert_refused("/nowhere/at/all cannot be read");
    sexton([OsStr::new("inspect"), folder.path().as_os_str()]).assert_refused("cannot be read");
}

#[test]
fn check_of_demo_is_sound_until_a_byte_flips() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    copy_folder(&Demo::shared().path("data"), &copy);
    let sound = check(&copy);
    assert_eq!(sound.code, 0, "{sound:?}");
    assert_eq!(sound.json()["sound"], true);
    assert_eq!(sound.json()["tombstones"], 200);

    let path = copy.join("tombstones/001.tomb");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    write(&path, &bytes);
    let unsound = check(&copy);
    assert_eq!(unsound.code, 1, "{unsound:?}");
    let problem = unsound.json()["problems"][0].as_str().unwrap().to_owned();
    assert!(problem.contains("tombstones/001.tomb"), "{problem}");
    let text = sexton([OsStr::new("check"), copy.as_os_str()]);
    assert_eq!(text.code, 1);
    assert!(text.stdout.contains("problem: tombstones/001.tomb"), "{text:?}");
}

#[test]
fn check_without_data_folder_creates_none() {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path()).assert_refused("is not a data folder of Sexton");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    check(&folder.path().join("missing")).assert_refused("is not a data folder of Sexton");
}

#[test]
fn check_of_open_data_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = Engine::open(folder.path(), &Options::new("sexton.test/cli")).unwrap();
    check(folder.path()).assert_refused("is open in another process");
    drop(open);
    assert_eq!(check(folder.path()).code, 0);
}

#[test]
fn demo_in_nonempty_folder_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    write(&precious, "mine");
    let out = folder.path().as_os_str();
    sexton([OsStr::new("demo"), OsStr::new("--out"), out]).assert_refused("is not empty");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
    sexton([OsStr::new("demo"), OsStr::new("--out"), precious.as_os_str()])
        .assert_refused("cannot use the folder");
}

#[test]
fn demo_with_small_source_goes_on_and_keeps_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir_all(source.join("pictures")).unwrap();
    for n in 0..6 {
        write(&source.join(format!("pictures/holiday-{n}.jpg")), format!("picture {n}"));
    }
    let out = folder.path().join("out");
    let words = [OsStr::new("demo"), OsStr::new("--files"), OsStr::new("50"), OsStr::new("--source")];
    let named = [source.as_os_str(), OsStr::new("--out"), out.as_os_str()];
    let ran = sexton(words.into_iter().chain(named));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("has only 6 files"), "{ran:?}");
    assert!(ran.stdout.contains("all as promised"), "{ran:?}");
    assert!(ran.stdout.contains("It does not prove that every object was registered."), "{ran:?}");
    assert_eq!(fs::read_dir(source.join("pictures")).unwrap().count(), 6);
    assert_eq!(fs::read_dir(out.join("store/pictures")).unwrap().count(), 0);

    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let again = folder.path().join("again");
    let words = [
        OsStr::new("demo"),
        OsStr::new("--source"),
        empty.as_os_str(),
        OsStr::new("--out"),
        again.as_os_str(),
    ];
    sexton(words).assert_refused("has no files");
}
