//! Requests and responses without a socket.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use serde_json::Value;
use sexton::{Engine, Options};
use sexton_service::api::{Context, Method, Operation, Visitor, visit};
use sexton_service::exchange::{BODY_MAX_BYTES, Request, Response, respond};

const UNKNOWN_HOLD: &[u8] =
    br#"{"name": "none", "decision": {"author": "Ada", "reason": "r"}, "grace_ms": 0}"#;

struct Host {
    engine: Engine,
    needs: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        let folder = tempfile::tempdir().unwrap();
        let engine =
            Engine::open(&folder.path().join("data"), &Options::new("example.com/exchange")).unwrap();
        Host { engine, needs: Vec::new(), _folder: folder }
    }

    fn ask(&self, request: &Request<'_>) -> (Response, Value) {
        let context = Context {
            engine: &self.engine,
            sources: None,
            folder: None,
            peer: Some(1_000),
            needs: &self.needs,
        };
        let response = respond(request, &context);
        let body = serde_json::from_str(&response.body).unwrap();
        (response, body)
    }

    fn get(&self, target: &str) -> Value {
        let (response, body) =
            self.ask(&Request { method: b"GET", target: target.as_bytes(), ..Request::default() });
        assert_eq!((response.status, response.media_type()), (200, "application/json"), "{body}");
        body
    }

    fn post(&self, target: &str, body: &str) -> Value {
        let media_type = Some(&b"application/json; charset=utf-8"[..]);
        let request = Request {
            method: b"POST",
            target: target.as_bytes(),
            media_type,
            body: body.as_bytes(),
            ..Request::default()
        };
        let (response, body) = self.ask(&request);
        assert_eq!(response.status, 200, "{body}");
        body
    }
}

#[test]
fn queries_and_bodies_reach_the_operations() {
    let host = Host::new();
    let registered = host
        .post("/v1/objects/register", r#"{"objects": [{"key": "a b", "class": "log-73h", "version": "1"}]}"#);
    let id = registered["objects"][0]["id"].as_str().unwrap();
    assert_eq!(host.get("/v1/objects/find?key=a%20b")["live"][0]["id"], id);
    let placed = host.post(
        "/v1/holds/place",
        r#"{"name": "case 7", "on": {"keys": ["a b"]}, "review_ms": 9999999999999,
            "decision": {"author": "Ada", "reason": "court order"}}"#,
    );
    assert_eq!(placed["name"], "case 7", "{placed}");
    assert_eq!(host.get("/v1/holds?")["holds"][0]["uid"], 1_000);
}

#[test]
fn status_shows_the_needs_of_the_host() {
    let mut host = Host::new();
    host.needs.push("the disk of the host is gone".to_owned());
    assert_eq!(host.get("/v1/status")["needs"], serde_json::json!(["the disk of the host is gone"]));
}

#[test]
fn refused_requests_get_problems_of_the_table() {
    let host = Host::new();
    let long = vec![b' '; BODY_MAX_BYTES + 1];
    let get = Request { method: b"GET", target: b"/v1/status", ..Request::default() };
    let post = Request { method: b"POST", target: b"/v1/holds/lift", body: b"{}", ..Request::default() };
    let table: [(Request<'_>, u16, &str); 13] = [
        (Request { target: b"/v2/status", ..get }, 404, "no-such-path"),
        (Request { target: b"/v1/status/", ..get }, 404, "no-such-path"),
        (Request { target: b"", ..get }, 404, "no-such-path"),
        (Request { target: b"/v1/status\xff", ..get }, 400, "invalid"),
        (Request { method: b"POST", ..get }, 405, "wrong-method"),
        (Request { method: b"get", ..get }, 405, "wrong-method"),
        (Request { target: b"/v1/status?x=1", ..get }, 400, "invalid"),
        (Request { body: UNKNOWN_HOLD, ..post }, 404, "not-found"),
        (post, 400, "invalid"),
        (Request { body: b"[]", ..post }, 400, "invalid"),
        (Request { media_type: Some(b"text/plain"), ..post }, 415, "no-json"),
        (Request { idempotency_key: Some(b"1"), ..post }, 400, "invalid"),
        (Request { body: &long, ..post }, 413, "too-long"),
    ];
    for (request, status, kind) in table {
        let (response, problem) = host.ask(&request);
        assert_eq!(
            (response.status, response.media_type()),
            (status, "application/problem+json"),
            "{problem}"
        );
        assert_eq!((problem["status"].as_u64(), problem["kind"].as_str()), (Some(status.into()), Some(kind)));
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
}

struct WrongMethods<'a>(&'a Host, usize);

impl Visitor for WrongMethods<'_> {
    fn operation<O: Operation>(&mut self) {
        let method = if O::METHOD == Method::Get { &b"DELETE"[..] } else { b"GET" };
        let (response, problem) =
            self.0.ask(&Request { method, target: O::PATH.as_bytes(), ..Request::default() });
        // A path may have one operation to read and another one to change.
        assert!([200, 405].contains(&response.status), "{}: {problem}", O::NAME);
        self.1 += 1;
    }
}

#[test]
fn every_operation_has_its_path() {
    let host = Host::new();
    let mut visitor = WrongMethods(&host, 0);
    visit(&mut visitor);
    assert!(visitor.1 >= 39);
}
