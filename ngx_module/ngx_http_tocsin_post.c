
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <regex.h>
#include <sys/random.h>

#include "ngx_http_tocsin_command.h"
#include "ngx_http_tocsin_module.h"
#include "ngx_http_tocsin_silence.h"


#define NGX_HTTP_TOCSIN_BODY  65536


static const char *ngx_http_tocsin_silence_foreign(ngx_http_request_t *r);
static ngx_int_t ngx_http_tocsin_silence_is_json(ngx_http_request_t *r);
static ngx_str_t *ngx_http_tocsin_silence_header(ngx_http_request_t *r,
    const char *name, ngx_uint_t *n);
static void ngx_http_tocsin_silence_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_tocsin_silence_read(ngx_http_request_t *r,
    struct tocsin_span *body);
static const char *ngx_http_tocsin_silence_make(ngx_http_request_t *r,
    struct tocsin_command *command, struct tocsin_silence_room *room);
static const char *ngx_http_tocsin_silence_patterns(struct tocsin_span list);
static ngx_int_t ngx_http_tocsin_silence_pattern(struct tocsin_span pattern,
    const char *head, const char *tail, regex_t *regex);
static void ngx_http_tocsin_silence_done(ngx_http_request_t *r, void *data,
    ngx_int_t rc, ngx_str_t *reason);
static void ngx_http_tocsin_write_id(struct tocsin_out *out, void *data);


/* POST to the list, DELETE of one */

ngx_int_t
ngx_http_tocsin_silence_write(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    const char                  *foreign;
    ngx_http_tocsin_loc_conf_t  *tlcf;

    static const char  closed[] =
        "read-only: silences need \"tocsin_alerts write=on\" in nginx";
    static const char  large[] = "a silence has at most 64 KB";
    static const char  type[] = "Content-Type must be application/json";
    static const char  id[] = "the id of a silence is a UUID";

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_tocsin_module);

    if (!tlcf->write) {

        if (ngx_http_tocsin_header(r, "Allow", "GET, HEAD") != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_tocsin_silence_error(r, NGX_HTTP_NOT_ALLOWED, closed,
                                             sizeof(closed) - 1);
    }

    foreign = ngx_http_tocsin_silence_foreign(r);

    if (foreign) {
        return ngx_http_tocsin_silence_error(r, NGX_HTTP_FORBIDDEN, foreign,
                                             ngx_strlen(foreign));
    }

    if (r->method == NGX_HTTP_POST && !ngx_http_tocsin_silence_is_json(r)) {
        return ngx_http_tocsin_silence_error(r,
                                             NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                             type, sizeof(type) - 1);
    }

    if (r->method == NGX_HTTP_DELETE
        && !tocsin_is_uuid(ngx_http_tocsin_silence_id(r)))
    {
        return ngx_http_tocsin_silence_error(r, NGX_HTTP_BAD_REQUEST, id,
                                             sizeof(id) - 1);
    }

    if (r->headers_in.content_length_n > NGX_HTTP_TOCSIN_BODY) {
        return ngx_http_tocsin_silence_error(r,
                                             NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                             large, sizeof(large) - 1);
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_tocsin_silence_body);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


/*
 * A browser that was led here by another site says so.  It could not send
 * application/json, nor DELETE, without asking first either; and we never
 * allow what it asks for.
 */

static const char *
ngx_http_tocsin_silence_foreign(ngx_http_request_t *r)
{
    u_char      *p;
    size_t       len;
    ngx_str_t   *origin, *site, *host;
    ngx_uint_t   n;

    site = ngx_http_tocsin_silence_header(r, "sec-fetch-site", &n);

    if (n > 1
        || (site
            && !(site->len == 11
                 && ngx_strncmp(site->data, "same-origin", 11) == 0)
            && !(site->len == 4 && ngx_strncmp(site->data, "none", 4) == 0)))
    {
        return "refused: the request comes from another site";
    }

    origin = ngx_http_tocsin_silence_header(r, "origin", &n);

    if (n == 0) {
        return NULL;
    }

    host = r->headers_in.host ? &r->headers_in.host->value : NULL;
    p = ngx_strlcasestrn(origin->data, origin->data + origin->len,
                         (u_char *) "://", 3 - 1);

    if (n == 1 && p && host) {
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


/* the last header of that name, in lower case; `n` of them */

static ngx_str_t *
ngx_http_tocsin_silence_header(ngx_http_request_t *r, const char *name,
    ngx_uint_t *n)
{
    size_t            len;
    ngx_str_t        *value;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    len = ngx_strlen(name);
    value = NULL;
    *n = 0;

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == len
            && ngx_strncmp(header[i].lowcase_key, name, len) == 0)
        {
            value = &header[i].value;
            (*n)++;
        }
    }

    return value;
}


static void
ngx_http_tocsin_silence_body(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    const char                   *error;
    struct tocsin_command         command;
    struct tocsin_silence_room   *room;

    static const char  busy[] = "too many silences are being made";

    tocsin_command_init(&command);

    room = ngx_palloc(r->pool, sizeof(struct tocsin_silence_room));
    if (room == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    error = ngx_http_tocsin_silence_make(r, &command, room);

    if (error) {
        rc = ngx_http_tocsin_silence_error(r, NGX_HTTP_BAD_REQUEST, error,
                                           ngx_strlen(error));
        ngx_http_finalize_request(r, rc);
        return;
    }

    if (ngx_http_tocsin_command_send(r, &command,
                                     ngx_http_tocsin_silence_done, room)
        != NGX_OK)
    {
        rc = ngx_http_tocsin_silence_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           busy, sizeof(busy) - 1);
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
    u_char               random[16];
    const char          *error;
    struct tocsin_span   body;

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
        return "a silence has at most 64 KB";
    }

    error = tocsin_silence_read(body, command->ts, command, room);

    if (error == NULL) {
        error = ngx_http_tocsin_silence_patterns(command->matchers);
    }

    if (error == NULL && command->id.len == 0) {

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

        } else {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
        }
    }

    body->len = (char *) p - body->data;

    return NGX_OK;
}


