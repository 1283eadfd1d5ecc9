//! Random histories of everything that can happen, on the engine and on a naive scheduler, compared step by step: every
//! object's fate, instant and evidence. The same history twice gives the same files, byte for byte.

mod naive;
mod run;
mod steps;

pub(crate) use self::naive::CLASSES;
pub(crate) use self::run::Run;
pub(crate) use self::steps::{Step, histories};

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_object_meets_the_fate_that_a_naive_scheduler_gives_it(steps in histories()) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.finish();
    }

    #[test]
    fn the_same_history_gives_the_same_files_byte_for_byte(steps in histories()) {
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
