#!/usr/bin/python3
"""Sizes: functions of 120 lines and a complexity of 25 at most, files of 600.

A function is what stands between braces in the first column, as both of our
styles have it. Its complexity is McCabe's: 1 and one for every branch. Each
`case` of a plain switch counts once for the whole switch: a table of cases is
long, not complicated, and its length is limited anyway.
"""

import re

from source import Report, files, strip

LINES, COMPLEXITY, FILE_LINES = 120, 25, 600
BRANCH = re.compile(r"\b(?:if|for|while|switch|catch)\b|&&|\|\||\?")
NAME = re.compile(r"(\w+)\s*\(")


def functions(lines):
    """(name, first line, last line) of every function, lines from 1."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            if lines[number - 2].startswith(("namespace", 'extern "')):
                continue
            start = number
        elif line.startswith("}") and start is not None:
            head = start - 1
            while head > 1 and lines[head - 2].strip() \
                    and not lines[head - 2].startswith("#"):
                head -= 1
            found = NAME.search(" ".join(lines[head - 1 : start - 1]))
            yield (found.group(1) if found else "?"), start, number
            start = None


def main():
    report = Report("sizes")
    count = 0
    for path in files("*.c", "*.h", "*.[ch]pp"):
        text = path.read_text()
        report.seen += 1
        if text.count("\n") > FILE_LINES:
            report.say(path, FILE_LINES,
                       f"{text.count(chr(10))} lines; {FILE_LINES} at most")
        lines = strip(text).split("\n")
        for name, first, last in functions(lines):
            count += 1
            if last - first > LINES:
                report.say(path, first,
                           f"{name}(): {last - first} lines; {LINES} at most")
            body = "\n".join(lines[first - 1 : last])
            paths = 1 + len(BRANCH.findall(body))
            if paths > COMPLEXITY:
                report.say(path, first, f"{name}(): complexity {paths}; "
                           f"{COMPLEXITY} at most")
    report.name = f"sizes of {count} functions"
    report.finish()


main()
