//! Work on many items on all cores, because creating thousands of files on one is slow.

use std::num::NonZero;
use std::thread;

/// Returns the result of `work` for each item, in the order of the items, or the first error.
pub(crate) fn on_all_cores<T: Sync, R: Send, E: Send>(
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
                // A panic is a defect, and continues in this thread.
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
    fn on_all_cores_keeps_order_and_returns_errors() {
        let items: Vec<u32> = (0..1_001).collect();
        assert_eq!(
            on_all_cores(&items, |n| Ok::<u32, ()>(n * 2)).unwrap(),
            items.iter().map(|n| n * 2).collect::<Vec<_>>()
        );
        assert_eq!(on_all_cores(&items, |n| if *n == 700 { Err("bad") } else { Ok(()) }), Err("bad"));
        assert_eq!(on_all_cores(&[] as &[u32], |_| Ok::<(), ()>(())), Ok(Vec::new()));
    }
}
