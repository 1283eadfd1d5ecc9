//! Dry runs, which let the engine itself validate.
//!
//! A dry run acts on an engine in memory that has the classes and the legal holds of the data folder, and no objects.
//! It refuses what the engine of the data folder would refuse, with the same message.

use sexton::class::Definition;
use sexton::proof::time::whole_ms;
use sexton::report::EngineState;
use sexton::testing::fault::Faults;
use sexton::testing::files::memory::MemoryFiles;
use sexton::testing::kv::memory::MemoryKv;
use sexton::testing::{Pool, Seams, SeededEntropy, VirtualClock};
use sexton::{
    Attribution, ClassSet, Durability, Engine, Error, ErrorKind, Options, Registration, Result, Selector,
    Timestamp,
};
use std::fmt::Write as _;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// Engine that an operation acts on: that of the data folder, or one in memory.
pub(crate) enum Target<'a> {
    Real(&'a Engine),
    Dry(Box<Engine>),
}

impl Deref for Target<'_> {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        match self {
            Target::Real(engine) => engine,
            Target::Dry(engine) => engine,
        }
    }
}

/// Returns the engine that a mutating operation acts on.
pub(crate) fn target(engine: &Engine, is_dry: bool) -> Result<Target<'_>> {
    if is_dry { Ok(Target::Dry(Box::new(of(engine)?))) } else { Ok(Target::Real(engine)) }
}

/// Refuses a dry run if the engine would refuse every change.
///
/// # Errors
/// `Forked` or `Poisoned` if it is a dry run and `engine` takes no changes.
pub(crate) fn check_if(is_dry: bool, engine: &Engine) -> Result<()> {
    if is_dry { check(engine) } else { Ok(()) }
}

fn check(engine: &Engine) -> Result<()> {
    match engine.state() {
        EngineState::Forked(why) | EngineState::Copy(why) => {
            Err(Error::new(ErrorKind::Forked, refusal(&why)))
        }
        EngineState::Poisoned(why) => Err(Error::new(ErrorKind::Poisoned, refusal(&why))),
        _ => Ok(()),
    }
}

/// Returns an engine in memory that validates as `engine` does now.
///
/// # Errors
/// `Forked` or `Poisoned` if `engine` takes no changes.
pub fn of(engine: &Engine) -> Result<Engine> {
    check(engine)?;
    let dry = with_open_classes(engine)?;
    close_classes(&dry, engine)?;
    Ok(dry)
}

fn refusal(why: &str) -> String {
    format!("the engine takes no changes: {why}")
}

/// Returns an engine in memory with the classes and holds of `engine`, of which no class is closed down yet. It takes
/// objects that stand for registered ones; [`close_classes`] follows.
pub fn with_open_classes(engine: &Engine) -> Result<Engine> {
    let now = engine.now();
    let mut text = String::new();
    for (class, _) in engine.classes() {
        text.push_str(&toml(&class));
    }
    let options = Options::new("dry-run.sexton.example/dry-run").classes(ClassSet::from_toml(&text)?);
    let dry = in_memory(&options, now)?;
    for hold in engine.holds().into_iter().filter(|hold| hold.lifted.is_none()) {
        let mut terms = hold.terms;
        terms.review = terms.review.max(now.saturating_add(Duration::from_millis(1)));
        dry.place_hold(terms)?;
    }
    Ok(dry)
}

/// Returns an engine in memory for the dry run of an erasure. If `engine` knows the selected subject, one object of
/// that subject is registered.
pub fn for_erasure(engine: &Engine, selector: &Selector) -> Result<Engine> {
    let dry = with_open_classes(engine)?;
    if let Selector::Subject(subject) = selector
        && engine.is_known(selector)?
        && let Some((class, _)) = dry.classes().first()
    {
        let object =
            Registration::new(&class.name, b"key").version(b"version").subject(subject).start(dry.now());
        dry.register(&[object], Durability::Buffered)?;
    }
    Ok(dry)
}

/// Closes the classes in `dry` that `engine` has closed down.
pub fn close_classes(dry: &Engine, engine: &Engine) -> Result<()> {
    for (name, class) in engine.status()?.classes {
        if class.closed {
            dry.close_down(Selector::Class(name), Attribution::new("dry run", "it is closed"))?;
        }
    }
    Ok(())
}

/// Returns a new engine in memory with these options.
pub fn in_memory(options: &Options, now: Timestamp) -> Result<Engine> {
    let seams = Seams {
        kv: Arc::new(MemoryKv::new(Faults::none())),
        files: Arc::new(MemoryFiles::new(Faults::none())),
        // Nothing of this engine is published or kept, so its secrets need not be secret.
        entropy: Arc::new(SeededEntropy::new(0)),
        pool: Arc::new(Pool::none()),
    };
    Engine::open_with_seams(seams, options, Arc::new(VirtualClock::new(now)))
}

/// Returns the text of a class in the form of a class file.
fn toml(class: &Definition) -> String {
    let mut out = format!("[class.{:?}]\n", class.name);
    let mut set = |field: &str, value: String| {
        // Every value consists of letters, digits and a few signs, which Rust and TOML quote alike.
        let _ = writeln!(out, "{field} = {value}");
    };
    let spans = [
        ("keep", class.keep),
        ("within", class.within),
        ("max_open", class.max_open),
        ("remember", class.remember),
        ("seal_within", Some(class.seal_within)),
        ("evidence", class.evidence),
    ];
    for (field, span) in spans {
        if let Some(span) = span {
            set(field, quoted(&span));
        }
    }
    set("slot", quoted(&span(class.slot)));
    set("lead", quoted(&span(class.lead)));
    set("zone", quoted(&class.zone));
    set("start", quoted(&class.start.name()));
    set("find", quoted(&class.find.name()));
    set("disposition", quoted(&class.disposition.name()));
    set("openings", quoted(&class.openings.name()));
    set("feed", class.feed.to_string());
    set("host_deletes", class.host_deletes.to_string());
    if !class.calendar.is_empty() {
        set("calendar", quoted(&class.name));
        let holidays = class.calendar.holidays().iter().map(ToString::to_string);
        let workdays = class.calendar.workdays().iter().map(|day| format!("+{day}"));
        let days: Vec<String> = holidays.chain(workdays).collect();
        let _ = writeln!(out, "[calendar.{:?}]\ndays = {:?}", class.name, days.join("\n"));
    }
    out
}

/// Returns a length of time in the form of a class file.
fn span(length: Duration) -> String {
    let ms = whole_ms(length);
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let (name, unit) = units.into_iter().find(|(_, unit)| ms.is_multiple_of(*unit)).unwrap_or(("s", 1_000));
    format!("{}{name}", ms / unit)
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
        seal_within = "5m"
        [calendar.cn]
        days = """
        2026-10-01 # national day
        +2026-10-10
        """
    "#;

    #[test]
    fn toml_parsed_again_gives_the_same_classes() {
        let classes = ClassSet::from_toml(CLASSES).unwrap().and(ClassSet::built_in());
        let text: String = classes.iter().map(toml).collect();
        assert_eq!(ClassSet::from_toml(&text).unwrap(), classes);
    }
}
