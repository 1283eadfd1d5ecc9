//! The operations over a real socket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "sockets/faults.rs"]
mod faults;
mod serving;

use serving::{Host, until};
use sexton::{Durability, Registration};
use sexton_service::api::{
    Covers, Decision, EnableSource, GetStatus, ListHolds, ListSources, PlaceHold, RescanSource, SourceList,
};
use sexton_service::http::client::ClientError;
use sexton_service::sources::{Directory, Enabling, SourceState};
use std::fs::File;

fn place(name: &str) -> PlaceHold {
    PlaceHold {
        name: name.into(),
        on: Covers { subject: Some("anna".into()), ..Covers::default() },
        event: false,
        decision: Decision { author: "Ada Lovelace".into(), reason: "court order".into() },
        review_ms: 4_000_000_000_000,
        dry_run: false,
    }
}

#[test]
fn hold_placed_over_the_socket_stands_in_the_engine() {
    let host = Host::start();
    let anna = Registration::new("upload-3h", b"a").subject(b"anna").start(host.engine.now());
    host.engine.register(&[anna], Durability::Synced).unwrap();
    let client = host.control();

    let placed = client.call(&place("case 7")).unwrap();
    assert_eq!((&placed["name"], &placed["dry_run"]), (&"case 7".into(), &false.into()));
    let listed = client.call(&ListHolds::default()).unwrap();
    assert_eq!(listed["holds"][0]["name"], "case 7");
    assert_eq!(host.engine.holds().len(), 1);
    assert_eq!(client.call(&GetStatus::default()).unwrap()["holds"], 1);
}

#[test]
fn hold_with_a_taken_name_is_a_problem_with_the_engines_message() {
    let host = Host::start();
    let client = host.control();
    client.call(&place("case 7")).unwrap();
    let Err(ClientError::Refused(problem)) = client.call(&place("case 7")) else { panic!("placed twice") };
    assert_eq!((problem.status, problem.kind.as_str()), (400, "invalid"));
    assert!(problem.detail.contains("case 7"), "{}", problem.detail);
}

#[test]
fn host_socket_offers_no_operation_of_the_control_socket() {
    let host = Host::start();
    let Err(ClientError::Refused(problem)) = host.register().call(&place("case 7")) else { panic!("placed") };
    assert_eq!((problem.status, problem.kind.as_str()), (404, "no-such-path"));
    assert!(host.engine.holds().is_empty());
}

#[test]
fn sources_are_listed_enabled_and_scanned_over_the_socket() {
    let files = tempfile::tempdir().unwrap();
    File::create(files.path().join("a")).unwrap();
    let directory = Directory::new("up", files.path(), "log-73h");
    let host = Host::with_sources(&[directory]);
    let client = host.control();
    let list = || serde_json::from_value::<SourceList>(client.call(&ListSources {}).unwrap()).unwrap();
    until(|| list().sources[0].state == SourceState::NotEnabled);
    assert!(list().needs[0].contains("is not enabled"));
    let needs = client.call(&GetStatus {}).unwrap()["needs"].clone();
    assert!(needs[0].as_str().unwrap().contains("is not enabled"), "{needs}");
    let enable = |dry_run| {
        let decision = Decision { author: "anna".into(), reason: "a test".into() };
        let request = EnableSource { name: "up".into(), take_over: false, decision, dry_run };
        serde_json::from_value::<Enabling>(client.call(&request).unwrap()).unwrap()
    };
    assert_eq!((enable(true).files, list().sources[0].registered), (1, 0));
    assert!(!enable(false).dry_run);
    until(|| list().sources[0].registered == 1 && list().needs.is_empty());
    let before = list().sources[0].last_scan_ms;
    client.call(&RescanSource { name: "up".into() }).unwrap();
    until(|| list().sources[0].last_scan_ms > before);
    let error = client.call(&RescanSource { name: "other".into() }).unwrap_err();
    assert!(error.to_string().contains("there is no source \"other\""), "{error}");
}
