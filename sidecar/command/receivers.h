/* Who is told of alerts, by the configuration's notify section. */
#ifndef TOCSIN_COMMAND_RECEIVERS_H
#define TOCSIN_COMMAND_RECEIVERS_H

#include "../alert/notify.h"
#include "../config/config.h"

struct notify *receivers_create(const struct config *config, struct err *err);

/* Puts `now` in the place of *notify, which ends: receivers of both know what
 * they knew. */
void receivers_change(struct notify **notify, struct notify *now);

#endif
