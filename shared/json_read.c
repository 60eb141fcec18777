/*
 * The JSON that people send: a hostile text until it has been read. One state
 * says what may come next, a stack of brackets says where we are; every byte
 * is looked at once. Strict: no comments, no trailing comma, no NaN, no lone
 * surrogate, no control character and no broken UTF-8 in a string, and U+0000
 * is refused too, for what is read goes to places that end texts with it.
 */
#include "json_read.h"

#include <stdint.h>

#include "json.h"

/* Values of reader->expect. */
enum {
    VALUE,          /* a value */
    VALUE_OR_CLOSE, /* the first of an array, or its end */
    KEY,            /* a key */
    KEY_OR_CLOSE,   /* the first of an object, or its end */
    COMMA_OR_CLOSE, /* after a value within brackets */
    NOTHING         /* after the outermost value */
};

struct tocsin_json_reader tocsin_json_reader(struct tocsin_span text)
{
    struct tocsin_json_reader reader = {0};

    reader.start = reader.at = text.data;
    reader.end = text.data + text.len;
    reader.expect = VALUE;
    return reader;
}

static enum tocsin_json_token fail(struct tocsin_json_reader *reader,
                                   const char *error)
{
    if (reader->error == NULL) {
        reader->error = error;
    }
    return TOCSIN_JSON_ERROR;
}

static void skip_space(struct tocsin_json_reader *reader)
{
    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' ||
            *reader->at == '\r')) {
        reader->at++;
    }
}

static void after_value(struct tocsin_json_reader *reader)
{
    reader->expect = reader->depth == 0 ? NOTHING : COMMA_OR_CLOSE;
}

/* ---------------------------------------------------------------- strings */

static int hex4(const char *at, const char *end)
{
    int value = 0, i;

    if (end - at < 4) {
        return -1;
    }
    for (i = 0; i < 4; i++) {
        char c = at[i];

        value *= 16;
        if (c >= '0' && c <= '9') {
            value += c - '0';
        } else if (c >= 'a' && c <= 'f') {
            value += c - 'a' + 10;
        } else if (c >= 'A' && c <= 'F') {
            value += c - 'A' + 10;
        } else {
            return -1;
        }
    }
    return value;
}

/* The code point of the escape "uXXXX", perhaps of a pair, at `at`; *len is
 * what it takes. -1 if it is none, or 0. */
static int32_t unicode(const char *at, const char *end, size_t *len)
{
    int high = hex4(at + 1, end), low;

    *len = 5;
    if (high <= 0 || (high >= 0xdc00 && high < 0xe000)) {
        return -1;
    }
    if (high < 0xd800 || high >= 0xe000) {
        return high;
    }
    if (end - at < 11 || at[5] != '\\' || at[6] != 'u') {
        return -1;
    }
    low = hex4(at + 7, end);
    *len = 11;
    if (low < 0xdc00 || low >= 0xe000) {
        return -1;
    }
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* Length of the escape behind a backslash; 0 if it is none. */
static size_t escape_length(const char *at, const char *end)
{
    size_t len;

    if (at == end) {
        return 0;
    }
    if (*at == 'u') {
        return unicode(at, end, &len) < 0 ? 0 : len;
    }
    return memchr("\"\\/bfnrt", *at, 8) != NULL ? 1 : 0;
}

static int read_string(struct tocsin_json_reader *reader,
                       struct tocsin_span *value)
{
    const char *start = ++reader->at;
    size_t len;

    while (reader->at < reader->end && *reader->at != '"') {
        if (*reader->at == '\\') {
            len = escape_length(reader->at + 1, reader->end);
            if (len == 0) {
                fail(reader, "bad escape in a string");
                return -1;
            }
            reader->at += 1 + len;
            continue;
        }
        len = (unsigned char)*reader->at < 0x20
                  ? 0
                  : tocsin_utf8_length(reader->at,
                                       (size_t)(reader->end - reader->at));
        if (len == 0) {
            fail(reader, "a string is not UTF-8, or holds control characters");
            return -1;
        }
        reader->at += len;
    }
    if (reader->at == reader->end) {
        fail(reader, "a string has no end");
        return -1;
    }
    *value = tocsin_span_of(start, (size_t)(reader->at - start));
    reader->at++;
    return 0;
}

static size_t put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

static char plain_escape(char c)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *at = memchr(from, c, sizeof(from) - 1);

    return at == NULL ? c : to[at - from];
}

size_t tocsin_json_unescape(char *to, struct tocsin_span text)
{
    const char *at = text.data, *end = text.data + text.len;
    size_t len = 0, taken;

    while (at < end) {
        int32_t code;

        if (*at != '\\' || at + 1 == end) {
            to[len++] = *at++;
            continue;
        }
        at++;
        if (*at != 'u') {
            to[len++] = plain_escape(*at++);
            continue;
        }
        code = unicode(at, end, &taken);
        if (code < 0) {
            break; /* never was checked */
        }
        len += put_utf8(to + len, (uint32_t)code);
        at += taken;
    }
    return len;
}

/* -------------------------------------------------------- numbers, words */

static size_t digits(struct tocsin_json_reader *reader)
{
    const char *start = reader->at;

    while (reader->at < reader->end && *reader->at >= '0' &&
           *reader->at <= '9') {
        reader->at++;
    }
    return (size_t)(reader->at - start);
}

