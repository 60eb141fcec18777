/*
 * Patterns and matchers of silences: the first line is a pattern, or a matcher
 * as the command line takes it, the rest a text. A pattern matches what it
 * matches in brackets, too.
 */
#include "fuzz.h"
#include "shared/matcher.h"

static struct tocsin_pattern plain, grouped;

static void check_matcher(struct tocsin_span line, struct tocsin_span text)
{
    char list[4 * TOCSIN_MATCHERS_MAX], room[TOCSIN_MATCHERS_MAX];
    struct tocsin_out out = {list, sizeof(list), 0};
    struct tocsin_matcher matcher, back;
    struct tocsin_span rest;

    if (tocsin_matcher_parse(&matcher, line) != 0 ||
        tocsin_matcher_check(&matcher) != NULL) {
        return;
    }
    tocsin_matcher_put(&out, &matcher);
    MUST(tocsin_out_fits(&out));
    rest = tocsin_span_of(list, out.need);
    if (matcher.value.len + matcher.name.len <= TOCSIN_MATCHERS_MAX / 3) {
        MUST(tocsin_matcher_next(&rest, &back, room) == 1);
        MUST(tocsin_span_eq(back.name, matcher.name));
        MUST(tocsin_span_eq(back.value, matcher.value));
        MUST(back.pattern == matcher.pattern);
        MUST(back.negative == matcher.negative);
        MUST(tocsin_matcher_next(&rest, &back, room) == 0);
    }
    if (!matcher.pattern ||
        tocsin_pattern_compile(&plain, matcher.value) == NULL) {
        tocsin_matcher_holds(&matcher, &plain, text);
    }
}

static void check_grouped(struct tocsin_span line, struct tocsin_span text)
{
    char bracketed[TOCSIN_PATTERN_MAX + 2];
    bool matches = tocsin_pattern_matches(&plain, text);

    if (line.len + 2 > TOCSIN_PATTERN_MAX) {
        return;
    }
    bracketed[0] = '(';
    memcpy(bracketed + 1, line.data, line.len);
    bracketed[line.len + 1] = ')';
    if (tocsin_pattern_compile(
            &grouped, tocsin_span_of(bracketed, line.len + 2)) == NULL) {
        MUST(tocsin_pattern_matches(&grouped, text) == matches);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tocsin_span text = fuzz_span(data, size);
    struct tocsin_span line = tocsin_span_cut(&text, '\n');

    if (text.len > 4096) {
        text.len = 4096;
    }
    if (line.len != 0 && tocsin_pattern_compile(&plain, line) == NULL) {
        check_grouped(line, text);
    }
    check_matcher(line, text);
    return 0;
}
