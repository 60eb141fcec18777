#!/bin/bash
# lint.sh: every check, whatever the others say. Environment as for headers.sh
# and analyze.sh.
set -uo pipefail
cd "$(dirname "$0")" || exit

failed=()
check() {
    "$@" || failed+=("$1")
}

check ./format.sh
check ./nginx_style.py
check ./functions.py
check ./banned.py
check ./headers.sh
check ./scripts.sh
check ./analyze.sh
if [ ${#failed[@]} -gt 0 ]; then
    echo "lint: FAILED: ${failed[*]}"
    exit 1
fi
echo "lint: ok"
