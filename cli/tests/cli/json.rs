//! JSON of all commands.

use crate::run::sexton;
use crate::sandbox::Sandbox;

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
