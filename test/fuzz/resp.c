/*
 * The ids that XADD answers, as the module's short way takes them: nothing
 * that a plain scan does not take, in any piece of it.
 */
#include <ctype.h>

#include "fuzz.h"
#include "shared/resp.h"

/* Digits, '-', digits. */
static bool plain_text(const char *at, size_t len)
{
    size_t dashes = 0;

    for (size_t i = 0; i < len; i++) {
        if (at[i] == '-' && i != 0 && i + 1 != len) {
            dashes++;
        } else if (!isdigit((unsigned char)at[i])) {
            return false;
        }
    }
    return dashes == 1;
}

/* Length of a whole id at `data`, 0 if there is none. */
static size_t plain_id(const char *data, size_t len)
{
    size_t i = 1, size = 0;

    if (len < 2 || data[0] != '$' || data[1] == '0') {
        return 0;
    }
    while (i < len && i < 3 && isdigit((unsigned char)data[i])) {
        size = 10 * size + (size_t)(data[i++] - '0');
    }
    if (i == 1 || size > 41 || len < i + 2 + size + 2 ||
        memcmp(data + i, "\r\n", 2) != 0 ||
        memcmp(data + i + 2 + size, "\r\n", 2) != 0 ||
        !plain_text(data + i + 2, size)) {
        return 0;
    }
    return i + 2 + size + 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tocsin_span rest = fuzz_span(data, size);
    size_t most = fuzz_byte(&rest), n = 0, at = 0, one, taken, count, i;

    while (n < most && (one = plain_id(rest.data + at, rest.len - at)) != 0) {
        MUST(tocsin_resp_id(rest.data + at, rest.len - at) == (int)one);
        for (i = 0; i < one; i++) { /* all its beginnings are incomplete */
            char *piece = fuzz_copy(tocsin_span_of(rest.data + at, i));

            MUST(tocsin_resp_id(piece, i) == 0);
            free(piece);
        }
        at += one;
        n++;
    }
    count = tocsin_resp_ids(rest.data, rest.len, most, &taken);
    MUST(count == n && taken == at);
    if (n < most) {
        MUST(tocsin_resp_id(rest.data + at, rest.len - at) <= 0);
    }
    return 0;
}
