#!/bin/sh
# need.sh PACKAGE...: installs those Debian packages that are missing.
set -eu

missing=
for package in "$@"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "Not Debian. Please install what these packages hold:$missing" >&2
    exit 1
fi
root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Please run as root: apt-get install$missing" >&2
        exit 1
    fi
    root=sudo
fi

echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # a list of words
install() {
    $root apt-get install -qq -y --no-install-recommends $missing >"$log" 2>&1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The lists of a fresh machine are empty or old: fetch them when need be.
if ! install; then
    $root apt-get update -qq
    if ! install; then
        cat "$log" >&2
        exit 1
    fi
fi
