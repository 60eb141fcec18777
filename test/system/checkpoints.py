"""The frame of a checkpoint, read and forged (sidecar/base/checkpoint.h)."""

import struct

MAGIC = b"TOCSINCK"
VERSION = 1
HEAD = struct.Struct("<8sII")
SECTION = struct.Struct("<16sQ")

MASK = (1 << 64) - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
    0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def sections(data):
    """Name -> bytes, in the order of the file."""
    magic, version, count = HEAD.unpack_from(data)
    assert (magic, version) == (MAGIC, VERSION)
    found, at = {}, HEAD.size
    for _ in range(count):
        name, size = SECTION.unpack_from(data, at)
        at += SECTION.size
        found[name.rstrip(b"\0").decode()] = data[at:at + size]
        at += size
    assert at == len(data) - 8
    return found


def forge(found, version=VERSION):
    """A whole file of these sections, with a hash that fits."""
    data = HEAD.pack(MAGIC, version, len(found)) + b"".join(
        SECTION.pack(name.encode(), len(body)) + body
        for name, body in found.items())
    return data + struct.pack("<Q", xxh64(data))


def _turn(value, bits):
    return (value << bits | value >> (64 - bits)) & MASK


def _round(lane, word):
    return _turn((lane + word * P2) & MASK, 31) * P1 & MASK


def xxh64(data):
    """XXH64 with the seed 0, as https://xxhash.com describes it."""
    at, size = 0, len(data)
    if size < 32:
        value = P5
    else:
        lanes = [(P1 + P2) & MASK, P2, 0, -P1 & MASK]
        for words in struct.iter_unpack("<4Q", data[:size & ~31]):
            lanes = [_round(*pair) for pair in zip(lanes, words)]
        at = size & ~31
        value = sum(_turn(lane, bits)
                    for lane, bits in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            value = ((value ^ _round(0, lane)) * P1 + P4) & MASK
    value = (value + size) & MASK
    while at + 8 <= size:
        word, = struct.unpack_from("<Q", data, at)
        value = (_turn(value ^ _round(0, word), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= size:
        word, = struct.unpack_from("<I", data, at)
        value = (_turn(value ^ word * P1 & MASK, 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        value = _turn(value ^ byte * P5 & MASK, 11) * P1 & MASK
    for shift, factor in ((33, P2), (29, P3), (32, 1)):
        value = (value ^ value >> shift) * factor & MASK
    return value
