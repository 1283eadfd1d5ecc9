//! Enabling, roots that are lost, and what a source owes.

use super::*;
use std::process::Command;

/// Mount that is undone when it is dropped. `None` if this process may not mount.
struct Mounted(PathBuf);

impl Mounted {
    fn mount(words: &[&str], at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let done = Command::new("mount").args(words).arg(at).output();
        if !done.is_ok_and(|output| output.status.success()) {
            println!("skipped: mounting needs root");
            return None;
        }
        Some(Self(at.to_path_buf()))
    }

    /// Unmounts it, which fails while a process has a file or folder of it open.
    fn unmount(&self) -> bool {
        Command::new("umount").arg(&self.0).output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn refused(result: Result<Enabling>) -> String {
    result.unwrap_err().to_string()
}

impl Sandbox {
    fn try_enable(&self, name: &str, other_root: OtherRoot, is_dry: bool) -> Result<Enabling> {
        self.sources().enable(name, other_root, &decision(), is_dry)
    }
}

#[test]
fn source_does_nothing_until_it_is_enabled() {
    let mut sandbox = Sandbox::new();
    sandbox.put("old", "12345");
    sandbox.put("sub/new", "123");
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let mut up = sandbox.up();
    up.class = "quick".into();
    sandbox.start_with(&[up], SourcesOptions::default());
    sandbox.until_state("up", SourceState::NotEnabled);
    let needs = sandbox.sources().needs();
    assert!(needs.len() == 1 && needs[0].contains("`sexton source enable up --dry-run`"), "{needs:?}");
    fs::File::options().write(true).open(sandbox.path("files/old")).unwrap().set_modified(long_ago).unwrap();
    // Both were born just now, so they go when the class says. Then both are due.
    std::thread::sleep(Duration::from_secs(3));
    for _ in 0..2 {
        let would = sandbox.try_enable("up", OtherRoot::Refuse, true).unwrap();
        assert_eq!((would.files, would.bytes, would.known, would.dry_run), (2, 8, 0, true));
        assert_eq!((would.at_once, would.at_once_bytes, would.stopped_by_breaker), (2, 8, 0), "{would:?}");
    }
    let nameless = Attribution::new(" ", "a test");
    let wrong = sandbox.sources().enable("up", OtherRoot::Refuse, &nameless, false);
    assert!(refused(wrong).contains("author"));
    assert!(sandbox.report("up").enabled.is_none());
    assert_eq!(sandbox.keys(), Vec::<String>::new());
    assert!(!sandbox.path("files/.sexton-quarantine").exists());
    let enabled = sandbox.enable("up");
    assert_eq!((enabled.files, enabled.at_once, enabled.dry_run), (2, 2, false));
    sandbox.until_live("up/sub/new");
    until("both are deleted", || {
        sandbox.enforce();
        !sandbox.path("files/old").exists() && !sandbox.path("files/sub/new").exists()
    });
    let again = sandbox.try_enable("up", OtherRoot::Refuse, false).unwrap();
    assert!(again.was_enabled);
    let enabled = sandbox.report("up").enabled.unwrap();
    assert_eq!((&*enabled.author, &*enabled.reason, enabled.uid), ("anna", "a test", None));
    assert!(refused(sandbox.try_enable("other", OtherRoot::Refuse, false)).contains("there is no source"));
}

#[test]
fn enabled_source_needs_no_word_at_the_next_start() {
    let mut sandbox = Sandbox::new();
    sandbox.start(&[sandbox.up()]);
    sandbox.reopen();
    sandbox.put("later", "x");
    sandbox.start_with(&[sandbox.up()], SourcesOptions::default());
    sandbox.until_live("up/later");
}

#[test]
fn root_in_the_place_of_another_needs_a_decision() {
    let mut sandbox = Sandbox::new();
    sandbox.put("a", "x");
    let mut up = sandbox.up();
    up.class = "quick".into();
    sandbox.start(&[up]);
    sandbox.until_live("up/a");
    fs::rename(sandbox.path("files"), sandbox.path("before")).unwrap();
    fs::create_dir(sandbox.path("files")).unwrap();
    sandbox.until_state("up", SourceState::RootLost);
    let needs = sandbox.sources().needs();
    assert!(needs.len() == 1 && needs[0].contains("lost its root"), "{needs:?}");
    // Nothing is registered in the other folder, and nothing counts as deleted.
    sandbox.put("b", "x");
    std::thread::sleep(Duration::from_secs(3));
    sandbox.enforce();
    assert!(sandbox.live("up/a") && !sandbox.live("up/b"));
    let would = sandbox.try_enable("up", OtherRoot::Refuse, true).unwrap();
    assert_eq!((would.files, would.owed_elsewhere), (1, 1), "{would:?}");
    sandbox.enable("up");
    sandbox.until_live("up/b");
    until("the new file is deleted", || {
        sandbox.enforce();
        !sandbox.path("files/b").exists()
    });
    assert!(sandbox.live("up/a") && sandbox.path("before/a").exists());
}

#[test]
fn unmounted_root_waits_and_goes_on_when_it_is_mounted_again() {
    let mut sandbox = Sandbox::new();
    let at = sandbox.path("files");
    let Some(disk) = Mounted::mount(&["-t", "tmpfs", "none"], &sandbox.path("disk")) else { return };
    let source = sandbox.path("disk");
    let bind = ["--bind", source.to_str().unwrap()];
    let mounted = Mounted::mount(&bind, &at).unwrap();
    let mut up = sandbox.up();
    up.class = "quick".into();
    sandbox.start(&[up]);
    sandbox.put("a", "x");
    sandbox.until_live("up/a");
    // The watches do not keep it busy. A step of the thread may, for a moment.
    until("it is unmounted", || mounted.unmount());
    drop(mounted);
    sandbox.until_state("up", SourceState::RootLost);
    std::thread::sleep(Duration::from_secs(3));
    sandbox.enforce();
    assert!(sandbox.live("up/a"));
    fs::write(source.join("b"), "x").unwrap();
    let mounted = Mounted::mount(&bind, &at).unwrap();
    sandbox.until_live("up/b");
    sandbox.until_state("up", SourceState::Watching);
    sandbox.put("c", "x");
    sandbox.until_live("up/c");
    until("all are deleted", || {
        sandbox.enforce();
        ["a", "b", "c"].iter().all(|file| !at.join(file).exists())
    });
    drop((sandbox.sources.take(), mounted, disk));
}

#[test]
fn overlapping_bind_mounts_are_refused() {
    let sandbox = Sandbox::new();
    let inside = sandbox.path("files/in");
    fs::create_dir_all(&inside).unwrap();
    let Some(_mounted) = Mounted::mount(&["--bind", inside.to_str().unwrap()], &sandbox.path("bound")) else {
        return;
    };
    let directories = [sandbox.up(), Directory::new("bound", sandbox.path("bound"), "slow")];
    assert!(Sources::check(&of(&directories)).unwrap_err().to_string().contains("overlap"));
}

/// The link is put in its place after the settings were checked.
#[test]
fn root_that_overlaps_later_is_refused_at_enabling() {
    let mut sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("files/in")).unwrap();
    let second = Directory::new("second", sandbox.path("link"), "slow");
    sandbox.start_with(&[sandbox.up(), second], SourcesOptions::default());
    std::os::unix::fs::symlink(sandbox.path("files/in"), sandbox.path("link")).unwrap();
    assert!(refused(sandbox.try_enable("second", OtherRoot::Refuse, false)).contains("overlap"));
    fs::remove_file(sandbox.path("link")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("data"), sandbox.path("link")).unwrap();
    assert!(refused(sandbox.try_enable("second", OtherRoot::Refuse, false)).contains("data folder"));
}

#[test]
fn root_of_another_data_folder_is_taken_over_only_if_asked() {
    let mut first = Sandbox::new();
    first.start(&[first.up()]);
    let mut second = Sandbox::new();
    let up = Directory::new("mine", first.path("files"), "slow");
    second.start_with(&[up], SourcesOptions::default());
    for is_dry in [true, false] {
        assert!(
            refused(second.try_enable("mine", OtherRoot::Refuse, is_dry)).contains("another data folder")
        );
    }
    second.try_enable("mine", OtherRoot::TakeOver, false).unwrap();
    second.until_state("mine", SourceState::Watching);
    first.until_state("up", SourceState::RootLost);
}

#[test]
fn source_that_owes_objects_cannot_be_dropped_or_lose_its_prefix() {
    let mut sandbox = Sandbox::new();
    sandbox.put("a", "x");
    sandbox.start(&[sandbox.up()]);
    sandbox.until_live("up/a");
    let error = sandbox.sources().reload(&of(&[])).unwrap_err().to_string();
    assert!(error.contains("source \"up\" owes 1 objects and is missing"), "{error}");
    let bare = Directory { prefix: Some(String::new()), ..sandbox.up() };
    let error = sandbox.sources().reload(&of(&[bare])).unwrap_err().to_string();
    assert!(error.contains("keep its prefix"), "{error}");
    // What was there goes on.
    sandbox.put("b", "x");
    sandbox.until_live("up/b");
    for key in ["up/a", "up/b"] {
        let release = sexton::Change::Release { of: sexton::Which::Key(key.as_bytes()) };
        sandbox.engine().change(&[release], sexton::Durability::Synced).unwrap().remove(0).unwrap();
    }
    sandbox.enforce();
    sandbox.sources().reload(&of(&[])).unwrap();
    assert!(sandbox.sources().list().is_empty());
}

#[test]
fn adopted_root_keeps_its_keys_beside_named_sources() {
    let mut sandbox = Sandbox::new();
    sandbox.put("a", "x");
    sandbox.put("up/b", "x");
    fs::create_dir(sandbox.path("other")).unwrap();
    fs::write(sandbox.path("other/c"), "x").unwrap();
    // As an earlier `sexton reconcile` did.
    let store = sexton::store::dir::DirStore::open(&sandbox.path("files")).unwrap();
    sandbox.engine().accept_root(store.id(), &sandbox.path("files")).unwrap();
    let version = store.identify(b"a", sexton::store::dir::Identity::Exact).unwrap().unwrap().version;
    let object = sexton::Registration::new("slow", b"a").version(&version).start(sandbox.engine().now());
    sandbox.engine().register(&[object], sexton::Durability::Synced).unwrap();
    drop(store);
    let named = Directory::new("old", sandbox.path("files"), "slow");
    sandbox.start_with(std::slice::from_ref(&named), SourcesOptions::default());
    assert!(refused(sandbox.try_enable("old", OtherRoot::Refuse, true)).contains("prefix = \"\""));
    let adopted = Directory { prefix: Some(String::new()), ..named };
    let up = Directory::new("up", sandbox.path("other"), "slow");
    sandbox.sources().reload(&of(&[adopted, up])).unwrap();
    let would = sandbox.try_enable("old", OtherRoot::Refuse, true).unwrap();
    assert_eq!((would.known, would.refused), (1, 1), "{would:?}");
    sandbox.enable("old");
    sandbox.enable("up");
    sandbox.until_live("up/c");
    sandbox.put("d", "x");
    sandbox.until_live("d");
    assert_eq!(sandbox.keys(), ["a", "d", "up/c"]);
    assert!(sandbox.report("old").first_refused[0].contains("name of the source"));
}

#[test]
fn source_of_an_unknown_class_says_so_and_works_once_it_exists() {
    let mut sandbox = Sandbox::new();
    let up = Directory { class: "later".into(), ..sandbox.up() };
    sandbox.start_with(&[up], SourcesOptions::default());
    assert!(refused(sandbox.try_enable("up", OtherRoot::Refuse, true)).contains("unknown class \"later\""));
    let class = "[class.later]\nwithin = \"73h\"\nstart = \"registered\"\n";
    sandbox.engine().define_classes(&ClassSet::from_toml(class).unwrap()).unwrap();
    sandbox.enable("up");
    sandbox.put("a", "x");
    sandbox.until_live("up/a");
}
