#!/bin/sh
# Runs the tests; they start a PostgreSQL cluster of their own. Arguments go to `cargo test`.
set -eu
cd "$(dirname -- "$0")/.."
. deploy/postgres.sh

ensure_postgres
exec cargo test --locked "$@"
