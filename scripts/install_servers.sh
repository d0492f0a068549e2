#!/bin/sh
# A real Prometheus for the tests, in .venv/servers: taken out of the distribution's own package, nothing is installed
# on the machine and no root is needed. Only where that cannot be done, and as root, the package is installed without
# starting it. A second call finds the programs and ends at once. Needs apt (Debian 12 or newer, or a descendant of it).
set -eu
cd "$(dirname "$0")/.."
home=.venv/servers

answers() {
    "$1" --version >/dev/null 2>&1
}

if answers "$home/usr/bin/prometheus" && answers "$home/usr/bin/promtool"; then
    exit 0
fi
if answers prometheus && answers promtool; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "install_servers: there is no apt-get here; put prometheus and promtool on PATH, then try again." >&2
    exit 1
fi

mkdir -p "$home"
work=$(mktemp -d "$home/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

fetched() {
    # apt's own sandbox user cannot write here, and needs not
    (cd "$work" && apt-get "$@" -o APT::Sandbox::User="$(id -un)" download prometheus >apt.log 2>&1)
}

own_lists() {
    # a machine whose package lists are empty, and a user who may not fill them: lists of one's own
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
    here=$(cd "$work" && pwd)
    set -- -o Dir::State::lists="$here/state/lists" -o Dir::Cache="$here/cache" -o APT::Sandbox::User="$(id -un)"
    apt-get "$@" update >"$work/update.log" 2>&1 && fetched "$@"
}

if { fetched || own_lists; } && dpkg -x "$work"/prometheus_*.deb "$work/out"; then
    rm -rf "$home/usr"
    mkdir -p "$home/usr/bin"
    mv "$work/out/usr/bin/prometheus" "$work/out/usr/bin/promtool" "$home/usr/bin/"
elif [ "$(id -u)" = 0 ]; then
    apt-get update >"$work/update.log" 2>&1 || true
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -y install --no-install-recommends prometheus >"$work/apt.log" 2>&1 || true
fi

if answers "$home/usr/bin/prometheus" || answers prometheus; then
    exit 0
fi
cat "$work"/*.log >&2
echo "install_servers: prometheus could not be fetched; what apt said stands above." >&2
exit 1
