#!/bin/sh
# Prints a C header with the files of the page: their bytes, types and entity
# tags. Run by the build; needs od, cksum and awk only.
set -eu

cd "$(dirname "$0")"

mime() {
    case $1 in
    *.html) echo 'text/html; charset=utf-8' ;;
    *.css) echo 'text/css; charset=utf-8' ;;
    *.js) echo 'text/javascript; charset=utf-8' ;;
    *.svg) echo 'image/svg+xml' ;;
    esac
}

symbol() {
    echo "ngx_http_tocsin_page_$(echo "$1" | tr -c 'a-z0-9\n' _)"
}

echo '/* made by ngx_module/page/embed.sh: do not edit */'

for file in page.html *.css *.js *.svg; do
    echo
    echo
    echo "static u_char  $(symbol "$file")[] = {"
    od -An -v -tu1 "$file" | awk '{ gsub(/[0-9]+/, "&,"); print "   " $0 }'
    echo '};'
done

echo
echo
echo 'static ngx_http_tocsin_file_t  ngx_http_tocsin_files[] = {'

for file in page.html *.css *.js *.svg; do
    sum=$(cksum "$file" | awk '{ printf "%08x-%x", $1, $2 }')
    echo
    echo "    { ngx_string(\"$file\"),"
    echo "      ngx_string(\"$(mime "$file")\"),"
    echo "      ngx_string(\"\\\"$sum\\\"\"),"
    echo "      { sizeof($(symbol "$file")), $(symbol "$file") } },"
done

echo
echo '    { ngx_null_string, ngx_null_string, ngx_null_string, ngx_null_string }'
echo '};'
