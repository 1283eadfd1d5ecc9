//! Threads as a seam: what one piece of work may be shared between.

use crate::error::{Error, Result};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::thread;

/// Threads that share pieces of work, or none: then whoever has the work does it alone.
pub struct Pool(Option<ThreadPool>);

impl Pool {
    /// No threads.
    pub fn none() -> Self {
        Pool(None)
    }

    /// So many threads of that name, which end with the pool; 0 are none, and without a number there is one for each core.
    /// They block the signals that this thread blocks.
    ///
    /// # Errors
    /// `Io` where the system gives no threads.
    pub fn of(name: &'static str, threads: Option<usize>) -> Result<Self> {
        let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
        if threads == 0 {
            return Ok(Pool::none());
        }
        let pool =
            ThreadPoolBuilder::new().num_threads(threads).thread_name(move |at| format!("{name}-{at}"));
        let pool = pool.build();
        pool.map(|pool| Pool(Some(pool)))
            .map_err(|e| Error::io("cannot start threads", std::io::Error::other(e)))
    }

    /// So many threads for one long piece of work, so that this pool's are not held up. None where this has none, or the
    /// system gives none: then whoever has the work does it alone.
    pub(crate) fn beside(&self, name: &'static str, threads: usize) -> Pool {
        let pool = self.0.as_ref().and_then(|_| Pool::of(name, Some(threads)).ok());
        pool.unwrap_or_else(Pool::none)
    }

    /// What `f` makes of each item, with its place, in their order.
    ///
    /// # Errors
    /// One of those that `f` gave.
    pub(crate) fn map<T: Send, R: Send>(
        &self,
        items: Vec<T>,
        f: impl Fn(usize, T) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let all = |(at, item)| f(at, item);
        match &self.0 {
            Some(pool) if items.len() > 1 => {
                pool.install(|| items.into_par_iter().enumerate().map(all).collect())
            }
            _ => items.into_iter().enumerate().map(all).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_threads_and_without_the_results_are_the_same_and_in_order() {
        let named = |threads| Pool::of("threads", threads).unwrap();
        assert!(Pool::none().beside("beside", 2).0.is_none());
        for pool in
            [Pool::none(), named(Some(0)), named(Some(3)), named(None), named(Some(1)).beside("beside", 2)]
        {
            let doubled = pool.map((0..100).collect(), |at, n: usize| Ok(at + n)).unwrap();
            assert_eq!(doubled, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
            let refused =
                pool.map(vec![1, 2], |_, n| if n == 2 { Err(Error::invalid("two")) } else { Ok(n) });
            assert!(refused.is_err());
        }
    }
}
