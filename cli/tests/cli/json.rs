//! JSON of all commands.

use crate::run::sexton;
use crate::sandbox::Sandbox;
use crate::schema;
use std::collections::BTreeSet;

#[test]
fn errors_with_json_are_one_object_on_stdout() {
    let sandbox = Sandbox::new();
    let cases: [(&[&str], &str); 6] = [
        (&["status", "@none", "--json"], "is not a data folder of Sexton"),
        (&["class", "check", "@none", "--json"], "the class file"),
        (&["verify", "none", "--policy", "none", "--json"], "cannot be read"),
        (&["inspect", "none", "--json"], "cannot be read"),
        (&["hold", "place", "DATA", "--json"], "the following required arguments were not provided"),
        (&["plan", "DATA", "--until", "soon", "--json"], "invalid value 'soon' for '--until <WHEN>'"),
    ];
    for (words, why) in cases {
        let ran = sandbox.run(words);
        assert!(!ran.stdout.is_empty(), "{words:?}: {ran:?}");
        ran.assert_refused(why);
    }
    // Help stays help.
    let help = sexton(["plan", "--json", "--help"]);
    assert_eq!((help.code, help.stdout.contains("Usage: sexton plan")), (0, true), "{help:?}");
}

/// Returns the commands that `sexton WORDS… --help` lists.
fn listed(words: &[&str]) -> Vec<String> {
    let help = sexton(words.iter().chain(&["--help"])).stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = commands.lines().take_while(|line| line.starts_with("  "));
    lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).map(str::to_owned).collect()
}

/// All commands run under tests, and each JSON is checked against its schema there.
#[test]
fn each_command_has_a_schema_and_each_schema_a_command() {
    let mut expected: BTreeSet<String> = ["common", "error"].map(str::to_owned).into();
    for first in listed(&[]).iter().filter(|word| !word.is_empty() && *word != "help") {
        let below = listed(&[first]);
        // The service writes no result.
        if below.is_empty() && first != "serve" {
            expected.insert(first.clone());
        }
        expected
            .extend(below.iter().filter(|word| *word != "help").map(|second| format!("{first}-{second}")));
    }
    assert!(expected.len() > 30, "{expected:?}");
    assert_eq!(schema::all().into_keys().collect::<BTreeSet<_>>(), expected);
}
