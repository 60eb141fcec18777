/*
 * All keys of tocsin.yaml. A row makes the member of struct config, its
 * reader, its line in conf/tocsin.yaml, in tocsin.yaml(5) and in --help.
 *
 *     X(member, path, TYPE, default as YAML, least, most, help)
 *
 * TYPE       C                       in YAML
 * TEXT       char[]                  text; may be empty
 * NAME       char[]                  letters, digits, _ . : -
 * PATH       char[]                  a file or directory; may be empty
 * REDIS_URL  char[]                  redis[s]://host:port/db, unix:/path or
 *                                    sentinel://master@host:port,host:port/db
 * URL        char[]                  http:// or https://; may be empty
 * UINT       uint64_t                whole number
 * REAL       double                  number
 * BOOL       bool                    true or false
 * DURATION   uint64_t, us            500ms, 1s, 10m, 1h, 7d
 * LEVEL      enum log_level          error, warn, notice, info, debug
 * SETS       struct config_sets      list of lists of label names
 * URLS       struct config_urls      list of URLs
 * WEBHOOKS   struct config_webhooks  list of {url, bearer_file}
 *
 * least and most bound UINT, REAL and DURATION (in us); 0, 0 for the rest.
 */
#ifndef TOCSIN_CONFIG_KEYS_H
#define TOCSIN_CONFIG_KEYS_H

#ifndef TOCSIN_DATADIR
#define TOCSIN_DATADIR "/usr/share/tocsin"
#endif

#define CONFIG_MS UINT64_C(1000)
#define CONFIG_S (1000 * CONFIG_MS)
#define CONFIG_M (60 * CONFIG_S)
#define CONFIG_H (60 * CONFIG_M)
#define CONFIG_D (24 * CONFIG_H)

/* clang-format off */
#define CONFIG_KEYS(X)                                                         \
    X(redis_url, "redis.url", REDIS_URL, "redis://127.0.0.1:6379/0", 0, 0,     \
      "where Redis is: redis://, rediss://host:port/db (TLS), unix:/path or "  \
      "sentinel://master@host:port,host:port/db")                              \
    X(redis_prefix, "redis.prefix", NAME, "tocsin", 0, 0,                      \
      "what the names of all streams begin with, as in tocsin_stream")         \
    X(redis_shards, "redis.shards", UINT, "1", 1, 64,                          \
      "number of shards, as in tocsin_stream")                                 \
    X(redis_username, "redis.username", TEXT, "\"\"", 0, 0,                    \
      "user of Redis' ACL; empty for the default user")                        \
    X(redis_password_file, "redis.password_file", PATH, "\"\"", 0, 0,          \
      "file whose first line is the password; read at every connect")          \
    X(redis_tls_ca, "redis.tls_ca", PATH, "\"\"", 0, 0,                        \
      "file of the CAs that sign Redis' certificate; empty: the system's")     \
    X(redis_tls_cert, "redis.tls_cert", PATH, "\"\"", 0, 0,                    \
      "certificate to show a Redis that asks for one")                         \
    X(redis_tls_key, "redis.tls_key", PATH, "\"\"", 0, 0,                      \
      "key of that certificate")                                               \
    X(redis_tls_name, "redis.tls_name", TEXT, "\"\"", 0, 0,                    \
      "name that Redis' certificate must bear; empty: the host of the URL; "   \
      "with sentinel:// it has TLS used, for which it is needed")              \
    X(redis_timeout, "redis.timeout", DURATION, "2s",                          \
      100 * CONFIG_MS, 8 * CONFIG_S,                                           \
      "how long connecting or one answer may take")                            \
    X(intake_lateness, "intake.lateness", DURATION, "500ms",                   \
      0, CONFIG_M,                                                             \
      "how long a tick waits for events that come late")                       \
    X(intake_backlog, "intake.backlog", DURATION, "10m",                       \
      0, 7 * CONFIG_D,                                                         \
      "how much history is read where there is no checkpoint")                 \
    X(series_by, "series.by", SETS,                                            \
      "[[], [server, route], [upstream], [upstream, peer], [cloud, region], "  \
      "[cloud]]", 0, 0,                                                        \
      "label sets: each combination of their values is a series, [] all of it")\
    X(series_tick, "series.tick", DURATION, "1s",                              \
      100 * CONFIG_MS, CONFIG_H,                                               \
      "length of a tick: how often each series is measured and judged")        \
    X(series_max, "series.max", UINT, "10000", 1, 1000000,                     \
      "most series; the one least recently seen leaves first")                 \
    X(series_idle, "series.idle", DURATION, "1h",                              \
      CONFIG_S, 30 * CONFIG_D,                                                 \
      "a series without an event for so long leaves")                          \
    X(model_path, "model.path", PATH, TOCSIN_DATADIR "/default.pt", 0, 0,      \
      "the model to begin with; owned by root or by us, writable by no other") \
    X(model_train, "model.train", BOOL, "true", 0, 0,                          \
      "whether it learns this deployment")                                     \
    X(model_train_every, "model.train_every", DURATION, "10m",                 \
      CONFIG_S, 7 * CONFIG_D,                                                  \
      "how often a challenger is trained")                                     \
    X(model_train_share, "model.train_share", REAL, "0.25", 0.01, 1,           \
      "the share of one core that training may take")                          \
    X(detect_false_alarms_per_day, "detect.false_alarms_per_day", REAL, "1",   \
      0.001, 10000,                                                            \
      "the budget of false alarms of the whole deployment")                    \
    X(detect_min_requests_per_minute, "detect.min_requests_per_minute", REAL,  \
      "20", 0, 1000000,                                                        \
      "a series with less traffic does not alarm on a few bad requests")       \
    X(detect_clear, "detect.clear", UINT, "10", 1, 3600,                       \
      "quiet ticks that end an alarm")                                         \
    X(notify_generator_url, "notify.generator_url", URL, "\"\"", 0, 0,         \
      "link to /_alerts that is sent with each alert")                         \
    X(notify_alertmanager, "notify.alertmanager", URLS, "[]", 0, 0,            \
      "Alertmanagers to tell, all of them")                                    \
    X(notify_webhook, "notify.webhook", WEBHOOKS, "[]", 0, 0,                  \
      "receivers of Alertmanager's webhook body: {url, bearer_file}")          \
    X(notify_smtp_server, "notify.smtp.server", TEXT, "\"\"", 0, 0,            \
      "smtp://host:port or smtps://host:port; empty for no mail")              \
    X(notify_smtp_from, "notify.smtp.from", TEXT, "\"\"", 0, 0,                \
      "sender of the mail")                                                    \
    X(notify_smtp_to, "notify.smtp.to", TEXT, "\"\"", 0, 0,                    \
      "its receivers, separated by commas")                                    \
    X(notify_smtp_username, "notify.smtp.username", TEXT, "\"\"", 0, 0,        \
      "user to log in as; empty for none")                                     \
    X(notify_smtp_password_file, "notify.smtp.password_file", PATH, "\"\"",    \
      0, 0,                                                                    \
      "file whose first line is the password")                                 \
    X(state_dir, "state.dir", PATH, "/var/lib/tocsin", 0, 0,                   \
      "directory of checkpoints and trained models")                           \
    X(state_every, "state.every", DURATION, "30s",                             \
      CONFIG_S, CONFIG_H,                                                      \
      "how often a checkpoint is written; maxlen must hold several times that")\
    X(log_level, "log.level", LEVEL, "info", 0, 0,                             \
      "error, warn, notice, info or debug")
/* clang-format on */

#endif
