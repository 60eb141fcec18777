/*
 * Redis' replies as the module takes them: its own reader in front of hiredis',
 * and behind them the feed, from entries to the board. Two bytes say what was
 * asked for and in how large pieces the answer comes, which makes no difference
 * to what is heard.
 */
#include "fuzz.h"
#include "ngx_module/ngx_http_tocsin_feed.h"
#include "ngx_module/ngx_tocsin_link.h"

#define PAGES 24
#define HEARD_MAX 65536

struct fuzz_heard {
    char text[HEARD_MAX];
    size_t len;
    bool id; /* the reply is one: its end is no news */
    ngx_http_tocsin_feed_t feed;
    ngx_tocsin_link_t link;
};

/* ------------------------------------------ what nginx and the rest would do
 */

volatile ngx_msec_t ngx_current_msec = 1000;
ngx_uint_t ngx_pagesize = 4096;
ngx_pid_t ngx_pid = 4711;
static ngx_log_t fuzz_log;
static ngx_cycle_t fuzz_cycle = {.log = &fuzz_log};
volatile ngx_cycle_t *ngx_cycle = &fuzz_cycle;

void *ngx_alloc(size_t size, ngx_log_t *log)
{
    (void)log;
    return malloc(size);
}

/* Of the one board: fresh pages cost more than all the rest. */
void *ngx_slab_calloc(ngx_slab_pool_t *pool, size_t size)
{
    static union {
        uint64_t align[8];
        u_char bytes[PAGES * 4096];
    } board;

    (void)pool;
    MUST(size == sizeof(board));
    return memset(&board, 0, size);
}

off_t ngx_atoof(u_char *line, size_t n)
{
    off_t value = 0;

    if (n == 0) {
        return NGX_ERROR;
    }
    for (; n-- != 0; line++) {
        if (*line < '0' || *line > '9' ||
            value > (NGX_MAX_OFF_T_VALUE - (*line - '0')) / 10) {
            return NGX_ERROR;
        }
        value = value * 10 + (*line - '0');
    }
    return value;
}

uint64_t ngx_tocsin_now(void)
{
    return UINT64_C(1700000000000000);
}

void ngx_tocsin_link_fail(ngx_tocsin_link_t *link, ngx_uint_t level,
                          const char *reason, size_t len)
{
    MUST(level == NGX_LOG_ERR || level == NGX_LOG_WARN);
    MUST(reason != NULL && len > 0);
    link->failed = 1;
}

void ngx_tocsin_link_greeted(ngx_tocsin_link_t *link)
{
    link->state = NGX_TOCSIN_LINK_READY;
}

void ngx_tocsin_sentinel_string(ngx_tocsin_link_t *link, ngx_uint_t depth,
                                u_char *p, size_t len)
{
    (void)link, (void)depth, (void)p, (void)len;
}

void ngx_tocsin_sentinel_told(ngx_tocsin_link_t *link)
{
    (void)link;
}

void ngx_tocsin_sentinel_role(ngx_tocsin_link_t *link, ngx_uint_t depth,
                              u_char *p, size_t len)
{
    (void)link, (void)depth, (void)p, (void)len;
}

ngx_int_t ngx_tocsin_sentinel_is_master(ngx_tocsin_link_t *link)
{
    (void)link;
    return NGX_OK;
}

void ngx_tocsin_link_good(ngx_tocsin_link_t *link)
{
    link->served = 1;
}

void ngx_http_tocsin_follow_fault(ngx_http_tocsin_feed_t *feed,
                                  const char *text, size_t len)
{
    (void)feed;
    MUST(text != NULL && len > 0);
}

/* ------------------------------------------------------- what is heard of it
 */

static void hear(void *data, const char *what, ngx_uint_t depth, int64_t number,
                 const u_char *p, size_t len)
{
    struct fuzz_heard *heard = data;
    int n = snprintf(heard->text + heard->len, HEARD_MAX - heard->len,
                     "%s %u %lld ", what, (unsigned)depth, (long long)number);
    size_t room;

    if (n < 0 || heard->len + (size_t)n + len >= HEARD_MAX) {
        return;
    }
    heard->len += (size_t)n;
    room = HEARD_MAX - heard->len;
    memcpy(heard->text + heard->len, p, len < room ? len : room);
    heard->len += len;
}

static void on_array(void *data, ngx_uint_t depth, size_t elements)
{
    hear(data, "array", depth, (int64_t)elements, (const u_char *)"", 0);
    ngx_http_tocsin_entry_array(&((struct fuzz_heard *)data)->feed, depth,
                                elements);
}

static bool is_id(const u_char *p, size_t len)
{
    const u_char *dash = len == 0 ? NULL : memchr(p, '-', len);

    return dash != NULL && ngx_atoof((u_char *)p, (size_t)(dash - p)) >= 0 &&
           ngx_atoof((u_char *)dash + 1, (size_t)(p + len - dash - 1)) >= 0;
}

/* Ids come by two ways, and which one depends on the pieces. */
static void on_string(void *data, ngx_uint_t depth, u_char *p, size_t len)
{
    struct fuzz_heard *heard = data;

    if (depth == 0 && heard->link.handler->ids != NULL && is_id(p, len)) {
        hear(data, "id", 0, 0, (const u_char *)"", 0);
        heard->id = true;
        return;
    }
    hear(data, "string", depth, 0, p, len);
    ngx_http_tocsin_entry_string(&((struct fuzz_heard *)data)->feed, depth, p,
                                 len);
}

