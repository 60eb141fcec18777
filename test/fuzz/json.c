/*
 * JSON token by token. What our reader takes, jansson takes; every string is
 * unescaped, written again and read back to the same.
 */
#include <jansson.h>

#include "fuzz.h"
#include "shared/json.h"
#include "shared/json_read.h"

static void check_string(struct tocsin_span raw)
{
    size_t room = 6 * raw.len + 2;
    char *plain = malloc(raw.len + 1), *text = malloc(room), *back;
    struct tocsin_out out = {text, room, 0};
    struct tocsin_json json = tocsin_json_begin(&out);
    struct tocsin_json_reader reader;
    struct tocsin_span value;
    size_t len;

    MUST(plain != NULL && text != NULL);
    len = tocsin_json_unescape(plain, raw);
    MUST(len <= raw.len);
    tocsin_json_text(&json, tocsin_span_of(plain, len));
    MUST(tocsin_out_fits(&out));
    reader = tocsin_json_reader(tocsin_span_of(text, out.need));
    MUST(tocsin_json_next(&reader, &value) == TOCSIN_JSON_STRING);
    MUST(tocsin_json_next(&reader, &raw) == TOCSIN_JSON_END);
    back = malloc(value.len + 1);
    MUST(back != NULL);
    MUST(tocsin_json_unescape(back, value) == len);
    MUST(memcmp(back, plain, len) == 0);
    free(back);
    free(text);
    free(plain);
}

/* jansson keeps numbers, which may be too large for it. */
static void check_jansson(struct tocsin_span text)
{
    json_error_t error;
    json_t *json = json_loadb(text.data, text.len, JSON_DECODE_ANY, &error);

    MUST(json != NULL ||
         json_error_code(&error) == json_error_numeric_overflow);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tocsin_span text = fuzz_span(data, size), value;
    struct tocsin_json_reader reader = tocsin_json_reader(text);
    struct tocsin_json_reader skipped = reader;
    enum tocsin_json_token token, first;

    while ((token = tocsin_json_next(&reader, &value)) > TOCSIN_JSON_END) {
        if (token == TOCSIN_JSON_KEY || token == TOCSIN_JSON_STRING) {
            check_string(value);
        }
    }
    MUST((token == TOCSIN_JSON_ERROR) == (reader.error != NULL));
    if (token == TOCSIN_JSON_END) {
        check_jansson(text);
    }

    first = tocsin_json_next(&skipped, &value);
    if (first > TOCSIN_JSON_END && tocsin_json_skip(&skipped, first) == 0) {
        MUST(tocsin_json_next(&skipped, &value) == token);
    } else {
        MUST(token == TOCSIN_JSON_ERROR);
    }
    return 0;
}
