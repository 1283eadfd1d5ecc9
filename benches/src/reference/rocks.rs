//! RocksDB with the engine's own options. All references on RocksDB use it.

use crate::Result;
use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBWithThreadMode, MultiThreaded, Options, WriteBatch,
    WriteOptions,
};

pub(crate) type Db = DBWithThreadMode<MultiThreaded>;

/// Message for a column family that was not created at opening.
pub(super) const NO_FAMILY: &str = "column family not found";

/// Writes a batch without a sync.
pub(super) fn write(db: &Db, batch: WriteBatch) -> Result<()> {
    let mut options = WriteOptions::default();
    options.set_sync(false);
    Ok(db.write_opt(batch, &options)?)
}

/// Options of the database, and of its column families.
pub(crate) fn options() -> (Options, Options) {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_total_wal_size(512 << 20);
    options.set_max_background_jobs(4);
    options.set_max_subcompactions(2);
    options.set_max_open_files(1_000);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(128 << 20));
    table.set_cache_index_and_filter_blocks(true);
    table.set_block_size(16 << 10);
    table.set_bloom_filter(10.0, false);
    let mut family = Options::default();
    family.set_block_based_table_factory(&table);
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_write_buffer_size(64 << 20);
    family.set_max_write_buffer_number(3);
    family.set_target_file_size_base(64 << 20);
    (options, family)
}

#[cfg(test)]
mod tests {
    use crate::reference::naive::Naive;
    use crate::{Ours, Result};
    use sexton::class::Find;
    use sexton::{Durability, Registration};
    use sexton_proof::leaf::Openings;
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    /// Options of the database and of one column family, from the options file that RocksDB wrote.
    fn written(index: &Path, family: &str) -> Result<BTreeMap<String, String>> {
        let newest = fs::read_dir(index)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("OPTIONS-"))
            })
            .max()
            .ok_or("no options file")?;
        let wanted = ["[DBOptions]".to_owned(), format!("[CFOptions \"{family}\"]")];
        let table = format!("[TableOptions/BlockBasedTable \"{family}\"]");
        let (mut section, mut options) = (String::new(), BTreeMap::new());
        for line in fs::read_to_string(newest)?.lines().map(str::trim) {
            if line.starts_with('[') {
                line.clone_into(&mut section);
            } else if let Some((name, value)) = line.split_once('=')
                && (wanted.contains(&section) || section == table)
            {
                options.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(options)
    }

    /// The options that differ protect the engine, and can only cost it speed. The reference keeps the defaults.
    #[test]
    fn reference_has_the_performance_options_of_the_engine() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, naive) = (folder.path().join("ours"), folder.path().join("naive"));
        let engine = Ours::open(&ours, Find::None, Openings::Operator).unwrap();
        let reference = Naive::open(&naive).unwrap();
        // A class version has a column family once it has a row.
        let name = engine.engine.classes()[0].0.name.clone();
        let object = Registration::new(&name, b"key").start(engine.engine.now());
        let registered = engine.engine.register(&[object], Durability::Synced).unwrap();
        let family = format!("class-{}", registered[0].id.page.class);
        drop((engine, reference));
        let ours = written(&ours.join("index"), &family).unwrap();
        let theirs = written(&naive.join("naive"), "due").unwrap();
        let differ: Vec<&str> = ours
            .iter()
            .filter(|(name, value)| theirs.get(*name) != Some(value))
            .map(|(name, _)| &name[..])
            .collect();
        let protecting = [
            "allow_fallocate",
            "keep_log_file_num",
            "max_file_opening_threads",
            "track_and_verify_wals_in_manifest",
            "wal_recovery_mode",
        ];
        assert_eq!(differ, protecting);
        assert!(ours.len() > 100 && ours.len() == theirs.len(), "{} options", ours.len());
    }
}
