
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_status.h"


#define NGX_HTTP_TOCSIN_MATCHERS  32


typedef struct {
    ngx_str_t                      name;
    ngx_str_t                      value;
#if (NGX_PCRE)
    ngx_regex_t                   *regex;
#endif
    unsigned                       negative:1;
    unsigned                       pattern:1;
} ngx_http_tocsin_matcher_t;


struct ngx_http_tocsin_filter_s {
    ngx_array_t                    matchers;
    ngx_uint_t                     states;       /* mask of ranks */
};


typedef struct {
    ngx_str_t                      name;
    ngx_uint_t                     mask;
} ngx_http_tocsin_state_t;


static ngx_int_t ngx_http_tocsin_filter_arg(ngx_http_request_t *r,
    ngx_http_tocsin_filter_t *filter, ngx_str_t *name, ngx_str_t *value,
    ngx_str_t *error);
static ngx_int_t ngx_http_tocsin_matcher(ngx_http_request_t *r,
    ngx_str_t *text, ngx_http_tocsin_matcher_t *matcher, ngx_str_t *error);
static ngx_int_t ngx_http_tocsin_matcher_value(ngx_str_t *value);
static ngx_int_t ngx_http_tocsin_matcher_compile(ngx_http_request_t *r,
    ngx_http_tocsin_matcher_t *matcher, ngx_str_t *error);
#if (NGX_PCRE)
static ngx_regex_t *ngx_http_tocsin_pattern(ngx_http_request_t *r,
    ngx_str_t *head, ngx_str_t *body, ngx_str_t *tail);
#endif
static ngx_int_t ngx_http_tocsin_matcher_test(
    ngx_http_tocsin_matcher_t *matcher, ngx_str_t *value);
static void ngx_http_tocsin_filter_label(struct tocsin_alert *alert,
    ngx_str_t *name, ngx_str_t *value, u_char *buf);
static ngx_int_t ngx_http_tocsin_decode_arg(ngx_http_request_t *r,
    ngx_str_t *arg);


#if (NGX_PCRE)

/* a pattern comes from whoever may read the page: it shall not cost much */

static ngx_str_t  ngx_http_tocsin_head =
    ngx_string("(*LIMIT_MATCH=20000)\\A(?:");
static ngx_str_t  ngx_http_tocsin_tail = ngx_string(")\\z");

#endif


#define NGX_HTTP_TOCSIN_SILENCED  (1 << 3)


/* nothing is inhibited here, so that selects nothing */

