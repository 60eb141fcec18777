/*
 * What the sidecar tells: tocsin:alerts has one entry for every change of
 * state of an alert; tocsin:board has a snapshot every second.
 *
 *     X(member, KIND, wire name, unit, help)
 *
 *     UINT, TEXT, PAIRS   as in event_schema.h
 *     REAL                double; "%.9g", or empty for NaN (not known)
 *     LONG                struct tocsin_span, up to TOCSIN_EVIDENCE_MAX bytes
 */
#ifndef TOCSIN_ALERT_SCHEMA_H
#define TOCSIN_ALERT_SCHEMA_H

#define TOCSIN_ALERT_FIELDS(X)                                                 \
    X(v, UINT, "v", "", "schema version")                                      \
    X(id, TEXT, "id", "", "fingerprint and tick of onset")                     \
    X(fingerprint, TEXT, "fingerprint", "", "hash of labels and alertname")    \
    X(alertname, TEXT, "alertname", "", "what kind, as LatencyHigh")           \
    X(state, TEXT, "state", "", "pending, firing or resolved")                 \
    X(severity, TEXT, "severity", "", "critical, warning or info")             \
    X(labels, PAIRS, "labels", "",                                             \
      "of its series: server, route, upstream, peer, cloud_provider, "         \
      "cloud_region, cloud_availability_zone")                                 \
    X(started, UINT, "started", "us", "onset, since the epoch")                \
    X(updated, UINT, "updated", "us", "last change or look")                   \
    X(ended, UINT, "ended", "us", "0 while it lasts")                          \
    X(score, REAL, "score", "", "0 to 100")                                    \
    X(feature, TEXT, "feature", "", "the feature that tells most")             \
    X(unit, TEXT, "unit", "", "of observed, expected, low, high")              \
    X(observed, REAL, "observed", "", "value of the feature")                  \
    X(expected, REAL, "expected", "", "what the model expected")               \
    X(low, REAL, "low", "", "lower end of the expected band")                  \
    X(high, REAL, "high", "", "upper end of the expected band")                \
    X(summary, TEXT, "summary", "", "one line for people")                     \
    X(description, LONG, "description", "", "what, since when, against what")  \
    X(evidence, LONG, "evidence", "",                                          \
      "last points of the feature: ts in us=observed=expected=low=high, ...")  \
    X(parts, LONG, "parts", "",                                                \
      "alerts that this one explains: fingerprint=score=feature=labels, ...")  \
    X(model, TEXT, "model", "", "version of the model that judged")

/* A snapshot is one entry: these fields, then the long texts. `alerts`, `rows`
 * are lines ended by '\n' of cells separated by '\t', text cells
 * percent-encoded as in PAIRS (and '\t', '\n' thereby too). */
#define TOCSIN_BOARD_FIELDS(X)                                                 \
    X(v, UINT, "v", "", "schema version")                                      \
    X(ts, UINT, "ts", "us", "when it was made, since the epoch")               \
    X(tick, UINT, "tick", "us", "end of the last closed tick")                 \
    X(tick_length, UINT, "tick_length", "us", "length of a tick")              \
    X(lag, UINT, "lag", "us", "newest entry less processed entry")             \
    X(version, TEXT, "version", "", "of the sidecar")                          \
    X(model, TEXT, "model", "", "version of the model that serves")            \
    X(model_ts, UINT, "model_ts", "us", "when it began to serve")              \
    X(trained, UINT, "trained", "", "challengers trained so far")              \
    X(swapped, UINT, "swapped", "", "challengers that won so far")             \
    X(series, UINT, "series", "", "series known")                              \
    X(series_evicted, UINT, "series_evicted", "", "series dropped by the cap") \
    X(events, UINT, "events", "", "events processed")                          \
    X(late, UINT, "late", "", "events that came after their tick had closed")  \
    X(duplicates, UINT, "duplicates", "", "events seen before, by src, seq")   \
    X(gaps, UINT, "gaps", "", "events missing, by src, seq")                   \
    X(malformed, UINT, "malformed", "", "entries that could not be read")      \
    X(rounds, BULK, "rounds", "",                                              \
      "rows (TOCSIN_ROUND_ROW) of the last rounds of training, oldest first")  \
    X(active, BULK, "active", "", "ids of all alerts pending or firing, by ,") \
    X(silences, BULK, "silences", "",                                          \
      "rows (TOCSIN_SILENCE_ROW) of silences that are, come, or were lately")  \
    X(silenced, BULK, "silenced", "",                                          \
      "alerts that nobody is told of: id=id of the silence, ...")              \
    X(rollups, BULK, "rollups", "",                                            \
      "rows (TOCSIN_BOARD_ROW) of clouds, regions and totals")                 \
    X(rows, BULK, "rows", "", "rows of the worst 1,000 series")

/* Cells of a round: a challenger, and what came of it. */
#define TOCSIN_ROUND_ROW(X)                                                    \
    X(at, UINT, "at", "us", "tick at which it began, since the epoch")         \
    X(verdict, TEXT, "verdict", "",                                            \
      "won, lost, broken, failed, rolled back, discarded")                     \
    X(version, TEXT, "version", "", "of the challenger")                       \
    X(parent, TEXT, "parent", "", "the champion it came from")                 \
    X(before, REAL, "before", "", "the champion's loss on windows held back")  \
    X(after, REAL, "after", "", "the challenger's")                            \
    X(windows, UINT, "windows", "", "trained on")                              \
    X(held, UINT, "held", "", "compared on")                                   \
    X(cpu, REAL, "cpu", "s", "CPU time of the round")                          \
    X(reason, TEXT, "reason", "", "of the verdict")

/* Cells of a row. Values are of the last closed tick; NaN is an empty cell. */
#define TOCSIN_BOARD_ROW(X)                                                    \
    X(labels, PAIRS, "labels", "", "of the series")                            \
    X(score, REAL, "score", "", "anomaly score, 0 to 100")                     \
    X(feature, TEXT, "feature", "", "the feature that tells most, or empty")   \
    X(observed, REAL, "observed", "", "value of that feature")                 \
    X(expected, REAL, "expected", "", "what the model expected")               \
    X(low, REAL, "low", "", "lower end of the expected band")                  \
    X(high, REAL, "high", "", "upper end of the expected band")                \
    X(rate, REAL, "rate", "1/s", "events a second")                            \
    X(errors, REAL, "errors", "1", "share of failed ones")                     \
    X(latency_p50, REAL, "latency_p50", "s", "median duration")                \
    X(latency_p95, REAL, "latency_p95", "s", "95th percentile of duration")    \
    X(inflight, REAL, "inflight", "", "exchanges in flight")                   \
    X(spark, PAIRS, "spark", "",                                               \
      "last 60 ticks of latency_p95 in s, or of rate where there is none")

#endif
