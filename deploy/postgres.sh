# shellcheck shell=sh
# Sourced by run.sh, test.sh and .ci/run. Pledgebook runs a PostgreSQL server of its own, so its
# programs have to be on the machine; a server that is already running is neither needed nor used.
. deploy/apt.sh

has_postgres_server() {
    # The client's package fills the same folders, so psql would prove nothing.
    if [ -n "${PG_BIN:-}" ]; then
        [ -x "$PG_BIN/initdb" ]
        return
    fi
    for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb; do
        if [ -x "$initdb" ]; then
            return 0
        fi
    done
    if command -v pg_config >/dev/null 2>&1 && [ -x "$(pg_config --bindir)/initdb" ]; then
        return 0
    fi
    command -v initdb >/dev/null 2>&1
}

install_with_apt() {
    # Debian would otherwise make and start a system-wide cluster that nobody asked for. The
    # setting goes away again: it concerns this installation alone.
    settings=/etc/postgresql-common/createcluster.d
    as_root mkdir -p "$settings" || return
    echo 'create_main_cluster = false' | as_root tee "$settings/pledgebook.conf" >/dev/null || return
    installed=0
    apt_install postgresql || installed=$?
    as_root rm -f "$settings/pledgebook.conf"
    return "$installed"
}

ensure_postgres() {
    if has_postgres_server; then
        return 0
    fi
    if [ -n "${PG_BIN:-}" ]; then
        echo "PG_BIN is $PG_BIN, and there is no initdb in it." >&2
        return 1
    fi
    if command -v apt-get >/dev/null 2>&1; then
        echo 'No PostgreSQL server is installed.' >&2
        if install_with_apt && has_postgres_server; then
            return 0
        fi
    fi
    cat >&2 <<'MESSAGE'
Pledgebook needs the programs of a PostgreSQL server, version 15 or newer. Install them:
    Debian, Ubuntu   apt-get install postgresql
    Fedora, RHEL     dnf install postgresql-server
    Alpine           apk add postgresql
    macOS            brew install postgresql@17
or set PG_BIN to the folder that holds postgres and initdb.
MESSAGE
    return 1
}