static void on_integer(void *data, ngx_uint_t depth, int64_t value)
{
    hear(data, "integer", depth, value, (const u_char *)"", 0);
    ngx_http_tocsin_entry_integer(&((struct fuzz_heard *)data)->feed, depth,
                                  value);
}

static void on_nil(void *data, ngx_uint_t depth)
{
    hear(data, "nil", depth, 0, (const u_char *)"", 0);
    ngx_http_tocsin_entry_nil(&((struct fuzz_heard *)data)->feed, depth);
}

static void on_error(void *data, ngx_uint_t depth, u_char *p, size_t len)
{
    hear(data, "error", depth, (int64_t)ngx_tocsin_refusal(p, len), p, len);
}

static void on_end(void *data)
{
    struct fuzz_heard *heard = data;

    if (!heard->id) {
        hear(data, "end", 0, 0, (const u_char *)"", 0);
    }
    heard->id = false;
}

static void on_ids(void *data, ngx_uint_t n)
{
    /* as many replies as it says, whole */
    while (n-- > 0) {
        hear(data, "id", 0, 0, (const u_char *)"", 0);
    }
}

static const ngx_tocsin_link_handler_t with_ids = {
    on_array, on_string, on_integer, on_nil, on_error,
    on_end,   NULL,      NULL,       on_ids, NULL,
};

static const ngx_tocsin_link_handler_t without_ids = {
    on_array, on_string, on_integer, on_nil, on_error,
    on_end,   NULL,      NULL,       NULL,   NULL,
};

/* ------------------------------------------------------------- the connection
 */

static struct tocsin_span incoming;
static size_t piece;

static ssize_t receive(ngx_connection_t *c, u_char *to, size_t room)
{
    size_t len = incoming.len < piece ? incoming.len : piece;

    MUST(room > 0);
    len = len < room ? len : room;
    if (len == 0) {
        c->read->ready = 0;
        return NGX_AGAIN;
    }
    memcpy(to, incoming.data, len);
    incoming = tocsin_span_of(incoming.data + len, incoming.len - len);
    return (ssize_t)len;
}

static void open_feed(ngx_http_tocsin_feed_t *feed, unsigned choice)
{
    static ngx_http_tocsin_alerts_t alerts;
    ngx_slab_pool_t pool = {.pfree = PAGES};
    ngx_shm_zone_t zone = {.shm = {.addr = (u_char *)&pool}};

    memset(feed, 0, sizeof(*feed));
    feed->board = ngx_http_tocsin_board_create(&zone);
    MUST(feed->board != NULL);
    MUST(ngx_http_tocsin_board_acquire(feed->board) == NGX_OK);
    feed->alerts = &alerts;
    feed->log = &fuzz_log;
    ngx_str_set(&feed->series_key, "tocsin:board");
    feed->step =
        choice & 4 ? ngx_http_tocsin_feed_follow : ngx_http_tocsin_feed_history;
    feed->series = (choice & 8) != 0;
    feed->oldest.ms = NGX_MAX_INT_T_VALUE;
    ngx_http_tocsin_alerts_restore(feed->alerts, feed->board, &fuzz_log);
}

static void close_feed(ngx_http_tocsin_feed_t *feed)
{
    ngx_http_tocsin_copy_t copy = {0};

    ngx_http_tocsin_alerts_write(feed->alerts, feed->board);
    if (ngx_http_tocsin_board_read(feed->board, NGX_HTTP_TOCSIN_DOC_SERIES,
                                   &copy) == NGX_OK) {
        struct tocsin_board series;

        MUST(copy.len >= sizeof(ngx_http_tocsin_series_head_t));
        ngx_http_tocsin_series_decode(
            &series,
            tocsin_span_of((char *)copy.data +
                               sizeof(ngx_http_tocsin_series_head_t),
                           copy.len - sizeof(ngx_http_tocsin_series_head_t)));
        ngx_http_tocsin_copy_free(&copy);
    }
    ngx_http_tocsin_alerts_free(feed->alerts);
    ngx_free(feed->buf);
    ngx_free(feed->active);
}

static void take(struct fuzz_heard *heard, unsigned choice,
                 struct tocsin_span text, size_t size)
{
    static u_char in[NGX_TOCSIN_IN];
    ngx_event_t reading = {.ready = 1};
    ngx_connection_t connection = {.read = &reading, .recv = receive};
    ngx_tocsin_link_t *link = &heard->link;

    heard->len = 0;
    heard->id = false;
    memset(link, 0, sizeof(*link));
    link->handler = choice & 1 ? &with_ids : &without_ids;
    link->data = heard;
    link->connection = &connection;
    link->in = in;
    link->greetings = choice & 2 ? 2 : 0;
    link->commands = choice >> 4;
    MUST(ngx_tocsin_reply_init(link) == NGX_OK);
    open_feed(&heard->feed, choice);

    incoming = text;
    piece = size;
    while (incoming.len != 0 && !link->failed) {
        reading.ready = 1;
        ngx_tocsin_reply_read(link);
        MUST(link->in_last >= link->in && link->in_last <= in + sizeof(in));
    }
    close_feed(&heard->feed);
    ngx_tocsin_reply_free(link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_heard whole, pieces;
    struct tocsin_span text = fuzz_span(data, size);
    unsigned choice = fuzz_byte(&text);
    size_t small = fuzz_byte(&text) + 1;

    take(&whole, choice, text, NGX_TOCSIN_IN);
    take(&pieces, choice, text, small);
    MUST(whole.link.failed == pieces.link.failed);
    MUST(whole.link.commands == pieces.link.commands);
    MUST(whole.len == pieces.len);
    MUST(memcmp(whole.text, pieces.text, whole.len) == 0);
    return 0;
}
