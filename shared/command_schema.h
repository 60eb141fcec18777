/*
 * What people ask of the sidecar: tocsin:commands has one entry for every
 * silence that somebody made, changed or ended, and for every model that was
 * given up for the one before it, and tells who it was. The
 * stream is the record of all that; whoever reads it from its beginning knows
 * all silences.
 *
 *     X(member, KIND, wire name, unit, help)      kinds as in alert_schema.h
 */
#ifndef TOCSIN_COMMAND_SCHEMA_H
#define TOCSIN_COMMAND_SCHEMA_H

#define TOCSIN_COMMAND_FIELDS(X)                                               \
    X(v, UINT, "v", "", "schema version")                                      \
    X(ts, UINT, "ts", "us", "when it was given, since the epoch")              \
    X(what, TEXT, "what", "", "silence, expire or rollback")                   \
    X(via, TEXT, "via", "", "http or command line")                            \
    X(user, TEXT, "user", "", "who was logged in, or empty")                   \
    X(address, TEXT, "address", "", "of the client, or empty")                 \
    X(id, TEXT, "id", "", "of the silence, a UUID; or a model's version")      \
    X(starts, UINT, "starts", "us", "when it begins, since the epoch")         \
    X(ends, UINT, "ends", "us", "when it ends by itself")                      \
    X(author, TEXT, "author", "", "who wants it, in their own words")          \
    X(comment, LONG, "comment", "", "why")                                     \
    X(matchers, LONG, "matchers", "",                                          \
      "label=operator=value, ...: all must match; the operator is eq, ne, "    \
      "re or nre; name and value are percent-encoded")

/* Cells of a silence on the board; LONG and TEXT are percent-encoded. */
#define TOCSIN_SILENCE_ROW(X)                                                  \
    X(id, TEXT, "id", "", "a UUID")                                            \
    X(starts, UINT, "starts", "us", "when it begins, since the epoch")         \
    X(ends, UINT, "ends", "us", "when it ends")                                \
    X(updated, UINT, "updated", "us", "when it was last changed")              \
    X(author, TEXT, "author", "", "who made it")                               \
    X(comment, LONG, "comment", "", "why")                                     \
    X(matchers, LONG, "matchers", "", "as in a command")

#endif
