/* Entries of the streams that the sidecar itself writes, for the commands of
 * operators. */
#ifndef TOCSIN_COMMAND_ENTRIES_H
#define TOCSIN_COMMAND_ENTRIES_H

#include "../base/err.h"
#include "../config/config.h"
#include "shared/alert_codec.h"

struct redisContext;
struct redisReply;

/* The newest `count` entries of "<prefix>:<stream>", the newest first.
 * *reply is the caller's, freeReplyObject(); texts of what is decoded from it
 * live as long. */
int entries_newest(struct redisContext *redis, const struct config *config,
                   const char *stream, unsigned count,
                   struct redisReply **reply, struct err *err);

/* -1 for an entry that is none. */
int entries_alert(const struct redisReply *entry, struct tocsin_alert *alert);
int entries_board(const struct redisReply *entry, struct tocsin_board *board);

#endif
