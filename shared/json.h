/*
 * Writes JSON (RFC 8259) into a tocsin_out: no allocation, no recursion, and
 * commas by itself. Whatever bytes a text holds, the result is valid UTF-8 and
 * harmless inside HTML: '<', '>' and '&' are written as \u00xx, an ill-formed
 * sequence becomes U+FFFD, a line separator that JavaScript minds is escaped.
 *
 *     struct tocsin_json j = tocsin_json_begin(&out);
 *     tocsin_json_open(&j, '{');
 *     tocsin_json_key(&j, "score");
 *     tocsin_json_real(&j, score);
 *     tocsin_json_close(&j, '}');
 */
#ifndef TOCSIN_JSON_H
#define TOCSIN_JSON_H

#include <stdint.h>

#include "span.h"

struct tocsin_json {
    struct tocsin_out *out;
    bool comma; /* before the next key or value */
};

static inline struct tocsin_json tocsin_json_begin(struct tocsin_out *out)
{
    struct tocsin_json json = {out, false};

    return json;
}

/* '{' or '[', and the bracket that closes it. */
void tocsin_json_open(struct tocsin_json *json, char bracket);
void tocsin_json_close(struct tocsin_json *json, char bracket);

/* The name of a member; the next call writes its value. */
void tocsin_json_key(struct tocsin_json *json, const char *name);
void tocsin_json_key_text(struct tocsin_json *json, struct tocsin_span name);

void tocsin_json_text(struct tocsin_json *json, struct tocsin_span text);
void tocsin_json_uint(struct tocsin_json *json, uint64_t value);
void tocsin_json_bool(struct tocsin_json *json, bool value);
void tocsin_json_null(struct tocsin_json *json);

/* "%.9g"; null for NaN and the infinities. */
void tocsin_json_real(struct tocsin_json *json, double value);

/* A number that is still text; null for what is none. */
void tocsin_json_number(struct tocsin_json *json, struct tocsin_span text);

/* us since the epoch: as text by RFC 3339, in ms; as a number of seconds. */
void tocsin_json_time(struct tocsin_json *json, uint64_t us);
void tocsin_json_seconds(struct tocsin_json *json, uint64_t us);

/* Append text as it stands between the quotes of a JSON string. */
void tocsin_json_escape(struct tocsin_out *out, struct tocsin_span text);

/* Length of the well-formed UTF-8 sequence that data begins with, 1 to 4;
 * 0 if it is ill-formed or cut off. len is at least 1. */
size_t tocsin_utf8_length(const char *data, size_t len);

/* The longest head of text that is at most max bytes and does not end within
 * a UTF-8 sequence. */
struct tocsin_span tocsin_utf8_cut(struct tocsin_span text, size_t max);

#endif
