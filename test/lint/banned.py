#!/usr/bin/python3
"""Functions that are too easy to get wrong, and what to use instead."""

import re

from source import Report, files, strip

BANNED = {
    "strcpy": "memcpy() of a known length",
    "strcat": "buf_puts()",
    "strncpy": "memcpy(): it may leave no end",
    "strncat": "buf_put()",
    "sprintf": "snprintf() or ngx_snprintf()",
    "vsprintf": "vsnprintf()",
    "gets": "fgets()",
    "strtok": "a cursor",
    "strtok_r": "a cursor",
    "atoi": "strtol(), and look at its end",
    "atol": "strtol(), and look at its end",
    "atof": "strtod(), and look at its end",
    "alloca": "a buffer with a cap",
    "system": "nothing: no shell",
    "popen": "nothing: no shell",
    "tmpnam": "mkstemp()",
    "mktemp": "mkstemp()",
    "rand": "a seeded generator",
    "localtime": "localtime_r()",
    "gmtime": "gmtime_r()",
    "ctime": "clock_rfc3339()",
}

CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")


# Tests may call a shell and take the numbers that come.
TESTS = {"system", "rand"}


def main():
    report = Report("banned functions")
    for path in files("*.c", "*.h", "*.[ch]pp"):
        report.seen += 1
        for number, line in enumerate(strip(path.read_text()).split("\n"), 1):
            for match in CALL.finditer(line):
                name = match.group(1)
                if name in TESTS and "test" in path.parts:
                    continue
                report.say(path, number, f"{name}(): use {BANNED[name]}")
    report.finish()


main()
