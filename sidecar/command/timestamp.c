/* Proleptic Gregorian, no leap seconds, no locale, no time zone database. */
#include "timestamp.h"

#define SECOND 1000000

struct text {
    const char *at, *end;
};

static bool accept(struct text *text, char c)
{
    if (text->at < text->end && *text->at == c) {
        text->at++;
        return true;
    }
    return false;
}

/* Exactly `digits` of them, within [low, high]. */
static bool number(struct text *text, int digits, int low, int high, int *value)
{
    *value = 0;
    for (int i = 0; i < digits; i++) {
        if (text->at == text->end || *text->at < '0' || *text->at > '9') {
            return false;
        }
        *value = *value * 10 + (*text->at++ - '0');
    }
    return *value >= low && *value <= high;
}

/* Howard Hinnant's days_from_civil: days since 1970-01-01. */
static int64_t days(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
           719468;
}

static int days_in(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30,
                                  31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return lengths[month - 1] + (month == 2 && leap);
}

static bool date(struct text *text, int64_t *us)
{
    int year, month, day;

    if (!number(text, 4, 0, 9999, &year) || !accept(text, '-') ||
        !number(text, 2, 1, 12, &month) || !accept(text, '-') ||
        !number(text, 2, 1, days_in(year, month), &day)) {
        return false;
    }
    *us = days(year, month, day) * 86400 * SECOND;
    return true;
}

static bool fraction(struct text *text, int64_t *us)
{
    int64_t unit = SECOND;
    const char *begin = text->at;

    while (text->at < text->end && *text->at >= '0' && *text->at <= '9') {
        unit /= 10;
        *us += unit * (*text->at++ - '0');
    }
    return text->at > begin;
}

static bool clock_time(struct text *text, int64_t *us)
{
    int hour, minute, second = 0;

    if (!number(text, 2, 0, 23, &hour) || !accept(text, ':') ||
        !number(text, 2, 0, 59, &minute)) {
        return false;
    }
    if (accept(text, ':') && !number(text, 2, 0, 60, &second)) {
        return false;
    }
    *us += ((int64_t)hour * 3600 + minute * 60 + second) * SECOND;
    return !accept(text, '.') || fraction(text, us);
}

static bool offset(struct text *text, int64_t *us)
{
    int sign = 0, hours, minutes = 0;

    if (accept(text, 'Z') || accept(text, 'z') || text->at == text->end) {
        return true;
    }
    if (accept(text, '+')) {
        sign = -1;
    } else if (accept(text, '-')) {
        sign = 1;
    }
    if (sign == 0 || !number(text, 2, 0, 14, &hours)) {
        return false;
    }
    accept(text, ':');
    if (text->at < text->end && !number(text, 2, 0, 59, &minutes)) {
        return false;
    }
    *us += (int64_t)sign * (hours * 3600 + minutes * 60) * SECOND;
    return true;
}

static bool iso(struct text text, int64_t *us)
{
    if (!date(&text, us)) {
        return false;
    }
    if (text.at == text.end) {
        return true;
    }
    if (!accept(&text, 'T') && !accept(&text, 't') && !accept(&text, ' ')) {
        return false;
    }
    return clock_time(&text, us) && offset(&text, us) && text.at == text.end;
}

static bool epoch(struct text text, int64_t *us)
{
    int64_t whole = 0, part = 0;
    const char *begin = text.at;

    while (text.at < text.end && *text.at >= '0' && *text.at <= '9') {
        if (text.at - begin == 15) {
            return false;
        }
        whole = whole * 10 + (*text.at++ - '0');
    }
    if (text.at == begin || (accept(&text, '.') && !fraction(&text, &part))) {
        return false;
    }
    *us = whole >= 100000000000 ? whole * 1000 + part / 1000
                                : whole * SECOND + part;
    return text.at == text.end;
}

bool timestamp_parse(struct tocsin_span span, int64_t *us)
{
    struct text text = {span.data, span.data + span.len};

    while (text.at < text.end && *text.at == ' ') {
        text.at++;
    }
    while (text.end > text.at && text.end[-1] == ' ') {
        text.end--;
    }
    return iso(text, us) || epoch(text, us);
}
