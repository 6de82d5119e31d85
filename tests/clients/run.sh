#!/bin/sh
# Starts the service on a cluster of its own, calls it from other languages, and checks the books
# they leave behind. What is missing is fetched into the target folder, or by apt-get.
set -eu
cd "$(dirname -- "$0")/../.."
. deploy/postgres.sh

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/clients"
target=$(cd "$target" && pwd)
export CARGO_TARGET_DIR="$target"
venv=$target/clients/python
web=$target/clients/web
program=$target/debug/pledgebook

# The environment of grpcio, from the versions that requirements.txt names.
prepare_python() {
    wanted=tests/clients/python/requirements.txt
    if cmp -s "$wanted" "$venv/requirements.txt" && "$venv/bin/python" -c 'import grpc'; then
        return
    fi
    # Debian's python3 comes without what makes an environment.
    if ! python3 -m venv --clear "$venv" >/dev/null 2>&1; then
        apt_install python3 python3-venv
        python3 -m venv --clear "$venv"
    fi
    # Without a wheel for this machine pip would compile gRPC for a quarter of an hour.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --only-binary :all: --requirement "$wanted"
    cp "$wanted" "$venv/"
}

# connect-web, from the versions and checksums of the lock file. The client is copied beside it,
# since modules are looked for in the folders above the one that imports them.
prepare_web() {
    if ! command -v npm >/dev/null 2>&1; then
        apt_install nodejs npm
    fi
    if ! node --eval 'process.exit(typeof fetch === "function" ? 0 : 1)'; then
        echo "Node 18 or newer is needed; this is $(node --version)." >&2
        return 1
    fi
    lock=node_modules/installed-lock.json
    mkdir -p "$web"
    if ! cmp -s tests/clients/web/package-lock.json "$web/$lock"; then
        cp tests/clients/web/package.json tests/clients/web/package-lock.json "$web/"
        npm ci --loglevel=error --no-update-notifier --no-audit --no-fund --ignore-scripts \
            --prefix "$web" >/dev/null
        cp tests/clients/web/package-lock.json "$web/$lock"
    fi
    cp tests/clients/web/client.mjs "$web/"
}

# What a client without reflection needs: our API and the details of gRPC's errors, which a
# package of Python brings along.
prepare_descriptors() {
    found=$("$venv/bin/python" -c 'from google import rpc; print(rpc.__path__[0])')
    mkdir -p "$work/proto/google/rpc"
    cp "$found/error_details.proto" "$work/proto/google/rpc/"
    .ci/buf build "$work/proto" --as-file-descriptor-set --output "$work/error_details.binpb"
    .ci/buf build proto --as-file-descriptor-set --output "$work/pledgebook.binpb"
}

stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" || true
        echo 'What the service logged:' >&2
        cat "$work/log" >&2
    fi
    rm -rf -- "$work"
}

# The address is in $address once the service answers.
start() {
    "$program" serve 2>"$work/log" &
    server=$!
    address=
    waited=0
    while [ -z "$address" ]; do
        if [ "$waited" -ge 300 ] || ! kill -0 "$server" 2>/dev/null; then
            echo 'The service did not start.' >&2
            exit 1
        fi
        sleep 0.2
        waited=$((waited + 1))
        address=$(sed -n 's/.*: serving address=\([^ ]*\)$/\1/p' "$work/log")
    done
}

server=
work=$(mktemp -d)
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ensure_postgres
prepare_python
prepare_web
prepare_descriptors
cargo build --locked

# Started by root, the cluster has an account of its own, which has to get through.
chmod 755 "$work"
settings=$(env | sed -n -e 's/^\(PLEDGEBOOK_[A-Z_]*\)=.*/\1/p' -e 's/^\(DATABASE_[A-Z_]*\)=.*/\1/p')
for name in $settings; do
    unset "$name"
done
export PLEDGEBOOK_DATA="$work/cluster" PLEDGEBOOK_LISTEN=127.0.0.1:0
# gRPC's own client would look for this machine through a proxy.
export no_proxy="127.0.0.1${no_proxy:+,$no_proxy}"

key=$("$program" keys create --role treasurer --name 'clients of other languages' 2>"$work/keys") || {
    cat "$work/keys" >&2
    exit 1
}
start

echo 'Python: grpcio, the messages from reflection'
"$venv/bin/python" tests/clients/python/client.py "$address" "$key"
echo 'Node: connect-web, gRPC-Web'
node "$web/client.mjs" "http://$address" "$key" "$work/pledgebook.binpb" \
    "$work/error_details.binpb"
echo 'A shell: buf curl, gRPC with reflection'
sh tests/clients/curl/client.sh "http://$address" "$key" "$work/error_details.binpb"

echo 'The service, told to stop'
kill "$server"
status=0
wait "$server" || status=$?
if [ "$status" -ne 0 ]; then
    echo "It ended with status $status." >&2
    exit 1
fi
server=

"$program" check 2>"$work/log" | tee "$work/check"
if [ "$(grep -c ': 0 differences$' "$work/check")" -ne 3 ]; then
    cat "$work/log" >&2
    echo 'There should be three campaigns without a difference.' >&2
    exit 1
fi
echo 'Three clients, three campaigns, no difference.'
