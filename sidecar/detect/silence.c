/*
 * Silence. The chance that a Poisson stream of m expected events gives none is
 * exp(-m), so the evidence is m nats; but traffic comes in bursts, and a client
 * that polls every ten seconds is silent nine ticks in ten. Hence the second
 * condition, on the length of the pause. A fiftieth of the usual still counts
 * as silence: health checks go on when users are gone.
 */
#include "silence.h"

#include <math.h>

#define MEMORY 600.0
#define YOUNG 60      /* ticks before silence can be told from a beginning */
#define RESIDUE 0.02  /* of the usual still is silence */
#define PAUSE_MIN 3   /* ticks */
#define PAUSE_TIMES 3 /* the longest normal one */
#define FORGET 3600.0 /* ticks: of the longest pause */
#define MISSED_MAX 1e4F

void silence_init(struct silence *silence)
{
    *silence = (struct silence){0};
}

static void learn(struct silence *s, double events)
{
    double rate = fmax(1 / (s->ticks + 1.0), 1 / MEMORY);

    s->usual = (float)((double)s->usual + rate * (events - (double)s->usual));
    s->ticks++;
}

/* The pause is over, and nobody was alarmed: such pauses are normal. */
static void end_pause(struct silence *s, bool frozen)
{
    if (!frozen && (float)s->pause > s->longest) {
        s->longest = (float)s->pause;
    }
    s->pause = 0;
    s->missed = 0;
}

struct silence_finding silence_look(struct silence *s, double events,
                                    bool alive, bool frozen)
{
    struct silence_finding found = {0, false};
    double least;

    if (!alive && events <= 0) {
        return found; /* nobody could have told us */
    }
    s->longest -= (float)((double)s->longest / FORGET);
    if (events > RESIDUE * (double)s->usual) {
        end_pause(s, frozen);
        if (!frozen) {
            learn(s, events);
        }
        return found;
    }
    s->pause++;
    s->missed = fminf(s->missed + s->usual - (float)events, MISSED_MAX);
    if (s->ticks >= YOUNG) {
        least = fmax(PAUSE_MIN, PAUSE_TIMES * (double)s->longest + 1);
        found.nats = s->missed;
        found.harmful = s->pause >= least;
    }
    if (!frozen && !found.harmful) {
        learn(s, events);
    }
    return found;
}

void silence_accept(struct silence *s)
{
    silence_init(s);
}

void silence_save(const struct silence *s, struct buf *to)
{
    buf_put_f32(to, s->usual);
    buf_put_f32(to, s->missed);
    buf_put_f32(to, s->longest);
    buf_put_u32(to, s->pause);
    buf_put_u32(to, s->ticks);
}

void silence_restore(struct silence *s, struct cursor *from)
{
    s->usual = cursor_f32(from);
    s->missed = cursor_f32(from);
    s->longest = cursor_f32(from);
    s->pause = cursor_u32(from);
    s->ticks = cursor_u32(from);
}
