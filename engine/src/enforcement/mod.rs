//! Steps from a due page to its tombstones: planning, evidence, commit, and reclaiming space.

pub(crate) mod absence;
pub(crate) mod commit;
pub(crate) mod ended;
pub(crate) mod evidence;
pub(crate) mod feed;
pub(crate) mod planner;
pub(crate) mod reclaim;
