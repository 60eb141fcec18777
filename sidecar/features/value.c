/*
 * What a feature is of an aggregate. Not observed is NaN: a share of no events
 * is not 0, and a series of whose platform nothing was heard has no rate. But
 * no events while a producer is alive is a rate of 0: silence is a fact.
 */
#include <math.h>

#include "features.h"

static double ratio(uint64_t part, uint64_t whole)
{
    return whole != 0 ? (double)part / (double)whole : (double)NAN;
}

static double seconds(double us)
{
    return us * 1e-6;
}

/* Of those whose end says something of the server. */
static double share(const struct aggregate *a, uint64_t part)
{
    return ratio(part, a->weight > a->aborted ? a->weight - a->aborted : 0);
}

static double rate(const struct aggregate *a, uint64_t length)
{
    if (!a->alive && a->events == 0) {
        return (double)NAN;
    }
    return (double)a->weight / 1000.0 / ((double)length * 1e-6);
}

static double value(const struct aggregate *a, enum feature feature,
                    uint64_t length, bool of_requests)
{
    switch (feature) {
    case FEATURE_RATE:
        return rate(a, length);
    case FEATURE_ERRORS:
        return share(a, a->errors);
    case FEATURE_CLIENT_ERRORS:
        return share(a, a->client_errors);
    case FEATURE_LOCAL_ERRORS: /* of attempts alone */
        return of_requests ? (double)NAN : share(a, a->local_errors);
    case FEATURE_LATENCY_P50:
        return seconds(sketch_quantile(&a->duration, 0.5));
    case FEATURE_LATENCY_P95:
        return seconds(sketch_quantile(&a->duration, 0.95));
    case FEATURE_INFLIGHT:
        return a->inflight_known ? (double)a->inflight : (double)NAN;
    case FEATURE_OLDEST:
        return a->inflight_known ? seconds((double)a->oldest) : (double)NAN;
    case FEATURE_BYTES:
        return ratio(a->bytes, a->weight) * 1000.0;
    case FEATURE_CONNECT:
        return seconds(ratio(a->connect_sum, a->connects));
    case FEATURE_HEADER:
        return seconds(sketch_quantile(&a->header, 0.5));
    case FEATURE_RETRIES:
        return ratio(a->retries, a->weight);
    case FEATURE_CACHE_HITS:
        return ratio(a->cache_hits, a->cacheable);
    case FEATURE_COUNT:
        break;
    }
    return (double)NAN;
}

float feature_value(const struct aggregate *aggregate, enum feature feature,
                    uint64_t length, bool of_requests)
{
    return (float)value(aggregate, feature, length, of_requests);
}
