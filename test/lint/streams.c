/*
 * Prints the tables of the streams as Markdown (make docs writes them to
 * shared/STREAMS.md), so that what is written there is what the code does.
 */
#include <stdio.h>

#include "shared/alert_schema.h"
#include "shared/command_schema.h"
#include "shared/event_schema.h"
#include "shared/names.h"

static void head(const char *stream, const char *text)
{
    printf("**`tocsin:%s`**: %s\n\n", stream, text);
    puts("| field | unit | meaning |\n|---|---|---|");
}

static void row(const char *name, const char *unit, const char *help)
{
    printf("| `%s` | %s | %s |\n", name, unit, help);
}

#define ROW(member, kind, name, unit, help) row(name, unit, help);
#define VALUE(name, text, help) row(text[0] ? text : " ", "", help);

int main(void)
{
    puts("# What stands in the streams\n");
    puts("Made by `make docs` from `event_schema.h` and `alert_schema.h`.\n"
         "Kinds and encodings are explained there.\n");
    head(TOCSIN_STREAM_REQUEST, "one entry a request");
    TOCSIN_REQUEST_FIELDS(ROW)
    puts("");
    head(TOCSIN_STREAM_UPSTREAM, "one entry an attempt at a peer");
    TOCSIN_UPSTREAM_FIELDS(ROW)
    puts("");
    head(TOCSIN_STREAM_BEAT, "one entry a second from each worker");
    TOCSIN_BEAT_FIELDS(ROW)
    puts("");
    head(TOCSIN_STREAM_ALERTS, "one entry a change of state");
    TOCSIN_ALERT_FIELDS(ROW)
    puts("");
    head(TOCSIN_STREAM_BOARD, "a snapshot every second, the last few kept");
    TOCSIN_BOARD_FIELDS(ROW)
    puts("");
    head(TOCSIN_STREAM_COMMANDS, "one entry for each thing that people ask");
    TOCSIN_COMMAND_FIELDS(ROW)
    puts("\n`error` of an attempt is one of\n");
    puts("| error | | meaning |\n|---|---|---|");
    TOCSIN_EVENT_ERRORS(VALUE)
    puts("\n`flags` are any of\n");
    puts("| flag | | meaning |\n|---|---|---|");
    TOCSIN_EVENT_FLAGS(VALUE)
    return 0;
}
