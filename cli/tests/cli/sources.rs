//! Sources, which only a running service has, and what the command leaves to them.

use crate::sandbox::{HOUR_MS, Sandbox, WHY};
use sexton::decision::RootSource;
use sexton::store::dir::{DirStore, Identity};
use sexton::{ClassSet, Durability, Engine, Options, Registration};
use sexton_service::http::Server;
use sexton_service::sources::{Directory, SourceSettings, Sources, SourcesOptions};
use sexton_service::{ServeOptions, Serving, ownership};
use std::sync::Arc;

#[test]
fn sources_without_a_service_are_refused_with_a_sentence() {
    let sandbox = Sandbox::new();
    let enable = [&["source", "enable", "DATA", "up"], &WHY[..]].concat();
    for words in [&["source", "list", "DATA"][..], &enable, &["source", "rescan", "DATA", "up"]] {
        let words = [words, &["--json"]].concat();
        sandbox.run(&words).assert_refused("only a running service has sources");
    }
}

/// Registers a file of the source `up`, whose slot has begun, and returns the words of the verbs that work on its folder.
fn registered_by_a_source(sandbox: &Sandbox) -> [&'static [&'static str]; 6] {
    sandbox.file("a", HOUR_MS);
    let files = sandbox.path("files");
    let store = DirStore::open(&files).unwrap();
    let engine = sandbox.engine();
    let decision = sexton::Attribution::new("Ada Lovelace", "a test");
    engine.accept_root_for(store.id(), &files, RootSource::new("up").unwrap(), decision).unwrap();
    let file = store.root().unwrap().identify(b"a", Identity::Exact).unwrap().unwrap();
    let start = engine.now().saturating_sub(std::time::Duration::from_millis(HOUR_MS.unsigned_abs()));
    let object = Registration::new("files", b"up/a").version(&file.version).start(start);
    engine.register(&[object], Durability::Synced).unwrap();
    [
        &["enforce", "DATA", "--dir", "FILES"],
        &["enforce", "DATA", "--dir", "FILES", "--dry-run"],
        &["reconcile", "DATA", "--dir", "FILES", "--class", "files"],
        &["reconcile", "DATA", "--dir", "FILES", "--class", "files", "--new-root"],
        &["ended", "DATA", "--dir", "FILES", "--delete-again"],
        &["ended", "DATA", "--dir", "FILES", "--delete-again", "--dry-run"],
    ]
}

#[test]
fn files_of_a_source_are_not_sought_under_keys_without_its_name() {
    let sandbox = Sandbox::without_root();
    for words in registered_by_a_source(&sandbox) {
        let before = sandbox.everything();
        sandbox.run(words).assert_refused("is the directory \"up\" of a service");
        assert_eq!(sandbox.everything(), before, "{words:?}");
    }
    let seen = sandbox.ok(&["ended", "DATA", "--dir", "FILES"]).stdout;
    assert_eq!(seen, "1 file: 1 live, 0 came back, 0 unknown\n");
    let named = sandbox.ok(&["ended", "DATA", "--dir", "FILES", "--key", "up/a"]).stdout;
    assert!(named.starts_with("live     up/a  registration "), "{named}");
}

#[test]
fn work_on_folders_is_left_to_the_service_also_while_it_is_stopped() {
    let sandbox = Sandbox::without_root();
    let verbs = registered_by_a_source(&sandbox);
    let before = sandbox.everything();
    ownership::claim(&sandbox.path("data"), &sandbox.path("control.sock")).unwrap();
    for words in verbs {
        sandbox.run(words).assert_refused("belongs to the service at ");
    }
    assert_eq!(sandbox.everything(), before);
    sandbox
        .run(&["reconcile", "DATA", "--dir", "FILES", "--class", "files", "--offline"])
        .assert_refused("is the directory \"up\" of a service");
}

#[test]
fn files_that_came_back_are_listed_through_the_service() {
    let sandbox = Sandbox::without_root();
    registered_by_a_source(&sandbox);
    let data = sandbox.path("data");
    let socket = sandbox.path("control.sock");
    ownership::claim(&data, &socket).unwrap();
    let engine = Arc::new(Engine::open(&data, &Options::default().classes(ClassSet::empty())).unwrap());
    let up = Directory::new("up", sandbox.path("files"), "files");
    let settings = SourceSettings::default().directories(vec![up]);
    let sources = Arc::new(Sources::start(&engine, &data, &settings, SourcesOptions::default()).unwrap());
    let server = Server::new(Arc::clone(&engine)).sources(Arc::clone(&sources));
    let options = ServeOptions::default().control(&socket, 0o600);
    let _serving = Serving::start(server, &data, &options).unwrap();
    let words = ["ended", "DATA", "--dir", "FILES"];
    assert_eq!(sandbox.ok(&words).stdout, "1 file: 1 live, 0 came back, 0 unknown\n");
    engine.enforce(&*sources).unwrap();
    assert!(!sandbox.has("a"));
    sandbox.file("a", HOUR_MS);
    let ran = sandbox.run(&words);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.starts_with("ended    up/a  deleted ") && ran.stdout.contains("it came back"),
        "{ran:?}"
    );
    sandbox
        .run(&["ended", "DATA", "--dir", "@data/.."])
        .assert_refused("is no directory of the service (it has ");
}
