/*
 * The event codec: both directions are expansions of the tables in
 * event_schema.h, so that a field is added in one place.
 *
 * Encoding writes straight into the caller's memory when the longest entry of
 * its stream would fit there, else into a scratch on the stack from which what
 * is allowed is copied: one code path makes the bytes either way.
 *
 * Decoding meets hostile input (anybody who may XADD): every value is checked
 * against its kind and the caps of names.h before it is taken. Callers: the
 * module's beat, the sidecar's intake, the operators' commands.
 */
#include "event_codec.h"

#include "event_put.h"

enum kind { UINT, OPT, MILLI, FLAGS, TEXT, PAIRS, LONG };

/* One row of a stream's table: where the member is and how to read it. */
struct field {
    const char *name;
    size_t len;
    size_t offset;
    enum kind kind;
};

#define X(member, kind, name, unit, help)                                      \
    {name, sizeof(name) - 1, offsetof(struct tocsin_event, member), kind},

static const struct field request_fields[] = {TOCSIN_REQUEST_FIELDS(X)};
static const struct field upstream_fields[] = {TOCSIN_UPSTREAM_FIELDS(X)};
static const struct field beat_fields[] = {TOCSIN_BEAT_FIELDS(X)};

#undef X

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const struct field *fields;
    unsigned count;
} streams[TOCSIN_STREAMS] = {
    [TOCSIN_REQUEST] = {request_fields, COUNT(request_fields)},
    [TOCSIN_UPSTREAM] = {upstream_fields, COUNT(upstream_fields)},
    [TOCSIN_BEAT] = {beat_fields, COUNT(beat_fields)},
};

static const struct tocsin_span flag_names[TOCSIN_FLAG_COUNT] = {
#define X(name, text, help) {text, sizeof(text) - 1},
    TOCSIN_EVENT_FLAGS(X)
#undef X
};

static const struct tocsin_span error_names[TOCSIN_ERRORS] = {
#define X(name, text, help) {text, sizeof(text) - 1},
    TOCSIN_EVENT_ERRORS(X)
#undef X
};

/* All names of flags, with their commas, fit the cap of a value of FLAGS. */
#define X(name, text, help) sizeof(text) +
_Static_assert(TOCSIN_EVENT_FLAGS(X) 0 <= TOCSIN_TEXT_MAX, "too many flags");
#undef X

enum {
    REQUEST_MAX = TOCSIN_REQUEST_FIELDS(TOCSIN_PUT_MAX) TOCSIN_PUT_END,
    UPSTREAM_MAX = TOCSIN_UPSTREAM_FIELDS(TOCSIN_PUT_MAX) TOCSIN_PUT_END,
    BEAT_MAX = TOCSIN_BEAT_FIELDS(TOCSIN_PUT_MAX) TOCSIN_PUT_END
};

_Static_assert((int)REQUEST_MAX <= TOCSIN_EVENT_ENCODED_MAX, "");
_Static_assert((int)UPSTREAM_MAX <= TOCSIN_EVENT_ENCODED_MAX, "");
_Static_assert((int)BEAT_MAX <= TOCSIN_EVENT_ENCODED_MAX, "");

struct tocsin_span tocsin_error_text(enum tocsin_error error)
{
    if ((unsigned)error >= TOCSIN_ERRORS) {
        return TOCSIN_SPAN("");
    }
    return error_names[error];
}

enum tocsin_error tocsin_error_parse(struct tocsin_span text)
{
    unsigned i;

    for (i = 0; i < TOCSIN_ERRORS; i++) {
        if (tocsin_span_eq(text, error_names[i])) {
            break;
        }
    }
    return (enum tocsin_error)i;
}

unsigned tocsin_event_field_count(enum tocsin_stream stream)
{
    return (unsigned)stream < TOCSIN_STREAMS ? streams[stream].count : 0;
}

/* ---------------------------------------------------------------- encoding */

struct tocsin_span tocsin_put_cut(struct tocsin_span text, size_t cap,
                                  bool pairs)
{
    if (text.len <= cap) {
        return text;
    }
    text.len = cap;
    if (pairs) {
        /* what remains ends where an item ended */
        for (text.len = cap; text.len > 0 && text.data[text.len] != ',';) {
            text.len--;
        }
    }
    return text;
}

