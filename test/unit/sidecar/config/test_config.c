/* tocsin.yaml: the defaults, every type, and every message. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sidecar/base/buf.h"
#include "sidecar/config/config.h"
#include "sidecar/config/config_value.h"

static struct config config;
static struct err err;

static int parse(const char *text)
{
    return config_parse("t.yaml", text, strlen(text), &config, &err);
}

START_TEST(empty_is_valid)
{
    static const char *const empty[] = {"",    "# nothing\n", "---\n",
                                        "~\n", "redis:\n",    "{}\n"};
    struct config defaults;

    ck_assert_int_eq(config_load(NULL, &defaults, &err), 0);
    ck_assert_int_eq(parse(empty[_i]), 0);
    ck_assert_mem_eq(&config, &defaults, sizeof(config));
    ck_assert_str_eq(config.redis_url, "redis://127.0.0.1:6379/0");
    ck_assert_str_eq(config.redis_prefix, "tocsin");
    ck_assert(config.redis_shards == 1);
    ck_assert_str_eq(config.redis_password_file, "");
    ck_assert(config.intake_lateness == 500000);
    ck_assert_uint_eq(config.series_by.count, 6);
    ck_assert_uint_eq(config.series_by.sizes[0], 0);
    ck_assert_uint_eq(config.series_by.sizes[1], 2);
    ck_assert_str_eq(config.series_by.label[1][0], "server");
    ck_assert_str_eq(config.series_by.label[1][1], "route");
    ck_assert_str_eq(config.series_by.label[5][0], "cloud");
    ck_assert(config.series_tick == 1000000);
    ck_assert(config.series_max == 10000);
    ck_assert(config.series_idle == 3600000000u);
    ck_assert(config.model_train);
    ck_assert(config.model_train_share == 0.25);
    ck_assert(config.detect_false_alarms_per_day == 1.0);
    ck_assert(config.detect_clear == 10);
    ck_assert_uint_eq(config.notify_alertmanager.count, 0);
    ck_assert_str_eq(config.state_dir, "/var/lib/tocsin");
    ck_assert_int_eq(config.log_level, LOG_INFO);
}
END_TEST

START_TEST(example_is_the_defaults)
{
    struct config defaults;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    config_print_example(to);
    fclose(to);
    ck_assert_int_eq(config_load(NULL, &defaults, &err), 0);
    ck_assert_int_eq(config_parse("e", text, len, &config, &err), 0);
    ck_assert_mem_eq(&config, &defaults, sizeof(config));
    ck_assert_ptr_nonnull(strstr(text, "\n  smtp:\n    # "));
    free(text);
}
END_TEST

START_TEST(all_types)
{
    ck_assert_msg(parse("redis:\n"
                        "  url: unix:/run/r.sock?db=2\n"
                        "  prefix: a.b:c-d_1\n"
                        "  shards: 64\n"
                        "  username: 'x y'\n"
                        "intake: {lateness: 0}\n"
                        "series:\n"
                        "  by:\n"
                        "    - [zone, team]\n"
                        "    - [method]\n"
                        "  tick: 250ms\n"
                        "  idle: 2d\n"
                        "model: {train: false, train_share: 1e-1}\n"
                        "notify:\n"
                        "  alertmanager: [http://a:9093, 'https://b/am']\n"
                        "  webhook:\n"
                        "    - {url: http://hook/x, bearer_file: /etc/t}\n"
                        "    - url: http://hook/y\n"
                        "  smtp: {server: smtp://m:25, to: \"a@b, c@d\"}\n"
                        "log: {level: debug}\n") == 0,
                  "%s", err.message);
    ck_assert_str_eq(config.redis_url, "unix:/run/r.sock?db=2");
    ck_assert_str_eq(config.redis_prefix, "a.b:c-d_1");
    ck_assert(config.redis_shards == 64);
    ck_assert_str_eq(config.redis_username, "x y");
    ck_assert(config.intake_lateness == 0);
    ck_assert_uint_eq(config.series_by.count, 2);
    ck_assert_str_eq(config.series_by.label[0][1], "team");
    ck_assert_uint_eq(config.series_by.sizes[1], 1);
    ck_assert(config.series_tick == 250000);
    ck_assert(config.series_idle == 2 * CONFIG_D);
    ck_assert(!config.model_train);
    ck_assert(config.model_train_share == 0.1);
    ck_assert_uint_eq(config.notify_alertmanager.count, 2);
    ck_assert_str_eq(config.notify_alertmanager.url[1], "https://b/am");
    ck_assert_uint_eq(config.notify_webhook.count, 2);
    ck_assert_str_eq(config.notify_webhook.webhook[0].bearer_file, "/etc/t");
    ck_assert_str_eq(config.notify_webhook.webhook[1].url, "http://hook/y");
    ck_assert_str_eq(config.notify_smtp_to, "a@b, c@d");
    ck_assert_int_eq(config.log_level, LOG_DEBUG);
}
END_TEST

START_TEST(null_means_default)
{
    ck_assert_int_eq(parse("redis: {shards: , url: ~, prefix: null}"), 0);
    ck_assert(config.redis_shards == 1);
    ck_assert_str_eq(config.redis_prefix, "tocsin");
    ck_assert_int_eq(parse("redis: {prefix: 'null'}"), 0);
    ck_assert_str_eq(config.redis_prefix, "null");
}
END_TEST

/* What is written, and the whole message. */
static const char *const bad[][2] = {
    {"redis:\n  shard: 2\n", "t.yaml:2:3: redis.shard: unknown key (nearest "
                             "name: redis.shards)"},
    {"reddis: {}\n", "t.yaml:1:1: reddis: unknown key (nearest name: redis)"},
    {"notify:\n  smtp:\n    form: x\n",
     "t.yaml:3:5: notify.smtp.form: unknown key (nearest name: "
     "notify.smtp.from)"},
    {"redis.url: x\n",
     "t.yaml:1:1: redis.url: unknown key (nearest name: redis)"},
    {"notify.smtp: {}\n",
     "t.yaml:1:1: notify.smtp: unknown key (nearest name: notify)"},
    {"redis:\n  url: http://x\n",
     "t.yaml:2:8: redis.url: \"http://x\", expected redis://host:port/db, "
     "rediss://host:port/db, sentinel://master@host:port,host:port/db or "
     "unix:/path, without user and password"},
    {"redis: {url: 'redis://u:secret@x'}\n",
     "t.yaml:1:14: redis.url: \"...@...\", expected redis://host:port/db, "
     "rediss://host:port/db, sentinel://master@host:port,host:port/db or "
     "unix:/path, without user and password"},
    {"redis: {url: 'sentinel://redis:26379'}\n",
     "t.yaml:1:14: redis.url: sentinel://: no name of a master, expected "
     "sentinel://master@host:port,host:port/db"},
    {"redis: {prefix: 'a b'}\n",
     "t.yaml:1:17: redis.prefix: \"a b\", expected a name of letters, digits, "
     "'_', '.', ':' and '-'"},
    {"redis:\n  shards: many\n",
     "t.yaml:2:11: redis.shards: \"many\", expected a whole number from 1 to "
     "64"},
    {"redis: {shards: 0}\n",
     "t.yaml:1:17: redis.shards: \"0\", expected a whole number from 1 to 64"},
    {"redis: {shards: 65}\n",
     "t.yaml:1:17: redis.shards: \"65\", expected a whole number from 1 to "
     "64"},
    {"redis: {shards: -1}\n",
     "t.yaml:1:17: redis.shards: \"-1\", expected a whole number from 1 to "
     "64"},
    {"redis: {shards: 1.5}\n",
     "t.yaml:1:17: redis.shards: \"1.5\", expected a whole number from 1 to "
     "64"},
    {"redis: {shards: 99999999999999999999999}\n",
     "t.yaml:1:17: redis.shards: \"99999999999999999999999\", expected a whole "
     "number from 1 to 64"},
    {"redis: {shards: [1]}\n",
     "t.yaml:1:17: redis.shards: a list, expected a whole number from 1 to "
     "64"},
    {"redis: {shards: {a: 1}}\n",
     "t.yaml:1:17: redis.shards: a mapping, expected a whole number from 1 to "
     "64"},
    {"redis: 5\n", "t.yaml:1:8: redis: a text, expected a mapping of keys"},
    {"redis: []\n", "t.yaml:1:8: redis: a list, expected a mapping of keys"},
    {"series: {tick: 1}\n",
     "t.yaml:1:16: series.tick: \"1\", expected a duration as 500ms, 1s, 10m, "
     "1h or 7d, from 100ms to 1h"},
    {"series: {tick: 1 s}\n",
     "t.yaml:1:16: series.tick: \"1 s\", expected a duration as 500ms, 1s, "
     "10m, 1h or 7d, from 100ms to 1h"},
    {"series: {tick: 2h}\n",
     "t.yaml:1:16: series.tick: \"2h\", expected a duration as 500ms, 1s, 10m, "
     "1h or 7d, from 100ms to 1h"},
    {"redis: {timeout: 9s}\n",
     "t.yaml:1:18: redis.timeout: \"9s\", expected a duration as 500ms, 1s, "
     "10m, 1h or 7d, from 100ms to 8s"},
    {"intake: {lateness: 99999999999999999d}\n",
     "t.yaml:1:20: intake.lateness: \"99999999999999999d\", expected a "
     "duration as 500ms, 1s, 10m, 1h or 7d, from 0 to 1m"},
    {"model: {train_share: nan}\n",
     "t.yaml:1:22: model.train_share: \"nan\", expected a number from 0.01 to "
     "1"},
    {"model: {train_share: 1e999}\n",
     "t.yaml:1:22: model.train_share: \"1e999\", expected a number from 0.01 "
     "to 1"},
    {"model: {train_share: 0.25x}\n",
     "t.yaml:1:22: model.train_share: \"0.25x\", expected a number from 0.01 "
     "to 1"},
    {"model: {train: yes}\n",
     "t.yaml:1:16: model.train: \"yes\", expected true or false"},
    {"log: {level: loud}\n", "t.yaml:1:14: log.level: \"loud\", expected "
                             "error, warn, notice, info or debug"},
    {"state: {dir: \"a\\tb\"}\n", "t.yaml:1:14: state.dir: \"a?b\", expected a "
                                  "path of at most 255 bytes"},
    {"series: {by: server}\n",
     "t.yaml:1:14: series.by: \"server\", expected a list of 1 to 16 lists of "
     "up to 8 label names"},
    {"series: {by: [server]}\n",
     "t.yaml:1:15: series.by: \"server\", expected a list of 1 to 16 lists of "
     "up to 8 label names"},
    {"series: {by: [[a-b]]}\n",
     "t.yaml:1:16: series.by: \"a-b\", expected a list of 1 to 16 lists of up "
     "to 8 label names"},
    {"series: {by: [[a, b, a]]}\n",
     "t.yaml:1:22: series.by: \"a\" twice in one set, expected each once"},
    {"series: {by: []}\n", "t.yaml:1:14: series.by: an empty list, expected at "
                           "least one set"},
    {"series: {by: [[a,b,c,d,e,f,g,h,i]]}\n",
     "t.yaml:1:32: series.by: \"i\", expected a list of 1 to 16 lists of up to "
     "8 label names"},
    {"notify: {alertmanager: [ftp://x]}\n",
     "t.yaml:1:25: notify.alertmanager: \"ftp://x\", expected a URL that "
     "begins with http:// or https://"},
    {"notify: {alertmanager: ['http://u:p@x y']}\n",
     "t.yaml:1:25: notify.alertmanager: \"...@...\", expected a URL that "
     "begins with http:// or https://"},
    {"notify: {webhook: [{bearer_file: /x}]}\n",
     "t.yaml:1:20: notify.webhook: a webhook without url, expected one"},
    {"notify: {webhook: [{url: http://x, token: y}]}\n",
     "t.yaml:1:36: notify.webhook: \"token\", expected a list of at most 16 "
     "mappings {url, bearer_file}"},
    {"notify: {webhook: [{url: http://x, url: http://y}]}\n",
     "t.yaml:1:36: notify.webhook: \"url\" twice"},
    {"redis: {shards: 1, shards: 1}\n",
     "t.yaml:1:20: redis.shards: a second time, expected each key once"},
    {"redis: {}\nlog: {}\nredis: {}\n",
     "t.yaml:3:1: redis: a second time, expected each key once"},
    {"redis: &a {shards: 2}\n",
     "t.yaml:1:8: the anchor \"&a\", expected none: anchors and aliases are "
     "not taken"},
    {"redis: *a\n", "t.yaml:1:8: the alias \"*a\", expected none: anchors and "
                    "aliases are not taken"},
    {"redis: !x {}\n", "t.yaml:1:8: the tag \"!x\", expected none"},
    {"redis: {shards: !!int 1}\n", "t.yaml:1:17: the tag "
                                   "\"tag:yaml.org,2002:int\", expected none"},
    {"- redis\n", "t.yaml:1:1: expected a mapping of keys"},
    {"redis\n", "t.yaml:1:1: expected a mapping of keys"},
    {"[a]: b\n", "t.yaml:1:1: a key must be a text"},
    {"redis: {}\n---\nlog: {}\n", "t.yaml:2:1: a second document, expected "
                                  "one"},
    {"redis: \"a\\0b\"\n", "t.yaml:1:8: a text with a NUL byte"},
    {"redis: {\n", "t.yaml:2:1: not YAML: did not find expected node content "
                   "while parsing a flow node"},
    {"redis: {}\nlog: {}: {}\n",
     "t.yaml:2:8: not YAML: mapping values are not allowed in this context"},
    {"\xff\xfe", "t.yaml:1:1: not YAML: invalid leading UTF-8 octet"},
};

