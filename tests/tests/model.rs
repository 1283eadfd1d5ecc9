//! Random histories on the engine and on a naive scheduler. Each step compares the fate, instant and evidence of every
//! object.

mod naive;
mod run;
mod steps;

pub(crate) use self::naive::CLASSES;
pub(crate) use self::run::Run;
pub(crate) use self::steps::{Step, histories};

use proptest::prelude::*;

/// Returns the configuration of the model: a few histories, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let from_environment = ProptestConfig::default();
    let is_set = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if is_set { from_environment.cases } else { 96 };
    ProptestConfig { cases, ..from_environment }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_object_ends_as_the_naive_scheduler_says(steps in histories()) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.finish();
    }

    #[test]
    fn every_object_ends_alike_if_sweeps_go_in_parts(steps in histories()) {
        let mut run = Run::with_sweeps_in_parts();
        for step in &steps {
            run.step(step);
        }
        run.finish();
    }

    #[test]
    fn equal_histories_give_equal_files(steps in histories()) {
        let files = || {
            let mut run = Run::new();
            for step in &steps {
                run.step(step);
            }
            run.machine.files.all()
        };
        prop_assert_eq!(files(), files());
    }
}

/// Returns the shortest histories that once failed, each with a description of the defect.
fn once_wrong() -> Vec<(&'static str, Vec<Step>)> {
    use self::steps::{Begin, Target};
    let upload = |class, begin| Step::Upload { key: 0, class, begin };
    let hold = Step::Hold { name: 0, of: Target::Key(0), is_event: true };
    let erase = Step::Erase { of: Target::Key(0), cancellable_ms: 0 };
    let (lift, minute) = (Step::Lift { name: 0, grace_ms: 0 }, Step::Advance { ms: 60_000 });
    let kept = upload(1, Begin::Ago(0));
    let other_class = vec![kept.clone(), Step::Apply { class: 0 }, erase.clone(), Step::Enforce];
    let parked = vec![upload(0, Begin::Ago(0)), hold, erase.clone(), Step::Enforce, lift, Step::Enforce];
    let after_hold = vec![
        upload(0, Begin::Ago(0)),
        Step::Hold { name: 0, of: Target::Key(0), is_event: false },
        minute,
        Step::Enforce,
        Step::Lift { name: 0, grace_ms: 30_000 },
        Step::Enforce,
        erase,
        Step::Enforce,
    ];
    let made_late = vec![
        Step::Hold { name: 0, of: Target::Key(10), is_event: false },
        Step::Define { class: 6 },
        upload(6, Begin::Ago(45_001)),
        Step::Lift { name: 0, grace_ms: 0 },
        Step::Define { class: 6 },
        Step::Apply { class: 6 },
    ];
    let opened_in_doubt = vec![
        Step::ClockForward,
        Step::Enforce,
        upload(3, Begin::Unsaid),
        Step::Resume { back: false },
        Step::Reschedule { key: 0, by_id: false, class: Some(0), ago_ms: None },
        Step::Retry { key: 0 },
    ];
    let released = vec![kept.clone(), Step::Release { key: 0, by_id: false }];
    let accepted = |step| [step, Step::Enforce, Step::Resume { back: true }];
    let stepwise = [
        accepted(Step::ClockForward).to_vec(),
        vec![upload(1, Begin::Unsaid)],
        accepted(Step::ClockForward).to_vec(),
        accepted(Step::ClockBack { far: true }).to_vec(),
        vec![Step::Enforce],
    ]
    .concat();
    let with = |more: Step| [released.clone(), vec![more, Step::Enforce]].concat();
    vec![
        ("a changed class took objects of another class along", other_class),
        ("what was erased stayed parked when its event hold was lifted", parked),
        ("an erasure hid that a hold had kept an object late", after_hold),
        ("a sweep took what it had made late itself for what a hold had kept", made_late),
        ("an assumed start that had passed was corrected from a later instant", opened_in_doubt),
        ("an object stored again after its release was forgotten", with(Step::Retry { key: 0 })),
        ("a released and replaced registration failed the full check", with(kept)),
        ("an object between two jumps went back by both", stepwise),
    ]
}

#[test]
fn histories_that_once_failed_pass() {
    for (what, steps) in once_wrong() {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        let report = run.engine().check().unwrap();
        assert!(report.is_sound(), "{what}: {:#?}", report.problems);
        run.finish();
    }
}
