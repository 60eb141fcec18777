
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <shared/resp.h>

#include "ngx_http_tocsin_command.h"


#define NGX_HTTP_TOCSIN_COMMAND_TICK  100    /* ms */
#define NGX_HTTP_TOCSIN_COMMAND_IDLE  10000
#define NGX_HTTP_TOCSIN_COMMAND_MAX   256    /* that wait in a worker */


typedef struct {
    ngx_queue_t                   queue;
    ngx_http_request_t           *request;    /* NULL: it went away */
    ngx_http_tocsin_command_pt    handler;
    void                         *data;
    ngx_msec_t                    deadline;
    unsigned                      sent:1;
    size_t                        len;
    u_char                        bytes[1];
} ngx_http_tocsin_order_t;


typedef struct {
    ngx_tocsin_conf_t            *conf;
    ngx_tocsin_link_t            *link;
    ngx_queue_t                   orders;     /* in order of sending */
    ngx_uint_t                    n;
    ngx_connection_t              connection; /* of the timer, for the log */
    ngx_event_t                   timer;
    ngx_msec_t                    used;
    u_char                        error[128];
    size_t                        error_len;
    unsigned                      started:1;
} ngx_http_tocsin_commands_t;


static ngx_http_tocsin_order_t *ngx_http_tocsin_command_encode(
    ngx_http_tocsin_commands_t *commands, struct tocsin_command *command,
    ngx_log_t *log);
static void ngx_http_tocsin_command_put(struct tocsin_out *out,
    ngx_http_tocsin_commands_t *commands, struct tocsin_command *command);
static void ngx_http_tocsin_command_start(
    ngx_http_tocsin_commands_t *commands);
static void ngx_http_tocsin_command_more(void *data);
static ngx_http_tocsin_order_t *ngx_http_tocsin_command_replied(
    ngx_http_tocsin_commands_t *commands);
static void ngx_http_tocsin_command_finish(ngx_http_tocsin_order_t *order,
    ngx_int_t rc, const char *reason);
static void ngx_http_tocsin_command_remove(
    ngx_http_tocsin_commands_t *commands, ngx_http_tocsin_order_t *order);
static void ngx_http_tocsin_command_late(ngx_http_tocsin_commands_t *commands,
    ngx_http_tocsin_order_t *order);
static void ngx_http_tocsin_command_timer(ngx_event_t *ev);
static void ngx_http_tocsin_command_gone(void *data);
static void ngx_http_tocsin_command_error(void *data, ngx_uint_t depth,
    u_char *p, size_t len);
static void ngx_http_tocsin_command_reply(void *data);
static void ngx_http_tocsin_command_lost(void *data);
static void ngx_http_tocsin_command_array(void *data, ngx_uint_t depth,
    size_t elements);
static void ngx_http_tocsin_command_string(void *data, ngx_uint_t depth,
    u_char *p, size_t len);
static void ngx_http_tocsin_command_integer(void *data, ngx_uint_t depth,
    int64_t value);
static void ngx_http_tocsin_command_nil(void *data, ngx_uint_t depth);


static const ngx_tocsin_link_handler_t  ngx_http_tocsin_command_handler = {
    ngx_http_tocsin_command_array,
    ngx_http_tocsin_command_string,
    ngx_http_tocsin_command_integer,
    ngx_http_tocsin_command_nil,
    ngx_http_tocsin_command_error,
    ngx_http_tocsin_command_reply,
    ngx_http_tocsin_command_more,
    ngx_http_tocsin_command_lost,
    NULL,
    NULL
};


