#!/usr/bin/env bash
# Calls every address of the served API with what its description allows and with what it does not, always the same, and
# checks each answer against the description: no 5xx, no status, type or shape that is not described.
# Usage: scripts/schemathesis.sh BINARY. SECONDS_MAX and EXAMPLES bound it; `make soak` gives it more.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "$1")
st="$(realpath -m "${CARGO_TARGET_DIR:-target}")/schemathesis/bin/st"
if [ ! -x "$st" ]; then
  echo "skipped: no schemathesis (it takes Python 3 with venv and pip; scripts/setup.sh installs it)"
  exit 0
fi
work=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2> /dev/null || true; wait "$server" 2> /dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

on() { "$binary" --data "$work/data" "$@"; }
on program apply programs/coffee.yaml > /dev/null
# Somebody whom the addresses about members are about.
printf 'card\n1\n' > "$work/members.csv"
on import members "$work/members.csv" --program copper-cup > /dev/null 2>&1
key=$(on key create --program copper-cup --json | sed -n 's/.*"key": *"\([^"]*\)".*/\1/p')
TESSERA_LOG=warn "$binary" --data "$work/data" serve --listen 127.0.0.1:0 > "$work/out" 2> "$work/log" &
server=$!
until address=$(grep -o 'http://[0-9.:]*' "$work/out" | head -n 1) && [ -n "$address" ]; do
  kill -0 "$server" || { cat "$work/log"; exit 1; }
  sleep 0.1
done
# A stream of lines is nothing schemathesis can make.
settings=$PWD/scripts/schemathesis.toml
# One worker: CPython 3.11 cannot parse Python in two threads at once ("AST constructor recursion depth mismatch").
# It keeps what it found beside it.
cd "$work"
if ! "$st" --config-file "$settings" run "$address/openapi.json" -H "Authorization: Bearer $key" \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance \
  --exclude-operation-id create_moving_in --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-2}" \
  --generation-deterministic --max-time "${SECONDS_MAX:-25}" --request-timeout 10 --warnings off --workers 1 \
  --continue-on-failure --no-color > "$work/report" 2>&1; then
  cat "$work/report"
  tail -n 20 "$work/log"
  exit 1
fi
tail -n 12 "$work/report" | grep -E 'generated|=====' || true
if grep -q panicked "$work/log"; then cat "$work/log"; exit 1; fi
