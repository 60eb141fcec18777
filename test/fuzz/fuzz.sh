#!/bin/bash
# fuzz.sh DIR SECONDS TARGET...: runs fuzz targets built in DIR, one after the
# other, from the corpus that is kept. What they find new is kept in
# DIR/TARGET.new for the next time, an input that breaks one in DIR/TARGET-*.
# With RUNS a target ends after so many executions, if that is sooner.
# `fuzz.sh --merge DIR TARGET...` adds of that what reaches new code to the
# corpus, smallest first.
set -euo pipefail
corpus=$(cd "$(dirname "$0")" && pwd)/corpus

if [ "$1" = --merge ]; then
    dir=$2
    shift 2
    for target in "$@"; do
        mkdir -p "$dir/$target.min"
        "$dir/$target" -merge=1 "$dir/$target.min" "$corpus/$target" "$dir/$target.new" 2>/dev/null
        rm -rf "${corpus:?}/$target"
        mv "$dir/$target.min" "$corpus/$target"
        echo "$target: $(find "$corpus/$target" -type f | wc -l) inputs"
    done
    exit
fi

dir=$1 seconds=$2
shift 2
# what memory was where is told by a run of the one input
export ASAN_OPTIONS=malloc_context_size=1:quarantine_size_mb=16
export UBSAN_OPTIONS=print_stacktrace=1
failed=()
for target in "$@"; do
    log=$dir/$target.log
    mkdir -p "$dir/$target.new"
    if "$dir/$target" -max_total_time="$seconds" -runs="${RUNS:--1}" -timeout=10 -rss_limit_mb=1024 \
        -print_final_stats=1 -print_funcs=0 -reload=0 -artifact_prefix="$dir/$target-" \
        "$dir/$target.new" "$corpus/$target" >"$log" 2>&1; then
        result=
    else
        result=", BROKEN: see $log"
        failed+=("$target")
    fi
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions," \
        "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log") a second$result"
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "fuzz: FAILED: ${failed[*]}"
    exit 1
fi
