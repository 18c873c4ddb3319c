#!/usr/bin/env bash
# Every check, cheap ones first. Says what each stage took.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
times=()
binary="$(realpath -m "${CARGO_TARGET_DIR:-target}")/release/tessera"

stage() {
  local name=$1 begin=$SECONDS
  shift
  echo "── $name"
  if ! "$@"; then
    echo "✗ $name failed after $((SECONDS - begin)) s"
    exit 1
  fi
  times+=("$(printf '%-28s %5d s' "$name" $((SECONDS - begin)))")
}

web() {
  if command -v npm > /dev/null 2>&1; then web/docs/build.sh; else echo "skipped: no Node; a plain page stands in"; fi
}

# Thousands of databases come and go. In memory they wait for no disk, and no file system looks for the places of files
# just deleted; no test cuts the power. Only where there is room: under 4 GiB it is left at the disk.
in_memory() {
  local room
  room=$(df --output=avail -k /dev/shm 2> /dev/null | tail -n 1) || return 0
  if [ -z "${TMPDIR:-}" ] && [ "${room:-0}" -gt $((4 << 20)) ]; then
    TMPDIR=$(mktemp -d /dev/shm/tessera-tests.XXXXXX)
    # The tests' PostgreSQL runs as nobody where root tests.
    chmod 711 "$TMPDIR"
    trap leave_memory EXIT
    export TMPDIR
  fi
}

leave_memory() {
  # The tests' PostgreSQL ends by itself, a moment after them.
  for _ in {1..50}; do
    if ! compgen -G "$TMPDIR/tessera-pg-*" > /dev/null; then break; fi
    sleep 0.2
  done
  rm -rf "$TMPDIR"
}

# Each part says itself that it failed: what a condition calls is not ended by `set -e`.
tests() {
  in_memory
  if [ -x "$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2> /dev/null | tail -n 1)" ]; then
    export TESSERA_REQUIRE_POSTGRES=1
  fi
  # The real data are imported by the release binary: debug code would take minutes.
  export TESSERA_BIN="$binary"
  # The same cases each time; `make soak` draws new ones.
  export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-1}"
  if cargo nextest --version > /dev/null 2>&1; then
    # Many tests wait for a process, a disk or a server: one more than there are cores keeps these busy.
    cargo nextest run --workspace --test-threads "$(($(getconf _NPROCESSORS_ONLN) + 1))" --no-fail-fast --status-level fail --final-status-level fail || return 1
    if [ -n "${TESSERA_REQUIRE_POSTGRES:-}" ]; then
      echo "the API once more, on PostgreSQL"
      # Named within the workspace: by itself the crate would be built again, with the features it alone asks for.
      TESSERA_TEST_DATABASE=postgres cargo nextest run --workspace -E 'package(tessera-api) & binary(api)' --no-fail-fast --test-threads 4 --status-level fail --final-status-level fail || return 1
    fi
    echo "a part of the engine once more, spread over eight shards: no transaction of a batch may name two"
    # Not those that want a budget spent to its last point at once: what is left may be in another shard's slice.
    local spread='binary(engine) and test(/^(idempotency|orders|redemptions|vouchers|transfers|households|merging|people|gift_cards|contention|time)::/) and not test(/c5_budgets/)'
    TESSERA_TEST_SHARDS=8 cargo nextest run --workspace -E "package(tessera-engine) and $spread and not test(/::postgres$/)" --no-fail-fast --status-level fail --final-status-level fail || return 1
    echo "and what of the API names several members, or what is scarce"
    local several='binary(api) and test(/^(redemptions|rewards|reward_cards|vouchers|voucher_codes|gift_cards|transfers|households|merging|claims|people|partners)::/)'
    TESSERA_TEST_SHARDS=8 cargo nextest run --workspace -E "package(tessera-api) and $several" --no-fail-fast --status-level fail --final-status-level fail || return 1
    if [ -n "${TESSERA_REQUIRE_POSTGRES:-}" ]; then
      TESSERA_TEST_SHARDS=8 cargo nextest run --workspace -E 'package(tessera-engine) and binary(engine) and test(/^(contention|idempotency|transfers)::.*::postgres$/) and not test(/c5_budgets/)' --no-fail-fast --test-threads 4 --status-level fail --final-status-level fail || return 1
    fi
    # To look for examples in comments rustdoc reads every crate anew.
    if grep -rqE '^ *//[/!] ```' crates/*/src; then cargo test --workspace --doc --quiet; fi
  else
    cargo test --workspace --no-fail-fast --quiet
  fi
}

stage setup scripts/setup.sh
stage format cargo fmt --all --check
stage "web assets" web
stage clippy cargo clippy --workspace --all-targets --quiet -- -D warnings
stage "release build" cargo build --release --quiet -p tessera
stage documents "$binary" program validate programs/coffee.yaml
stage "API against its words" scripts/schemathesis.sh "$binary"
stage tests tests
stage "API documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

echo
printf '%s\n' "${times[@]}"
echo "all checks passed in $SECONDS s"