START_TEST(messages)
{
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(parse(bad[i][0]) == -1, "%s", bad[i][0]);
        ck_assert_str_eq(err.message, bad[i][1]);
    }
}
END_TEST

START_TEST(position_is_in_err)
{
    ck_assert_int_eq(parse("\n\nredis:\n  shards: x\n"), -1);
    ck_assert_int_eq(err.code, ERR_INPUT);
    ck_assert_uint_eq(err.line, 4);
    ck_assert_uint_eq(err.column, 11);
}
END_TEST

static void repeat(char *text, size_t size, const char *before,
                   const char *item, const char *after)
{
    struct buf list;
    unsigned i;

    buf_init(&list, size - 1);
    buf_puts(&list, before);
    for (i = 0; i < 17; i++) {
        buf_puts(&list, item);
    }
    buf_puts(&list, after);
    ck_assert(!list.failed);
    memcpy(text, list.data, list.len + 1);
    buf_release(&list);
}

START_TEST(too_many)
{
    char text[4096];

    repeat(text, sizeof(text), "notify: {alertmanager: [", "http://a,", "]}");
    ck_assert_int_eq(parse(text), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "at most 16"));

    repeat(text, sizeof(text), "series: {by: [", "[a],", "]}");
    ck_assert_int_eq(parse(text), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "1 to 16 lists"));

    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "state: {dir: ", 13);
    text[13 + 256] = '}';
    text[13 + 257] = '\0';
    ck_assert_int_eq(parse(text), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "xxx...\", expected a path"));
}
END_TEST

