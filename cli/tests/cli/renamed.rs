//! Files that were renamed: `reconcile` finds their registrations, and they go under their new names.

use crate::run::sexton;
use crate::sandbox::{HOUR_MS, Sandbox, WHY};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const RECONCILE: [&str; 8] =
    ["reconcile", "DATA", "--dir", "FILES", "--class", "slow", "--start", "modified"];

#[expect(clippy::disallowed_methods, reason = "a test needs no durable rename")]
fn rename(sandbox: &Sandbox, from: &str, to: &str) {
    let files = sandbox.path("files");
    if let Some(folder) = files.join(to).parent() {
        fs::create_dir_all(folder).unwrap();
    }
    fs::rename(files.join(from), files.join(to)).unwrap();
}

/// Runs `reconcile`, after a dry run that must say the same. Returns the numbers of files known, of these renamed,
/// registered, changed, replaced and refused.
#[track_caller]
fn reconcile(sandbox: &Sandbox, more: &[&str]) -> [u64; 6] {
    let words = [&RECONCILE[..], more].concat();
    let counts = |value: &Value| {
        let [known, renamed, registered, changed, replaced] =
            ["known", "renamed", "registered", "changed", "replaced"]
                .map(|name| value[name].as_u64().unwrap());
        [known, renamed, registered, changed, replaced, value["refused"].as_array().unwrap().len() as u64]
    };
    let dry = counts(&sandbox.run(&[&words[..], &["--json", "--dry-run"]].concat()).json());
    let ran = counts(&sandbox.run(&[&words[..], &["--json"]].concat()).json());
    // Only the engine refuses a rename.
    if ran[5] == 0 {
        assert_eq!(dry, ran);
    }
    ran
}

