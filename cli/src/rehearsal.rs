//! A dry run lets the engine itself check: an engine in memory that has the same classes and legal holds as the one in
//! the data folder, and no objects. What it refuses the other would refuse, in the same words.

use crate::output::Failure;
use crate::show;
use sexton::fault::Faults;
use sexton::files::memory::MemoryFiles;
use sexton::kv::memory::MemoryKv;
use sexton::{
    ClassSet, Definition, Durability, Engine, NewHold, Options, Pool, Registration, Seams, SeededEntropy,
    Selector, VirtualClock,
};
use std::fmt::Write as _;
use std::sync::Arc;

/// An engine in memory that checks as `engine` does, now.
pub(crate) fn of(engine: &Engine) -> Result<Engine, Failure> {
    let rehearsal = open(engine)?;
    close(&rehearsal, engine)?;
    Ok(rehearsal)
}

/// One that still takes objects of classes that are closed down.
pub(crate) fn open(engine: &Engine) -> Result<Engine, Failure> {
    let now_ms = engine.now_ms();
    let mut text = String::new();
    for (class, _) in engine.classes() {
        text.push_str(&toml(&class));
    }
    let options =
        Options { classes: ClassSet::from_toml(&text)?, ..Options::new("rehearsal.sexton.example/dry-run") };
    let rehearsal = with(&options, now_ms)?;
    for hold in engine.holds().into_iter().filter(|hold| hold.lifted.is_none()) {
        let review_ms = hold.terms.review_ms.max(now_ms.saturating_add(1));
        rehearsal.place_hold(NewHold { review_ms, ..hold.terms })?;
    }
    Ok(rehearsal)
}

/// One with an object of the subject that is to be erased, where `engine` has any.
pub(crate) fn for_erasure(engine: &Engine, selector: &Selector) -> Result<Engine, Failure> {
    let rehearsal = open(engine)?;
    if let Selector::Subject(subject) = selector
        && engine.is_known(selector)?
        && let Some((class, _)) = rehearsal.classes().first()
    {
        let start_ms = Some(rehearsal.now_ms());
        let object = Registration { subject, start_ms, ..Registration::new(&class.name, b"key") };
        rehearsal.register(&[object], Durability::Buffered)?;
    }
    Ok(rehearsal)
}

/// Closes the classes that `engine` has closed down.
pub(crate) fn close(rehearsal: &Engine, engine: &Engine) -> Result<(), Failure> {
    for (name, class) in engine.status()?.classes {
        if class.closed {
            rehearsal.close_down(Selector::Class(name), "it is closed", "rehearsal")?;
        }
    }
    Ok(())
}

/// An engine in memory with these options.
pub(crate) fn with(options: &Options, now_ms: i64) -> Result<Engine, Failure> {
    let seams = Seams {
        kv: Arc::new(MemoryKv::new(Faults::none())),
        files: Arc::new(MemoryFiles::new(Faults::none())),
        // Nothing of it is ever published or kept, so its secrets need not be secret.
        entropy: Arc::new(SeededEntropy::new(0)),
        pool: Arc::new(Pool::none()),
    };
    Ok(Engine::open_with_seams(seams, options, Arc::new(VirtualClock::new(now_ms)))?)
}

/// A class as a class file has it.
fn toml(class: &Definition) -> String {
    let mut out = format!("[class.{:?}]\n", class.name);
    let mut set = |field: &str, value: String| {
        // Every value is made of letters, digits and a few signs, so the quotes of Rust are those of TOML.
        let _ = writeln!(out, "{field} = {value}");
    };
    let spans = [
        ("keep", class.keep),
        ("within", class.within),
        ("max_open", class.max_open),
        ("remember", class.remember),
    ];
    for (field, span) in spans {
        if let Some(span) = span {
            set(field, quoted(&span));
        }
    }
    set("slot", quoted(&show::span(class.slot_ms)));
    set("lead", quoted(&show::span(class.lead_ms)));
    set("zone", quoted(&class.zone));
    set("start", quoted(&class.start.name()));
    set("find", quoted(&class.find.name()));
    set("disposition", quoted(&class.disposition.name()));
    set("openings", quoted(&class.openings.name()));
    set("feed", class.feed.to_string());
    if !class.calendar.is_empty() {
        set("calendar", quoted(&class.name));
        let holidays = class.calendar.holidays().iter().map(ToString::to_string);
        let workdays = class.calendar.workdays().iter().map(|day| format!("+{day}"));
        let days: Vec<String> = holidays.chain(workdays).collect();
        let _ = writeln!(out, "[calendar.{:?}]\ndays = {:?}", class.name, days.join("\n"));
    }
    out
}

fn quoted(value: &dyn std::fmt::Display) -> String {
    format!("\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: &str = r#"
        [class.answers]
        within = "15wd"
        zone = "Asia/Shanghai"
        calendar = "cn"
        start = "registered"
        slot = "1h"
        lead = "7s"
        feed = true
        remember = "90d"
        [class."uploads.v2"]
        keep = "1s"
        within = "3h"
        start = "explicit"
        max_open = "24h"
        find = "none"
        openings = "ticket"
        [calendar.cn]
        days = """
        2026-10-01 # national day
        +2026-10-10
        """
    "#;

    #[test]
    fn a_class_goes_through_its_text_unchanged() {
        let classes = ClassSet::from_toml(CLASSES).unwrap().and(ClassSet::built_in());
        let text: String = classes.iter().map(toml).collect();
        assert_eq!(ClassSet::from_toml(&text).unwrap(), classes);
    }
}
