#!/usr/bin/python3
"""layers.py ROOM...: who may include whom.

The rooms are given in the order in which data flows. A room includes shared/,
sidecar/base/ and the room just before it; base and config include shared/ and
base; main.c, command/ and tests include what they like. ngx_module/ includes
nginx, <shared/...>, hiredis' reader, jansson and OpenSSL; its transport files
(ngx_tocsin_*) nothing of http. shared/ includes libc alone.
"""

import re
import sys

from source import ROOT, Report, files, strip

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)

# Without I/O, memory and threads; of stdio.h and stdlib.h only what
# symbols.sh lets through: snprintf() and strtod().
LIBC = {
    "assert.h", "ctype.h", "errno.h", "float.h", "inttypes.h", "limits.h",
    "math.h", "stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "stdnoreturn.h",
    "string.h", "strings.h", "time.h",
}

POSIX = {"sys/random.h", "fcntl.h", "poll.h", "signal.h", "unistd.h", "sys/stat.h"}

NGINX = re.compile(r"^ngx_(?!tocsin|http_tocsin)\w+\.h$")
NGINX_CORE = re.compile(r"^ngx_(config|core|event|event_\w+)\.h$")
NGX_SHARED = re.compile(r"^shared/\w+\.h$")
NGX_OTHER = re.compile(r"^(hiredis/(read|sds)\.h|jansson\.h|openssl/\w+\.h)$")
GENERATED = "ngx_http_tocsin_page.h"


def place(path):
    """The layer a file belongs to: shared, ngx_module, base, a room ..."""
    parts = path.relative_to(ROOT).parts
    if parts[0] == "sidecar":
        return parts[1] if len(parts) > 2 else "main"
    return parts[0]


def includes(path):
    text = strip(path.read_text(), keep_strings=True)
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield line, match.group(1) == "<", match.group(2)


def allowed_rooms(rooms):
    """Layer -> layers that its files may include."""
    allowed = {
        "shared": {"shared"},
        "ngx_module": {"ngx_module", "shared"},
        "base": {"base", "shared"},
        "config": {"config", "base", "shared"},
    }
    before = None
    for room in rooms:
        allowed[room] = {room, "base", "shared"} | ({before} if before else
                                                    set())
        before = room
    return allowed


def check_system(report, path, layer, line, name):
    if layer == "shared" and name not in LIBC:
        report.say(path, line, f"shared/ includes libc only, not <{name}>")
    if layer != "ngx_module":
        if NGINX.match(name):
            report.say(path, line, f"<{name}> is for ngx_module/ alone")
        return
    if NGX_SHARED.match(name):
        if not (ROOT / name).is_file():
            report.say(path, line, f"there is no {name}")
    elif not (NGINX.match(name) or NGX_OTHER.match(name)
              or name in LIBC | POSIX):
        report.say(path, line, f"ngx_module/ has no use for <{name}>")
    if path.name.startswith("ngx_tocsin") and NGINX.match(name) \
            and not NGINX_CORE.match(name):
        report.say(path, line, f"the transport knows the core, not <{name}>")


def check_own(report, path, layer, line, name, allowed):
    # shared/ is named from the root, everything else from where it stands
    target = ((ROOT if name.startswith("shared/") else path.parent)
              / name).resolve()
    if not target.is_file() and name == GENERATED:
        return
    if not target.is_file():
        report.say(path, line, f'"{name}" is not relative to this file')
        return
    other = place(target)
    if other not in allowed:
        report.say(path, line, f"{layer}/ may not include {other}/ "
                   f"(only {', '.join(sorted(allowed))})")
    if path.name.startswith("ngx_tocsin") \
            and target.name.startswith("ngx_http"):
        report.say(path, line, f'the transport knows no http: "{name}"')


def main():
    rooms = sys.argv[1:]
    allowed = allowed_rooms(rooms)
    report = Report("layers: " + " -> ".join(rooms))
    for path in files("shared/*.[ch]", "ngx_module/*.[ch]",
                      "sidecar/*.[ch]", "sidecar/*.[ch]pp"):
        layer = place(path)
        report.seen += 1
        if layer in ("main", "command"):
            continue
        if layer not in allowed:
            report.say(path, 1, f"{layer}/ is no room of ROOMS")
            continue
        for line, system, name in includes(path):
            if system:
                check_system(report, path, layer, line, name)
            else:
                check_own(report, path, layer, line, name, allowed[layer])
    report.finish()


main()
