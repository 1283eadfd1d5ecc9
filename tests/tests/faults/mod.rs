//! Faults at every write of a history. Each write is lost, or done but reported as failed. Then the process ends or the
//! machine loses power, and the reopened engine has to continue without a loss.

mod enforcement;
mod governance;
mod policies;
