# `make` lists the targets. Each does its own set-up and asks nothing; ARGS="..." is handed on.
.PHONY: help demo test bench ci clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: ## build the sexton command and run its demonstration; what it leaves is in target/demo
	@scripts/setup release
	@rm -rf target/demo
	cargo run --release --locked -p sexton-cli -- demo --out target/demo $(ARGS)

test: ## build and run every test
	@scripts/setup debug
	cargo test --workspace --locked $(ARGS)

bench: ## run the benchmarks (ARGS="--bench NAME" for one of them)
	@scripts/setup release
	cargo bench --workspace --locked $(ARGS)

ci: ## everything that a change must pass
	.ci/run

clean: ## remove what was built; the compiler cache stays
	cargo clean
