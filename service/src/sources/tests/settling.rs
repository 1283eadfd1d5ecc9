//! Files that are not complete yet.

use super::*;
use std::io::Write as _;

fn with_times(sandbox: &Sandbox, settle: u64, settle_max: u64) -> Directory {
    let mut up = sandbox.up();
    (up.settle, up.settle_max) =
        (Length(Duration::from_secs(settle)), Length(Duration::from_secs(settle_max)));
    up
}

#[test]
fn file_open_for_writing_waits_until_it_is_closed() {
    let mut sandbox = Sandbox::new();
    sandbox.start(&[with_times(&sandbox, 0, 3_600)]);
    let mut open = fs::File::create(sandbox.path("files/open")).unwrap();
    open.write_all(b"part").unwrap();
    sandbox.put("closed", "x");
    sandbox.until_live("up/closed");
    until("the open file waits", || sandbox.report("up").settling == 1);
    // A full scan finds it too, and leaves it alone.
    sandbox.rescan("up");
    assert!(!sandbox.live("up/open"));
    open.write_all(b"rest").unwrap();
    drop(open);
    sandbox.until_live("up/open");
    until("no file waits", || sandbox.report("up").settling == 0);
}

#[test]
fn open_file_is_registered_after_settle_max_by_inode_and_birth() {
    let mut sandbox = Sandbox::new();
    sandbox.start(&[with_times(&sandbox, 0, 1)]);
    let mut open = fs::File::create(sandbox.path("files/log")).unwrap();
    open.write_all(b"first").unwrap();
    sandbox.until_live("up/log");
    let before = sandbox.engine().live(b"up/log").unwrap().unwrap().version;
    open.write_all(b"second").unwrap();
    drop(open);
    sandbox.put("last", "x");
    sandbox.until_live("up/last");
    sandbox.rescan("up");
    // The version has no size and no modification time, so the file is the same whatever it grows to.
    assert_eq!(sandbox.engine().live(b"up/log").unwrap().unwrap().version, before);
    assert!(before.len() < 50 && sandbox.report("up").changed == 0);
}

#[test]
fn young_file_waits_for_settle_and_an_old_one_does_not() {
    let mut sandbox = Sandbox::new();
    sandbox.put("old", "x");
    sandbox.put("young", "x");
    let hour_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    fs::File::options().write(true).open(sandbox.path("files/old")).unwrap().set_modified(hour_ago).unwrap();
    sandbox.start(&[with_times(&sandbox, 1_000, 3_600)]);
    sandbox.until_live("up/old");
    sandbox.put("new", "x");
    until("both wait", || sandbox.report("up").settling == 2);
    assert_eq!(sandbox.keys(), ["up/old"]);
}
