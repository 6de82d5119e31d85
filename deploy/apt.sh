# shellcheck shell=sh
# Sourced by whatever needs a program that may be missing on a fresh machine.

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "This needs root, and there is no sudo: $*" >&2
        return 1
    fi
}

# apt_install PACKAGE…
# Its output goes where it cannot be mistaken for the program's.
apt_install() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "There is no apt-get to install: $*" >&2
        return 1
    fi
    echo "Installing with apt-get: $*" >&2
    # One unreachable source among several fails the update and need not matter.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update >&2 || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@" >&2
}