char *tocsin_put_milli(char *to, uint64_t value)
{
    char text[32]; /* 20 digits, a point, three more */
    unsigned rest = (unsigned)(value % 1000);
    char *end = tocsin_decimal(text, value / 1000);

    if (rest != 0) {
        *end++ = '.';
        *end++ = (char)('0' + rest / 100);
        *end++ = (char)('0' + rest / 10 % 10);
        *end++ = (char)('0' + rest % 10);
        while (end[-1] == '0') {
            end--;
        }
    }
    /* it is below 32 anyway, but compilers cannot tell */
    return tocsin_resp_bulk(to, text, (size_t)(end - text) % sizeof(text));
}

char *tocsin_put_flags(char *to, uint64_t value)
{
    char text[TOCSIN_TEXT_MAX];
    char *end = text;
    unsigned i;

    for (i = 0; i < TOCSIN_FLAG_COUNT; i++) {
        if (value >> i & 1) {
            if (end != text) {
                *end++ = ',';
            }
            end = tocsin_resp_copy(end, flag_names[i].data, flag_names[i].len);
        }
    }
    return tocsin_resp_bulk(to, text, (size_t)(end - text));
}

static char *put_text(char *to, struct tocsin_span text, size_t cap, bool pairs)
{
    if (text.len == 0) {
        return tocsin_resp_empty(to);
    }
    text = tocsin_put_cut(text, cap, pairs);
    return tocsin_resp_bulk(to, text.data, text.len);
}

#define TOCSIN_PUT_TEXT(to, value) put_text((to), (value), TOCSIN_TEXT_MAX, 0)
#define TOCSIN_PUT_PAIRS(to, value)                                            \
    put_text((to), (value), TOCSIN_LABELS_MAX, 1)
#define TOCSIN_PUT_LONG(to, value)                                             \
    put_text((to), (value), TOCSIN_EVIDENCE_MAX, 1)

#define X(member, kind, name, unit, help)                                      \
    to = TOCSIN_PUT_NAME(to, name);                                            \
    to = TOCSIN_PUT_##kind(to, ev->member);

static char *encode(char *to, const struct tocsin_event *ev)
{
    switch (ev->stream) {
    case TOCSIN_REQUEST:
        TOCSIN_REQUEST_FIELDS(X)
        break;
    case TOCSIN_UPSTREAM:
        TOCSIN_UPSTREAM_FIELDS(X)
        break;
    case TOCSIN_BEAT:
        TOCSIN_BEAT_FIELDS(X)
        break;
    case TOCSIN_STREAMS:
        break;
    }
    return to;
}

#undef X

void tocsin_event_encode(struct tocsin_out *out, const struct tocsin_event *ev)
{
    char scratch[TOCSIN_EVENT_ENCODED_MAX];
    char *to;

    if (out->need <= out->cap && out->cap - out->need >= sizeof(scratch)) {
        to = out->data + out->need;
        out->need += (size_t)(encode(to, ev) - to);
        return;
    }
    tocsin_out_put(out, scratch, (size_t)(encode(scratch, ev) - scratch));
}

/* ---------------------------------------------------------------- decoding */

static int parse_uint(struct tocsin_span text, uint64_t *value)
{
    uint64_t n = 0;
    unsigned digit;
    size_t i;

    if (text.len == 0 || text.len > TOCSIN_DECIMAL_MAX) {
        return -1;
    }
    for (i = 0; i < text.len; i++) {
        digit = (unsigned)text.data[i] - '0';
        if (digit > 9) {
            return -1;
        }
        /* only the last of 20 digits can run over */
        if (i == TOCSIN_DECIMAL_MAX - 1 &&
            (n > UINT64_MAX / 10 ||
             (n == UINT64_MAX / 10 && digit > UINT64_MAX % 10))) {
            return -1;
        }
        n = n * 10 + digit;
    }
    *value = n;
    return 0;
}

static int parse_opt(struct tocsin_span text, uint64_t *value)
{
    uint64_t n = TOCSIN_NONE;

    if (text.len != 0 && (parse_uint(text, &n) != 0 || n == TOCSIN_NONE)) {
        return -1;
    }
    *value = n;
    return 0;
}

