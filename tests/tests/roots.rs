//! Roots that are accepted for sources.

use sexton::decision::{AcceptedRoot, RootSource};
use sexton::store::dir::RootId;
use sexton::{Attribution, Engine, ErrorKind, Options};
use std::path::Path;

fn id(number: u8) -> RootId {
    RootId::from_bytes([number; 16])
}

/// Returns the number of each accepted root with the name and prefix of its source.
fn served(engine: &Engine) -> Vec<(u8, Option<(String, String)>)> {
    let pair = |source: &RootSource| (source.name().to_owned(), source.prefix().to_owned());
    let served = |root: AcceptedRoot| (root.id.to_bytes()[0], root.source.as_ref().map(pair));
    let mut all: Vec<_> = engine.roots().unwrap().into_iter().map(served).collect();
    all.sort_unstable();
    all
}

fn some(name: &str, prefix: &str) -> Option<(String, String)> {
    Some((name.into(), prefix.into()))
}

#[test]
fn source_has_one_root_which_keeps_its_name_and_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new("example.com/roots");
    let path = Path::new("/srv/files");
    let source = |name: &str| RootSource::new(name).unwrap();
    let engine = Engine::open(folder.path(), &options).unwrap();
    let decision = |why: &str| Attribution::new("Ada Lovelace", why).uid(7);
    engine.accept_root(id(1), path).unwrap();
    engine.accept_root_for(id(1), path, source("old").without_prefix(), decision("first")).unwrap();
    engine.accept_root_for(id(2), path, source("up"), decision("first")).unwrap();
    // A repeated call keeps the newer decision, and a plain acceptance keeps the source.
    engine.accept_root_for(id(2), path, source("up"), decision("again")).unwrap();
    engine.accept_root(id(2), path).unwrap();
    assert_eq!(served(&engine), [(1, some("old", "")), (2, some("up", "up/"))]);
    for other in [source("other"), source("up").without_prefix()] {
        let error = engine.accept_root_for(id(2), path, other, decision("other")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("serves the source \"up\""), "{error}");
    }
    for wrong in [Attribution::new("", "why"), Attribution::new("who", "r".repeat(1_001))] {
        let error = engine.accept_root_for(id(3), path, source("up"), wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert_eq!(engine.roots().unwrap().len(), 2);
    // Another root takes the place of the one that served the source.
    engine.accept_root_for(id(3), path, source("up"), decision("replaced")).unwrap();
    drop(engine);
    let engine = Engine::open(folder.path(), &options).unwrap();
    assert_eq!(served(&engine), [(1, some("old", "")), (2, None), (3, some("up", "up/"))]);
    let reasons: Vec<(u8, String)> = engine
        .roots()
        .unwrap()
        .into_iter()
        .filter_map(|root| Some((root.id.to_bytes()[0], root.decided?.attribution.reason)))
        .collect();
    assert_eq!(reasons, [(1, "first".into()), (2, "again".into()), (3, "replaced".into())]);
}
