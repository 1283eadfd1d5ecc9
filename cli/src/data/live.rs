//! Number of live objects that a decision covers.

use super::host::Host;
use super::open::spinner;
use crate::format;
use crate::output::{self, Output};
use serde_json::Value;
use sexton_service::api::{CountLive, Covers};

/// Number of live objects that a decision covers now; `None` if they could not be counted.
pub(super) struct Live(Option<u64>);

impl Live {
    /// Counts the objects. The decision stands already, so a failure is a message only.
    pub(super) fn on(host: &Host, covers: Covers) -> Self {
        Live::of(host, CountLive { on: Some(covers) })
    }

    /// Counts all live objects.
    pub(super) fn all(host: &Host) -> Self {
        Live::of(host, CountLive { on: None })
    }

    fn of(host: &Host, request: CountLive) -> Self {
        let bar = spinner("counting objects");
        let counted = host.call(request);
        bar.finish_and_clear();
        let report = |error| output::message(format_args!("the covered objects cannot be counted: {error}"));
        Live(counted.map(|reply| reply.answer().live_objects).map_err(report).ok())
    }

    pub(super) fn json(&self) -> Value {
        self.0.into()
    }

    /// Prints the number, and a warning if it is 0: a name may be misspelt.
    pub(super) fn print(&self, output: &mut Output) {
        match self.0 {
            None => {}
            Some(0) => output.line(output.bad("  it covers no live object now; check what it names")),
            Some(live) => {
                let objects = format::counted(live, "live object", "live objects");
                output.line(format_args!("  it covers {objects} now"));
            }
        }
    }
}
