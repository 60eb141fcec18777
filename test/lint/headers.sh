#!/bin/bash
# headers.sh: every header compiles alone. NGX_SRC is nginx' source tree with
# its objs/ (for ngx_auto_config.h); CFLAGS go to the compiler.
set -euo pipefail
cd "$(dirname "$0")/../.."

ngx=${NGX_SRC:-/usr/share/nginx/src}
read -ra flags <<<"${CFLAGS:-} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror"
nginx=(-I "$ngx/src/core" -I "$ngx/src/event" -I "$ngx/src/event/modules"
       -I "$ngx/src/os/unix" -I "$ngx/src/http" -I "$ngx/src/http/modules"
       -I "$ngx/src/http/v2" -I "$ngx/objs" -I "${GEN:-build/gen}" -std=gnu11 -Wno-unused-parameter)
fail=0
count=0
while read -r header; do
    more=()
    [[ $header == ngx_module/* ]] && more=("${nginx[@]}")
    count=$((count + 1))
    echo "#include \"$header\"" |
        gcc -x c -fsyntax-only "${flags[@]}" "${more[@]}" -I. - || fail=1
done < <(git ls-files -co --exclude-standard -- 'shared/*.h' 'sidecar/*.h' \
         'ngx_module/*.h')
[ "$fail" -eq 0 ] && echo "headers that compile alone: $count, ok"
exit "$fail"
