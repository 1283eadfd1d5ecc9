//! The seam to threads: a pool that shares one piece of work among its threads, or runs it in the calling thread.

use crate::platform::error::{Error, Result};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::thread;

/// Pool of threads that share pieces of work. A pool without threads leaves the work to the calling thread.
pub struct Pool(Option<ThreadPool>);

impl Pool {
    /// Creates a pool without threads.
    pub fn none() -> Self {
        Pool(None)
    }

    /// Creates a pool of `threads` threads: one for each core if `None`, and no threads if 0.
    ///
    /// The threads are named `name` and a number, end with the pool, and block the signals that the calling thread blocks.
    ///
    /// # Errors
    /// `Io` if the operating system starts no threads.
    pub fn named(name: &'static str, threads: Option<usize>) -> Result<Self> {
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

    /// Creates a separate pool of `threads` threads for one long piece of work, so that it does not block this pool.
    ///
    /// The new pool has no threads if this pool has none, or if the operating system starts none.
    pub(crate) fn separate(&self, name: &'static str, threads: usize) -> Pool {
        let pool = self.0.as_ref().and_then(|_| Pool::named(name, Some(threads)).ok());
        pool.unwrap_or_else(Pool::none)
    }

    /// Calls `f` with the index and the value of each item, and returns the results in the order of the items.
    ///
    /// # Errors
    /// An error that `f` returned.
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
    fn results_are_in_order_with_and_without_threads() {
        let named = |threads| Pool::named("threads", threads).unwrap();
        assert!(Pool::none().separate("separate", 2).0.is_none());
        for pool in [
            Pool::none(),
            named(Some(0)),
            named(Some(3)),
            named(None),
            named(Some(1)).separate("separate", 2),
        ] {
            let doubled = pool.map((0..100).collect(), |at, n: usize| Ok(at + n)).unwrap();
            assert_eq!(doubled, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
            let refused =
                pool.map(vec![1, 2], |_, n| if n == 2 { Err(Error::invalid("two")) } else { Ok(n) });
            assert!(refused.is_err());
        }
    }
}
