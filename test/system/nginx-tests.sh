#!/bin/bash
# nginx-tests.sh DIR [FILE.t...]: nginx' own test suite, from a checkout of
# https://github.com/nginx/nginx-tests in DIR (of October 2022, for nginx 1.22),
# on Debian's nginx: with the module and Redis, with the module and no Redis, and
# what fails there with nginx as it is. Fails for what fails with the module and
# not without it. A file that fails is tried once more alone: what then passes
# was a busy machine's doing.
#
#   TOCSIN_BUILD  where the module was built; default build/
#   JOBS          files at once; default 3
#   SUITES        default "module no-redis"
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
module=$(realpath "${TOCSIN_BUILD:-$root/build}")/ngx_http_tocsin_module.so

if [ ! -e "${1:-}/lib/Test/Nginx.pm" ]; then
    echo "usage: ${0##*/} DIR [FILE.t...]   (a checkout of nginx-tests in DIR)" >&2
    exit 2
fi
if [ ! -e "$module" ]; then
    echo "$module: not built yet" >&2
    exit 2
fi

"$root/test/lint/need.sh" nginx nginx-extras libnginx-mod-mail libnginx-mod-stream \
    redis-server memcached openssl uwsgi-core uwsgi-plugin-python3 perl \
    libcache-memcached-fast-perl libcache-memcached-perl libfcgi-perl libgd-perl \
    libio-socket-ssl-perl libnet-ssleay-perl libprotocol-websocket-perl libscgi-perl

cd "$1"
shift
[ $# -gt 0 ] || set -- *.t

work=$(mktemp -d /tmp/tocsin-nginx.XXXXXX)
redis=
# shellcheck disable=SC2317  # called by trap
finish() {
    [ -z "$redis" ] || kill "$redis"
    rm -rf "$work"
}
trap finish EXIT

export TMPDIR=$work
export TEST_NGINX_BINARY=/usr/sbin/nginx
export TEST_NGINX_MODULES=/usr/lib/nginx/modules

# The suite's directories belong to who runs it; memcached will not run as root.
globals=
if [ "$(id -u)" -eq 0 ]; then
    globals='user root;'
    mkdir "$work/bin"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nexec /usr/bin/memcached -u nobody "$@"\n' >"$work/bin/memcached"
    chmod 755 "$work" "$work/bin/memcached"
    export PATH=$work/bin:$PATH
fi

one() {
    if ! prove -Q "$2" >"$work/$1/$2.log" 2>&1; then
        echo "$2"
    elif grep -q NOTESTS "$work/$1/$2.log"; then
        echo "$2" >>"$work/$1.skipped"
    fi
}
export -f one
export work

# suite NAME FILE...: what fails, and fails again alone, goes to $work/NAME
suite() {
    local name=$1 file began=$SECONDS
    shift
    mkdir "$work/$name.1" "$work/$name.2"
    printf '%s\n' "$@" | xargs -P "${JOBS:-3}" -I{} bash -c "one $name.1 {}" |
        sort >"$work/$name.first"
    while read -r file; do
        one "$name.2" "$file"
    done <"$work/$name.first" >"$work/$name"
    echo "$name: $# files, $(cat "$work/$name".?.skipped 2>/dev/null | wc -l) skipped," \
        "$(wc -l <"$work/$name") fail," \
        "$(comm -23 "$work/$name.first" "$work/$name" | wc -l) more failed once," \
        "$((SECONDS - began)) s"
    sed 's/^/    fails: /' "$work/$name"
    comm -23 "$work/$name.first" "$work/$name" | sed 's/^/    passes alone: /'
}

with_module() {
    export TEST_NGINX_GLOBALS="$globals load_module $module;"
    export TEST_NGINX_GLOBALS_HTTP="tocsin on; tocsin_redis $1;"
}

start_redis() {
    redis-server --port 0 --unixsocket "$work/redis.sock" --save '' --dir "$work" \
        --daemonize no >"$work/redis.log" &
    redis=$!
    until redis-cli -s "$work/redis.sock" ping >/dev/null 2>&1; do
        kill -0 "$redis"
        sleep 0.1
    done
}

failed=0
read -r -a names <<<"${SUITES:-module no-redis}"
for name in "${names[@]}"; do
    case $name in
    module)
        start_redis
        with_module "unix:$work/redis.sock"
        suite module "$@"
        events=$(redis-cli -s "$work/redis.sock" xlen tocsin:request)
        echo "    $events requests in Redis"
        if [ "$events" -eq 0 ]; then
            echo "the module recorded nothing"
            failed=1
        fi
        ;;
    no-redis)
        with_module redis://127.0.0.1:1
        suite no-redis "$@"
        ;;
    *)
        echo "SUITES: $name is neither module nor no-redis" >&2
        exit 2
        ;;
    esac
done

# What passes with the module need not be asked without it.
mapfile -t files < <(cd "$work" && sort -u "${names[@]}")
touch "$work/stock"
if [ ${#files[@]} -gt 0 ]; then
    export TEST_NGINX_GLOBALS=$globals
    unset TEST_NGINX_GLOBALS_HTTP
    suite stock "${files[@]}"
fi

for name in "${names[@]}"; do
    while read -r file; do
        echo "$file fails with the module ($name) and not without:"
        grep -v '^$' "$work/$name.2/$file.log" | tail -n 20
        failed=1
    done < <(comm -13 "$work/stock" "$work/$name")
done
[ $failed -ne 0 ] || echo "nginx' own tests: nothing fails because of the module"
exit $failed