START_TEST(too_deep_and_too_large)
{
    char *text = malloc(CONFIG_FILE_MAX + 1);

    memset(text, '[', CONFIG_FILE_MAX + 1);
    ck_assert_int_eq(
        config_parse("t.yaml", text, CONFIG_FILE_MAX, &config, &err), -1);
    ck_assert_int_eq(
        config_parse("t.yaml", text, CONFIG_FILE_MAX + 1, &config, &err), -1);
    ck_assert_int_eq(err.code, ERR_LIMIT);
    ck_assert_str_eq(err.message, "t.yaml: larger than 1048576 bytes");
    memcpy(text, "redis: {shards: ", 16); /* deep below a known key */
    ck_assert_int_eq(config_parse("t.yaml", text, 100000, &config, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "a list, expected a whole"));
    free(text);
}
END_TEST

/* Every prefix of a full file is parsed or refused, never worse. */
START_TEST(every_cut)
{
    char *text = NULL;
    size_t len = 0, i;
    FILE *to = open_memstream(&text, &len);

    config_print_example(to);
    fclose(to);
    for (i = 0; i < len; i += 3) {
        char *exact = malloc(i + 1);

        memcpy(exact, text, i);
        if (config_parse("t.yaml", exact, i, &config, &err) != 0) {
            ck_assert_int_eq(strncmp(err.message, "t.yaml:", 7), 0);
        }
        free(exact);
    }
    free(text);
}
END_TEST

