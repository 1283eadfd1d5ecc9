//! Registering and enforcing beside databases that expire or delete.

use super::Group;
use super::objects::ours;
use crate::bare::Bare;
use crate::bout::{Comparison, Contestant, Figures, Of, Pairing, Setup, play};
use crate::figures::Target;
use crate::reference::postgres::{self, Postgres};
use crate::reference::redis::{self, Redis};
use crate::reference::ttl::Ttl;
use crate::{CALL, CLASSES, Result, Workload, rate};
use sexton::Find;
use sexton_proof::leaf::Openings;
use std::path::Path;

const REGISTER: &str = "register";
const ENFORCE: &str = "enforce";
const PER_SLOT: usize = 100_000;

/// Redis, PostgreSQL and RocksDB's TTL.
pub(super) const GROUP: Group = Group { pairings, play: play_all };

fn pairings() -> Vec<Pairing> {
    let none = |figure| Of("none", figure);
    let pair = |name, figure, reference, what| {
        Pairing::new(name, "objects/s", none(figure), Of(reference, figure), what)
    };
    vec![
        pair("enforce/redis", ENFORCE, "redis", "beside active expiry at its default effort")
            .to_reach(Target::Ratio(10.0)),
        pair(
            "enforce/redis-maximum",
            ENFORCE,
            "redis at maximum effort",
            "beside active expiry at effort 10 of 10",
        )
        .to_reach(Target::Ratio(5.0)),
        Pairing::new(
            "enforce/redis/bare",
            "objects/s",
            Of("bare", ENFORCE),
            Of("redis", ENFORCE),
            "what the bare sketch, without most of the evidence, reaches beside Redis at its default effort",
        ),
        pair("enforce/ttl", ENFORCE, "ttl", "beside a compaction of everything through a filter"),
        pair("register/ttl", REGISTER, "ttl", "beside rows under their keys, one fsync per call"),
        pair("enforce/postgres", ENFORCE, "postgres", "beside DELETE … WHERE due <= now by batches"),
        pair("register/postgres", REGISTER, "postgres", "beside COPY of 1,000 rows per transaction"),
    ]
}

fn play_all(setup: &Setup, pairings: &[Pairing]) -> Result<Vec<Comparison>> {
    let work = &Workload::new(setup.scaled(2_000_000, CALL * CLASSES), PER_SLOT);
    let redis_at = |name, effort| match redis::is_installed() {
        Err(why) => Contestant::absent(name, why),
        Ok(_) => Contestant::new(name, move |folder: &Path| {
            let redis = Redis::start(folder, effort)?;
            let figures = Figures::from([(ENFORCE, redis.enforce(work)?)]);
            redis.stop()?;
            Ok(figures)
        }),
    };
    let postgres = match postgres::is_installed() {
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
            ours(folder, work, Find::None, Openings::Operator, true)
        }),
        Contestant::new("bare", move |folder: &Path| {
            let bare = Bare::open(folder, false)?;
            bare.register(work)?;
            Ok(Figures::from([(ENFORCE, rate(work.len(), || bare.enforce(work))?)]))
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
    Ok(play(setup, contestants, pairings))
}
