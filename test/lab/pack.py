"""Recordings made small enough to keep: columns instead of commands.

What `tocsin tail --record` writes is a list of XADD commands, 560 bytes each
and much alike. Packed, the fields that repeat are a row of a table, sequence
numbers are steps, times are distances from the entry's id in ms, and durations
are on a scale of 6 % a step; then lzma. So an event takes about three bytes,
and unpacking gives the same events but for the digits that were rounded off.
"""

import array
import json
import lzma
import math
import sys

STEPS = 16  # of durations, to a factor of e
NUMBERS = ("seq", "req", "ts", "dur", "header")


def commands(data):
    """The words of each command."""
    at = 0
    while at < len(data):
        end = data.index(b"\r\n", at)
        count, at = int(data[at + 1:end]), end + 2
        words = []
        for _ in range(count):
            end = data.index(b"\r\n", at)
            size, at = int(data[at + 1:end]), end + 2
            words.append(data[at:at + size].decode())
            at += size + 2
        yield words


def word(text):
    coded = text.encode()
    return b"$%d\r\n%s\r\n" % (len(coded), coded)


def scale(us):
    return round(math.log(us + 1) * STEPS)


def unscale(step):
    return round(math.exp(step / STEPS)) - 1


class Coder:
    """Numbers of entries as small differences; knows what came before."""

    def __init__(self):
        self.last = {}  # (key, src, name) -> number

    def _step(self, key, name, fields, number, sign):
        """From a number to its distance from the last, or back."""
        place = (key, fields["src"], name)
        before = self.last.get(place, 0)
        self.last[place] = number if sign < 0 else before + number
        return number - before if sign < 0 else before + number

    def small(self, key, id_ms, fields):
        found = {name: self._step(key, name, fields, int(fields[name]), -1)
                 for name in ("seq", "req") if name in fields}
        found["ts"] = id_ms - int(fields["ts"]) // 1000
        dur = scale(int(fields.get("dur", 0)))
        if "dur" in fields:
            found["dur"] = dur
        if fields.get("header"):
            found["header"] = dur - scale(int(fields["header"]))
        return found

    def large(self, key, id_ms, fields, numbers):
        found = {name: self._step(key, name, fields, numbers[name], 1)
                 for name in ("seq", "req") if name in numbers}
        found["ts"] = (id_ms - numbers["ts"]) * 1000
        if "dur" in numbers:
            found["dur"] = unscale(numbers["dur"])
        if "header" in numbers:
            found["header"] = unscale(numbers["dur"] - numbers["header"])
        return found


class Kind:
    """Entries that differ in their numbers only."""

    def __init__(self, key, fields):
        self.key, self.fields = key, fields
        self.names = [name for name in NUMBERS if fields.get(name, "") is None]
        self.parts = []  # bytes, or the name of a number
        for name, value in fields.items():
            self.parts.append(word(name) + (word(value) if value is not None
                                            else b""))
            if value is None:
                self.parts.append(name)
        self.head = b"*%d\r\n" % (3 + 2 * len(fields)) + word("XADD") \
            + word(key)

    def command(self, id_text, numbers):
        return self.head + word(id_text) + b"".join(
            part if isinstance(part, bytes) else word(str(numbers[part]))
            for part in self.parts)


def planes(numbers):
    """32-bit numbers, all first bytes, then all second ones..."""
    data = array.array("i", numbers)
    if sys.byteorder == "big":
        data.byteswap()
    data = data.tobytes()
    return b"".join(data[i::4] for i in range(4))


def unplanes(data):
    count = len(data) // 4
    rows = bytearray(len(data))
    for i in range(4):
        rows[i::4] = data[i * count:(i + 1) * count]
    numbers = array.array("i", bytes(rows))
    if sys.byteorder == "big":
        numbers.byteswap()
    return iter(numbers)


def pack(data):
    kinds, coder, first, last = {}, Coder(), None, None
    columns = {name: [] for name in ("kind", "id") + NUMBERS}
    for words in commands(data):
        key, id_ms = words[1], int(words[2].split("-")[0])
        fields = dict(zip(words[3::2], words[4::2]))
        numbers = coder.small(key, id_ms, fields)
        for name in numbers:
            columns[name].append(numbers[name])
            fields[name] = None
        kind = json.dumps([key, fields])
        columns["kind"].append(kinds.setdefault(kind, len(kinds)))
        if first is None:
            first = last = id_ms
        columns["id"].append(id_ms - last)
        last = id_ms
    coded = {name: planes(numbers) for name, numbers in columns.items()}
    head = json.dumps({
        "first": first, "kinds": [json.loads(kind) for kind in kinds],
        "columns": {name: len(part) for name, part in coded.items()},
    }).encode()
    return lzma.compress(
        len(head).to_bytes(4, "little") + head + b"".join(coded.values()),
        preset=9 | lzma.PRESET_EXTREME)


def unpack(data):
    data = lzma.decompress(data)
    at = 4 + int.from_bytes(data[:4], "little")
    head = json.loads(data[4:at])
    columns = {}
    for name, size in head["columns"].items():
        columns[name] = unplanes(data[at:at + size])
        at += size
    kinds = [Kind(*kind) for kind in head["kinds"]]
    coder, id_ms, number, parts = Coder(), head["first"], 0, []
    for place, step in zip(columns["kind"], columns["id"]):
        kind = kinds[place]
        number = number + 1 if step == 0 and parts else 0
        id_ms += step
        parts.append(kind.command(f"{id_ms}-{number}", coder.large(
            kind.key, id_ms, kind.fields,
            {name: next(columns[name]) for name in kind.names})))
    return b"".join(parts)
