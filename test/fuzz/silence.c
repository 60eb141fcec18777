/*
 * Silences that people post, as JSON. One that is taken holds matchers that
 * can be applied, and is shown as JSON that is taken again.
 */
#include <jansson.h>

#include "fuzz.h"
#include "shared/pairs.h"
#include "shared/silence_json.h"

#define NOW UINT64_C(1700000000000000)
#define ROOM 65536

static void check_shown(const struct tocsin_command *command)
{
    static const char id[] = "3f7c3b5e-8d3c-4f6e-9a55-0c1f7f1f9b10";
    static char text[ROOM];
    struct tocsin_silence_row row = {
        .id = TOCSIN_SPAN(id),
        .starts = command->starts,
        .ends = command->ends,
        .updated = NOW,
    };
    char author[3 * TOCSIN_AUTHOR_MAX], comment[3 * TOCSIN_COMMENT_MAX];
    char matchers[3 * TOCSIN_MATCHERS_MAX];
    struct tocsin_out to_author = {author, sizeof(author), 0};
    struct tocsin_out to_comment = {comment, sizeof(comment), 0};
    struct tocsin_out to_matchers = {matchers, sizeof(matchers), 0};
    struct tocsin_out out = {text, sizeof(text), 0};
    struct tocsin_json json = tocsin_json_begin(&out);
    struct tocsin_command again;
    struct tocsin_silence_room room;
    json_t *tree;

    tocsin_pct_encode(&to_author, command->author);
    tocsin_pct_encode(&to_comment, command->comment);
    tocsin_pct_encode(&to_matchers, command->matchers);
    row.matchers = tocsin_span_of(matchers, to_matchers.need);
    row.author = tocsin_span_of(author, to_author.need);
    row.comment = tocsin_span_of(comment, to_comment.need);
    tocsin_silence_json(&json, &row, NOW);
    MUST(tocsin_out_fits(&out));
    tree = json_loadb(text, out.need, JSON_REJECT_DUPLICATES, NULL);
    MUST(tree != NULL);
    json_decref(tree);

    tocsin_command_init(&again);
    MUST(tocsin_silence_read(tocsin_span_of(text, out.need), NOW, &again,
                             &room) == NULL);
    MUST(tocsin_span_eq(again.matchers, command->matchers));
    MUST(tocsin_span_eq(again.author, command->author));
    MUST(tocsin_span_eq(again.comment, command->comment));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tocsin_command command;
    struct tocsin_silence_room room;

    tocsin_command_init(&command);
    if (tocsin_silence_read(fuzz_span(data, size), NOW, &command, &room) ==
        NULL) {
        MUST(tocsin_matchers_check(command.matchers) == NULL);
        check_shown(&command);
    }
    return 0;
}
