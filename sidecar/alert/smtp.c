/*
 * Mail: one for what became due together, in plain text. Everything in it is
 * wrapped in base64, so that no name of an upstream can end the body, add a
 * header or upset an old relay. Passwords are only sent over TLS.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "../base/clock.h"
#include "../base/file.h"
#include "delivery.h"
#include "text.h"

#define LINE 57 /* bytes in a line of base64 */
#define TEXT_MAX ((size_t)1 << 20)
#define SUBJECT_MAX 45 /* bytes in one encoded word */

static void put_base64(struct buf *to, const char *data, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t i;

    for (i = 0; i < len; i += 3) {
        uint32_t three = 0;
        unsigned k, have = len - i < 3 ? (unsigned)(len - i) : 3;

        for (k = 0; k < 3; k++) {
            three = three << 8 | (k < have ? (unsigned char)data[i + k] : 0);
        }
        for (k = 0; k < 4; k++) {
            buf_putc(to,
                     k <= have ? alphabet[three >> (18 - 6 * k) & 63] : '=');
        }
    }
}

static void put_body(struct buf *to, const struct buf *text)
{
    size_t at;

    for (at = 0; at < text->len; at += LINE) {
        size_t len = text->len - at < LINE ? text->len - at : LINE;

        put_base64(to, text->data + at, len);
        buf_puts(to, "\r\n");
    }
}

/* RFC 2047: words of at most 75 characters, folded. */
static void put_subject(struct buf *to, const struct buf *text)
{
    size_t at = 0;

    buf_puts(to, "Subject:");
    while (at < text->len) {
        struct tocsin_span rest = {text->data + at, text->len - at};
        struct tocsin_span word = tocsin_utf8_cut(rest, SUBJECT_MAX);

        if (word.len == 0) {
            break;
        }
        buf_puts(to, at == 0 ? " =?UTF-8?B?" : "\r\n =?UTF-8?B?");
        put_base64(to, word.data, word.len);
        buf_puts(to, "?=");
        at += word.len;
    }
    buf_puts(to, "\r\n");
}

static void write_subject(struct buf *to, const struct message *message)
{
    const struct tocsin_alert *first = message->alerts[0];
    size_t i, over = 0;

    for (i = 0; i < message->count; i++) {
        over += payload_is_over(message->alerts[i]);
    }
    buf_puts(to, "[tocsin] ");
    if (message->count == 1) {
        buf_puts(to, over ? "resolved: " : "firing: ");
        buf_put(to, first->summary.data, first->summary.len);
        return;
    }
    buf_printf(to, "%zu firing, %zu resolved; ", message->count - over, over);
    buf_put(to, first->summary.data, first->summary.len);
}

static void write_alert(struct buf *to, const struct tocsin_alert *alert)
{
    char time[CLOCK_RFC3339_SIZE];
    bool over = payload_is_over(alert);

    buf_puts(to, over ? "RESOLVED " : "FIRING ");
    buf_put(to, alert->alertname.data, alert->alertname.len);
    buf_puts(to, " (");
    buf_put(to, alert->severity.data, alert->severity.len);
    buf_puts(to, ")\r\n");
    buf_put(to, alert->description.data, alert->description.len);
    buf_printf(to, "\r\nstarted  %s\r\n", clock_rfc3339(alert->started, time));
    if (over) {
        buf_printf(to, "ended    %s\r\n", clock_rfc3339(alert->ended, time));
    }
    buf_puts(to, "\r\n");
}

static void write_text(struct buf *to, const struct message *message)
{
    size_t i;

    for (i = 0; i < message->count; i++) {
        write_alert(to, message->alerts[i]);
    }
    if (message->generator_url[0] != '\0') {
        buf_puts(to, message->generator_url);
        buf_puts(to, "\r\n");
    }
}