/// Returns the class and the first name of each object, by its present name.
fn objects(sandbox: &Sandbox) -> BTreeMap<String, (String, Option<String>)> {
    let plan = sandbox.json(&["plan", "DATA", "--until", "+200d"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let live = plan["objects"].as_array().unwrap().iter().filter(|object| object["action"] != "end-replaced");
    live.map(|object| {
        (text(&object["key"]).unwrap(), (text(&object["class"]).unwrap(), text(&object["first_key"])))
    })
    .collect()
}

fn named(class: &str, first: Option<&str>) -> (String, Option<String>) {
    (class.into(), first.map(str::to_owned))
}

/// Verifies all receipts in a folder and returns their number.
fn receipts(folder: &Path) -> usize {
    let policy = folder.join("trust.policy");
    let ran = sexton(["verify".as_ref(), folder.as_os_str(), "--policy".as_ref(), policy.as_os_str()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    fs::read_dir(folder).unwrap().count() - 1
}

fn enforce(sandbox: &Sandbox) -> Value {
    sandbox.run(&["enforce", "DATA", "--dir", "FILES", "--json"]).json()
}

#[test]
fn renamed_file_keeps_its_terms_and_goes_under_its_new_name() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    rename(&sandbox, "a", "below/b");
    let text = sandbox.ok(&[&RECONCILE[..], &["--dry-run"]].concat()).stdout;
    assert!(text.contains("           1 of these would be found under new names\n"), "{text}");
    assert_eq!(reconcile(&sandbox, &[]), [1, 1, 0, 0, 0, 0]);
    assert_eq!(objects(&sandbox), [("below/b".into(), named("files", Some("a")))].into());
    let text = sandbox.ok(&["plan", "DATA"]).stdout;
    assert!(text.contains("below/b (first a)"), "{text}");
    assert_eq!(reconcile(&sandbox, &[]), [1, 0, 0, 0, 0, 0]);
    let enforce = ["enforce", "DATA", "--dir", "FILES", "--receipts", "@receipts"];
    assert_eq!(sandbox.json(&enforce)["answers"]["deleted"], 1);
    assert!(!sandbox.has("below/b"));
    assert_eq!(receipts(&sandbox.path("receipts")), 1);
    // A backup may have either name.
    for key in ["a", "below/b"] {
        assert_eq!(
            sandbox.json(&["ended", "DATA", "--dir", "FILES", "--key", key])["keys"][0]["state"],
            "ended"
        );
    }
}

#[test]
fn swapped_files_keep_their_terms() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    sandbox.registered("slow", 0, &["b"]);
    for (from, to) in [("a", "c"), ("b", "a"), ("c", "b")] {
        rename(&sandbox, from, to);
    }
    assert_eq!(reconcile(&sandbox, &[]), [2, 2, 0, 0, 0, 0]);
    let expected = [("a".into(), named("slow", Some("b"))), ("b".into(), named("files", Some("a")))];
    assert_eq!(objects(&sandbox), expected.into());
    enforce(&sandbox);
    assert_eq!((sandbox.has("a"), sandbox.has("b")), (true, false));
}

#[test]
fn files_of_a_renamed_folder_keep_their_terms() {
    let sandbox = Sandbox::new();
    let keys: Vec<String> = (0..1_100).map(|n| format!("old/{n:04}")).collect();
    for key in &keys {
        sandbox.file(key, 0);
    }
    reconcile(&sandbox, &[]);
    rename(&sandbox, "old", "new");
    sandbox.file("old/0007", 0);
    assert_eq!(reconcile(&sandbox, &[]), [1_100, 1_100, 1, 0, 0, 0]);
    assert_eq!(reconcile(&sandbox, &[]), [1_101, 0, 0, 0, 0, 0]);
}

#[test]
fn rotated_logs_keep_their_terms() {
    let sandbox = Sandbox::new();
    sandbox.registered("slow", 0, &["log", "log.1", "log.2"]);
    for (from, to) in [("log.2", "log.3"), ("log.1", "log.2"), ("log", "log.1")] {
        rename(&sandbox, from, to);
    }
    sandbox.file("log", 0);
    assert_eq!(reconcile(&sandbox, &[]), [3, 3, 1, 0, 0, 0]);
    let firsts = objects(&sandbox).into_values().map(|(_, first)| first.unwrap_or_default());
    assert_eq!(firsts.collect::<Vec<_>>(), ["", "log", "log.1", "log.2"]);
}

#[test]
fn second_link_is_another_object() {
    let sandbox = Sandbox::new();
    sandbox.registered("slow", 0, &["a"]);
    let files = sandbox.path("files");
    fs::hard_link(files.join("a"), files.join("b")).unwrap();
    assert_eq!(reconcile(&sandbox, &[]), [1, 0, 1, 0, 0, 0]);
    // Of two new links one is the renamed file.
    for link in ["c", "d"] {
        fs::hard_link(files.join("a"), files.join(link)).unwrap();
    }
    fs::remove_file(files.join("a")).unwrap();
    assert_eq!(reconcile(&sandbox, &[]), [2, 1, 1, 0, 0, 0]);
    assert_eq!(objects(&sandbox)["c"], named("slow", Some("a")));
}

#[test]
fn copy_is_another_object_and_a_grown_file_is_not() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", 0, &["copied", "grown", "over"]);
    let files = sandbox.path("files");
    fs::copy(files.join("copied"), files.join("copy")).unwrap();
    fs::remove_file(files.join("copied")).unwrap();
    rename(&sandbox, "grown", "grown.new");
    sandbox.put("files/grown.new", "as it is now");
    assert_eq!(reconcile(&sandbox, &[]), [1, 1, 1, 1, 0, 0]);
    // A file that is renamed over another one takes its place.
    rename(&sandbox, "grown.new", "over");
    assert_eq!(reconcile(&sandbox, &[]), [2, 1, 0, 0, 0, 0]);
    assert_eq!(objects(&sandbox)["over"], named("files", Some("grown")));
}

#[test]
fn hold_on_the_old_name_keeps_a_renamed_file() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "parked"]);
    sandbox.hold("case 7", &["--key", "a", "--key", "parked"]);
    rename(&sandbox, "a", "b");
    assert_eq!(reconcile(&sandbox, &[]), [2, 1, 0, 0, 0, 0]);
    assert_eq!(enforce(&sandbox)["kept_by_holds"], 2);
    rename(&sandbox, "parked", "c");
    // Another file under the old name is held as well.
    sandbox.file("a", HOUR_MS);
    assert_eq!(reconcile(&sandbox, &[]), [2, 1, 1, 0, 0, 0]);
    enforce(&sandbox);
    assert!(sandbox.has("a") && sandbox.has("b") && sandbox.has("c"));
    sandbox.ok(&[&["hold", "lift", "DATA", "case 7", "--grace", "0"], &WHY[..]].concat());
    enforce(&sandbox);
    assert!(!sandbox.has("b") && !sandbox.has("c"));
    sandbox.ok(&["receipt", "DATA", "parked", "--out", "@receipts"]);
    assert_eq!(receipts(&sandbox.path("receipts")), 1);
}

#[test]
fn file_that_leaves_a_hold_by_its_name_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["new/a"]);
    rename(&sandbox, "new/a", "case/a");
    assert_eq!(reconcile(&sandbox, &[]), [1, 1, 0, 0, 0, 0]);
    sandbox.hold("case 7", &["--prefix", "case/"]);
    rename(&sandbox, "case/a", "away/a");
    for _ in 0..2 {
        assert_eq!(reconcile(&sandbox, &[]), [0, 0, 0, 0, 0, 1]);
        let ran = sandbox.run(&RECONCILE);
        assert!(ran.stdout.contains("away/a: it was renamed from case/a: "), "{ran:?}");
        assert!(ran.stdout.contains("the legal hold \"case 7\" covers it"), "{ran:?}");
        enforce(&sandbox);
        assert!(sandbox.has("away/a"));
    }
    // The next enforcement releases the file from the hold, and the grace leaves time for the rename.
    sandbox.ok(&[&["hold", "lift", "DATA", "case 7", "--grace", "2s"], &WHY[..]].concat());
    enforce(&sandbox);
    assert_eq!(reconcile(&sandbox, &[]), [1, 1, 0, 0, 0, 0]);
    std::thread::sleep(std::time::Duration::from_secs(4));
    enforce(&sandbox);
    assert!(!sandbox.has("away/a"));
    sandbox.ok(&["receipt", "DATA", "new/a", "--out", "@receipts"]);
    assert_eq!(receipts(&sandbox.path("receipts")), 1);
}