ngx_int_t
ngx_http_tocsin_command_send(ngx_http_request_t *r,
    struct tocsin_command *command, ngx_http_tocsin_command_pt handler,
    void *data)
{
    ngx_pool_cleanup_t          *cln;
    ngx_http_tocsin_order_t     *order;
    ngx_http_tocsin_commands_t  *commands;

    commands = ngx_http_tocsin_get_feed(r)->commands;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL || commands->n == NGX_HTTP_TOCSIN_COMMAND_MAX) {
        return NGX_ERROR;
    }

    order = ngx_http_tocsin_command_encode(commands, command,
                                           r->connection->log);
    if (order == NULL) {
        return NGX_ERROR;
    }

    order->request = r;
    order->handler = handler;
    order->data = data;
    order->deadline = ngx_current_msec + NGX_HTTP_TOCSIN_COMMAND_WAIT;

    ngx_queue_insert_tail(&commands->orders, &order->queue);
    commands->n++;

    cln->handler = ngx_http_tocsin_command_gone;
    cln->data = order;

    ngx_http_tocsin_command_start(commands);
    ngx_http_tocsin_command_more(commands);

    return NGX_OK;
}


static ngx_http_tocsin_order_t *
ngx_http_tocsin_command_encode(ngx_http_tocsin_commands_t *commands,
    struct tocsin_command *command, ngx_log_t *log)
{
    struct tocsin_out         out;
    ngx_http_tocsin_order_t  *order;

    ngx_memzero(&out, sizeof(struct tocsin_out));

    ngx_http_tocsin_command_put(&out, commands, command);

    order = ngx_alloc(sizeof(ngx_http_tocsin_order_t) + out.need, log);
    if (order == NULL) {
        return NULL;
    }

    ngx_memzero(order, sizeof(ngx_http_tocsin_order_t));

    out.data = (char *) order->bytes;
    out.cap = out.need;
    out.need = 0;

    ngx_http_tocsin_command_put(&out, commands, command);

    order->len = out.need;

    return order;
}


static void
ngx_http_tocsin_command_put(struct tocsin_out *out,
    ngx_http_tocsin_commands_t *commands, struct tocsin_command *command)
{
    u_char      key[1024], *p;
    ngx_str_t  *prefix;

    prefix = &commands->conf->prefix;

    p = ngx_snprintf(key, sizeof(key), "%V:" TOCSIN_STREAM_COMMANDS, prefix);

    tocsin_resp_put_array(out, 6 + 2 * tocsin_command_field_count());
    tocsin_resp_put(out, TOCSIN_SPAN("XADD"));
    tocsin_resp_put(out, tocsin_span_of((char *) key, p - key));
    tocsin_resp_put(out, TOCSIN_SPAN("MAXLEN"));
    tocsin_resp_put(out, TOCSIN_SPAN("~"));
    tocsin_resp_put(out, TOCSIN_SPAN("10000"));
    tocsin_resp_put(out, TOCSIN_SPAN("*"));
    tocsin_command_encode(out, command);
}


static void
ngx_http_tocsin_command_start(ngx_http_tocsin_commands_t *commands)
{
    commands->used = ngx_current_msec;

    if (!commands->started) {
        commands->started = 1;
        ngx_tocsin_link_start(commands->link);
    }

    if (!commands->timer.timer_set) {
        ngx_add_timer(&commands->timer, NGX_HTTP_TOCSIN_COMMAND_TICK);
    }
}


/* the link may take (more of) what waits */

static void
ngx_http_tocsin_command_more(void *data)
{
    ngx_http_tocsin_commands_t *commands = data;

    ngx_queue_t              *next;
    ngx_http_tocsin_order_t  *order;

    next = ngx_queue_head(&commands->orders);

    while (next != ngx_queue_sentinel(&commands->orders)) {
        order = ngx_queue_data(next, ngx_http_tocsin_order_t, queue);

        next = ngx_queue_next(next);

        if (order->sent || order->request == NULL) {
            continue;
        }

        if (ngx_tocsin_link_send(commands->link, order->bytes, order->len)
            != NGX_OK)
        {
            break;
        }

        order->sent = 1;
    }
}


static void
ngx_http_tocsin_command_remove(ngx_http_tocsin_commands_t *commands,
    ngx_http_tocsin_order_t *order)
{
    ngx_queue_remove(&order->queue);
    commands->n--;
}


