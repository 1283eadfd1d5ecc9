//! Tells how to build faster, if RocksDB is about to be compiled by its crate's own build script.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=ROCKSDB_LIB_DIR");
    println!("cargo::rerun-if-env-changed=ROCKSDB_COMPILE");
    let is_set = |name| std::env::var_os(name).is_some();
    if !is_set("ROCKSDB_LIB_DIR") && !is_set("ROCKSDB_COMPILE") {
        println!(
            "cargo::warning=RocksDB is compiled file by file, which takes about half an hour on two cores; \
             `scripts/setup` in Sexton's repository builds it in five minutes, once for all builds on this machine"
        );
    }
}