static ngx_http_tocsin_state_t  ngx_http_tocsin_states[] = {

    { ngx_string("active"), 1 << 0 },
    { ngx_string("unprocessed"), 1 << 1 },
    { ngx_string("resolved"), 1 << 2 },
    { ngx_string("silenced"), NGX_HTTP_TOCSIN_SILENCED },
    { ngx_string("inhibited"), 0 },

    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_tocsin_filter(ngx_http_request_t *r,
    ngx_http_tocsin_filter_t **result, ngx_str_t *error)
{
    u_char                    *pos;
    ngx_int_t                  rc;
    ngx_str_t                  name, value;
    ngx_http_tocsin_filter_t  *filter;

    filter = ngx_palloc(r->pool, sizeof(ngx_http_tocsin_filter_t));
    if (filter == NULL) {
        return NGX_ERROR;
    }

    /* as Alertmanager has it: what has ended is shown only if asked for */

    filter->states = (1 << 0) | (1 << 1) | NGX_HTTP_TOCSIN_SILENCED;

    if (ngx_array_init(&filter->matchers, r->pool, 4,
                       sizeof(ngx_http_tocsin_matcher_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    pos = r->args.data;

    for ( ;; ) {

        rc = ngx_http_tocsin_next_arg(r, &pos, &name, &value);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_http_tocsin_filter_arg(r, filter, &name, &value, error);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    *result = filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tocsin_filter_arg(ngx_http_request_t *r,
    ngx_http_tocsin_filter_t *filter, ngx_str_t *name, ngx_str_t *value,
    ngx_str_t *error)
{
    ngx_int_t                   rc;
    ngx_http_tocsin_state_t    *state;
    ngx_http_tocsin_matcher_t  *matcher, receiver;

    for (state = ngx_http_tocsin_states; state->name.len; state++) {

        if (state->name.len != name->len
            || ngx_strncmp(state->name.data, name->data, name->len) != 0)
        {
            continue;
        }

        if (value->len == 4 && ngx_strncmp(value->data, "true", 4) == 0) {
            filter->states |= state->mask;

        } else if (value->len == 5
                   && ngx_strncmp(value->data, "false", 5) == 0)
        {
            filter->states &= ~state->mask;

        } else {
            ngx_str_set(error, "a state is \"true\" or \"false\"");
            return NGX_DECLINED;
        }

        return NGX_OK;
    }

    if (name->len == 6 && ngx_strncmp(name->data, "filter", 6) == 0) {

        if (filter->matchers.nelts == NGX_HTTP_TOCSIN_MATCHERS) {
            ngx_str_set(error, "too many matchers");
            return NGX_DECLINED;
        }

        matcher = ngx_array_push(&filter->matchers);
        if (matcher == NULL) {
            return NGX_ERROR;
        }

        return ngx_http_tocsin_matcher(r, value, matcher, error);
    }

    if (name->len == 8 && ngx_strncmp(name->data, "receiver", 8) == 0) {

        ngx_memzero(&receiver, sizeof(ngx_http_tocsin_matcher_t));

        receiver.value = *value;
        receiver.pattern = 1;

        rc = ngx_http_tocsin_matcher_compile(r, &receiver, error);

        if (rc != NGX_OK) {
            return rc;
        }

        ngx_str_set(name, "tocsin");

        if (!ngx_http_tocsin_matcher_test(&receiver, name)) {
            filter->states = 0;
        }
    }

    return NGX_OK;
}


/* name=value, name!=value, name=~pattern, name!~pattern; value may be quoted */

static ngx_int_t
ngx_http_tocsin_matcher(ngx_http_request_t *r, ngx_str_t *text,
    ngx_http_tocsin_matcher_t *matcher, ngx_str_t *error)
{
    u_char  *p, *last;

    ngx_memzero(matcher, sizeof(ngx_http_tocsin_matcher_t));

    p = text->data;
    last = p + text->len;

    while (p < last && *p == ' ') { p++; }

    matcher->name.data = p;

    while (p < last && (isalnum(*p) || *p == '_' || *p == ':')) { p++; }

    matcher->name.len = p - matcher->name.data;

    while (p < last && *p == ' ') { p++; }

    if (matcher->name.len == 0 || isdigit(matcher->name.data[0])
        || p == last || (*p != '=' && *p != '!'))
    {
        goto invalid;
    }

    matcher->negative = (*p == '!');
    p++;

    if (p < last && *p == '~') {
        matcher->pattern = 1;
        p++;

    } else if (matcher->negative) {

        if (p == last || *p != '=') {
            goto invalid;
        }

        p++;
    }

    while (p < last && *p == ' ') { p++; }
    while (last > p && last[-1] == ' ') { last--; }

    matcher->value.data = p;
    matcher->value.len = last - p;

    if (ngx_http_tocsin_matcher_value(&matcher->value) != NGX_OK) {
        goto invalid;
    }

    if (matcher->pattern) {
        return ngx_http_tocsin_matcher_compile(r, matcher, error);
    }

    return NGX_OK;

invalid:

    ngx_str_set(error, "bad matcher: it is name=\"value\", name!=\"value\", "
                       "name=~\"pattern\" or name!~\"pattern\"");

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_tocsin_matcher_value(ngx_str_t *value)
{
    u_char  *p, *to, *last;

    if (value->len == 0 || value->data[0] != '"') {
        return NGX_OK;
    }

    last = value->data + value->len;
    to = value->data;

    for (p = value->data + 1; p < last && *p != '"'; p++) {

        if (*p == '\\' && p + 1 < last
            && (p[1] == '"' || p[1] == '\\' || p[1] == 'n'))
        {
            p++;
            *to++ = (*p == 'n') ? '\n' : *p;
            continue;
        }

        *to++ = *p;
    }

    if (p + 1 != last) {
        return NGX_ERROR;
    }

    value->len = to - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tocsin_matcher_compile(ngx_http_request_t *r,
    ngx_http_tocsin_matcher_t *matcher, ngx_str_t *error)
{
#if (NGX_PCRE)

    ngx_str_t  empty;

    ngx_str_set(&empty, "");

    /* by itself first: "a)(b" would be good between our parentheses */

    if (ngx_http_tocsin_pattern(r, &empty, &matcher->value, &empty) == NULL) {
        ngx_str_set(error, "bad pattern");
        return NGX_DECLINED;
    }

    matcher->regex = ngx_http_tocsin_pattern(r, &ngx_http_tocsin_head,
                                             &matcher->value,
                                             &ngx_http_tocsin_tail);

    return matcher->regex ? NGX_OK : NGX_ERROR;

#else

    ngx_str_set(error, "this nginx was built without regular expressions");

    return NGX_DECLINED;

#endif
}


#if (NGX_PCRE)

static ngx_regex_t *
ngx_http_tocsin_pattern(ngx_http_request_t *r, ngx_str_t *head,
    ngx_str_t *body, ngx_str_t *tail)
{
    u_char               *p, errstr[NGX_MAX_CONF_ERRSTR];
    ngx_regex_compile_t   rc;

    p = ngx_pnalloc(r->pool, head->len + body->len + tail->len + 1);
    if (p == NULL) {
        return NULL;
    }

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    rc.pattern.data = p;

    p = ngx_cpymem(p, head->data, head->len);
    p = ngx_cpymem(p, body->data, body->len);
    p = ngx_cpymem(p, tail->data, tail->len);
    *p = '\0';

    rc.pattern.len = p - rc.pattern.data;
    rc.pool = r->pool;
    rc.err.data = errstr;
    rc.err.len = NGX_MAX_CONF_ERRSTR;

    return ngx_regex_compile(&rc) == NGX_OK ? rc.regex : NULL;
}

#endif


static ngx_int_t
ngx_http_tocsin_matcher_test(ngx_http_tocsin_matcher_t *matcher,
    ngx_str_t *value)
{
    ngx_int_t  equal;

    equal = 0;

    if (!matcher->pattern) {
        equal = (matcher->value.len == value->len
                 && (value->len == 0
                     || ngx_memcmp(matcher->value.data, value->data,
                                   value->len)
                        == 0));
    }

#if (NGX_PCRE)

    if (matcher->pattern) {
        equal = (ngx_regex_exec(matcher->regex, value, NULL, 0) >= 0);
    }

#endif

    return equal != matcher->negative;
}


ngx_int_t
ngx_http_tocsin_filter_alert(ngx_http_tocsin_filter_t *filter,
    ngx_http_tocsin_shown_t *shown)
{
    u_char                      buf[TOCSIN_LABELS_MAX];
    ngx_str_t                   value;
    ngx_uint_t                  i, state;
    ngx_http_tocsin_matcher_t  *matcher;

    state = shown->silenced_by.len ? NGX_HTTP_TOCSIN_SILENCED
                                   : (ngx_uint_t) 1 << shown->rank;

    if (!(filter->states & state)) {
        return 0;
    }

    matcher = filter->matchers.elts;

    for (i = 0; i < filter->matchers.nelts; i++) {

        ngx_http_tocsin_filter_label(&shown->alert, &matcher[i].name, &value,
                                     buf);

        if (!ngx_http_tocsin_matcher_test(&matcher[i], &value)) {
            return 0;
        }
    }

    return 1;
}


/* a label that is not there is an empty one, as in Alertmanager */

static void
ngx_http_tocsin_filter_label(struct tocsin_alert *alert, ngx_str_t *name,
    ngx_str_t *value, u_char *buf)
{
    struct tocsin_span  wanted, rest, label, text;

    wanted = tocsin_span_of((char *) name->data, name->len);

    if (tocsin_span_eq(wanted, TOCSIN_SPAN("alertname"))) {
        value->data = (u_char *) alert->alertname.data;
        value->len = alert->alertname.len;
        return;
    }

    if (tocsin_span_eq(wanted, TOCSIN_SPAN("severity"))) {
        value->data = (u_char *) alert->severity.data;
        value->len = alert->severity.len;
        return;
    }

    rest = alert->labels;

    while (tocsin_pairs_next(&rest, &label, &text)) {

        if (tocsin_span_eq(label, wanted) && text.len <= TOCSIN_LABELS_MAX) {
            value->data = buf;
            value->len = tocsin_pct_decode((char *) buf, text);
            return;
        }
    }

    value->data = buf;
    value->len = 0;
}


ngx_int_t
ngx_http_tocsin_next_arg(ngx_http_request_t *r, u_char **pos, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char  *p, *last, *end;

    p = *pos;
    last = r->args.data + r->args.len;

    if (r->args.len == 0 || p >= last) {
        return NGX_DONE;
    }

    end = ngx_strlchr(p, last, '&');
    if (end == NULL) {
        end = last;
    }

    *pos = end + 1;

    name->data = p;

    p = ngx_strlchr(name->data, end, '=');
    if (p == NULL) {
        p = end;
    }

    name->len = p - name->data;

    value->data = ngx_min(p + 1, end);
    value->len = end - value->data;

    if (ngx_http_tocsin_decode_arg(r, name) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tocsin_decode_arg(r, value);
}


static ngx_int_t
ngx_http_tocsin_decode_arg(ngx_http_request_t *r, ngx_str_t *arg)
{
    size_t   i;
    u_char  *from, *src, *dst;

    from = ngx_pnalloc(r->pool, 2 * arg->len + 1);
    if (from == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < arg->len; i++) {
        from[i] = (arg->data[i] == '+') ? ' ' : arg->data[i];
    }

    src = from;
    dst = from + arg->len;

    arg->data = dst;

    ngx_unescape_uri(&dst, &src, arg->len, 0);

    arg->len = dst - arg->data;

    return NGX_OK;
}