static void
ngx_http_tocsin_command_finish(ngx_http_tocsin_order_t *order, ngx_int_t rc,
    const char *reason)
{
    ngx_connection_t            *c;
    ngx_pool_cleanup_t          *cln;
    ngx_http_request_t          *r;
    ngx_http_tocsin_command_pt   handler;

    r = order->request;
    handler = order->handler;

    if (r == NULL) {
        return;
    }

    order->request = NULL;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_tocsin_command_gone
            && cln->data == order)
        {
            cln->handler = NULL;
            break;
        }
    }

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    handler(r, order->data, rc, reason);

    ngx_http_run_posted_requests(c);
}


/* the client went away; what was sent is replied to nevertheless */

static void
ngx_http_tocsin_command_gone(void *data)
{
    ngx_http_tocsin_order_t *order = data;

    order->request = NULL;
}


static void
ngx_http_tocsin_command_late(ngx_http_tocsin_commands_t *commands,
    ngx_http_tocsin_order_t *order)
{
    char    trouble[128];
    u_char  text[256];

    if (order->sent) {
        ngx_http_tocsin_command_finish(order, NGX_ERROR,
                              "Redis has not answered in time: "
                              "it may or may not have taken the command");
        return;
    }

    ngx_tocsin_link_trouble(commands->link, trouble, sizeof(trouble));

    ngx_snprintf(text, sizeof(text),
                 "Redis is away, nothing was changed: %s%Z", trouble);

    ngx_http_tocsin_command_finish(order, NGX_ERROR, (char *) text);
}


static void
ngx_http_tocsin_command_timer(ngx_event_t *ev)
{
    ngx_msec_t                   idle;
    ngx_queue_t                 *next;
    ngx_connection_t            *c;
    ngx_http_tocsin_order_t     *order;
    ngx_http_tocsin_commands_t  *commands;

    c = ev->data;
    commands = c->data;

    next = ngx_queue_head(&commands->orders);

    while (next != ngx_queue_sentinel(&commands->orders)) {
        order = ngx_queue_data(next, ngx_http_tocsin_order_t, queue);
        next = ngx_queue_next(next);

        if (order->request
            && (ngx_msec_int_t) (ngx_current_msec - order->deadline) >= 0)
        {
            ngx_http_tocsin_command_late(commands, order);
        }

        if (order->request == NULL && !order->sent) {
            ngx_http_tocsin_command_remove(commands, order);
            ngx_free(order);
        }
    }

    if (!ngx_queue_empty(&commands->orders)) {
        commands->used = ngx_current_msec;
    }

    idle = ngx_current_msec - commands->used;

    if (idle >= NGX_HTTP_TOCSIN_COMMAND_IDLE
        || (ngx_exiting && ngx_queue_empty(&commands->orders)))
    {
        ngx_tocsin_link_stop(commands->link);
        commands->started = 0;
        return;
    }

    ngx_add_timer(&commands->timer, NGX_HTTP_TOCSIN_COMMAND_TICK);
}


/*
 * Replies come in the order of sending; before what was sent there may be
 * orders that were not, and whose clients went away.
 */

static ngx_http_tocsin_order_t *
ngx_http_tocsin_command_replied(ngx_http_tocsin_commands_t *commands)
{
    ngx_queue_t              *q;
    ngx_http_tocsin_order_t  *order;

    q = ngx_queue_head(&commands->orders);

    while (q != ngx_queue_sentinel(&commands->orders)) {
        order = ngx_queue_data(q, ngx_http_tocsin_order_t, queue);

        if (order->sent) {
            return order;
        }

        q = ngx_queue_next(q);
    }

    return NULL;
}


static void
ngx_http_tocsin_command_reply(void *data)
{
    ngx_http_tocsin_commands_t *commands = data;

    u_char                    text[256];
    ngx_int_t                 rc;
    ngx_http_tocsin_order_t  *order;

    order = ngx_http_tocsin_command_replied(commands);

    if (order == NULL) {
        return;
    }

    rc = NGX_OK;

    if (commands->error_len) {
        ngx_snprintf(text, sizeof(text), "Redis refused it: %*s%Z",
                     commands->error_len, commands->error);
        commands->error_len = 0;
        rc = NGX_ERROR;
    }

    ngx_http_tocsin_command_more(commands);

    /* out of the queue first: whatever the handler does may look there */

    ngx_http_tocsin_command_remove(commands, order);

    ngx_http_tocsin_command_finish(order, rc,
                                   rc == NGX_OK ? NULL : (char *) text);
    ngx_free(order);
}


