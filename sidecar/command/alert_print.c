/*
 * An alert as a line or as JSON. Both say the same wherever an alert is told
 * on a terminal, be it one that stands or one of a recording.
 */
#include "alert_print.h"

#include <math.h>
#include <stdio.h>

#include "../base/clock.h"
#include "command.h"

#define JSON_MAX (256 * 1024)

static void print_span(struct tocsin_span text, const char *after)
{
    command_print_text(stdout, text.data, text.len);
    fputs(after, stdout);
}

static void print_value(const char *name, double value)
{
    if (!isnan(value)) {
        printf(" %s %.4g", name, value);
    }
}

void alert_print_line(const struct tocsin_alert *alert, uint64_t at)
{
    char time[CLOCK_RFC3339_SIZE];

    printf("%s ", clock_rfc3339(at, time));
    print_span(alert->state, " ");
    print_span(alert->severity, " ");
    print_span(alert->alertname, " {");
    print_span(alert->labels, "} ");
    print_span(alert->feature, "");
    print_value("observed", alert->observed);
    print_value("expected", alert->expected);
    print_value("score", alert->score);
    fputs(": ", stdout);
    print_span(alert->summary, "\n");
}

struct tocsin_span alert_print_json(const struct tocsin_alert *alert,
                                    uint64_t resolve)
{
    static char memory[JSON_MAX];
    struct tocsin_out out = {memory, sizeof(memory), 0};

    tocsin_alert_json(&out, alert, TOCSIN_SPAN(""), resolve);
    return tocsin_span_of(memory, tocsin_out_fits(&out) ? out.need : 0);
}
