#!/bin/sh
# symbols.sh OBJECT...: shared/ defines tocsin_* only, keeps no state, and
# needs nothing that allocates, locks, or does I/O.
set -eu

fail=0
complain() {
    echo "$1"
    fail=1
}

needs='^(mem(cpy|move|set|cmp|chr)|str(len|nlen|cmp|ncmp|chr|spn|cspn)|__(v?snprintf|mem(cpy|move|set)|str\w*)_chk|v?snprintf|strto(ull?|d|ul)|__isoc99_\w+|gmtime_r|timegm|__errno_location|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|is(nan|inf|finite)|__(isnan|isinf|finite|fpclassify|signbit)|(fabs|floor|ceil|log|log2|log10|exp|pow|lround|llround|round|trunc|frexp|ldexp|modf)f?|__(asan|ubsan|tsan|sanitizer)_\w+)$'

for object in "$@"; do
    for symbol in $(nm -g --defined-only "$object" | awk '{print $3}'); do
        case $symbol in
        tocsin_* | __odr_asan*) ;;
        *) complain "$object: $symbol does not begin with tocsin_" ;;
        esac
    done
    # constant tables of pointers stand in .data.rel.ro: they cannot change
    for symbol in $(objdump -t "$object" | awk '
        NF > 3 && $(NF - 2) ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)$/ &&
        / O /{print $NF}'); do
        complain "$object: $symbol can change: shared/ keeps no state"
    done
    for symbol in $(nm -u "$object" | awk '{print $2}'); do
        case $symbol in tocsin_*) continue ;; esac
        echo "$symbol" | grep -Eq "$needs" ||
            complain "$object: needs $symbol: shared/ has no malloc, no I/O"
    done
done
[ "$fail" -eq 0 ] && echo "symbols of shared/: $# objects, ok"
exit "$fail"
