/* Patterns of matchers: what they match, what is refused, what they cost. */
#include <check.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/pattern.h"

static bool matches(const char *pattern, const char *text)
{
    static struct tocsin_pattern compiled;
    const char *error =
        tocsin_pattern_compile(&compiled, tocsin_span_str(pattern));

    ck_assert_msg(error == NULL, "%s: %s", pattern, error);
    return tocsin_pattern_matches(&compiled, tocsin_span_str(text));
}

static const struct {
    const char *pattern, *text;
    bool holds;
} cases[] = {
    {"", "", true},
    {"", "a", false},
    {"shop", "shop", true},
    {"shop", "shops", false},
    {"hop", "shop", false}, /* as a whole */
    {"sh.p", "shxp", true},
    {".*", "any\nthing", true},
    {"a|shop|b", "shop", true},
    {"a|shop|b", "shopb", false},
    {"|a", "", true},
    {"a||b", "b", true},
    {"(a|b)c", "bc", true},
    {"(a|b)c", "c", false},
    {"(?:ab)+", "abab", true},
    {"(?:ab)+", "aba", false},
    {"(a|bc|d)*", "abcdda", true},
    {"(a*)*b", "aaaab", true},
    {"(a?)*", "", true},
    {"((a|b)?c)+x", "acbccx", true},
    {"((a|b)?c)+x", "abcx", false},
    {"a+?b??", "aa", true},
    {"^a$", "a", true},
    {"a^b", "ab", false},
    {"(^|x)a", "xa", true},
    {"(^|x)(^|y)a", "xa", false},
    {"[a-c]+", "cab", true},
    {"[^a-c]+", "xyz", true},
    {"[^a-c]+", "xaz", false},
    {"[]a]+", "]a", true},
    {"[^]a]", "]", false},
    {"[a-]+", "a-a", true},
    {"[\\]\\-x]+", "]-x", true},
    {"[[:digit:]x]+", "1x2", true},
    {"[\\d.]+", "10.0.0.1", true},
    {"\\d+\\.\\d+", "10.5", true},
    {"\\D", "1", false},
    {"\\w+\\s\\W", "a_1 -", true},
    {"10\\.0\\.0\\.(1|2):80", "10.0.0.2:80", true},
    {"10\\.0\\.0\\.(1|2):80", "10x0.0.2:80", false},
    {"\\(x\\)\\{2\\}", "(x){2}", true},
    {"a\\tb", "a\tb", true},
    {"ö.\xf0\x9f\x94\x94", "öü\xf0\x9f\x94\x94", true}, /* by characters */
    {"[à-ü]", "é", true},
    {"[à-ü]", "a", false},
    {".", "\xff", true}, /* a byte that is no UTF-8 is one */
    {"\xff", "\xfe", false},
};

START_TEST(it_matches_a_text_as_a_whole)
{
    ck_assert_msg(matches(cases[_i].pattern, cases[_i].text) == cases[_i].holds,
                  "%s on %s", cases[_i].pattern, cases[_i].text);
}
END_TEST

static const struct {
    const char *pattern, *words;
} bad[] = {
    {"(", "without a )"},
    {"a)(b", "without a ("},
    {"a)", "without a ("},
    {"*", "repeats nothing"},
    {"a**", "a repetition"},
    {"(*a)", "repeats nothing"},
    {"a|*", "repeats nothing"},
    {"^*", "repeats nothing"},
    {"a{2}", "by number"},
    {"(?i)a", "flags"},
    {"(?P<x>a)", "flags"},
    {"(a)\\1", "no meaning"},
    {"\\bx", "no meaning"},
    {"x\\", "no meaning"},
    {"[a", "no ]"},
    {"[", "no ]"},
    {"[]", "no ]"},
    {"[a\\]", "no ]"},
    {"[z-a]", "ends before"},
    {"[\\D]", "within []"},
};

START_TEST(bad_ones_are_refused)
{
    static struct tocsin_pattern compiled;
    const char *error =
        tocsin_pattern_compile(&compiled, tocsin_span_str(bad[_i].pattern));

    ck_assert_msg(error != NULL, "%s", bad[_i].pattern);
    ck_assert_msg(strstr(error, bad[_i].words) != NULL, "%s: %s",
                  bad[_i].pattern, error);
}
END_TEST

