/*
 * Silences as people send and see them. What is posted is checked member by
 * member: one that is missing, twice there, of another kind or unknown is
 * refused with words that say which, for a silence that is not what somebody
 * meant hides alerts. `status`, `updatedAt` and `annotations` are what a
 * silence that was got has beside: they are passed over.
 */
#include "silence_json.h"

#include <time.h>

#include "event_codec.h"
#include "json_read.h"
#include "names.h"

#define TIME_MAX 64

/* ------------------------------------------------------------ small things */

bool tocsin_is_uuid(struct tocsin_span text)
{
    size_t i;

    if (text.len != TOCSIN_SILENCE_ID) {
        return false;
    }
    for (i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
                   (c >= 'A' && c <= 'F');

        if (i == 8 || i == 13 || i == 18 || i == 23 ? c != '-' : !hex) {
            return false;
        }
    }
    return true;
}

void tocsin_uuid(char to[TOCSIN_SILENCE_ID], const unsigned char random[16])
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < 16; i++) {
        unsigned byte = random[i];

        if (i == 6) {
            byte = (byte & 0x0f) | 0x40;
        } else if (i == 8) {
            byte = (byte & 0x3f) | 0x80;
        }
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *to++ = '-';
        }
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
}

/* `len` digits at *at, which goes on behind them; -1 if there are others. */
static int take_number(struct tocsin_span *at, size_t len)
{
    int value = 0;
    size_t i;

    if (at->len < len) {
        return -1;
    }
    for (i = 0; i < len; i++) {
        if (at->data[i] < '0' || at->data[i] > '9') {
            return -1;
        }
        value = value * 10 + (at->data[i] - '0');
    }
    *at = tocsin_span_of(at->data + len, at->len - len);
    return value;
}

static bool take_char(struct tocsin_span *at, char a, char b)
{
    if (at->len == 0 || (at->data[0] != a && at->data[0] != b)) {
        return false;
    }
    *at = tocsin_span_of(at->data + 1, at->len - 1);
    return true;
}

/* us of ".123456789", which need not be there; -1 if it has no digits. */
static int64_t take_fraction(struct tocsin_span *at)
{
    int64_t us = 0, unit = 100000;
    int digit;

    if (!take_char(at, '.', '.')) {
        return 0;
    }
    if ((digit = take_number(at, 1)) < 0) {
        return -1;
    }
    for (; digit >= 0; digit = take_number(at, 1)) {
        us += digit * unit;
        unit /= 10;
    }
    return us;
}

/* Seconds east of Greenwich; false if that is none, or not the end. */
static bool take_zone(struct tocsin_span *at, int *seconds)
{
    int sign, hours, minutes;

    *seconds = 0;
    if (take_char(at, 'Z', 'z')) {
        return at->len == 0;
    }
    if (at->len == 0 || (at->data[0] != '+' && at->data[0] != '-')) {
        return false;
    }
    sign = at->data[0] == '-' ? -1 : 1;
    take_char(at, '+', '-');
    hours = take_number(at, 2);
    if (hours < 0 || hours > 23 || !take_char(at, ':', ':')) {
        return false;
    }
    minutes = take_number(at, 2);
    *seconds = sign * (hours * 3600 + minutes * 60);
    return minutes >= 0 && minutes < 60 && at->len == 0;
}

