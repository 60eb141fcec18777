#!/bin/bash
# analyze.sh: gcc -fanalyzer and clang-tidy over every C file. NGX_SRC, GEN and
# CFLAGS as for headers.sh; JOBS at once. `analyze.sh FILE` does one file.
set -euo pipefail
cd "$(dirname "$0")/../.."

ngx=${NGX_SRC:-/usr/share/nginx/src}

flags_of() {
    if [[ $1 == ngx_module/* ]]; then
        flags=(-std=gnu11 -I "$ngx/src/core" -I "$ngx/src/event"
               -I "$ngx/src/event/modules" -I "$ngx/src/os/unix"
               -I "$ngx/src/http" -I "$ngx/src/http/modules"
               -I "$ngx/src/http/v2" -I "$ngx/objs" -I "${GEN:-build/gen}"
               -I .)
    else
        read -ra flags <<<"${CFLAGS:-}"
        flags+=(-I. -std=c11 -D_GNU_SOURCE '-DTOCSIN_VERSION="lint"')
    fi
}

one() {
    flags_of "$1"
    # gcc 12 takes what a struct keeps for a leak; clang's checker does not
    gcc "${flags[@]}" -O2 -fanalyzer -Wno-analyzer-malloc-leak -Werror -S \
        -o /dev/null "$1"
    # clang 14 knows fewer names of CPU features than gcc
    clang-tidy --quiet --warnings-as-errors='*' "$1" -- "${flags[@]}" \
        '-D__builtin_cpu_supports(name)=0' -Wno-everything 2> >(grep -v -e 'warnings\? generated' >&2)
}

if [ $# -gt 0 ]; then
    one "$1"
    exit
fi
mapfile -t sources < <(git ls-files -co --exclude-standard -- 'shared/*.c' \
    'sidecar/*.c' 'ngx_module/*.c')
printf '%s\n' "${sources[@]}" | xargs -P "${JOBS:-2}" -I{} test/lint/analyze.sh {}
echo "gcc -fanalyzer, clang-tidy: ${#sources[@]} files, ok"
