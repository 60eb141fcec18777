
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin_link.h"

#include <shared/resp.h>


/*
 * Replies come by two ways.  The id that XADD answers is recognized in place.
 * All else goes through the reader of hiredis, which calls the functions below
 * for what it finds instead of building trees.  A bulk string is held in
 * memory as a whole, and there is a cap on it.
 */

#define NGX_TOCSIN_REPLY_MAX  (TOCSIN_BOARD_MAX + 65536)


static void ngx_tocsin_reply_parse(ngx_tocsin_link_t *link);
static ngx_int_t ngx_tocsin_reply_ids(ngx_tocsin_link_t *link, u_char **pos);
static void ngx_tocsin_reply_general(ngx_tocsin_link_t *link, u_char *p,
    size_t len);
static void ngx_tocsin_reply_end(ngx_tocsin_link_t *link);
static void *ngx_tocsin_reply_string(const redisReadTask *task, char *p,
    size_t len);
static void *ngx_tocsin_reply_array(const redisReadTask *task, int elements);
static void *ngx_tocsin_reply_integer(const redisReadTask *task,
    long long value);
static void *ngx_tocsin_reply_nil(const redisReadTask *task);
static void ngx_tocsin_reply_free_object(void *object);
static void ngx_tocsin_reply_error(ngx_tocsin_link_t *link, ngx_uint_t depth,
    u_char *p, size_t len);


static redisReplyObjectFunctions  ngx_tocsin_reply_functions = {
    ngx_tocsin_reply_string,
    ngx_tocsin_reply_array,
    ngx_tocsin_reply_integer,
    ngx_tocsin_reply_nil,
    ngx_tocsin_reply_free_object
};


ngx_int_t
ngx_tocsin_reply_init(ngx_tocsin_link_t *link)
{
    link->reader = redisReaderCreateWithFunctions(&ngx_tocsin_reply_functions);
    if (link->reader == NULL) {
        return NGX_ERROR;
    }

    redisReaderSetPrivdata(link->reader, link);

    link->in_last = link->in;
    link->general = 0;

    return NGX_OK;
}


void
ngx_tocsin_reply_free(ngx_tocsin_link_t *link)
{
    if (link->reader) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }
}


void
ngx_tocsin_reply_read(ngx_tocsin_link_t *link)
{
    u_char            *last;
    ssize_t            n;
    ngx_connection_t  *c;

    c = link->connection;
    last = link->in + NGX_TOCSIN_IN;

    while (!link->failed) {

        n = c->recv(c, link->in_last, last - link->in_last);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == 0) {
            ngx_tocsin_link_lost(link, "closed the connection");
            break;
        }

        if (n < 0) {
            ngx_tocsin_link_lost(link, "broke the connection");
            break;
        }

        link->heard = ngx_current_msec;
        link->in_last += n;

        ngx_tocsin_reply_parse(link);

        if (!c->read->ready) {
            break;
        }
    }
}


static void
ngx_tocsin_reply_parse(ngx_tocsin_link_t *link)
{
    u_char     *p;
    ngx_int_t   rc;

    p = link->in;
    rc = NGX_DECLINED;

    if (!link->general && link->greetings == 0 && link->handler->ids) {
        rc = ngx_tocsin_reply_ids(link, &p);
    }

    if (rc == NGX_AGAIN) {
        /* the beginning of an id stays */
        ngx_memmove(link->in, p, link->in_last - p);
        link->in_last = link->in + (link->in_last - p);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_tocsin_reply_general(link, p, link->in_last - p);
    }

    link->in_last = link->in;
}


/* NGX_AGAIN for a part of an id, NGX_DECLINED for something else */

static ngx_int_t
ngx_tocsin_reply_ids(ngx_tocsin_link_t *link, u_char **pos)
{
    size_t       rest, size;
    ngx_uint_t   ids;

    rest = link->in_last - *pos;

    ids = tocsin_resp_ids((char *) *pos, rest, link->commands, &size);

    *pos += size;
    rest -= size;

    if (ids) {
        link->commands -= ids;
        link->handler->ids(link->data, ids);
        ngx_tocsin_link_good(link);
    }

    if (rest == 0) {
        return NGX_OK;
    }

    return (link->commands && tocsin_resp_id((char *) *pos, rest) == 0)
           ? NGX_AGAIN : NGX_DECLINED;
}


