#!/usr/bin/env bash
# Long runs: kill loops, faults of disk, database and network, a hundred simulated years a round on each database and
# spread over shards, changed bytes and property tests with many cases. MINUTES says for how long. Every run draws its own
# years; SEED=… repeats one's.
set -euo pipefail
cd "$(dirname "$0")/.."
end=$((SECONDS + ${MINUTES:-60} * 60))
cargo build --release --quiet -p tessera
export TESSERA_BIN="$PWD/target/release/tessera"
first=${SEED:-$(date +%s)}
echo "SEED=$first repeats these years"
round=0
while [ $SECONDS -lt $end ]; do
  round=$((round + 1))
  echo "── round $round"
  PROPTEST_RNG_SEED=$round PROPTEST_CASES=5000 cargo test --release --quiet -p tessera-core --test properties
  TESSERA_SEED=$round cargo test --release --quiet -p tessera --test kill
  cargo test --release --quiet -p tessera --test faults --test connections
  TESSERA_SEEDS="$((first + round * 1000))..$((first + round * 1000 + 100))" cargo test --release --quiet -p tessera-engine --test engine simulation
  PROPTEST_RNG_SEED=$round PROPTEST_CASES=2000 cargo test --release --quiet -p tessera-engine --test engine hostile
  EXAMPLES=$((round * 10)) SECONDS_MAX=300 scripts/schemathesis.sh "$TESSERA_BIN"
done
echo "$round rounds without a difference"
