
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sys/random.h>

#include "ngx_http_tocsin_command.h"
#include "ngx_http_tocsin_module.h"
#include "ngx_http_tocsin_silence.h"


#define NGX_HTTP_TOCSIN_BODY   65536
#define NGX_HTTP_TOCSIN_LARGE  "a silence has at most 64 KB"


static const char *ngx_http_tocsin_silence_foreign(ngx_http_request_t *r);
static ngx_int_t ngx_http_tocsin_silence_is_json(ngx_http_request_t *r);
static ngx_int_t ngx_http_tocsin_silence_refuse(ngx_http_request_t *r,
    ngx_uint_t status, const char *text);
static void ngx_http_tocsin_silence_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_tocsin_silence_read(ngx_http_request_t *r,
    struct tocsin_span *body);
static const char *ngx_http_tocsin_silence_make(ngx_http_request_t *r,
    struct tocsin_command *command, struct tocsin_silence_room *room);
static void ngx_http_tocsin_silence_done(ngx_http_request_t *r, void *data,
    ngx_int_t rc, const char *reason);
static void ngx_http_tocsin_write_id(struct tocsin_out *out, void *data);


/* POST to the list, DELETE of one */

ngx_int_t
ngx_http_tocsin_silence_write(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    const char                  *foreign;
    ngx_http_tocsin_loc_conf_t  *tlcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_tocsin_module);

    if (!tlcf->write) {

        if (ngx_http_tocsin_header(r, "Allow", "GET, HEAD") != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_tocsin_silence_refuse(r, NGX_HTTP_NOT_ALLOWED,
            "read-only: silences need \"tocsin_alerts write=on\" in nginx");
    }

    foreign = ngx_http_tocsin_silence_foreign(r);

    if (foreign) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "tocsin: silence %s", foreign);

        return ngx_http_tocsin_silence_refuse(r, NGX_HTTP_FORBIDDEN, foreign);
    }

    if (r->method == NGX_HTTP_POST && !ngx_http_tocsin_silence_is_json(r)) {
        return ngx_http_tocsin_silence_refuse(r,
                                    NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                    "Content-Type must be application/json");
    }

    if (r->method == NGX_HTTP_DELETE
        && !tocsin_is_uuid(ngx_http_tocsin_silence_id(r)))
    {
        return ngx_http_tocsin_silence_refuse(r, NGX_HTTP_BAD_REQUEST,
                                              "the id of a silence is a UUID");
    }

    if (r->method == NGX_HTTP_DELETE
        && ngx_http_tocsin_silence_known(r) == NGX_DECLINED)
    {
        return ngx_http_tocsin_silence_refuse(r, NGX_HTTP_NOT_FOUND,
                                              "no such silence");
    }

    if (r->headers_in.content_length_n > NGX_HTTP_TOCSIN_BODY) {
        return ngx_http_tocsin_silence_refuse(r,
                                            NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                            NGX_HTTP_TOCSIN_LARGE);
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_tocsin_silence_body);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


/* what the body holds must not be taken for the next request */

static ngx_int_t
ngx_http_tocsin_silence_refuse(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_tocsin_silence_error(r, status, text);
}


/*
 * A browser that was led here by another site says so.  It could not send
 * application/json, nor DELETE, without asking first either; and we never
 * allow what it asks for.
 */

static const char *
ngx_http_tocsin_silence_foreign(ngx_http_request_t *r)
{
    u_char     *p;
    size_t      len;
    ngx_str_t  *origin, *site, *host;

    site = ngx_http_tocsin_header_in(r, "sec-fetch-site", 0);

    if (site
        && (ngx_http_tocsin_header_in(r, "sec-fetch-site", 1)
            || !((site->len == 11
                  && ngx_strncmp(site->data, "same-origin", 11) == 0)
                 || (site->len == 4
                     && ngx_strncmp(site->data, "none", 4) == 0))))
    {
        return "refused: the request comes from another site";
    }

    origin = ngx_http_tocsin_header_in(r, "origin", 0);

    if (origin == NULL) {
        return NULL;
    }

    host = r->headers_in.host ? &r->headers_in.host->value : NULL;
    p = ngx_strlcasestrn(origin->data, origin->data + origin->len,
                         (u_char *) "://", 3 - 1);

    if (p && host && ngx_http_tocsin_header_in(r, "origin", 1) == NULL) {
        len = origin->data + origin->len - (p + 3);

        if (len == host->len
            && ngx_strncasecmp(p + 3, host->data, len) == 0)
        {
            return NULL;
        }
    }

    return "refused: its Origin is not the Host that it asks";
}


static ngx_int_t
ngx_http_tocsin_silence_is_json(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t  *type;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = &r->headers_in.content_type->value;
    len = sizeof("application/json") - 1;

    return type->len >= len
           && ngx_strncasecmp(type->data, (u_char *) "application/json", len)
              == 0
           && (type->len == len || type->data[len] == ';'
               || type->data[len] == ' ');
}