START_TEST(files)
{
    char path[] = "/tmp/tocsin-config-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(config_load(path, &config, &err), 0);
    ck_assert_int_eq(write(fd, "log: {level: x}\n", 16), 16);
    close(fd);
    ck_assert_int_eq(config_load(path, &config, &err), -1);
    ck_assert_int_eq(strncmp(err.message, path, strlen(path)), 0);
    ck_assert_ptr_nonnull(strstr(err.message, ":1:14: log.level: "));
    unlink(path);
    ck_assert_int_eq(config_load(path, &config, &err), -1);
    ck_assert_int_eq(err.code, ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.message, "No such file"));
}
END_TEST

static struct buf differing;

static void differs(void *ctx, const char *path)
{
    (void)ctx;
    buf_printf(&differing, "%s ", path);
}

START_TEST(comparing)
{
    struct config other;

    buf_init(&differing, 256);
    ck_assert_int_eq(parse(""), 0);
    other = config;
    config_compare(&config, &other, differs, NULL);
    ck_assert_ptr_null(differing.data);
    ck_assert_int_eq(parse("log: {level: warn}\nseries: {by: [[server]]}"), 0);
    config_compare(&config, &other, differs, NULL);
    ck_assert_str_eq(differing.data, "series.by log.level ");
    buf_release(&differing);
}
END_TEST

