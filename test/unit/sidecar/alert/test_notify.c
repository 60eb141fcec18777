/* The notifiers without a network: options, and receivers that are away. The
 * deliveries themselves are tested with real receivers in test/system. */
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sidecar/alert/notify.h"
#include "sidecar/base/log.h"

static void refuse(struct notify_options options, const char *word)
{
    struct err err;

    ck_assert_ptr_null(notify_create(&options, &err));
    ck_assert_int_eq(err.code, ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, word));
}

START_TEST(wrong_options_are_refused)
{
    struct notify_options options = {.generator_url = ""};

    options.alertmanager_count = 1;
    options.alertmanagers[0] = "localhost:9093";
    refuse(options, "http://");
    options.alertmanager_count = 0;
    options.webhook_count = 1;
    options.webhooks[0].url = "file:///etc/passwd";
    refuse(options, "file:///etc/passwd");
    options.webhook_count = 0;
    options.smtp.server = "smtp://localhost";
    refuse(options, "from");
    options.smtp.from = "a@b\r\nBcc: everybody@b";
    options.smtp.to = "c@d";
    refuse(options, "line break");
    options.smtp.from = "a@b";
    options.smtp.server = "localhost:25";
    refuse(options, "smtps://");
}
END_TEST

static void tell(struct notify *notify, unsigned number, const char *state)
{
    struct tocsin_alert alert;
    char id[32];

    snprintf(id, sizeof(id), "%u", number);
    tocsin_alert_init(&alert);
    alert.id = tocsin_span_str(id);
    alert.state = tocsin_span_str(state);
    alert.severity = TOCSIN_SPAN("warning");
    alert.labels = TOCSIN_SPAN("upstream=shop");
    notify_alert(notify, &alert, false);
}

START_TEST(without_receivers_nothing_happens)
{
    struct notify_options options = {.generator_url = ""};
    struct err err;
    struct notify *notify = notify_create(&options, &err);

    ck_assert_ptr_nonnull(notify);
    tell(notify, 1, "firing");
    ck_assert_uint_eq(notify_stats(notify).dropped, 0);
    notify_destroy(notify);
}
END_TEST

/* A port that refuses whoever comes: bound, so that nobody else gets it, but
 * not listened at. */