static void
ngx_http_tocsin_command_error(void *data, ngx_uint_t depth, u_char *p,
    size_t len)
{
    ngx_http_tocsin_commands_t *commands = data;

    if (depth == 0 && len) {
        commands->error_len = ngx_min(len, sizeof(commands->error));
        ngx_memcpy(commands->error, p, commands->error_len);
    }
}


/*
 * Nobody knows what Redis took of what was sent.  It is sent again: a command
 * that is done twice is as one, for it has the id of its silence.
 */

static void
ngx_http_tocsin_command_lost(void *data)
{
    ngx_http_tocsin_commands_t *commands = data;

    ngx_queue_t              *next;
    ngx_http_tocsin_order_t  *order;

    commands->error_len = 0;

    next = ngx_queue_head(&commands->orders);

    while (next != ngx_queue_sentinel(&commands->orders)) {
        order = ngx_queue_data(next, ngx_http_tocsin_order_t, queue);
        next = ngx_queue_next(next);
        order->sent = 0;
    }

    /* the timer removes those that nobody waits for any more */
}


/* the reply to XADD is an id; that it came is all that matters */

static void
ngx_http_tocsin_command_array(void *data, ngx_uint_t depth, size_t elements)
{
    (void) data;
    (void) depth;
    (void) elements;
}


static void
ngx_http_tocsin_command_string(void *data, ngx_uint_t depth, u_char *p,
    size_t len)
{
    (void) data;
    (void) depth;
    (void) p;
    (void) len;
}


static void
ngx_http_tocsin_command_integer(void *data, ngx_uint_t depth, int64_t value)
{
    (void) data;
    (void) depth;
    (void) value;
}


static void
ngx_http_tocsin_command_nil(void *data, ngx_uint_t depth)
{
    (void) data;
    (void) depth;
}


ngx_int_t
ngx_http_tocsin_command_init(ngx_cycle_t *cycle, ngx_http_tocsin_feed_t *feed)
{
    ngx_http_tocsin_commands_t  *commands;

    commands = ngx_pcalloc(cycle->pool, sizeof(ngx_http_tocsin_commands_t));
    if (commands == NULL) {
        return NGX_ERROR;
    }

    commands->conf = feed->conf;

    ngx_queue_init(&commands->orders);

    commands->link = ngx_tocsin_link_create(feed->conf, cycle->pool,
                                            cycle->log,
                                            &ngx_http_tocsin_command_handler,
                                            commands);
    if (commands->link == NULL) {
        return NGX_ERROR;
    }

    commands->connection.fd = (ngx_socket_t) -1;
    commands->connection.data = commands;

    commands->timer.handler = ngx_http_tocsin_command_timer;
    commands->timer.data = &commands->connection;
    commands->timer.log = cycle->log;

    feed->commands = commands;

    return NGX_OK;
}


void
ngx_http_tocsin_command_exit(ngx_http_tocsin_feed_t *feed)
{
    ngx_queue_t                 *next;
    ngx_http_tocsin_order_t     *order;
    ngx_http_tocsin_commands_t  *commands;

    commands = feed->commands;

    if (commands == NULL) {
        return;
    }

    if (commands->started) {
        ngx_tocsin_link_stop(commands->link);
    }

    next = ngx_queue_head(&commands->orders);

    while (next != ngx_queue_sentinel(&commands->orders)) {
        order = ngx_queue_data(next, ngx_http_tocsin_order_t, queue);
        next = ngx_queue_next(next);

        if (order->request == NULL) {
            ngx_free(order);
        }
    }

    ngx_queue_init(&commands->orders);
    commands->n = 0;
}
