//! The examples of `docs/api.md`, run as a reader runs them.

mod serving;

use serving::Host;
use std::process::Command;

const PAGE: &str = include_str!("../../docs/api.md");

#[test]
fn examples_of_the_page_register_and_find_an_object() {
    let serving = Host::start();
    let folder = serving.folder.path();
    let (_, rest) = PAGE.split_once("```sh\n").unwrap();
    let (script, _) = rest.split_once("```").unwrap();
    let script = script.replace("curl ", "curl --silent --show-error --fail-with-body ");
    assert_eq!(script.matches("curl ").count(), 2, "{script}");
    let ran = Command::new("sh").args(["-e", "-c", &script]).current_dir(folder).output().unwrap();
    let stdout = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{stdout}{}", String::from_utf8_lossy(&ran.stderr));
    let answers = serde_json::Deserializer::from_str(&stdout).into_iter::<serde_json::Value>();
    let answers: Vec<serde_json::Value> = answers.collect::<Result<_, _>>().unwrap();
    assert_eq!(answers[0]["objects"][0]["previous"], "none");
    assert_eq!(answers[1]["live"][0]["id"], answers[0]["objects"][0]["id"]);
    let media_type = Command::new("curl")
        .args(["--silent", "--unix-socket", "register.sock", "--output", "openapi.json"])
        .args(["--write-out", "%{content_type}", "http://sexton/v1/openapi.json"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert_eq!(media_type.stdout, b"application/json");
}
