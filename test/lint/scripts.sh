#!/bin/bash
# scripts.sh: shellcheck over shell, pyflakes over Python.
set -euo pipefail
cd "$(dirname "$0")/../.."

mapfile -t shell < <(git ls-files -co --exclude-standard -- '*.sh' .ci/run)
shellcheck "${shell[@]}"
mapfile -t python < <(git ls-files -co --exclude-standard -- '*.py')
pyflakes3 "${python[@]}"
echo "scripts: ${#shell[@]} shell, ${#python[@]} Python, ok"