/* the sidecar compiles them too; here it can still be told to whom it may be */

static const char *
ngx_http_tocsin_silence_patterns(struct tocsin_span list)
{
    char                    room[TOCSIN_MATCHERS_MAX];
    regex_t                 regex;
    ngx_int_t               empty;
    ngx_uint_t              useful;
    struct tocsin_matcher   matcher;

    useful = 0;

    while (tocsin_matcher_next(&list, &matcher, room) == 1) {

        empty = (matcher.value.len == 0);

        if (matcher.pattern) {

            /* by itself first: "a)(b" would be good between parentheses */

            if (ngx_http_tocsin_silence_pattern(matcher.value, "", "", &regex)
                != NGX_OK)
            {
                return "bad pattern: it is a POSIX extended regular "
                       "expression";
            }

            regfree(&regex);

            if (ngx_http_tocsin_silence_pattern(matcher.value, "^(", ")$",
                                                &regex)
                != NGX_OK)
            {
                return "bad pattern";
            }

            empty = (regexec(&regex, "", 0, NULL, 0) == 0);

            regfree(&regex);
        }

        if (empty == (ngx_int_t) matcher.negative) {
            useful = 1;
        }
    }

    return useful ? NULL
                  : "one matcher at least must not match the empty text";
}


static ngx_int_t
ngx_http_tocsin_silence_pattern(struct tocsin_span pattern, const char *head,
    const char *tail, regex_t *regex)
{
    u_char     text[TOCSIN_MATCHER_PATTERN + 8], *p;
    ngx_str_t  body;

    body.data = (u_char *) pattern.data;
    body.len = pattern.len;

    p = ngx_snprintf(text, sizeof(text) - 1, "%s%V%s", head, &body, tail);
    *p = '\0';

    return regcomp(regex, (char *) text, REG_EXTENDED|REG_NOSUB) == 0
           ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_tocsin_silence_done(ngx_http_request_t *r, void *data, ngx_int_t rc,
    ngx_str_t *reason)
{
    struct tocsin_silence_room *room = data;

    ngx_http_tocsin_silences_t   silences;

    if (rc != NGX_OK) {
        rc = ngx_http_tocsin_silence_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           (char *) reason->data,
                                           reason->len);
        ngx_http_finalize_request(r, rc);
        return;
    }

    ngx_memzero(&silences, sizeof(ngx_http_tocsin_silences_t));

    silences.id = tocsin_span_of(room->id, TOCSIN_SILENCE_ID);

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "tocsin: silence %*s was %s", (size_t) TOCSIN_SILENCE_ID,
                  room->id, r->method == NGX_HTTP_DELETE ? "ended" : "set");

    rc = ngx_http_tocsin_silence_send(r, NGX_HTTP_OK,
                                      ngx_http_tocsin_write_id, &silences);

    ngx_http_finalize_request(r, rc);
}


static void
ngx_http_tocsin_write_id(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_silences_t *silences = data;

    struct tocsin_json  json = tocsin_json_begin(out);

    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "silenceID");
    tocsin_json_text(&json, silences->id);
    tocsin_json_close(&json, '}');
}
