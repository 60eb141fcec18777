#!/bin/bash
# format.sh [-i] [FILE...]: clang-format has nothing to say; -i lets it.
set -euo pipefail
cd "$(dirname "$0")/../.."

mode=(--dry-run -Werror)
if [ "${1:-}" = -i ]; then
    mode=(-i)
    shift
fi
sources=("$@")
if [ ${#sources[@]} -eq 0 ]; then
    mapfile -t sources < <(git ls-files -co --exclude-standard -- \
        'shared/*.[ch]' 'sidecar/*.[ch]' 'sidecar/*.[ch]pp' 'test/*.[ch]')
fi
clang-format "${mode[@]}" "${sources[@]}"
echo "format: ${#sources[@]} files, ok"
