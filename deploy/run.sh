#!/bin/sh
# Builds Pledgebook and runs its demonstration: a buyout from the first pledge to the last report.
# Then it keeps serving until Ctrl-C; with --once it stops after the reports. Other arguments go
# to `pledgebook demo`.
set -eu
cd "$(dirname -- "$0")/.."
. deploy/postgres.sh

serve=--serve
for argument in "$@"; do
    shift
    if [ "$argument" = --once ]; then
        serve=
    else
        set -- "$@" "$argument"
    fi
done

if [ -z "${DATABASE_URL:-}" ]; then
    ensure_postgres
fi
cargo build --locked
exec "${CARGO_TARGET_DIR:-./target}/debug/pledgebook" demo ${serve:+"$serve"} "$@"
