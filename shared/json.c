/*
 * The JSON writer, for all that Tocsin shows or sends: the alerts' API and the
 * page in nginx, notifications in the sidecar.
 *
 * Texts come from requests, from configuration and from Redis, so every byte
 * is taken as hostile. What must stay true: the output is one well-formed
 * document of valid UTF-8 for any input, it could stand inside a <script>
 * element without ending it, and nothing is written past the end of `out`.
 */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REPLACEMENT "\xef\xbf\xbd"         /* U+FFFD */
#define LAST_SECOND UINT64_C(253402300799) /* of the year 9999 */

static void put_text(struct tocsin_out *out, const char *terminated)
{
    tocsin_out_put(out, terminated, strlen(terminated));
}

static void separate(struct tocsin_json *json)
{
    if (json->comma) {
        tocsin_out_char(json->out, ',');
    }
    json->comma = true;
}

void tocsin_json_open(struct tocsin_json *json, char bracket)
{
    separate(json);
    tocsin_out_char(json->out, bracket);
    json->comma = false;
}

void tocsin_json_close(struct tocsin_json *json, char bracket)
{
    tocsin_out_char(json->out, bracket);
    json->comma = true;
}

void tocsin_json_key(struct tocsin_json *json, const char *name)
{
    tocsin_json_key_text(json, tocsin_span_str(name));
}

void tocsin_json_key_text(struct tocsin_json *json, struct tocsin_span name)
{
    tocsin_json_text(json, name);
    tocsin_out_char(json->out, ':');
    json->comma = false;
}

void tocsin_json_text(struct tocsin_json *json, struct tocsin_span text)
{
    separate(json);
    tocsin_out_char(json->out, '"');
    tocsin_json_escape(json->out, text);
    tocsin_out_char(json->out, '"');
}

void tocsin_json_uint(struct tocsin_json *json, uint64_t value)
{
    char text[24];

    separate(json);
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    put_text(json->out, text);
}

void tocsin_json_bool(struct tocsin_json *json, bool value)
{
    separate(json);
    put_text(json->out, value ? "true" : "false");
}

void tocsin_json_null(struct tocsin_json *json)
{
    separate(json);
    put_text(json->out, "null");
}

void tocsin_json_real(struct tocsin_json *json, double value)
{
    char text[32];

    if (!isfinite(value)) {
        tocsin_json_null(json);
        return;
    }
    separate(json);
    (void)snprintf(text, sizeof(text), "%.9g", value);
    put_text(json->out, text);
}

void tocsin_json_number(struct tocsin_json *json, struct tocsin_span text)
{
    char room[32], *end;
    double value;

    if (text.len == 0 || text.len >= sizeof(room)) {
        tocsin_json_null(json);
        return;
    }
    memcpy(room, text.data, text.len);
    room[text.len] = '\0';
    value = strtod(room, &end);
    tocsin_json_real(json, end == room + text.len ? value : (double)NAN);
}

void tocsin_json_time(struct tocsin_json *json, uint64_t us)
{
    char text[48];
    uint64_t seconds = us / 1000000;
    unsigned ms = (unsigned)(us / 1000 % 1000);
    time_t when;
    struct tm tm;

    if (seconds > LAST_SECOND) {
        seconds = LAST_SECOND;
    }
    when = (time_t)seconds;
    (void)gmtime_r(&when, &tm);
    (void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ",
                   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                   tm.tm_min, tm.tm_sec, ms);
    tocsin_json_text(json, tocsin_span_str(text));
}

void tocsin_json_seconds(struct tocsin_json *json, uint64_t us)
{
    char text[32];

    separate(json);
    (void)snprintf(text, sizeof(text), "%" PRIu64 ".%03u", us / 1000000,
                   (unsigned)(us / 1000 % 1000));
    put_text(json->out, text);
}

/* What stands for a byte that may not stand for itself; NULL if it may. */
static const char *escaped(unsigned char c, char room[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        break;
    }
    if (c >= 0x20 && c != '<' && c != '>' && c != '&' && c != 0x7f) {
        return NULL;
    }
    (void)snprintf(room, 8, "\\u%04x", c);
    return room;
}

static void escape_sequence(struct tocsin_out *out, const char *data,
                            size_t len)
{
    if (len == 3 && memcmp(data, "\xe2\x80\xa8", 3) == 0) {
        put_text(out, "\\u2028");
    } else if (len == 3 && memcmp(data, "\xe2\x80\xa9", 3) == 0) {
        put_text(out, "\\u2029");
    } else {
        tocsin_out_put(out, data, len);
    }
}

void tocsin_json_escape(struct tocsin_out *out, struct tocsin_span text)
{
    const char *at = text.data, *end, *instead;
    char room[8];
    size_t len;

    if (text.len == 0) {
        return;
    }
    for (end = at + text.len; at != end; at += len) {
        len = tocsin_utf8_length(at, (size_t)(end - at));
        if (len == 0) {
            put_text(out, REPLACEMENT);
            len = 1;
        } else if (len > 1) {
            escape_sequence(out, at, len);
        } else if ((instead = escaped((unsigned char)*at, room)) != NULL) {
            put_text(out, instead);
        } else {
            tocsin_out_char(out, *at);
        }
    }
}

/* The table of well-formed sequences in chapter 3 of the Unicode standard:
 * only the second byte has bounds of its own. */
size_t tocsin_utf8_length(const char *data, size_t len)
{
    const unsigned char *u = (const unsigned char *)data;
    unsigned char low = 0x80, high = 0xbf;
    size_t want, i;

    if (u[0] < 0x80) {
        return 1;
    }
    if (u[0] < 0xc2 || u[0] > 0xf4) {
        return 0;
    }
    want = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    if (u[0] == 0xe0) {
        low = 0xa0; /* shorter forms exist */
    } else if (u[0] == 0xed) {
        high = 0x9f; /* surrogates */
    } else if (u[0] == 0xf0) {
        low = 0x90;
    } else if (u[0] == 0xf4) {
        high = 0x8f; /* beyond U+10FFFF */
    }
    if (len < want || u[1] < low || u[1] > high) {
        return 0;
    }
    for (i = 2; i < want; i++) {
        if (u[i] < 0x80 || u[i] > 0xbf) {
            return 0;
        }
    }
    return want;
}

struct tocsin_span tocsin_utf8_cut(struct tocsin_span text, size_t max)
{
    size_t back;

    if (text.len <= max) {
        return text;
    }
    /* at most three bytes belong to the sequence that max cuts through */
    for (back = 0; back < 4 && back < max; back++) {
        if (((unsigned char)text.data[max - back] & 0xc0) != 0x80) {
            return tocsin_span_of(text.data, max - back);
        }
    }
    return tocsin_span_of(text.data, max);
}
