"""What the checks share: which files there are, and C without its comments."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

_TOKEN = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.S | re.X,
)


def files(*patterns):
    """Files of the project that git knows or would take, by pathspecs."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )
    names = sorted(set(listed.stdout.split("\n")) - {""})
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def strip(text, keep_strings=False):
    """C text with comments (and what stands in quotes) blanked, lines kept."""

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] * 2
        return "\n" * token.count("\n") or " "

    return _TOKEN.sub(blank, text)


class Report:
    """Complaints of one check, one line each; the exit code at the end."""

    def __init__(self, name):
        self.name, self.count, self.seen = name, 0, 0

    def say(self, path, line, text):
        self.count += 1
        try:
            path = path.relative_to(ROOT)
        except (ValueError, AttributeError):
            pass
        print(f"{path}:{line}: {text}")

    def finish(self):
        verdict = f"{self.count} complaints" if self.count else "ok"
        print(f"{self.name}: {self.seen} files, {verdict}")
        sys.exit(1 if self.count else 0)
