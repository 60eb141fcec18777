/* What all deliveries by libcurl have in common. */
#include "delivery.h"

void delivery_clear(struct delivery *delivery)
{
    if (delivery->easy != NULL) {
        curl_easy_reset(delivery->easy); /* keeps its live connections */
    }
    curl_slist_free_all(delivery->lines);
    delivery->lines = NULL;
    delivery->sent = 0;
    buf_clear(&delivery->body);
}

void delivery_release(struct delivery *delivery)
{
    curl_easy_cleanup(delivery->easy);
    curl_slist_free_all(delivery->lines);
    buf_release(&delivery->body);
    *delivery = (struct delivery){0};
}

/* What the receiver says beyond its status is of no use to us. */
static size_t forget(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

int delivery_header(struct delivery *delivery, const char *line,
                    struct err *err)
{
    struct curl_slist *lines = curl_slist_append(delivery->lines, line);

    if (lines == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory");
    }
    delivery->lines = lines;
    return 0;
}

int delivery_post(struct delivery *delivery, const struct receiver *receiver,
                  struct err *err)
{
    CURL *easy = delivery->easy;

    if (delivery_header(delivery, "Content-Type: application/json", err) != 0 ||
        delivery_header(delivery, "Expect:", err) != 0) {
        return -1;
    }
    if (curl_easy_setopt(easy, CURLOPT_URL, receiver->url) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") !=
            CURLE_OK) {
        return err_set(err, ERR_USAGE, "libcurl refuses %s", receiver->url);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, delivery->lines);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, delivery->body.data);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)delivery->body.len);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, forget);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "tocsin/" TOCSIN_VERSION);
    return 0;
}
