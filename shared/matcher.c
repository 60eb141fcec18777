/*
 * Matchers of silences: checked when somebody makes one, encoded for the
 * streams, decoded by whoever shows or applies them. What stands in a stream
 * is checked again, for whoever may write to Redis may write anything.
 */
#include "matcher.h"

#include "event_codec.h"

static const struct {
    struct tocsin_span text;
    bool negative, pattern;
} operators[] = {
    {{"eq", 2}, false, false},
    {{"ne", 2}, true, false},
    {{"re", 2}, false, true},
    {{"nre", 3}, true, true},
};

#define OPERATORS (sizeof(operators) / sizeof(operators[0]))

static bool legal_name(struct tocsin_span name)
{
    size_t i;

    for (i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && c != '_' && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return name.len > 0 && name.len <= 255;
}

const char *tocsin_matcher_check(const struct tocsin_matcher *matcher)
{
    if (!legal_name(matcher->name)) {
        return "a matcher's name is no label's: letters, digits and _";
    }
    if (matcher->value.len > TOCSIN_MATCHER_VALUE) {
        return "a matcher's value has more than 1023 bytes";
    }
    if (matcher->value.len != 0 &&
        memchr(matcher->value.data, '\0', matcher->value.len) != NULL) {
        return "a matcher's value holds a null";
    }
    return matcher->pattern && matcher->value.len > TOCSIN_PATTERN_MAX
               ? "a pattern has more than 255 bytes"
               : NULL;
}

bool tocsin_matcher_holds(const struct tocsin_matcher *matcher,
                          const struct tocsin_pattern *pattern,
                          struct tocsin_span value)
{
    bool equal = matcher->pattern ? tocsin_pattern_matches(pattern, value)
                                  : tocsin_span_eq(matcher->value, value);

    return equal != matcher->negative;
}

const char *tocsin_matchers_check(struct tocsin_span list)
{
    char room[TOCSIN_MATCHERS_MAX];
    struct tocsin_pattern pattern;
    struct tocsin_matcher matcher;
    const char *error;
    unsigned count = 0;
    bool any = false;
    int rc;

    while ((rc = tocsin_matcher_next(&list, &matcher, room)) > 0) {
        if (count++ == TOCSIN_MATCHERS) {
            return "there are more than 16 matchers";
        }
        if (matcher.pattern) {
            error = tocsin_pattern_compile(&pattern, matcher.value);
            if (error != NULL) {
                return error;
            }
        }
        any = any || !tocsin_matcher_holds(&matcher, &pattern, TOCSIN_SPAN(""));
    }
    if (rc < 0) {
        return "a matcher cannot be read";
    }
    return any ? NULL : "one matcher at least must not match the empty text";
}

void tocsin_matcher_put(struct tocsin_out *list,
                        const struct tocsin_matcher *matcher)
{
    size_t i;

    if (list->need > 0) {
        tocsin_out_char(list, ',');
    }
    tocsin_pct_encode(list, matcher->name);
    tocsin_out_char(list, '=');
    for (i = 0; i < OPERATORS; i++) {
        if (operators[i].negative == matcher->negative &&
            operators[i].pattern == matcher->pattern) {
            tocsin_out_span(list, operators[i].text);
        }
    }
    tocsin_out_char(list, '=');
    tocsin_pct_encode(list, matcher->value);
}

int tocsin_matcher_next(struct tocsin_span *list,
                        struct tocsin_matcher *matcher,
                        char room[TOCSIN_MATCHERS_MAX])
{
    struct tocsin_span item, name, operator;
    size_t i, len;

    if (list->len == 0) {
        return 0;
    }
    item = tocsin_span_cut(list, ',');
    name = tocsin_span_cut(&item, '=');
    operator= tocsin_span_cut(&item, '=');
    if (name.len + item.len > TOCSIN_MATCHERS_MAX) {
        return -1;
    }
    for (i = 0; i < OPERATORS; i++) {
        if (tocsin_span_eq(operators[i].text, operator)) {
            break;
        }
    }
    if (i == OPERATORS) {
        return -1;
    }
    matcher->negative = operators[i].negative;
    matcher->pattern = operators[i].pattern;
    len = tocsin_pct_decode(room, name);
    matcher->name = tocsin_span_of(room, len);
    matcher->value =
        tocsin_span_of(room + len, tocsin_pct_decode(room + len, item));
    return tocsin_matcher_check(matcher) == NULL ? 1 : -1;
}

int tocsin_matcher_parse(struct tocsin_matcher *matcher,
                         struct tocsin_span text)
{
    size_t at = 0;

    while (at < text.len && text.data[at] != '=' && text.data[at] != '!') {
        at++;
    }
    matcher->name = tocsin_span_of(text.data, at);
    if (at == text.len) {
        return -1;
    }
    matcher->negative = text.data[at++] == '!';
    matcher->pattern = at < text.len && text.data[at] == '~';
    if (matcher->pattern) {
        at++;
    } else if (matcher->negative) {
        if (at == text.len || text.data[at] != '=') {
            return -1;
        }
        at++;
    }
    matcher->value = tocsin_span_of(text.data + at, text.len - at);
    if (matcher->value.len >= 2 && matcher->value.data[0] == '"' &&
        matcher->value.data[matcher->value.len - 1] == '"') {
        matcher->value.data++;
        matcher->value.len -= 2;
    }
    return 0;
}
