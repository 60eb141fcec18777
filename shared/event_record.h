/*
 * The compact form in which an event waits in the ring, and its way from
 * there to RESP: numbers as they are, texts by 16-bit lengths and all their
 * bytes in a row. v and src are not in it: they are the same for all records
 * of a ring, and are written from a ready-made piece. What is known before a
 * request comes is in it as RESP already.
 *
 * Records live within one master's memory and are never read by another
 * version of the program: there is no version in them.
 */
#ifndef TOCSIN_EVENT_RECORD_H
#define TOCSIN_EVENT_RECORD_H

#include "event_codec.h"

/* No record is longer. */
#define TOCSIN_RECORD_MAX 5120

/* Bytes after a record that must be readable. */
#define TOCSIN_RECORD_SLACK 32

/*
 * Ready-made pieces of an event: the RESP of server and route (`where`), of
 * method and proto (`how`), of the upstream (`who`), and of cloud, region and
 * zone (`place`). An event has got one if its data is not NULL, and then the
 * fields are not looked at; a place of no bytes is nowhere.
 *
 * These make a piece out of the fields: they write to memory of at least
 * TOCSIN_PIECE_MAX bytes and return the length. Pieces are read in whole units
 * of TOCSIN_PIECE_UNIT bytes: one lies in memory that has so many.
 */
#define TOCSIN_PIECE_MAX 1024
#define TOCSIN_PIECE_UNIT 32

size_t tocsin_record_where(char *to, const struct tocsin_event *ev);
size_t tocsin_record_how(char *to, const struct tocsin_event *ev);
size_t tocsin_record_who(char *to, const struct tocsin_event *ev);
size_t tocsin_record_place(char *to, const struct tocsin_event *ev);

/* Writes the record of a REQUEST or UPSTREAM event to memory of at least
 * TOCSIN_RECORD_MAX bytes aligned to 8; returns its length. */
size_t tocsin_record_pack(char *to, const struct tocsin_event *ev);

/*
 * What an encoder remembers, because one record after another needs it: the
 * digits of the second, and of the last number in each stream (counting on is
 * cheaper than formatting), and the fields that are mostly empty, ready-made.
 * What it remembers never changes what it writes.
 */
struct tocsin_counter {
    uint64_t value;
    size_t len;
    size_t last;   /* place of the last digit */
    char text[32]; /* "$N\r\n<digits>\r\n" */
};

struct tocsin_ready {
    size_t len;
    char text[80]; /* all of it is copied */
};

struct tocsin_sample {
    size_t len;
    char text[48]; /* its fields, and "$6\r\nlabels\r\n" */
};

struct tocsin_encoder {
    struct tocsin_counter seq[2]; /* TOCSIN_REQUEST, TOCSIN_UPSTREAM */
    uint64_t second;              /* since the epoch, or TOCSIN_NONE */
    char time[32];                /* "$2\r\nts\r\n$16\r\n" and its digits */
    struct tocsin_ready nowhere;
    struct tocsin_ready nothing; /* no gRPC status either */
    struct tocsin_sample sample;
    struct tocsin_ready end[2]; /* sample and all that follows it */
};

void tocsin_encoder_init(struct tocsin_encoder *encoder);

/* Writes all fields after v and src to memory of at least
 * TOCSIN_EVENT_ENCODED_MAX bytes, and returns its end: the same bytes that
 * tocsin_event_encode() makes. */
char *tocsin_record_encode(struct tocsin_encoder *encoder, char *to,
                           const char *record, enum tocsin_stream stream);

#endif
