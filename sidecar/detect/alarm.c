/*
 * The alarm of one series. Hysteresis in both directions: to begin it takes
 * rare evidence, to go on only harm, to end `clear` ticks without harm in
 * which something was observed - silence of the measurement is no all-clear.
 * Each alarm makes the next one of the same series dearer for about an hour,
 * so that one that flaps soon has to be worse to be told.
 */
#include "alarm.h"

#include <math.h>

#define SPENT_MAX 6.0F
#define PACE 0.1 /* of the logarithm, by each alarm that begins... */
#define OWED 2.0 /* ...and how far it goes */
#define NONE UINT32_MAX

void alarm_init(struct alarm *alarm)
{
    *alarm = (struct alarm){.column = NONE};
}

double alarm_thrift(const struct alarm *alarm)
{
    return exp2(-(double)alarm->spent);
}

double alarm_owed(const struct alarm *alarm)
{
    return exp((double)alarm->owed);
}

/* Rows that stick out come in clusters, and an alarm lasts: how many begin at
 * a given rate of rows only counting tells (Robbins and Monro 1951). While one
 * lasts none can begin. */
static void count(struct alarm *alarm, double allowed, bool began)
{
    double owed = (double)alarm->owed + PACE * (allowed - (began ? 1 : 0));

    alarm->owed = (float)fmin(fmax(owed, -OWED), OWED);
}

static void join(struct alarm *alarm, uint32_t columns)
{
    uint32_t fresh = columns & ~alarm->columns;
    unsigned i;

    for (i = 0; i < ALARM_COLUMNS; i++) {
        if ((fresh >> i & 1) != 0) {
            alarm->joined[i] = alarm->lasted;
        }
    }
    alarm->columns |= fresh;
    alarm->accepted &= ~fresh;
}

static void begin(struct alarm *alarm, const struct alarm_input *input)
{
    alarm->on = true;
    alarm->sudden = input->sudden;
    alarm->columns = alarm->accepted = 0;
    alarm->column = input->column;
    alarm->quiet = 0;
    alarm->lasted = 0;
    join(alarm, input->columns);
    alarm->spent = fminf(alarm->spent + 1, SPENT_MAX);
}

static void go_on(struct alarm *alarm, const struct alarm_input *input)
{
    alarm->lasted++;
    alarm->sudden = alarm->sudden || input->sudden;
    if (input->harmful) {
        alarm->quiet = 0;
        join(alarm, input->columns);
        alarm->column = input->column;
    } else if (input->observed) {
        alarm->quiet++;
    }
    if (alarm->quiet >= input->clear) {
        alarm->on = false;
        alarm->sudden = false;
        alarm->columns = 0;
        alarm->column = NONE;
        alarm->run = 0;
    }
}

void alarm_step(struct alarm *alarm, const struct alarm_input *input)
{
    alarm->spent -= (float)((double)alarm->spent / fmax(input->hour, 1));
    if (input->harmful) {
        if (alarm->run == 0) {
            alarm->since = input->start;
        }
        alarm->run++;
    } else if (!alarm->on && input->observed) {
        alarm->run = 0;
    }
    if (alarm->on) {
        go_on(alarm, input);
        return;
    }
    if (input->harmful && (input->rare || input->sudden)) {
        begin(alarm, input);
    }
    if (input->allowed > 0) {
        count(alarm, input->allowed, alarm->on);
    }
}

uint32_t alarm_age(const struct alarm *alarm, unsigned column)
{
    return alarm->lasted - alarm->joined[column];
}

void alarm_accept(struct alarm *alarm, uint32_t columns)
{
    alarm->columns &= ~columns;
    alarm->accepted |= columns;
}

void alarm_save(const struct alarm *alarm, struct buf *to)
{
    unsigned i;

    buf_put_u32(to, (alarm->on ? 1u : 0) | (alarm->sudden ? 2u : 0));
    buf_put_u32(to, alarm->columns);
    buf_put_u32(to, alarm->accepted);
    for (i = 0; i < ALARM_COLUMNS; i++) {
        if ((alarm->columns >> i & 1) != 0) {
            buf_put_u32(to, alarm->joined[i]);
        }
    }
    buf_put_u32(to, alarm->column);
    buf_put_u32(to, alarm->quiet);
    buf_put_u32(to, alarm->lasted);
    buf_put_u32(to, alarm->run);
    buf_put_u64(to, alarm->since);
    buf_put_f32(to, alarm->spent);
    buf_put_f32(to, alarm->owed);
}

void alarm_restore(struct alarm *alarm, struct cursor *from)
{
    uint32_t flags = cursor_u32(from);
    unsigned i;

    alarm->on = (flags & 1) != 0;
    alarm->sudden = (flags & 2) != 0;
    alarm->columns = cursor_u32(from);
    alarm->accepted = cursor_u32(from);
    for (i = 0; i < ALARM_COLUMNS; i++) {
        if ((alarm->columns >> i & 1) != 0) {
            alarm->joined[i] = cursor_u32(from);
        }
    }
    alarm->column = cursor_u32(from);
    alarm->quiet = cursor_u32(from);
    alarm->lasted = cursor_u32(from);
    alarm->run = cursor_u32(from);
    alarm->since = cursor_u64(from);
    alarm->spent = cursor_f32(from);
    alarm->owed = cursor_f32(from);
}