static const char *fill(const char *part, size_t len)
{
    static char text[8192];
    size_t i, part_len = strlen(part);

    for (i = 0; i < len; i++) {
        text[i] = part[i % part_len];
    }
    text[len] = '\0';
    return text;
}

START_TEST(limits_hold)
{
    static struct tocsin_pattern compiled;
    struct tocsin_span many = tocsin_span_of(fill("(", 255), 255);

    ck_assert_str_eq(tocsin_pattern_compile(&compiled, many),
                     "a pattern has too many groups within each other");
    ck_assert_str_eq(
        tocsin_pattern_compile(&compiled, tocsin_span_of(fill("a", 256), 256)),
        "a pattern has more than 255 bytes");
    ck_assert_str_eq(tocsin_pattern_compile(
                         &compiled, tocsin_span_of(fill("[\\w]", 250), 250)),
                     "a pattern has too many ranges in []");
    ck_assert_ptr_null(
        tocsin_pattern_compile(&compiled, tocsin_span_of(fill("|", 255), 255)));
    ck_assert(compiled.count <= TOCSIN_PATTERN_OPS);
    ck_assert_ptr_null(tocsin_pattern_compile(
        &compiled, tocsin_span_of(fill("a*", 254), 254)));
    ck_assert(compiled.count <= TOCSIN_PATTERN_OPS);
}
END_TEST

/* Within Check's time limit: backtracking would take the age of the world, and
 * glibc's regcomp() gigabytes. */
START_TEST(no_pattern_is_costly)
{
    static char deep[256];
    const char *text = fill("a", 4000);
    int i;

    ck_assert(!matches("(a*)*(a*)*(a*)*(a*)*b", text));
    ck_assert(!matches("(a|a|aa)+(a|aa)+(a|aaa)+b", text));
    for (i = 0; i < 30; i++) {
        deep[i] = '(';
        deep[31 + 2 * i] = ')';
        deep[32 + 2 * i] = '+';
    }
    deep[30] = 'a';
    ck_assert(matches(deep, text));
    ck_assert(matches(fill("a*", 254), "aaaa"));
}
END_TEST

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 16;
}

/* On what both know, it agrees with POSIX. */
START_TEST(it_agrees_with_the_c_library)
{
    static const char letters[] = "ab(|)*?.[b^]";
    static struct tocsin_pattern compiled;
    unsigned state = 7, agreed = 0;
    int i;

    for (i = 0; i < 20000; i++) {
        char pattern[10], whole[16], text[6];
        unsigned j, len = 1 + next_random(&state) % 8;
        regex_t regex;

        for (j = 0; j < len; j++) {
            pattern[j] = letters[next_random(&state) % (sizeof(letters) - 1)];
        }
        pattern[len] = '\0';
        for (j = 0; j < 5; j++) {
            text[j] = "ab"[next_random(&state) & 1];
        }
        text[next_random(&state) % 6 % sizeof(text)] = '\0';
        text[5] = '\0';
        if (tocsin_pattern_compile(&compiled, tocsin_span_str(pattern)) !=
            NULL) {
            continue;
        }
        snprintf(whole, sizeof(whole), "^(%s)$", pattern);
        if (regcomp(&regex, whole, REG_EXTENDED | REG_NOSUB) != 0) {
            continue; /* "(?:" and empty branches, which POSIX leaves open */
        }
        ck_assert_msg(
            (regexec(&regex, text, 0, NULL, 0) == 0) ==
                tocsin_pattern_matches(&compiled, tocsin_span_str(text)),
            "%s on %s", pattern, text);
        regfree(&regex);
        agreed++;
    }
    ck_assert_uint_gt(agreed, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pattern");
    TCase *tcase = tcase_create("patterns");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tcase, it_matches_a_text_as_a_whole, 0,
                        sizeof(cases) / sizeof(cases[0]));
    tcase_add_loop_test(tcase, bad_ones_are_refused, 0,
                        sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tcase, limits_hold);
    tcase_add_test(tcase, no_pattern_is_costly);
    tcase_add_test(tcase, it_agrees_with_the_c_library);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
