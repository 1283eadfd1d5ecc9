//! The same work on many items, on all cores. Making thousands of files is slow enough for that to be felt.

use std::num::NonZero;
use std::thread;

/// What `work` gives for each item, in the order of the items; else the first failure of a share.
pub(super) fn on_all_cores<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(cores).max(1);
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|items| scope.spawn(move || items.iter().map(work).collect::<Result<Vec<R>, E>>()))
            .collect();
        let mut all = Vec::with_capacity(items.len());
        for thread in threads {
            match thread.join() {
                Ok(done) => all.extend(done?),
                // A panic is a defect; it goes on as if it had happened here.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_and_a_failure_comes_through() {
        let items: Vec<u32> = (0..1_001).collect();
        assert_eq!(
            on_all_cores(&items, |n| Ok::<u32, ()>(n * 2)).unwrap(),
            items.iter().map(|n| n * 2).collect::<Vec<_>>()
        );
        assert_eq!(on_all_cores(&items, |n| if *n == 700 { Err("bad") } else { Ok(()) }), Err("bad"));
        assert_eq!(on_all_cores(&[] as &[u32], |_| Ok::<(), ()>(())), Ok(Vec::new()));
    }
}
