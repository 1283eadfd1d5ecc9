//! Check of the log: entries, hashes, recorded head, published checkpoint and tiles.

use crate::engine::check::Report;
use crate::model::schema;
use crate::platform::error::Result;
use crate::platform::kv::ColumnFamily;
use crate::state::core::Core;
use crate::state::log;
use crate::state::publish;
use sexton_proof::commitment;
use sexton_proof::leaf::{EventLeaf, Leaf};
use sexton_proof::merkle::{self, Frontier};
use sexton_proof::tile;
use sexton_proof::time::Timestamp;

/// Checks every entry, every stored hash, the root, the recorded head and the published checkpoint.
pub(super) fn check_log(core: &Core, log: &log::Log, report: &mut Report) -> Result<()> {
    let mut frontier = Frontier::new();
    let mut last_logged = Timestamp::MIN;
    for index in 0..log.size() {
        let entry = log::entry(&*core.kv, index)?;
        match Leaf::parse(&entry) {
            Ok(leaf) => {
                let logged = leaf.logged();
                report.require(logged >= last_logged, || format!("log entry {index} goes back in time"));
                last_logged = logged;
            }
            Err(e) => report.problem(format!("log entry {index} is malformed: {e}")),
        }
        let mut nodes = Vec::new();
        frontier.push(merkle::leaf_hash(&entry), &mut |level, at, hash| nodes.push((level, at, hash)));
        for (level, at, hash) in nodes {
            let stored = log::node(&*core.kv, level, at).ok();
            report.require(stored == Some(hash), || format!("the stored log hash {level}/{at} is wrong"));
        }
    }
    report.leaves = log.size();
    report.require(frontier.root() == log.root(), || "the log's root is not that of its entries".into());
    let head = publish::read_head(&*core.files)?;
    let checkpoint = publish::read_checkpoint(&*core.files, &core.identity.log_key)?;
    let published = checkpoint.map(|c| (c.size, c.root));
    for (what, seen) in [("recorded head", head), ("published checkpoint", published)] {
        if let Some((size, root)) = seen {
            let ours = if size <= log.size() { log::root_at(&*core.kv, size).ok() } else { None };
            report.require(ours == Some(root), || {
                format!("the {what} of size {size} is not a prefix of the log")
            });
        }
    }
    check_tiles(core, published.map_or(0, |(size, _)| size.min(log.size())), report)
}

/// Checks the tiles and bundles below the published checkpoint.
fn check_tiles(core: &Core, published: u64, report: &mut Report) -> Result<()> {
    let mut compare = |path: String, expected: Vec<u8>| -> Result<()> {
        let path = format!("log/{path}");
        let same = core.files.read(&path)?.is_some_and(|bytes| bytes == expected);
        report.require(same, || format!("{path} is missing or is not what the log holds"));
        Ok(())
    };
    for id in tile::tiles_to_publish(0, published) {
        compare(id.path(), publish::tile_bytes(&*core.kv, id)?)?;
    }
    for id in tile::bundles_to_publish(0, published) {
        compare(id.path(), publish::bundle_bytes(&*core.kv, id)?)?;
    }
    Ok(())
}

/// Checks that the text of a hold, lift, alarm or resumption is the one that its leaf commits to.
pub(super) fn check_event(core: &Core, index: u64, leaf: &EventLeaf, report: &mut Report) -> Result<()> {
    let stored = core.kv.get(ColumnFamily::Meta, &schema::event_key(index))?.unwrap_or_default();
    let opens = schema::split_event_value(&stored)
        .is_some_and(|(r, text)| commitment::event(r, text) == leaf.commitment);
    report.require(opens, || format!("the text of log entry {index} is not what it commits to"));
    Ok(())
}
