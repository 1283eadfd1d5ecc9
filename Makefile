# `make` lists the targets. Each does its own set-up and asks nothing; ARGS="..." is handed on.
.PHONY: help demo test test-c header install uninstall bench bench-boundary ci clean
PREFIX ?= /usr/local

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: ## build the sexton command and run its demonstration; what it leaves is in target/demo
	@scripts/setup release
	@rm -rf target/demo
	cargo run --release --locked -p sexton-cli -- demo --out target/demo $(ARGS)

test: ## build and run every test (ARGS="NAME" for some of the Rust ones)
	@scripts/setup debug
	cargo test --workspace --locked $(ARGS)
	$(if $(ARGS),,@$(MAKE) --no-print-directory test-c)

test-c: ## build and run every test of the C library and of its examples
	@scripts/setup release c
	cargo build --release --locked -p sexton-ffi -p sexton-cli
	ffi/tests/run $(ARGS)
	@scripts/install "$(CURDIR)/target/c/prefix"
	ffi/examples/filehold/test --sexton target/release/sexton target/c/prefix
	SEXTON_LIBRARY=target/c/prefix/lib/libsexton.so.0 SEXTON_HEADER=ffi/include/sexton.h \
	  python3 ffi/examples/python/test_sexton.py

header: ## write ffi/include/sexton.h from the source
	@scripts/header

install: ## install the C library: PREFIX=/usr/local, DESTDIR=
	@scripts/setup release
	cargo build --release --locked -p sexton-ffi
	scripts/install "$(PREFIX)" "$(DESTDIR)"

uninstall: ## take it away again
	scripts/install --uninstall "$(PREFIX)" "$(DESTDIR)"

# The figures of whoever is measured need a quiet machine and a disk with room; docs/performance.md says how much.
.PHONY: bench-peers bench-scale
bench-peers: ## the engine beside Redis, PostgreSQL, RocksDB's TTL, find, other timers, another log
	@scripts/setup release peers
	cargo run --release --locked -p sexton-bench --features peers -- peers $(ARGS)

bench-scale: ## the engine with 1, 10 and 100 million live objects
	@scripts/setup release
	cargo run --release --locked -p sexton-bench -- scale $(ARGS)

bench: ## the engine beside ceilings, then criterion's benches (ARGS="--only NAME --scale 0.01": the first alone)
	@scripts/setup release
	cargo run --release --locked -p sexton-bench -- ours $(ARGS)
	$(if $(ARGS),,cargo bench --workspace --locked)

bench-boundary: ## what registering through C costs beside the Rust call
	@scripts/setup release
	cargo build --release --locked -p sexton-ffi -p sexton-bench
	@scripts/install /usr/local "$(CURDIR)/target/c/bench" >/dev/null
	$(CC) -O2 -std=c11 -Itarget/c/bench/usr/local/include ffi/bench/register.c -o target/c/bench/register \
	  -Ltarget/c/bench/usr/local/lib -lsexton -Wl,-rpath,$(CURDIR)/target/c/bench/usr/local/lib
	target/release/sexton-bench boundary target/c/bench/register --dir target $(ARGS)

ci: ## everything that a change must pass
	.ci/run

clean: ## remove what was built; the compiler cache stays
	cargo clean
