#!/usr/bin/env bash
# Builds the API browser into the folder that the binary embeds. Needs Node; the binary is whole without it.
set -euo pipefail
cd "$(dirname "$0")"
out=../../crates/tessera-api/assets/browser.js.gz
built=node_modules/@scalar/api-reference/dist/browser/standalone.js
if [ ! -f "$built" ]; then
  npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
fi
if [ ! -f "$out" ] || [ "$built" -nt "$out" ]; then
  gzip -9 -n -c "$built" > "$out.part"
  mv "$out.part" "$out"
fi
