.PHONY: run dist test soak web fmt clean

# Builds everything, makes the demo's year of business once, and serves it.
run: web
	scripts/setup.sh
	cargo build --release -p tessera
	target/release/tessera demo

# The binary to ship, target/dist/tessera: linked as a whole, which takes a quarter of an hour.
dist: web
	scripts/setup.sh
	cargo build --profile dist -p tessera

# Every check. See CONTRIBUTING.md.
test:
	@scripts/test.sh

# Hours of kill loops and property tests: make soak MINUTES=240
soak:
	@scripts/soak.sh

# The API browser that the binary embeds; without Node a plain page stands in for it.
web:
	@if command -v npm > /dev/null 2>&1; then web/docs/build.sh; fi

fmt:
	cargo fmt --all

clean:
	cargo clean
	rm -rf web/docs/node_modules crates/tessera-api/assets/*.gz
