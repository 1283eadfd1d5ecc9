//! Requests that the engine refuses. Each error names the value and the bound, and nothing of the request is applied.

mod clock;
mod damage;
mod decisions;
mod input;
