/*
 * Events of libyaml. Aliases are refused rather than followed, so that no
 * document grows beyond its own bytes; tags, since no key needs any; and all
 * positions count from 1, as editors do.
 */
#include "config_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int config_reader_fail(struct config_reader *reader, yaml_mark_t mark,
                       const char *path, const char *format, ...)
{
    unsigned line = (unsigned)mark.line + 1;
    unsigned column = (unsigned)mark.column + 1;
    char what[ERR_MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    err_set(reader->err, ERR_INPUT, "%s:%u:%u: %s%s%s", reader->name, line,
            column, path, *path != '\0' ? ": " : "", what);
    if (reader->err != NULL) {
        reader->err->line = line;
        reader->err->column = column;
    }
    return -1;
}

int config_reader_open(struct config_reader *reader, const char *name,
                       const char *data, size_t len, struct err *err)
{
    memset(reader, 0, sizeof(*reader));
    reader->name = name;
    reader->err = err;
    if (!yaml_parser_initialize(&reader->parser)) {
        return err_set(err, ERR_LIMIT, "%s: out of memory", name);
    }
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)data,
                                 len);
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    return 0;
}

void config_reader_close(struct config_reader *reader)
{
    yaml_event_delete(&reader->event);
    yaml_parser_delete(&reader->parser);
}

static int reader_problem(struct config_reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    yaml_mark_t mark = parser->problem_mark;

    if (parser->error == YAML_MEMORY_ERROR) {
        return err_set(reader->err, ERR_LIMIT, "%s: out of memory",
                       reader->name);
    }
    if (parser->error == YAML_READER_ERROR) {
        mark = parser->mark;
    }
    return config_reader_fail(reader, mark, "", "not YAML: %s%s%s",
                              parser->problem != NULL ? parser->problem
                                                      : "cannot be parsed",
                              parser->context != NULL ? " " : "",
                              parser->context != NULL ? parser->context : "");
}

static int reader_refuse(struct config_reader *reader,
                         const unsigned char *anchor, const unsigned char *tag)
{
    if (anchor != NULL) {
        return config_reader_fail(reader, reader->event.start_mark, "",
                                  "the anchor \"&%.40s\", expected none: "
                                  "anchors and aliases are not taken",
                                  (const char *)anchor);
    }
    if (tag != NULL) {
        return config_reader_fail(reader, reader->event.start_mark, "",
                                  "the tag \"%.40s\", expected none",
                                  (const char *)tag);
    }
    return 0;
}

static int reader_scalar(struct config_reader *reader)
{
    const yaml_event_t *event = &reader->event;

    if (strlen((const char *)event->data.scalar.value) !=
        event->data.scalar.length) {
        return config_reader_fail(reader, event->start_mark, "",
                                  "a text with a NUL byte");
    }
    return reader_refuse(reader, event->data.scalar.anchor,
                         event->data.scalar.tag);
}

int config_reader_next(struct config_reader *reader)
{
    yaml_event_t *event = &reader->event;

    yaml_event_delete(event);
    memset(event, 0, sizeof(*event));
    if (!yaml_parser_parse(&reader->parser, event)) {
        return reader_problem(reader);
    }
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return config_reader_fail(reader, event->start_mark, "",
                                  "the alias \"*%.40s\", expected none: "
                                  "anchors and aliases are not taken",
                                  (const char *)event->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        return reader_scalar(reader);
    case YAML_SEQUENCE_START_EVENT:
        return reader_refuse(reader, event->data.sequence_start.anchor,
                             event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return reader_refuse(reader, event->data.mapping_start.anchor,
                             event->data.mapping_start.tag);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
    default:
        return 0;
    }
}

const char *config_reader_text(const struct config_reader *reader)
{
    return reader->event.type == YAML_SCALAR_EVENT
               ? (const char *)reader->event.data.scalar.value
               : NULL;
}

int config_reader_is_null(const struct config_reader *reader)
{
    const char *text = config_reader_text(reader);

    return text != NULL &&
           reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (*text == '\0' || strcmp(text, "~") == 0 ||
            strcmp(text, "null") == 0);
}