static void
ngx_http_tocsin_silence_body(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    const char                   *error;
    struct tocsin_command         command;
    struct tocsin_silence_room   *room;

    tocsin_command_init(&command);

    room = ngx_palloc(r->pool, sizeof(struct tocsin_silence_room));
    if (room == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    error = ngx_http_tocsin_silence_make(r, &command, room);

    if (error) {
        rc = ngx_http_tocsin_silence_error(r, NGX_HTTP_BAD_REQUEST, error);
        ngx_http_finalize_request(r, rc);
        return;
    }

    if (ngx_http_tocsin_command_send(r, &command,
                                     ngx_http_tocsin_silence_done, room)
        != NGX_OK)
    {
        rc = ngx_http_tocsin_silence_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "too many silences are being made");
        ngx_http_finalize_request(r, rc);
        return;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}


static const char *
ngx_http_tocsin_silence_make(ngx_http_request_t *r,
    struct tocsin_command *command, struct tocsin_silence_room *room)
{
    u_char                     random[16];
    const char                *error;
    struct tocsin_span         body;
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_counts_t   counts;

    command->v = TOCSIN_SCHEMA_VERSION;
    command->ts = ngx_tocsin_now();
    command->via = TOCSIN_SPAN("http");
    command->user = tocsin_span_of((char *) r->headers_in.user.data,
                                   r->headers_in.user.len);
    command->address = tocsin_span_of((char *) r->connection->addr_text.data,
                                      r->connection->addr_text.len);

    if (r->method == NGX_HTTP_DELETE) {
        command->what = TOCSIN_SPAN("expire");
        command->id = ngx_http_tocsin_silence_id(r);
        ngx_memcpy(room->id, command->id.data, TOCSIN_SILENCE_ID);
        return NULL;
    }

    command->what = TOCSIN_SPAN("silence");

    if (ngx_http_tocsin_silence_read(r, &body) != NGX_OK) {
        return NGX_HTTP_TOCSIN_LARGE;
    }

    error = tocsin_silence_read(body, command->ts, command, room);

    if (error == NULL && command->id.len == 0) {

        ngx_http_tocsin_view(ngx_http_tocsin_get_feed(r), &view);
        ngx_http_tocsin_count(&view, &counts);

        if (counts.silences[TOCSIN_SILENCE_PENDING]
            + counts.silences[TOCSIN_SILENCE_ACTIVE] >= TOCSIN_SILENCES)
        {
            return "there are 256 silences already";
        }

        if (getrandom(random, sizeof(random), GRND_NONBLOCK)
            != (ssize_t) sizeof(random))
        {
            return "no random number for an id: try again";
        }

        tocsin_uuid(room->id, random);
        command->id = tocsin_span_of(room->id, TOCSIN_SILENCE_ID);
    }

    return error;
}


static ngx_int_t
ngx_http_tocsin_silence_read(ngx_http_request_t *r, struct tocsin_span *body)
{
    u_char       *p;
    off_t         size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    *body = TOCSIN_SPAN("");

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size > NGX_HTTP_TOCSIN_BODY) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(r->pool, size + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = (char *) p;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;

        if (b->in_file) {

            if (ngx_read_file(b->file, p, b->file_last - b->file_pos,
                              b->file_pos)
                != b->file_last - b->file_pos)
            {
                return NGX_ERROR;
            }

            p += b->file_last - b->file_pos;

        } else if (b->last != b->pos) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
        }
    }

    body->len = (char *) p - body->data;

    return NGX_OK;
}


static void
ngx_http_tocsin_silence_done(ngx_http_request_t *r, void *data, ngx_int_t rc,
    const char *reason)
{
    struct tocsin_silence_room *room = data;

    if (rc != NGX_OK) {
        rc = ngx_http_tocsin_silence_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           reason);
        ngx_http_finalize_request(r, rc);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "tocsin: silence %*s was %s", (size_t) TOCSIN_SILENCE_ID,
                  room->id, r->method == NGX_HTTP_DELETE ? "ended" : "set");

    if (r->method == NGX_HTTP_POST) {
        ngx_http_tocsin_board_silence(ngx_http_tocsin_get_feed(r)->board);
    }

    rc = ngx_http_tocsin_answer(r, NGX_HTTP_OK, NGX_HTTP_TOCSIN_JSON,
                                ngx_http_tocsin_write_id, room);

    ngx_http_finalize_request(r, rc);
}


static void
ngx_http_tocsin_write_id(struct tocsin_out *out, void *data)
{
    struct tocsin_silence_room *room = data;

    struct tocsin_json  json = tocsin_json_begin(out);

    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "silenceID");
    tocsin_json_text(&json, tocsin_span_of(room->id, TOCSIN_SILENCE_ID));
    tocsin_json_close(&json, '}');
}
