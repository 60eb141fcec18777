#!/bin/bash
# scripts.sh: shellcheck over shell, pyflakes over Python.
set -euo pipefail
cd "$(dirname "$0")/../.."

mapfile -t shell < <(git ls-files -co --exclude-standard -- '*.sh' .ci/run)
shellcheck "${shell[@]}"
mapfile -t python < <(git ls-files -co --exclude-standard -- '*.py')
# pytest's fixtures are imported by name, and are arguments of the same name
found=$(pyflakes3 "${python[@]}" | grep -v -e 'redefinition of unused' \
    -e "\(accounts\|capturing\|certificates\|masters\|sentinels\|alerting\|test_page\)\b.*\(imported but unused\|import \*\)" || true)
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi
echo "scripts: ${#shell[@]} shell, ${#python[@]} Python, ok"