START_TEST(printed_lists_have_every_key)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    unsigned i;

    config_print_keys(to);
    config_print_help(to);
    fclose(to);
    for (i = 0; i < config_key_count; i++) {
        char line[128];

        snprintf(line, sizeof(line), ".It Cm %s\n", config_keys[i].path);
        ck_assert_ptr_nonnull(strstr(text, line));
        snprintf(line, sizeof(line), "\n  %s ", config_keys[i].path);
        ck_assert_ptr_nonnull(strstr(text, line));
    }
    free(text);
}
END_TEST

START_TEST(durations_as_text)
{
    char text[32];

    ck_assert_str_eq(config_duration_text(0, text), "0");
    ck_assert_str_eq(config_duration_text(1, text), "1us");
    ck_assert_str_eq(config_duration_text(1500000, text), "1500ms");
    ck_assert_str_eq(config_duration_text(90 * CONFIG_S, text), "90s");
    ck_assert_str_eq(config_duration_text(48 * CONFIG_H, text), "2d");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, empty_is_valid, 0, 6);
    tcase_add_test(tcase, example_is_the_defaults);
    tcase_add_test(tcase, all_types);
    tcase_add_test(tcase, null_means_default);
    tcase_add_test(tcase, messages);
    tcase_add_test(tcase, position_is_in_err);
    tcase_add_test(tcase, too_many);
    tcase_add_test(tcase, too_deep_and_too_large);
    tcase_add_test(tcase, every_cut);
    tcase_add_test(tcase, files);
    tcase_add_test(tcase, comparing);
    tcase_add_test(tcase, printed_lists_have_every_key);
    tcase_add_test(tcase, durations_as_text);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