int tocsin_time_parse(struct tocsin_span text, uint64_t *us)
{
    struct tm tm = {0}, back;
    int64_t fraction;
    time_t when;
    int zone;

    if ((tm.tm_year = take_number(&text, 4)) < 1971 ||
        !take_char(&text, '-', '-') ||
        (tm.tm_mon = take_number(&text, 2)) < 1 ||
        !take_char(&text, '-', '-') ||
        (tm.tm_mday = take_number(&text, 2)) < 1 ||
        !take_char(&text, 'T', 't') ||
        (tm.tm_hour = take_number(&text, 2)) < 0 || tm.tm_hour > 23 ||
        !take_char(&text, ':', ':') ||
        (tm.tm_min = take_number(&text, 2)) < 0 || tm.tm_min > 59 ||
        !take_char(&text, ':', ':') ||
        (tm.tm_sec = take_number(&text, 2)) < 0 || tm.tm_sec > 59 ||
        (fraction = take_fraction(&text)) < 0 || !take_zone(&text, &zone)) {
        return -1;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    back = tm;
    when = timegm(&back);
    if (when < 0 || back.tm_mday != tm.tm_mday || back.tm_mon != tm.tm_mon) {
        return -1; /* no such day */
    }
    *us = (uint64_t)((int64_t)when - zone) * 1000000 + (uint64_t)fraction;
    return 0;
}

/* ----------------------------------------------------------------- reading */

struct read {
    struct tocsin_json_reader json;
    struct tocsin_command *command;
    struct tocsin_silence_room *room;
    struct tocsin_out matchers;
    unsigned count, seen;
    const char *error;
};

static int fail(struct read *read, const char *error)
{
    if (read->error == NULL) {
        read->error = read->json.error != NULL ? read->json.error : error;
    }
    return -1;
}

/* A string into `to`, plain; -1 if it is something else or does not fit. */
static int read_text(struct read *read, char *to, size_t max,
                     struct tocsin_span *text, const char *error)
{
    struct tocsin_span value;
    char room[6 * TOCSIN_MATCHER_VALUE];

    if (tocsin_json_next(&read->json, &value) != TOCSIN_JSON_STRING ||
        value.len > sizeof(room)) {
        return fail(read, error);
    }
    value.len = tocsin_json_unescape(room, value);
    if (value.len > max) {
        return fail(read, error);
    }
    memcpy(to, room, value.len);
    *text = tocsin_span_of(to, value.len);
    return 0;
}

static int read_time(struct read *read, uint64_t *us, const char *error)
{
    char room[TIME_MAX];
    struct tocsin_span text;

    if (read_text(read, room, sizeof(room), &text, error) != 0 ||
        tocsin_time_parse(text, us) != 0) {
        return fail(read, error);
    }
    return 0;
}

static int read_bool(struct read *read, bool *value, const char *error)
{
    struct tocsin_span text;
    enum tocsin_json_token token = tocsin_json_next(&read->json, &text);

    if (token != TOCSIN_JSON_TRUE && token != TOCSIN_JSON_FALSE) {
        return fail(read, error);
    }
    *value = token == TOCSIN_JSON_TRUE;
    return 0;
}

/* Index of a name in a list that NULL ends, noted in *seen; -1 if it is not
 * there or was seen before. */
static int member_of(const char *const *names, struct tocsin_span key,
                     unsigned *seen)
{
    int i;

    for (i = 0; names[i] != NULL; i++) {
        if (tocsin_span_eq(key, tocsin_span_str(names[i]))) {
            if (*seen & 1u << i) {
                return -1;
            }
            *seen |= 1u << i;
            return i;
        }
    }
    return -1;
}

static int read_matcher(struct read *read)
{
    static const char *const names[] = {"name", "value", "isRegex", "isEqual",
                                        NULL};
    char name[TOCSIN_TEXT_MAX], text[TOCSIN_MATCHER_VALUE];
    struct tocsin_matcher matcher = {.negative = false};
    enum tocsin_json_token token;
    struct tocsin_span key;
    bool equal = true;
    unsigned seen = 0;
    int rc = 0;

    while (rc == 0 &&
           (token = tocsin_json_next(&read->json, &key)) == TOCSIN_JSON_KEY) {
        switch (member_of(names, key, &seen)) {
        case 0:
            rc = read_text(read, name, sizeof(name), &matcher.name,
                           "\"name\" of a matcher is a short string");
            break;
        case 1:
            rc = read_text(read, text, sizeof(text), &matcher.value,
                           "\"value\" of a matcher is a string of at most "
                           "1023 bytes");
            break;
        case 2:
            rc = read_bool(read, &matcher.pattern,
                           "\"isRegex\" is true or false");
            break;
        case 3:
            rc = read_bool(read, &equal, "\"isEqual\" is true or false");
            break;
        default:
            rc = fail(read, "a matcher has \"name\", \"value\", \"isRegex\" "
                            "and \"isEqual\", each once, and no more");
        }
    }
    if (rc != 0 || token != TOCSIN_JSON_OBJECT_END || (seen & 7) != 7) {
        return fail(read, "a matcher needs \"name\", \"value\" and "
                          "\"isRegex\"");
    }
    matcher.negative = !equal;
    if ((read->error = tocsin_matcher_check(&matcher)) != NULL) {
        return -1;
    }
    tocsin_matcher_put(&read->matchers, &matcher);
    return 0;
}

static int read_matchers(struct read *read)
{
    static const char what[] = "\"matchers\" is a list of 1 to 16 matchers";
    enum tocsin_json_token token;
    struct tocsin_span value;

    if (tocsin_json_next(&read->json, &value) != TOCSIN_JSON_ARRAY) {
        return fail(read, what);
    }
    while ((token = tocsin_json_next(&read->json, &value)) ==
           TOCSIN_JSON_OBJECT) {
        if (read->count++ == TOCSIN_MATCHERS) {
            return fail(read, what);
        }
        if (read_matcher(read) != 0) {
            return -1;
        }
    }
    if (token != TOCSIN_JSON_ARRAY_END || read->count == 0) {
        return fail(read, what);
    }
    if (!tocsin_out_fits(&read->matchers)) {
        return fail(read, "the matchers are too long");
    }
    read->command->matchers =
        tocsin_span_of(read->matchers.data, read->matchers.need);
    return 0;
}

/* "" is what clients send that have no id yet. */
static int read_id(struct read *read)
{
    static const char what[] = "\"id\" is a UUID, or is left out";
    struct tocsin_command *command = read->command;

    if (read_text(read, read->room->id, sizeof(read->room->id), &command->id,
                  what) != 0 ||
        (command->id.len != 0 && !tocsin_is_uuid(command->id))) {
        return fail(read, what);
    }
    return 0;
}

enum member { ID, MATCHERS, STARTS, ENDS, AUTHOR, COMMENT, PASSED };

#define NEEDED                                                                 \
    (1u << MATCHERS | 1u << STARTS | 1u << ENDS | 1u << AUTHOR | 1u << COMMENT)

static int read_member(struct read *read, struct tocsin_span key)
{
    static const char *const names[] = {
        "id",      "matchers", "startsAt",  "endsAt",      "createdBy",
        "comment", "status",   "updatedAt", "annotations", NULL};
    struct tocsin_command *command = read->command;
    struct tocsin_span value;
    int member = member_of(names, key, &read->seen);

    switch (member) {
    case -1:
        return fail(read, "a silence has \"id\", \"matchers\", \"startsAt\", "
                          "\"endsAt\", \"createdBy\" and \"comment\", each "
                          "once, and no more");
    case ID:
        return read_id(read);
    case MATCHERS:
        return read_matchers(read);
    case STARTS:
        return read_time(read, &command->starts,
                         "\"startsAt\" is a time by RFC 3339");
    case ENDS:
        return read_time(read, &command->ends,
                         "\"endsAt\" is a time by RFC 3339");
    case AUTHOR:
        return read_text(read, read->room->author, sizeof(read->room->author),
                         &command->author,
                         "\"createdBy\" is a string of at most 255 bytes");
    case COMMENT:
        return read_text(read, read->room->comment, sizeof(read->room->comment),
                         &command->comment,
                         "\"comment\" is a string of at most 1023 bytes");
    default:
        return tocsin_json_skip(&read->json,
                                tocsin_json_next(&read->json, &value)) == 0
                   ? 0
                   : fail(read, "");
    }
}

const char *tocsin_silence_read(struct tocsin_span body, uint64_t now,
                                struct tocsin_command *command,
                                struct tocsin_silence_room *room)
{
    struct read read = {
        .json = tocsin_json_reader(body),
        .command = command,
        .room = room,
        .matchers = {room->matchers, sizeof(room->matchers), 0}};
    enum tocsin_json_token token;
    struct tocsin_span key;

    command->id = tocsin_span_of("", 0);
    if (tocsin_json_next(&read.json, &key) != TOCSIN_JSON_OBJECT) {
        fail(&read, "a silence is an object");
        return read.error;
    }
    while ((token = tocsin_json_next(&read.json, &key)) == TOCSIN_JSON_KEY) {
        if (read_member(&read, key) != 0) {
            return read.error;
        }
    }
    if (token != TOCSIN_JSON_OBJECT_END ||
        tocsin_json_next(&read.json, &key) != TOCSIN_JSON_END) {
        fail(&read, "a silence is an object");
        return read.error;
    }
    if ((read.seen & NEEDED) != NEEDED) {
        return "a silence needs \"matchers\", \"startsAt\", \"endsAt\", "
               "\"createdBy\" and \"comment\"";
    }
    if (command->author.len == 0) {
        return "\"createdBy\" is empty";
    }
    if (command->ends <= command->starts) {
        return "\"endsAt\" is not after \"startsAt\"";
    }
    if (command->ends <= now) {
        return "\"endsAt\" is in the past";
    }
    return tocsin_matchers_check(command->matchers);
}

/* ----------------------------------------------------------------- writing */

const char *const tocsin_silence_states[] = {"pending", "active", "expired"};

enum tocsin_silence_state
tocsin_silence_state(const struct tocsin_silence_row *row, uint64_t now)
{
    if (now >= row->ends) {
        return TOCSIN_SILENCE_EXPIRED;
    }
    return now < row->starts ? TOCSIN_SILENCE_PENDING : TOCSIN_SILENCE_ACTIVE;
}

static void write_text(struct tocsin_json *json, const char *key,
                       struct tocsin_span encoded)
{
    char room[TOCSIN_EVIDENCE_MAX];

    tocsin_json_key(json, key);
    tocsin_json_text(json,
                     tocsin_span_of(room, tocsin_pct_decode(room, encoded)));
}

static void write_matchers(struct tocsin_json *json, struct tocsin_span encoded)
{
    char list[TOCSIN_EVIDENCE_MAX], room[TOCSIN_MATCHERS_MAX];
    struct tocsin_span rest =
        tocsin_span_of(list, tocsin_pct_decode(list, encoded));
    struct tocsin_matcher matcher;
    int rc;

    tocsin_json_key(json, "matchers");
    tocsin_json_open(json, '[');
    while ((rc = tocsin_matcher_next(&rest, &matcher, room)) != 0) {
        if (rc < 0) {
            continue;
        }
        tocsin_json_open(json, '{');
        tocsin_json_key(json, "name");
        tocsin_json_text(json, matcher.name);
        tocsin_json_key(json, "value");
        tocsin_json_text(json, matcher.value);
        tocsin_json_key(json, "isRegex");
        tocsin_json_bool(json, matcher.pattern);
        tocsin_json_key(json, "isEqual");
        tocsin_json_bool(json, !matcher.negative);
        tocsin_json_close(json, '}');
    }
    tocsin_json_close(json, ']');
}

void tocsin_silence_json(struct tocsin_json *json,
                         const struct tocsin_silence_row *row, uint64_t now)
{
    tocsin_json_open(json, '{');
    write_text(json, "id", row->id);
    tocsin_json_key(json, "status");
    tocsin_json_open(json, '{');
    tocsin_json_key(json, "state");
    tocsin_json_text(
        json,
        tocsin_span_str(tocsin_silence_states[tocsin_silence_state(row, now)]));
    tocsin_json_close(json, '}');
    tocsin_json_key(json, "startsAt");
    tocsin_json_time(json, row->starts);
    tocsin_json_key(json, "endsAt");
    tocsin_json_time(json, row->ends);
    tocsin_json_key(json, "updatedAt");
    tocsin_json_time(json, row->updated);
    write_text(json, "createdBy", row->author);
    write_text(json, "comment", row->comment);
    write_matchers(json, row->matchers);
    tocsin_json_close(json, '}');
}

struct tocsin_span tocsin_silenced_by(struct tocsin_span silenced,
                                      struct tocsin_span alert)
{
    while (silenced.len != 0) {
        struct tocsin_span item = tocsin_span_cut(&silenced, ',');

        if (tocsin_span_eq(tocsin_span_cut(&item, '='), alert)) {
            return item;
        }
    }
    return tocsin_span_of("", 0);
}
