/* Names that both programs and their users must agree on. */
#ifndef TOCSIN_NAMES_H
#define TOCSIN_NAMES_H

#define TOCSIN_SCHEMA_VERSION 1

/* Streams, after "<prefix>:"; with more shards than one the first three
 * are followed by ":{n}". */
#define TOCSIN_STREAM_REQUEST "request"
#define TOCSIN_STREAM_UPSTREAM "upstream"
#define TOCSIN_STREAM_CLOUD "cloud"
#define TOCSIN_STREAM_BEAT "beat"
#define TOCSIN_STREAM_ALERTS "alerts"
#define TOCSIN_STREAM_BOARD "board"
#define TOCSIN_STREAM_COMMANDS "commands"

#define TOCSIN_PREFIX_DEFAULT "tocsin"

/* Caps of what one event may carry, in bytes. Longer texts are cut. */
#define TOCSIN_TEXT_MAX 255
#define TOCSIN_LABELS_MAX 1023
#define TOCSIN_EVIDENCE_MAX 8191
#define TOCSIN_BOARD_MAX (1024 * 1024)

#endif
