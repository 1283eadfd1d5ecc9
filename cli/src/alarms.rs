//! Alarms as they are shown, and `sexton resume`.

use crate::args::ResumeArgs;
use crate::output::{Failure, Output};
use crate::{folder, show};
use serde_json::{Value, json};
use sexton::{Alarm, json};

/// Shows the alarms that stand.
pub(crate) fn list(alarms: &[Alarm], output: &mut Output) {
    for alarm in alarms {
        output.line(format_args!(
            "{} {} since {}, {}",
            output.bad("alarm"),
            hex::encode(alarm.id),
            show::instant(alarm.raised_ms),
            json::cause(&alarm.cause)
        ));
        output.line(format_args!("  {}", alarm.sentence));
    }
}

pub(crate) fn run(args: &ResumeArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::to_change(&args.change)?;
    let standing = engine.status()?.alarms;
    let chosen = if args.all { standing } else { vec![one(standing, args.alarm.as_deref())?] };
    let dry_run = args.change.dry_run;
    for alarm in chosen.iter().filter(|_| !dry_run) {
        engine.resume(&alarm.id, &args.why.reason, &args.why.author)?;
    }
    if args.change.data.json {
        let told: Vec<Value> = chosen.iter().map(json::alarm).collect();
        output.json(&json!({ "dry_run": dry_run, "resumed": told }));
        return Ok(0);
    }
    let done = if dry_run { "would be ended" } else { "is ended" };
    for alarm in &chosen {
        output.line(format_args!("alarm {} ({}) {done}", hex::encode(alarm.id), json::cause(&alarm.cause)));
    }
    if chosen.is_empty() {
        output.line("no alarm stands");
    }
    Ok(0)
}

/// The alarm whose id begins so; without a beginning, the only one.
fn one(standing: Vec<Alarm>, prefix: Option<&str>) -> Result<Alarm, Failure> {
    let begins = |alarm: &Alarm| prefix.is_none_or(|prefix| hex::encode(alarm.id).starts_with(prefix));
    let mut found: Vec<Alarm> = standing.into_iter().filter(begins).collect();
    match (found.pop(), found.len(), prefix) {
        (Some(alarm), 0, _) => Ok(alarm),
        (Some(_), more, _) => Err(Failure::new(format!(
            "{} alarms could be meant; give more of an id (`sexton status` shows them), or --all",
            more + 1
        ))),
        (None, _, Some(prefix)) => {
            Err(Failure::new(format!("no alarm stands whose id begins with {prefix:?}")))
        }
        (None, _, None) => Err(Failure::new("no alarm stands")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton::AlarmCause;

    fn alarm(first: u8) -> Alarm {
        let mut id = [0x11; 16];
        id[0] = first;
        Alarm { id, cause: AlarmCause::Clock, raised_ms: 0, sentence: "s".into() }
    }

    #[test]
    fn an_alarm_is_named_by_as_much_of_its_id_as_is_needed() {
        let all = || vec![alarm(0x3f), alarm(0x3e), alarm(0xa0)];
        assert_eq!(one(all(), Some("3f")).unwrap(), alarm(0x3f));
        assert_eq!(one(all(), Some("a")).unwrap(), alarm(0xa0));
        for (standing, prefix) in [(all(), Some("3")), (all(), Some("b")), (all(), None), (vec![], None)] {
            assert!(one(standing, prefix).is_err(), "{prefix:?}");
        }
        assert_eq!(one(vec![alarm(1)], None).unwrap(), alarm(1));
    }
}