static unsigned closed_port(int *fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);

    *fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(*fd, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(*fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(*fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

/* Nobody hears of anything, so nothing leaves the mailbag: what fits into it
 * does not depend on how fast the thread is. Ends come after the failures: an
 * end before anybody was told would leave nothing to deliver. */
START_TEST(receivers_that_are_away_cost_nothing_but_counts)
{
    struct notify_options options = {.generator_url = "", .max = 50};
    struct notify_stats stats;
    struct notify *notify;
    struct err err;
    char url[64], mail[64];
    unsigned i;
    int fd;

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", closed_port(&fd));
    snprintf(mail, sizeof(mail), "smtp%s", url + strlen("http"));
    options.alertmanagers[0] = url;
    options.alertmanager_count = 1;
    options.webhooks[0] = (struct notify_webhook){url, "/nonexistent/token"};
    options.webhook_count = 1;
    options.smtp = (struct notify_smtp){mail, "a@b", "c@d", "", ""};
    log_set_level(LOG_ERROR);
    notify = notify_create(&options, &err);
    ck_assert_ptr_nonnull(notify);
    for (i = 0; i < 100; i++) {
        tell(notify, i, "firing");
    }
    while (notify_stats(notify).failed < 3) {
        usleep(1000);
    }
    stats = notify_stats(notify);
    ck_assert_uint_eq(stats.sent, 0);
    ck_assert_uint_eq(stats.dropped, 50);
    ck_assert_uint_eq(stats.given_up, 0);
    for (i = 0; i < 100; i++) {
        tell(notify, i, "resolved");
    }
    notify_destroy(notify);
    close(fd);
}
END_TEST

static struct notify *create_webhook(const char *url)
{
    struct notify_options options = {.generator_url = ""};
    struct notify *notify;
    struct err err;

    options.webhooks[0] = (struct notify_webhook){url, ""};
    options.webhook_count = 1;
    notify = notify_create(&options, &err);
    ck_assert_ptr_nonnull(notify);
    return notify;
}

/* One that takes over from another, which ends. */
static struct notify *hand_over(struct notify *old, const char *url)
{
    struct notify *notify = create_webhook(url);
    struct cursor from;
    struct buf saved;
    struct err err;

    buf_init(&saved, (size_t)1 << 20);
    notify_save(old, &saved);
    from = (struct cursor){.data = saved.data, .len = saved.len};
    ck_assert_int_eq(notify_restore(notify, &from, &err), 0);
    buf_release(&saved);
    notify_destroy(old);
    return notify;
}

static bool is_whole(const char *request)
{
    const char *body = strstr(request, "\r\n\r\n");
    const char *length = strstr(request, "Content-Length: ");

    return body != NULL && length != NULL &&
           strlen(body + 4) ==
               strtoul(length + strlen("Content-Length: "), NULL, 10);
}

/* Takes one request and answers, if told to. */
static int take(int listener, bool answer)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                             "Connection: close\r\n\r\n";
    char request[16384] = "";
    size_t len = 0;
    int fd = accept(listener, NULL, NULL);

    ck_assert_int_ge(fd, 0);
    while (!is_whole(request)) {
        ssize_t n = read(fd, request + len, sizeof(request) - 1 - len);

        ck_assert_int_gt(n, 0);
        len += (size_t)n;
        request[len] = '\0';
    }
    ck_assert_ptr_nonnull(strstr(request, "\"status\":\"firing\""));
    if (answer) {
        ck_assert_int_eq(write(fd, ok, strlen(ok)), (ssize_t)strlen(ok));
        close(fd);
    }
    return fd;
}

static void wait_sent(struct notify *notify)
{
    while (notify_stats(notify).sent < 1) {
        usleep(1000);
    }
}

/* Finishing tries again after one second and after two more; whoever parts
 * does not, and the next one tells it, once. */
START_TEST(what_waits_when_it_parts_is_left_to_the_next)
{
    struct notify *notify;
    uint64_t failed;
    char url[64];
    int fd;

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", closed_port(&fd));
    log_set_level(LOG_ERROR);
    notify = create_webhook(url);
    tell(notify, 1, "firing");
    while ((failed = notify_stats(notify).failed) < 1) {
        usleep(1000);
    }
    notify_part(notify);
    ck_assert_uint_le(notify_stats(notify).failed, failed + 1);
    ck_assert_int_eq(listen(fd, 8), 0);
    notify = hand_over(notify, url);
    take(fd, true);
    wait_sent(notify);
    tell(notify, 1, "firing"); /* a reminder */
    notify_finish(notify);
    ck_assert_uint_eq(notify_stats(notify).sent, 1);
    notify_destroy(notify);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(accept(fd, NULL, NULL), -1);
    close(fd);
}
END_TEST

START_TEST(who_hangs_when_it_parts_is_told_by_the_next)
{
    struct notify *notify;
    char url[64];
    int fd, hung;

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", closed_port(&fd));
    ck_assert_int_eq(listen(fd, 8), 0);
    notify = create_webhook(url);
    tell(notify, 1, "firing");
    hung = take(fd, false);
    notify_part(notify);
    notify = hand_over(notify, url);
    take(fd, true);
    wait_sent(notify);
    notify_destroy(notify);
    close(hung);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tcase = tcase_create("facade");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, wrong_options_are_refused);
    tcase_add_test(tcase, without_receivers_nothing_happens);
    tcase_add_test(tcase, receivers_that_are_away_cost_nothing_but_counts);
    tcase_add_test(tcase, what_waits_when_it_parts_is_left_to_the_next);
    tcase_add_test(tcase, who_hangs_when_it_parts_is_told_by_the_next);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