static void
ngx_tocsin_reply_general(ngx_tocsin_link_t *link, u_char *p, size_t len)
{
    void         *reply;
    redisReader  *reader;

    reader = link->reader;

    if (reader->len - reader->pos + len > NGX_TOCSIN_REPLY_MAX) {
        ngx_tocsin_link_failed(link, "sent a reply that is too long");
        return;
    }

    if (redisReaderFeed(reader, (char *) p, len) != REDIS_OK) {
        ngx_tocsin_link_failed(link, "sent a reply that found no memory");
        return;
    }

    while (!link->failed) {

        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            ngx_tocsin_link_failed(link, "sent what is not a reply of redis");
            return;
        }

        if (reply == NULL) {
            break;
        }

        ngx_tocsin_reply_end(link);
    }

    link->general = (reader->pos != reader->len || reader->ridx != -1);
}


static void
ngx_tocsin_reply_end(ngx_tocsin_link_t *link)
{
    if (link->greetings) {
        if (link->failed || --link->greetings) {
            return;
        }

        if (link->asking) {
            ngx_tocsin_sentinel_told(link);

        } else if (!link->known
                   || ngx_tocsin_sentinel_is_master(link) == NGX_OK)
        {
            ngx_tocsin_link_greeted(link);
        }

        return;
    }

    if (link->commands == 0) {
        ngx_tocsin_link_failed(link, "sent a reply that nobody asked for");
        return;
    }

    link->commands--;
    link->handler->end(link->data);
}


static ngx_tocsin_link_t *
ngx_tocsin_reply_place(const redisReadTask *task, ngx_uint_t *depth)
{
    const redisReadTask  *parent;

    *depth = 0;

    for (parent = task->parent; parent; parent = parent->parent) {
        (*depth)++;
    }

    return task->privdata;
}


/* any address but NULL is an object to the reader */

#define ngx_tocsin_reply_object(link)                                         \
    (link)


static void *
ngx_tocsin_reply_string(const redisReadTask *task, char *p, size_t len)
{
    ngx_uint_t          depth;
    ngx_tocsin_link_t  *link;

    link = ngx_tocsin_reply_place(task, &depth);

    if (task->type == REDIS_REPLY_ERROR) {
        ngx_tocsin_reply_error(link, depth, (u_char *) p, len);

    } else if (link->asking) {
        ngx_tocsin_sentinel_string(link, depth, (u_char *) p, len);

    } else if (link->greetings == 1 && link->known) {
        ngx_tocsin_sentinel_role(link, depth, (u_char *) p, len);

    } else if (link->greetings == 0 && link->commands) {
        if (depth == 0) {
            ngx_tocsin_link_good(link);
        }

        link->handler->string(link->data, depth, (u_char *) p, len);
    }

    return ngx_tocsin_reply_object(link);
}


static void *
ngx_tocsin_reply_array(const redisReadTask *task, int elements)
{
    ngx_uint_t          depth;
    ngx_tocsin_link_t  *link;

    link = ngx_tocsin_reply_place(task, &depth);

    if (link->greetings == 0 && link->commands) {
        if (depth == 0) {
            ngx_tocsin_link_good(link);
        }

        link->handler->array(link->data, depth, elements);
    }

    return ngx_tocsin_reply_object(link);
}


static void *
ngx_tocsin_reply_integer(const redisReadTask *task, long long value)
{
    ngx_uint_t          depth;
    ngx_tocsin_link_t  *link;

    link = ngx_tocsin_reply_place(task, &depth);

    if (link->greetings == 0 && link->commands) {
        link->handler->integer(link->data, depth, value);
    }

    return ngx_tocsin_reply_object(link);
}


static void *
ngx_tocsin_reply_nil(const redisReadTask *task)
{
    ngx_uint_t          depth;
    ngx_tocsin_link_t  *link;

    link = ngx_tocsin_reply_place(task, &depth);

    if (link->greetings == 0 && link->commands) {
        if (depth == 0) {
            ngx_tocsin_link_good(link);
        }

        link->handler->nil(link->data, depth);
    }

    return ngx_tocsin_reply_object(link);
}


static void
ngx_tocsin_reply_free_object(void *object)
{
    /* it was never made */
}


static void
ngx_tocsin_reply_error(ngx_tocsin_link_t *link, ngx_uint_t depth, u_char *p,
    size_t len)
{
    if (link->greetings == 0 && link->commands) {
        link->handler->error(link->data, depth, p, len);
    }

    if (depth == 0
        && (link->greetings
            || ngx_tocsin_refusal(p, len) == NGX_TOCSIN_ELSEWHERE))
    {
        if (len == 0) {
            ngx_tocsin_link_failed(link, "sent an error without words");
            return;
        }

        ngx_tocsin_link_fail(link, NGX_LOG_ERR, (char *) p, len);
    }
}