static int parse_milli(struct tocsin_span text, uint64_t *value)
{
    struct tocsin_span whole = text, part;
    uint64_t n, rest = 0, unit = 1000;
    const char *dot;

    if (text.len == 0) {
        return -1;
    }
    dot = memchr(text.data, '.', text.len);
    if (dot != NULL) {
        whole.len = (size_t)(dot - text.data);
        part = tocsin_span_of(dot + 1, text.len - whole.len - 1);
        if (part.len > 3 || parse_uint(part, &rest) != 0) {
            return -1;
        }
        for (; part.len > 0; part.len--) {
            unit /= 10;
        }
        rest *= unit;
    }
    if (parse_uint(whole, &n) != 0 || n > (UINT64_MAX - rest) / 1000) {
        return -1;
    }
    *value = n * 1000 + rest;
    return 0;
}

/* The bit of a flag; 0 for one that a newer producer may know; -1 for what
 * cannot be a name. */
static int64_t parse_flag(struct tocsin_span name)
{
    size_t i;

    for (i = 0; i < TOCSIN_FLAG_COUNT; i++) {
        if (tocsin_span_eq(name, flag_names[i])) {
            return INT64_C(1) << i;
        }
    }
    for (i = 0; i < name.len; i++) {
        if ((name.data[i] < 'a' || name.data[i] > 'z') && name.data[i] != '_') {
            return -1;
        }
    }
    return name.len == 0 ? -1 : 0;
}

static int parse_flags(struct tocsin_span text, uint64_t *value)
{
    uint64_t flags = 0;
    size_t i, start = 0;
    int64_t bit;

    if (text.len > TOCSIN_TEXT_MAX) {
        return -1;
    }
    for (i = 0; text.len != 0 && i <= text.len; i++) {
        if (i < text.len && text.data[i] != ',') {
            continue;
        }
        bit = parse_flag(tocsin_span_of(text.data + start, i - start));
        if (bit < 0) {
            return -1;
        }
        flags |= (uint64_t)bit;
        start = i + 1;
    }
    *value = flags;
    return 0;
}

static int parse_text(struct tocsin_span text, size_t cap, bool pairs,
                      struct tocsin_span *value)
{
    if (text.len > cap || (pairs && !tocsin_pairs_valid(text))) {
        return -1;
    }
    *value = text;
    return 0;
}

static const struct field *find_field(enum tocsin_stream stream, unsigned hint,
                                      struct tocsin_span name)
{
    const struct field *fields = streams[stream].fields;
    unsigned i, count = streams[stream].count;

    if (hint < count && fields[hint].len == name.len &&
        memcmp(fields[hint].name, name.data, name.len) == 0) {
        return &fields[hint];
    }
    for (i = 0; i < count; i++) {
        if (fields[i].len == name.len &&
            memcmp(fields[i].name, name.data, name.len) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

void tocsin_event_init(struct tocsin_event *ev, enum tocsin_stream stream)
{
    *ev = (struct tocsin_event){
        .stream = stream,
        .weight = 1000,
        .connect = TOCSIN_NONE,
        .header = TOCSIN_NONE,
        .grpc = TOCSIN_NONE,
    };
}

int tocsin_event_field(struct tocsin_event *ev, unsigned hint,
                       struct tocsin_span name, struct tocsin_span value)
{
    const struct field *field;
    void *member;

    if ((unsigned)ev->stream >= TOCSIN_STREAMS || name.len == 0) {
        return 0;
    }
    field = find_field(ev->stream, hint, name);
    if (field == NULL) {
        return 0;
    }

    member = (char *)ev + field->offset;
    switch (field->kind) {
    case UINT:
        return parse_uint(value, member);
    case OPT:
        return parse_opt(value, member);
    case MILLI:
        return parse_milli(value, member);
    case FLAGS:
        return parse_flags(value, member);
    case TEXT:
        return parse_text(value, TOCSIN_TEXT_MAX, false, member);
    case PAIRS:
        return parse_text(value, TOCSIN_LABELS_MAX, true, member);
    case LONG:
        return parse_text(value, TOCSIN_EVIDENCE_MAX, true, member);
    }
    return 0;
}
