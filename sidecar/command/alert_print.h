/*
 * An alert on standard output, for `tocsin alerts` and `tocsin backtest`.
 */
#ifndef TOCSIN_ALERT_PRINT_H
#define TOCSIN_ALERT_PRINT_H

#include "shared/alert_codec.h"

/* One line for people, which begins with the time `at` (us since the epoch).
 * What is not known is left out; names from outside cannot break the line. */
void alert_print_line(const struct tocsin_alert *alert, uint64_t at);

/* The alert as Alertmanager's API v2 has it, on one line without its end. One
 * that lasts is said to end `resolve` us after its last news. The text is good
 * until the next call; "" if it is too long. */
struct tocsin_span alert_print_json(const struct tocsin_alert *alert,
                                    uint64_t resolve);

#endif
