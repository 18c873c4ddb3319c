#!/usr/bin/env bash
# Brings what building and testing need and a fresh machine may lack. Safe to run again; says what it does.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() { ! command -v "$1" > /dev/null 2>&1; }

if missing cargo; then
  echo "Rust is missing: install it from https://rustup.rs, then run this again" >&2
  exit 1
fi
if missing cc; then
  echo "a C compiler is missing: install gcc or clang, then run this again" >&2
  exit 1
fi

# Every crate that is locked, those of other systems too: a test reads the licences of all of them, and asks no registry.
cargo fetch --locked --quiet

# The embedded database needs nothing. The tests also run on PostgreSQL where its server is there.
postgres_bin() {
  { pg_config --bindir 2> /dev/null; ls -d /usr/lib/postgresql/*/bin 2> /dev/null; } |
    while read -r bin; do [ -x "$bin/initdb" ] && echo "$bin"; done | tail -n 1
}
if [ -z "$(postgres_bin)" ] && [ "$(id -u)" = 0 ] && ! missing apt-get; then
  echo "installing PostgreSQL for the tests"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql > /dev/null
fi

# The tests of the API against its own description, in an environment of their own.
schemathesis="${CARGO_TARGET_DIR:-target}/schemathesis"
if [ ! -x "$schemathesis/bin/st" ]; then
  if python3 -c 'import venv, ensurepip' 2> /dev/null; then
    echo "installing schemathesis for the tests"
    if ! { python3 -m venv "$schemathesis" && "$schemathesis/bin/pip" install --quiet --disable-pip-version-check 'schemathesis==4.32.5'; }; then
      echo "skipped: schemathesis could not be installed"
      rm -rf "$schemathesis"
    fi
  else
    echo "skipped: no schemathesis, for Python 3 with venv and pip is missing"
  fi
fi
