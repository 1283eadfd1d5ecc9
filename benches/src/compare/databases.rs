//! Registering and enforcing beside databases that expire or delete rows.

use super::Group;
use super::objects::{Steps, ours};
use crate::comparison::{Comparison, ComparisonResult, FigureOf};
use crate::contest::{Contestant, Figures, Setup, run_contest};
use crate::reference::baseline::{Baseline, Rows};
use crate::reference::postgres::{self, Postgres};
use crate::reference::redis::{self, Redis};
use crate::reference::ttl::Ttl;
use crate::statistics::Target;
use crate::{CALL, CLASSES, Result, Workload, rate};
use sexton::class::Find;
use sexton_proof::leaf::Openings;
use std::path::Path;

const REGISTER: &str = "register";
const ENFORCE: &str = "enforce";
const PER_SLOT: usize = 100_000;

/// Comparisons with Redis, PostgreSQL and RocksDB's TTL.
pub(super) const GROUP: Group = Group { comparisons, run: run_group };

fn comparisons() -> Vec<Comparison> {
    let none = |figure| FigureOf("none", figure);
    let pair = |name, figure, reference, what| {
        Comparison::new(name, "objects/s", none(figure), FigureOf(reference, figure), what)
    };
    vec![
        pair("enforce/redis", ENFORCE, "redis", "beside active expiry at its default effort")
            .with_target(Target::Ratio(10.0)),
        pair(
            "enforce/redis-maximum",
            ENFORCE,
            "redis at maximum effort",
            "beside active expiry at effort 10 of 10",
        )
        .with_target(Target::Ratio(5.0)),
        Comparison::new(
            "enforce/redis/baseline",
            "objects/s",
            FigureOf("baseline", ENFORCE),
            FigureOf("redis", ENFORCE),
            "baseline, which has little of the evidence, beside active expiry at its default effort",
        ),
        pair("enforce/ttl", ENFORCE, "ttl", "beside a full compaction through a filter"),
        pair("register/ttl", REGISTER, "ttl", "beside rows under their keys, one fsync per call"),
        pair("enforce/postgres", ENFORCE, "postgres", "beside DELETE … WHERE due <= now in batches"),
        pair("register/postgres", REGISTER, "postgres", "beside COPY of 1,000 rows per transaction"),
    ]
}

fn run_group(setup: &Setup, comparisons: &[Comparison]) -> Result<Vec<ComparisonResult>> {
    let work = &Workload::new(setup.scaled(2_000_000, CALL * CLASSES), PER_SLOT);
    let redis_at = |name, effort| match redis::server_path() {
        Err(why) => Contestant::absent(name, why),
        Ok(_) => Contestant::new(name, move |folder: &Path| {
            let redis = Redis::start(folder, effort)?;
            let figures = Figures::from([(ENFORCE, redis.enforce(work)?)]);
            redis.stop()?;
            Ok(figures)
        }),
    };
    let postgres = match postgres::check_installed() {
        Err(why) => Contestant::absent("postgres", why),
        Ok(()) => Contestant::new("postgres", move |folder: &Path| {
            let postgres = Postgres::start(folder)?;
            let register = postgres.register(work)?;
            let figures = Figures::from([(REGISTER, register), (ENFORCE, postgres.enforce(work)?)]);
            postgres.stop()?;
            Ok(figures)
        }),
    };
    let contestants = vec![
        Contestant::new("none", move |folder: &Path| {
            ours(folder, work, Find::None, Openings::Operator, Steps::RegisterAndEnforce)
        }),
        Contestant::new("baseline", move |folder: &Path| {
            let baseline = Baseline::open(folder, Rows::One)?;
            baseline.register(work)?;
            Ok(Figures::from([(ENFORCE, rate(work.len(), || baseline.enforce(work))?)]))
        }),
        redis_at("redis", 1),
        redis_at("redis at maximum effort", 10),
        Contestant::new("ttl", move |folder: &Path| {
            let ttl = Ttl::open(folder)?;
            let register = rate(work.len(), || ttl.register(work))?;
            Ok(Figures::from([(REGISTER, register), (ENFORCE, rate(work.len(), || ttl.enforce(work))?)]))
        }),
        postgres,
    ];
    Ok(run_contest(setup, contestants, comparisons))
}
