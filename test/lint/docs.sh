#!/bin/bash
# docs.sh [--check] TOCSIN: writes what is generated out of the code's tables:
# conf/tocsin.yaml, conf/man/tocsin.yaml.5, shared/STREAMS.md. With
# --check it writes nothing and fails where a file is not what it would write.
set -euo pipefail
cd "$(dirname "$0")/../.."

check=
if [ "$1" = --check ]; then
    check=yes
    shift
fi
tocsin=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail=0

settle() {
    if cmp -s "$work/new" "$1"; then
        return
    elif [ -n "$check" ]; then
        diff -u "$1" "$work/new" | head -20 || true
        echo "$1 is out of date: make docs"
        fail=1
    else
        cp "$work/new" "$1"
        echo "wrote $1"
    fi
}

"$tocsin" check --print-example >"$work/new"
settle conf/tocsin.yaml

"$tocsin" check --print-keys >"$work/keys"
sed -e "/@KEYS@/{r $work/keys" -e 'd}' conf/man/tocsin.yaml.5.in >"$work/new"
settle conf/man/tocsin.yaml.5

gcc -I. -std=c11 -Wall -Werror -o "$work/streams" test/lint/streams.c
"$work/streams" >"$work/new"
settle shared/STREAMS.md

[ "$fail" -eq 0 ] && echo "generated files: ok"
exit "$fail"