static void put_date(struct buf *to, uint64_t now)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed",
                                       "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr",
                                         "May", "Jun", "Jul", "Aug",
                                         "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(now / CLOCK_SECOND);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL) {
        return;
    }
    buf_printf(to, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n",
               days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
               tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void write_mail(struct buf *to, const struct receiver *receiver,
                       const struct message *message, const struct buf *text,
                       const struct buf *subject)
{
    const struct tocsin_alert *first = message->alerts[0];

    put_date(to, message->now);
    buf_printf(to, "From: %s\r\nTo: %s\r\n", receiver->from, receiver->to);
    put_subject(to, subject);
    buf_printf(to, "Message-ID: <%.*s.%" PRIu64 "@tocsin>\r\n",
               (int)first->id.len, first->id.data, message->now);
    buf_puts(to, "MIME-Version: 1.0\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\n"
                 "Content-Transfer-Encoding: base64\r\n"
                 "Auto-Submitted: auto-generated\r\n\r\n");
    put_body(to, text);
}

static int make_mail(struct delivery *delivery, const struct receiver *receiver,
                     const struct message *message, struct err *err)
{
    struct buf text, subject;
    int failed = 0;

    buf_init(&text, TEXT_MAX);
    buf_init(&subject, TEXT_MAX);
    write_text(&text, message);
    write_subject(&subject, message);
    write_mail(&delivery->body, receiver, message, &text, &subject);
    if (text.failed || subject.failed || delivery->body.failed) {
        failed = err_set(err, ERR_LIMIT, "the mail is too long");
    }
    buf_release(&text);
    buf_release(&subject);
    return failed;
}

static size_t read_mail(char *to, size_t size, size_t count, void *ctx)
{
    struct delivery *delivery = ctx;
    size_t room = size * count, left = delivery->body.len - delivery->sent;

    if (left < room) {
        room = left;
    }
    memcpy(to, delivery->body.data + delivery->sent, room);
    delivery->sent += room;
    return room;
}

/* "a@x, b@y": each is a recipient. */
static int add_recipients(struct delivery *delivery, const char *to,
                          struct err *err)
{
    while (*to != '\0') {
        size_t len = strcspn(to, ",");
        char address[256];

        while (len > 0 && *to == ' ') {
            to++;
            len--;
        }
        if (len >= sizeof(address)) {
            return err_set(err, ERR_USAGE, "a recipient is too long");
        }
        memcpy(address, to, len);
        address[len] = '\0';
        if (len > 0 && delivery_header(delivery, address, err) != 0) {
            return -1;
        }
        to += len + (to[len] == ',');
    }
    return 0;
}

static int log_in(CURL *easy, const struct receiver *receiver, struct err *err)
{
    struct buf password;
    int failed = 0;

    if (receiver->username[0] == '\0') {
        curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)CURLUSESSL_TRY);
        return 0;
    }
    buf_init(&password, 8192);
    if (receiver->secret_file[0] != '\0') {
        failed = file_read_secret(receiver->secret_file, &password, err);
    }
    if (failed == 0) {
        curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
        curl_easy_setopt(easy, CURLOPT_USERNAME, receiver->username);
        curl_easy_setopt(easy, CURLOPT_PASSWORD,
                         password.data == NULL ? "" : password.data);
    }
    file_forget(&password);
    return failed;
}

int smtp_prepare(struct delivery *delivery, const struct receiver *receiver,
                 const struct message *message, struct err *err)
{
    CURL *easy = delivery->easy;

    if (make_mail(delivery, receiver, message, err) != 0 ||
        add_recipients(delivery, receiver->to, err) != 0 ||
        log_in(easy, receiver, err) != 0) {
        return -1;
    }
    if (curl_easy_setopt(easy, CURLOPT_URL, receiver->url) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps") !=
            CURLE_OK) {
        return err_set(err, ERR_USAGE, "libcurl refuses %s", receiver->url);
    }
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, receiver->from);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, delivery->lines);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_mail);
    curl_easy_setopt(easy, CURLOPT_READDATA, delivery);
    return 0;
}
