#!/usr/bin/python3
"""The rules of nginx' own sources that a script can see, for ngx_module/.

80 columns; no tabs, no trailing blanks; indents of four; a function's name
begins its line, its type stands on the line before; two blank lines between
the parts of a file; comments by /* */; no `if (...) x;` without braces.
"""

import re

from source import Report, files, strip

CONTROL = re.compile(r"^\s*(\}\s*else\s+)?(if|for|while|switch)\b")


def check_lines(report, path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > 80:
            report.say(path, number, f"{len(line)} columns; 80 at most")
        if "\t" in line:
            report.say(path, number, "a tab")
        if line != line.rstrip():
            report.say(path, number, "trailing blanks")
    if not text.endswith("\n") or text.endswith("\n\n"):
        report.say(path, text.count("\n"), "one newline ends a file")


def check_code(report, path, text):
    lines = strip(text).split("\n")
    for number, line in enumerate(lines, 1):
        if re.search(r"\b(if|for|while|switch|return)\(", line):
            report.say(path, number, "a blank follows a keyword")
        if re.search(r"\)\{", line):
            report.say(path, number, "a blank before a brace")
        if CONTROL.match(line) and line.rstrip().endswith(";") \
                and not re.match(r"^\s*\}?\s*while\b.*;$", line):
            report.say(path, number, "braces around every body")
        indent = len(line) - len(line.lstrip())
        if line.strip() and re.match(r"\s*(if|for|return|switch)\b", line) \
                and indent % 4:
            report.say(path, number, f"indent of {indent}")
        if re.match(r"^(static )?[a-z_]\w*( \w+| \*)*\s+\**\w+\(.*\)$", line) \
                and number < len(lines) and lines[number] == "{":
            report.say(path, number, "the type goes on a line of its own")
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"(^|[^:\"'])//", strip_strings(line)):
            report.say(path, number, "comments are /* */")


def strip_strings(line):
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', line)


def check_gaps(report, path, text):
    """A function begins after two blank lines."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line != "{":
            continue
        start = number - 1
        while start > 0 and lines[start].strip() \
                and not lines[start].startswith(("#", "*", " *", "/*")):
            start -= 1
        if lines[start].strip():
            continue
        before = lines[start - 1].strip() if start > 0 else ""
        if before and not before.endswith("*/") and before[0] != "#":
            report.say(path, start + 2, "two blank lines between functions")


def main():
    report = Report("nginx style")
    for path in files("ngx_module/*.c", "ngx_module/*.h"):
        text = path.read_text()
        report.seen += 1
        check_lines(report, path, text)
        check_code(report, path, text)
        if path.suffix == ".c":
            check_gaps(report, path, text)
    report.finish()


main()
