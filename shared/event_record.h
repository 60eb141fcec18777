/*
 * The compact form in which an event waits in the ring, and its way from
 * there to RESP: numbers as they are, texts by 16-bit lengths and all their
 * bytes in a row. v and src are not in it: they are the same for all records
 * of a ring, and are written from a ready-made piece.
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

/* Writes the record of a REQUEST or UPSTREAM event to memory of at least
 * TOCSIN_RECORD_MAX bytes aligned to 8; returns its length. */
size_t tocsin_record_pack(char *to, const struct tocsin_event *ev);

/* Writes all fields after v and src to memory of at least
 * TOCSIN_EVENT_ENCODED_MAX bytes, and returns its end: the same bytes that
 * tocsin_event_encode() makes. */
char *tocsin_record_encode(char *to, const char *record,
                           enum tocsin_stream stream);

#endif
