# `make` lists the targets. Each does its own set-up and asks nothing; ARGS="..." is handed on.
.PHONY: help demo test test-rust test-serve test-s3 test-c test-deb header install uninstall deb bench bench-ffi-overhead quick ci clean
PREFIX ?= /usr/local

define build-installed
cargo build --release --locked -p sexton-ffi
cargo build --release --locked -p sexton-cli --features s3
endef

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: ## build the sexton command and run its demonstration; what it leaves is in target/demo
	@scripts/setup
	@rm -rf target/demo
	cargo run --release --locked -p sexton-cli -- demo --out target/demo $(ARGS)

test: ## build and run every test (ARGS="NAME" for some of the Rust ones)
	@$(MAKE) --no-print-directory test-rust
	$(if $(ARGS),,@$(MAKE) --no-print-directory test-serve test-s3 test-c test-deb)

test-rust: ## build and run every Rust test that needs no server (ARGS="NAME" for some of them)
	@scripts/setup
	cargo test --workspace --locked --features sexton-cli/serve $(ARGS)

# They are ignored elsewhere, so that without Prometheus or Schemathesis they count as ignored and never as passed.
test-serve: ## build and run the tests of the service that need Prometheus and Schemathesis
	@scripts/setup serve
	cargo test --locked -p sexton-service --test metrics --test operations -- --ignored $(ARGS)

# They are ignored elsewhere as well. moto is a mock and starts in a second; Ceph is real and starts in half a minute.
test-s3: ## build and run the tests of the S3 store, on moto and Ceph (ARGS="moto::" for the mock alone)
	@scripts/setup $(if $(filter moto::%,$(ARGS)),moto,s3)
	AWS_ACCESS_KEY_ID=AK AWS_SECRET_ACCESS_KEY=SK cargo test --locked -p sexton-s3 --test s3 -- --ignored $(ARGS)

test-c: ## build and run every test of the C library and its examples
	@scripts/setup c
	cargo build --release --locked -p sexton-ffi
	cargo build --release --locked -p sexton-cli --features s3
	ffi/tests/run $(ARGS)
	@scripts/install "$(CURDIR)/target/c/prefix"
	ffi/examples/filehold/test --sexton target/release/sexton target/c/prefix
	SEXTON_LIBRARY=target/c/prefix/lib/libsexton.so.0 SEXTON_HEADER=ffi/include/sexton.h \
	  python3 ffi/examples/python/test_sexton.py
	SEXTON_LIBRARY=target/c/prefix/lib/libsexton.so.0 SEXTON_COMMAND=target/release/sexton \
	  python3 ffi/examples/python/test_control.py

# Not for other machines: it has this machine's CPU extensions, so that CI compiles RocksDB once.
test-deb: ## install the Debian package in a clean root folder, and serve, crash, upgrade and purge it there
	@scripts/setup deb
	$(build-installed)
	packaging/test "$$(packaging/deb target/deb/test)"

header: ## write ffi/include/sexton.h from the source
	@scripts/header

install: ## install command, service and C library: PREFIX=/usr/local, DESTDIR= (with DESTDIR for any CPU)
	@scripts/setup $(if $(DESTDIR),--portable)
	$(build-installed)
	scripts/install "$(PREFIX)" "$(DESTDIR)"
	packaging/install "$(PREFIX)" "$(DESTDIR)"

uninstall: ## remove them; the configuration stays
	scripts/install --uninstall "$(PREFIX)" "$(DESTDIR)"
	packaging/install --uninstall "$(PREFIX)" "$(DESTDIR)"

deb: ## make the Debian package, for any CPU: target/deb/sexton_VERSION_ARCH.deb
	@scripts/setup deb --portable
	$(build-installed)
	packaging/deb target/deb

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

quick: ## format, lints, Rust tests, and the S3 store on its mock: run it before each commit
	.ci/quick

ci: ## everything that a change must pass: the quick tier, docs, dependencies, benchmarks, the C library
	.ci/run

clean: ## remove what was built; the RocksDB library in the user's cache stays
	cargo clean