static bool accept(struct tocsin_json_reader *reader, const char *any)
{
    if (reader->at < reader->end && *reader->at != '\0' &&
        strchr(any, *reader->at) != NULL) {
        reader->at++;
        return true;
    }
    return false;
}

static enum tocsin_json_token read_number(struct tocsin_json_reader *reader,
                                          struct tocsin_span *value)
{
    const char *start = reader->at;

    accept(reader, "-");
    if (!accept(reader, "0") && digits(reader) == 0) {
        return fail(reader, "a value is expected");
    }
    if (accept(reader, ".") && digits(reader) == 0) {
        return fail(reader, "a number without digits behind its point");
    }
    if (accept(reader, "eE")) {
        accept(reader, "+-");
        if (digits(reader) == 0) {
            return fail(reader, "a number without digits in its exponent");
        }
    }
    *value = tocsin_span_of(start, (size_t)(reader->at - start));
    after_value(reader);
    return TOCSIN_JSON_NUMBER;
}

static enum tocsin_json_token read_word(struct tocsin_json_reader *reader,
                                        struct tocsin_span word,
                                        enum tocsin_json_token token)
{
    if ((size_t)(reader->end - reader->at) < word.len ||
        memcmp(reader->at, word.data, word.len) != 0) {
        return fail(reader, "a value is expected");
    }
    reader->at += word.len;
    after_value(reader);
    return token;
}

/* --------------------------------------------------------------- brackets */

static enum tocsin_json_token open_bracket(struct tocsin_json_reader *reader)
{
    char bracket = *reader->at;

    if (reader->depth == TOCSIN_JSON_DEPTH) {
        return fail(reader, "too many brackets within each other");
    }
    reader->open[reader->depth++] = bracket;
    reader->at++;
    reader->expect = bracket == '{' ? KEY_OR_CLOSE : VALUE_OR_CLOSE;
    return bracket == '{' ? TOCSIN_JSON_OBJECT : TOCSIN_JSON_ARRAY;
}

static enum tocsin_json_token close_bracket(struct tocsin_json_reader *reader)
{
    char open = reader->open[--reader->depth];

    reader->at++;
    after_value(reader);
    return open == '{' ? TOCSIN_JSON_OBJECT_END : TOCSIN_JSON_ARRAY_END;
}

static bool closes(const struct tocsin_json_reader *reader)
{
    return reader->depth > 0 &&
           *reader->at == (reader->open[reader->depth - 1] == '{' ? '}' : ']');
}

static enum tocsin_json_token read_key(struct tocsin_json_reader *reader,
                                       struct tocsin_span *value)
{
    if (*reader->at != '"') {
        return fail(reader, "a name in quotes is expected");
    }
    if (read_string(reader, value) != 0) {
        return TOCSIN_JSON_ERROR;
    }
    skip_space(reader);
    if (!accept(reader, ":")) {
        return fail(reader, "':' is expected");
    }
    reader->expect = VALUE;
    return TOCSIN_JSON_KEY;
}

static enum tocsin_json_token read_value(struct tocsin_json_reader *reader,
                                         struct tocsin_span *value)
{
    switch (*reader->at) {
    case '{':
    case '[':
        return open_bracket(reader);
    case '"':
        if (read_string(reader, value) != 0) {
            return TOCSIN_JSON_ERROR;
        }
        after_value(reader);
        return TOCSIN_JSON_STRING;
    case 't':
        return read_word(reader, TOCSIN_SPAN("true"), TOCSIN_JSON_TRUE);
    case 'f':
        return read_word(reader, TOCSIN_SPAN("false"), TOCSIN_JSON_FALSE);
    case 'n':
        return read_word(reader, TOCSIN_SPAN("null"), TOCSIN_JSON_NULL);
    default:
        return read_number(reader, value);
    }
}

enum tocsin_json_token tocsin_json_next(struct tocsin_json_reader *reader,
                                        struct tocsin_span *value)
{
    *value = tocsin_span_of("", 0);
    if (reader->error != NULL) {
        return TOCSIN_JSON_ERROR;
    }
    skip_space(reader);
    if (reader->expect == NOTHING) {
        return reader->at == reader->end
                   ? TOCSIN_JSON_END
                   : fail(reader, "something follows the value");
    }
    if (reader->at == reader->end) {
        return fail(reader, "the text ends too early");
    }
    if (reader->expect != VALUE && reader->expect != KEY && closes(reader)) {
        return close_bracket(reader);
    }
    if (reader->expect == COMMA_OR_CLOSE) {
        if (!accept(reader, ",")) {
            return fail(reader, "',' or the closing bracket is expected");
        }
        reader->expect = reader->open[reader->depth - 1] == '{' ? KEY : VALUE;
        skip_space(reader);
        if (reader->at == reader->end) {
            return fail(reader, "the text ends too early");
        }
    }
    if (reader->expect == KEY || reader->expect == KEY_OR_CLOSE) {
        return read_key(reader, value);
    }
    return read_value(reader, value);
}

int tocsin_json_skip(struct tocsin_json_reader *reader,
                     enum tocsin_json_token token)
{
    struct tocsin_span value;
    unsigned outer = reader->depth;

    if (token == TOCSIN_JSON_ERROR) {
        return -1;
    }
    if (token != TOCSIN_JSON_OBJECT && token != TOCSIN_JSON_ARRAY) {
        return 0;
    }
    while (reader->depth >= outer) {
        if (tocsin_json_next(reader, &value) == TOCSIN_JSON_ERROR) {
            return -1;
        }
    }
    return 0;
}
