//! Threads that use one engine at the same time.

mod enforcement;
mod governance;
mod tickets;
