# `make` lists the targets. Each does its own set-up and asks nothing; ARGS="..." is handed on.
.PHONY: help demo test test-rust test-c header install uninstall bench bench-ffi-overhead quick ci clean
PREFIX ?= /usr/local

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: ## build the sexton command and run its demonstration; what it leaves is in target/demo
	@scripts/setup
	@rm -rf target/demo
	cargo run --release --locked -p sexton-cli -- demo --out target/demo $(ARGS)

test: ## build and run every test (ARGS="NAME" for some of the Rust ones)
	@$(MAKE) --no-print-directory test-rust
	$(if $(ARGS),,@$(MAKE) --no-print-directory test-c)

test-rust: ## build and run every Rust test (ARGS="NAME" for some of them)
	@scripts/setup
	cargo test --workspace --locked $(ARGS)

test-c: ## build and run every test of the C library and its examples
	@scripts/setup c
	cargo build --release --locked -p sexton-ffi -p sexton-cli
	ffi/tests/run $(ARGS)
	@scripts/install "$(CURDIR)/target/c/prefix"
	ffi/examples/filehold/test --sexton target/release/sexton target/c/prefix
	SEXTON_LIBRARY=target/c/prefix/lib/libsexton.so.0 SEXTON_HEADER=ffi/include/sexton.h \
	  python3 ffi/examples/python/test_sexton.py

header: ## write ffi/include/sexton.h from the source
	@scripts/header

install: ## install the C library: PREFIX=/usr/local, DESTDIR= (with DESTDIR for any CPU)
	@scripts/setup $(if $(DESTDIR),--portable)
	cargo build --release --locked -p sexton-ffi
	scripts/install "$(PREFIX)" "$(DESTDIR)"

uninstall: ## remove the C library
	scripts/install --uninstall "$(PREFIX)" "$(DESTDIR)"

# Measurements need a quiet machine and free disk space: docs/performance.md says how much.
.PHONY: bench-peers bench-scale
bench-peers: ## the engine beside Redis, PostgreSQL, RocksDB's TTL, find, other timers, another log
	@scripts/setup peers
	cargo run --release --locked -p sexton-bench --features peers -- peers $(ARGS)

bench-scale: ## the engine with 1, 10 and 100 million live objects
	@scripts/setup
	cargo run --release --locked -p sexton-bench -- scale $(ARGS)

bench: ## the engine beside baseline and naive layouts, then the criterion benches (skipped if ARGS is set)
	@scripts/setup
	cargo run --release --locked -p sexton-bench -- ours $(ARGS)
	$(if $(ARGS),,cargo bench --workspace --locked)

bench-ffi-overhead: ## registering through C beside registering through Rust
	@scripts/setup
	cargo build --release --locked -p sexton-ffi -p sexton-bench
	@scripts/install /usr/local "$(CURDIR)/target/c/bench" >/dev/null
	$(CC) -O2 -std=c11 -Itarget/c/bench/usr/local/include ffi/bench/register.c -o target/c/bench/register \
	  -Ltarget/c/bench/usr/local/lib -lsexton -Wl,-rpath,$(CURDIR)/target/c/bench/usr/local/lib
	target/release/sexton-bench ffi-overhead target/c/bench/register --dir target $(ARGS)

quick: ## format, lints and Rust tests: run it before each commit
	.ci/quick

ci: ## everything that a change must pass: the quick tier, docs, dependencies, benchmarks, the C library
	.ci/run

clean: ## remove what was built; the RocksDB library in the user's cache stays
	cargo clean
