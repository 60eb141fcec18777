/*
 * TorchScript files are zip archives whose members each carry a CRC-32, and
 * libtorch is built to read them without looking at it: a flipped bit in a
 * weight would be loaded and served. So the sums are checked before libtorch
 * sees a byte. This guards against a bad disk or a torn copy; against somebody
 * who can write the file nothing would, see model_file.c.
 *
 * The layout is that of PKWARE's APPNOTE.TXT. A model is far too small for the
 * 64-bit fields: libtorch writes those records, and the old ones as well.
 */
#include "model_zip.h"

#include <string.h>
#include <zlib.h>

#include "../base/buf.h"

#define ZIP_END_SIZE 22
#define ZIP_END 0x06054b50u
#define ZIP_ENTRY 0x02014b50u
#define ZIP_LOCAL 0x04034b50u
#define ZIP_LOCAL_NAME_AT 26 /* from its begin: length of name, of extra */
#define ZIP_STORED 0
#define ZIP_DEFLATED 8
#define ZIP_CHUNK 65536

struct zip_member {
    const char *name;
    unsigned name_len, method;
    uint32_t sum, packed, unpacked, at;
};

static unsigned zip_u16(struct cursor *from)
{
    const unsigned char *p = (const unsigned char *)cursor_bytes(from, 2);

    return p == NULL ? 0 : p[0] | (unsigned)p[1] << 8;
}

/* The directory of all members, and how many it holds. */
static int zip_directory(const char *data, size_t len, struct cursor *directory,
                         unsigned *count, struct err *err)
{
    struct cursor end = {data, len, false};
    uint32_t size, at;
    unsigned comment;

    *count = 0;
    if (len < ZIP_END_SIZE) {
        return err_set(err, ERR_MODEL, "no TorchScript file, or cut short");
    }
    cursor_bytes(&end, len - ZIP_END_SIZE);
    if (cursor_u32(&end) != ZIP_END) {
        return err_set(err, ERR_MODEL, "no TorchScript file, or cut short");
    }
    cursor_bytes(&end, 6);
    *count = zip_u16(&end);
    size = cursor_u32(&end);
    at = cursor_u32(&end);
    comment = zip_u16(&end);
    if (comment != 0 || at > len || size > len - at) {
        return err_set(err, ERR_MODEL, "damaged: its directory is not inside");
    }
    *directory = (struct cursor){data + at, size, false};
    return 0;
}

/* One entry of the directory; false at its end. */
static bool zip_next(struct cursor *directory, struct zip_member *member)
{
    unsigned extra, comment;
    bool known = cursor_u32(directory) == ZIP_ENTRY;

    cursor_bytes(directory, 6); /* versions, flags */
    member->method = zip_u16(directory);
    cursor_bytes(directory, 4); /* time, date */
    member->sum = cursor_u32(directory);
    member->packed = cursor_u32(directory);
    member->unpacked = cursor_u32(directory);
    member->name_len = zip_u16(directory);
    extra = zip_u16(directory);
    comment = zip_u16(directory);
    cursor_bytes(directory, 8); /* disk, attributes */
    member->at = cursor_u32(directory);
    member->name = cursor_bytes(directory, member->name_len);
    cursor_bytes(directory, (size_t)extra + comment);
    return known && !directory->failed;
}

/* A member's bytes, as they are packed; NULL if they are not inside. */
static const char *zip_bytes(const char *data, size_t len,
                             const struct zip_member *member)
{
    struct cursor from = {data, len, false};
    unsigned name, extra;
    bool known;

    cursor_bytes(&from, member->at);
    known = cursor_u32(&from) == ZIP_LOCAL;
    cursor_bytes(&from, ZIP_LOCAL_NAME_AT - 4);
    name = zip_u16(&from);
    extra = zip_u16(&from);
    cursor_bytes(&from, (size_t)name + extra);
    return known && !from.failed ? cursor_bytes(&from, member->packed) : NULL;
}

/* Unpacks piece by piece; true if the sum and the size are as promised. */
static bool zip_inflate(const char *packed, const struct zip_member *member)
{
    static const int raw = -MAX_WBITS; /* without a head of zlib's own */
    unsigned char chunk[ZIP_CHUNK];
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)packed,
                       .avail_in = member->packed};
    uLong sum = crc32(0, NULL, 0);
    int rc;

    if (inflateInit2(&stream, raw) != Z_OK) {
        return false;
    }
    do {
        stream.next_out = chunk;
        stream.avail_out = sizeof(chunk);
        rc = inflate(&stream, Z_NO_FLUSH);
        sum = crc32(sum, chunk, (uInt)(sizeof(chunk) - stream.avail_out));
    } while (rc == Z_OK && stream.total_out <= member->unpacked);
    inflateEnd(&stream);
    return rc == Z_STREAM_END && stream.avail_in == 0 &&
           stream.total_out == member->unpacked && sum == member->sum;
}

static bool zip_is_whole(const char *packed, const struct zip_member *member)
{
    if (member->method == ZIP_DEFLATED) {
        return zip_inflate(packed, member);
    }
    return member->method == ZIP_STORED && member->packed == member->unpacked &&
           crc32(0, (const unsigned char *)packed, member->packed) ==
               member->sum;
}

int model_zip_check(const char *data, size_t len, size_t most, struct err *err)
{
    struct zip_member member;
    struct cursor directory;
    const char *packed;
    unsigned count, i;

    if (zip_directory(data, len, &directory, &count, err) != 0) {
        return -1;
    }
    for (i = 0; i < count; i++) {
        if (!zip_next(&directory, &member)) {
            return err_set(err, ERR_MODEL, "damaged: entry %u of %u is broken",
                           i + 1, count);
        }
        packed = zip_bytes(data, len, &member);
        if (packed == NULL || member.unpacked > most ||
            !zip_is_whole(packed, &member)) {
            return err_set(err, ERR_MODEL, "damaged: the sum of %.*s is wrong",
                           (int)member.name_len, member.name);
        }
    }
    return 0;
}
