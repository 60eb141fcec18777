
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_http_tocsin_module.h"


#define NGX_HTTP_TOCSIN_NAME_MAX  63


static ngx_int_t ngx_http_tocsin_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_tocsin_value_t *value);
static void ngx_http_tocsin_single_variable(ngx_str_t *text, ngx_str_t *name);
static ngx_int_t ngx_http_tocsin_name_valid(ngx_str_t *name);
static ngx_http_tocsin_label_t *ngx_http_tocsin_find_label(ngx_array_t *labels,
    ngx_str_t *name);
static ngx_int_t ngx_http_tocsin_build_labels(ngx_conf_t *cf,
    ngx_http_tocsin_labels_t *conf, ngx_array_t *inherited);
static ngx_int_t ngx_http_tocsin_add_labels(ngx_array_t *to, ngx_array_t *from,
    ngx_array_t *except);
static ngx_int_t ngx_http_tocsin_split_labels(ngx_conf_t *cf,
    ngx_http_tocsin_labels_t *conf);
static void ngx_http_tocsin_put_label(struct tocsin_out *out,
    ngx_http_tocsin_label_t *label, struct tocsin_span value);


char *
ngx_http_tocsin_route(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tocsin_loc_conf_t *tlcf = conf;

    ngx_str_t  *value;

    if (tlcf->route != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].len > TOCSIN_TEXT_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"tocsin_route\", it may "
                           "have from 1 to %d bytes",
                           &value[1], TOCSIN_TEXT_MAX);
        return NGX_CONF_ERROR;
    }

    tlcf->route = ngx_palloc(cf->pool, sizeof(ngx_http_tocsin_value_t));
    if (tlcf->route == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_tocsin_compile(cf, &value[1], tlcf->route) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* tocsin_label and tocsin_field */

char *
ngx_http_tocsin_label(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                 *value;
    ngx_http_tocsin_label_t   *label;
    ngx_http_tocsin_labels_t  *labels;

    labels = (ngx_http_tocsin_labels_t *) (p + cmd->offset);

    value = cf->args->elts;

    if (ngx_http_tocsin_name_valid(&value[1]) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" in \"%V\", it may have from 1 "
                           "to %d of the characters a-z A-Z 0-9 _ "
                           "and must not begin with a digit",
                           &value[1], &cmd->name, NGX_HTTP_TOCSIN_NAME_MAX);
        return NGX_CONF_ERROR;
    }

    if (value[2].len > TOCSIN_TEXT_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the value of \"%V\" in \"%V\" is longer "
                           "than %d bytes",
                           &value[1], &cmd->name, TOCSIN_TEXT_MAX);
        return NGX_CONF_ERROR;
    }

    if (labels->own == NULL) {
        labels->own = ngx_array_create(cf->pool, 4,
                                       sizeof(ngx_http_tocsin_label_t));
        if (labels->own == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_tocsin_find_label(labels->own, &value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate \"%V\" in \"%V\"",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    label = ngx_array_push(labels->own);
    if (label == NULL) {
        return NGX_CONF_ERROR;
    }

    label->name = value[1];

    label->prefix.len = label->name.len + 2;
    label->prefix.data = ngx_pnalloc(cf->pool, label->prefix.len);
    if (label->prefix.data == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_sprintf(label->prefix.data, ",%V=", &label->name);

    if (ngx_http_tocsin_compile(cf, &value[2], &label->value) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_tocsin_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_tocsin_value_t *value)
{
    ngx_str_t                         name;
    ngx_http_compile_complex_value_t  ccv;

    value->text = tocsin_span_of((char *) text->data, text->len);
    value->index = -1;
    value->complex = NULL;

    if (ngx_http_script_variables_count(text) == 0) {
        return NGX_OK;
    }

    ngx_http_tocsin_single_variable(text, &name);

    if (name.len) {
        value->index = ngx_http_get_variable_index(cf, &name);
        return (value->index == NGX_ERROR) ? NGX_ERROR : NGX_OK;
    }

    value->complex = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (value->complex == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = value->complex;

    return ngx_http_compile_complex_value(&ccv);
}


/* "$name" or "${name}" needs no copy of what nginx keeps anyway */

static void
ngx_http_tocsin_single_variable(ngx_str_t *text, ngx_str_t *name)
{
    ngx_uint_t  i;

    name->data = text->data + 1;
    name->len = text->len - 1;

    if (text->data[0] == '$' && name->len > 2
        && name->data[0] == '{' && name->data[name->len - 1] == '}')
    {
        name->data++;
        name->len -= 2;
    }

    if (text->data[0] != '$' || ngx_http_tocsin_name_valid(name) != NGX_OK) {
        name->len = 0;
        return;
    }

    for (i = 0; i < name->len; i++) {
        name->data[i] = ngx_tolower(name->data[i]);
    }
}


static ngx_int_t
ngx_http_tocsin_name_valid(ngx_str_t *name)
{
    u_char      ch;
    ngx_uint_t  i;

    if (name->len == 0 || name->len > NGX_HTTP_TOCSIN_NAME_MAX) {
        return NGX_ERROR;
    }

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_'
            || (i && ch >= '0' && ch <= '9'))
        {
            continue;
        }

        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_http_tocsin_label_t *
ngx_http_tocsin_find_label(ngx_array_t *labels, ngx_str_t *name)
{
    ngx_uint_t                i;
    ngx_http_tocsin_label_t  *label;

    if (labels == NULL) {
        return NULL;
    }

    label = labels->elts;

    for (i = 0; i < labels->nelts; i++) {
        if (label[i].name.len == name->len
            && ngx_strncmp(label[i].name.data, name->data, name->len) == 0)
        {
            return &label[i];
        }
    }

    return NULL;
}


/*
 * Unlike proxy_set_header, a label of an inner level adds to those of the
 * outer ones, or replaces the one of its name; an empty value removes it.
 */

char *
ngx_http_tocsin_merge_labels(ngx_conf_t *cf, ngx_http_tocsin_labels_t *prev,
    ngx_http_tocsin_labels_t *conf)
{
    if (prev->all == NULL && prev->own) {

        /* the http level has not been merged with anything */

        if (ngx_http_tocsin_build_labels(cf, prev, NULL) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (conf->own == NULL) {
        *conf = *prev;
        return NGX_CONF_OK;
    }

    if (ngx_http_tocsin_build_labels(cf, conf, prev->all) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_tocsin_build_labels(ngx_conf_t *cf, ngx_http_tocsin_labels_t *conf,
    ngx_array_t *inherited)
{
    conf->all = ngx_array_create(cf->pool, 4, sizeof(ngx_http_tocsin_label_t));
    if (conf->all == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_tocsin_add_labels(conf->all, inherited, conf->own) != NGX_OK
        || ngx_http_tocsin_add_labels(conf->all, conf->own, NULL) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (conf->all->nelts > NGX_HTTP_TOCSIN_LABELS) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%ui of \"tocsin_label\" or of \"tocsin_field\" apply "
                      "at one place, at most %d may",
                      conf->all->nelts, NGX_HTTP_TOCSIN_LABELS);
        return NGX_ERROR;
    }

    return ngx_http_tocsin_split_labels(cf, conf);
}


static ngx_int_t
ngx_http_tocsin_add_labels(ngx_array_t *to, ngx_array_t *from,
    ngx_array_t *except)
{
    ngx_uint_t                i;
    ngx_http_tocsin_label_t  *label, *new;

    if (from == NULL) {
        return NGX_OK;
    }

    label = from->elts;

    for (i = 0; i < from->nelts; i++) {

        if (label[i].value.text.len == 0
            || ngx_http_tocsin_find_label(except, &label[i].name))
        {
            continue;
        }

        new = ngx_array_push(to);
        if (new == NULL) {
            return NGX_ERROR;
        }

        *new = label[i];
    }

    return NGX_OK;
}


/* constants are encoded here, once; variables are left for the log phase */

static ngx_int_t
ngx_http_tocsin_split_labels(ngx_conf_t *cf, ngx_http_tocsin_labels_t *conf)
{
    ngx_uint_t                i;
    struct tocsin_out         out;
    ngx_http_tocsin_label_t  *label, *new;

    conf->variable = NULL;

    out.cap = TOCSIN_LABELS_MAX;
    out.need = 0;
    out.data = ngx_pnalloc(cf->pool, out.cap);
    if (out.data == NULL) {
        return NGX_ERROR;
    }

    label = conf->all->elts;

    for (i = 0; i < conf->all->nelts; i++) {

        if (label[i].value.index == -1 && label[i].value.complex == NULL) {
            ngx_http_tocsin_put_label(&out, &label[i], label[i].value.text);
            continue;
        }

        if (conf->variable == NULL) {
            conf->variable = ngx_array_create(cf->pool, conf->all->nelts,
                                              sizeof(ngx_http_tocsin_label_t));
            if (conf->variable == NULL) {
                return NGX_ERROR;
            }
        }

        new = ngx_array_push(conf->variable);
        if (new == NULL) {
            return NGX_ERROR;
        }

        *new = label[i];
    }

    if (!tocsin_out_fits(&out)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "the values of \"tocsin_label\" or of \"tocsin_field\" "
                      "that apply at one place have %uz bytes together, "
                      "at most %d may be sent", out.need, TOCSIN_LABELS_MAX);
        return NGX_ERROR;
    }

    conf->constant = tocsin_span_of(out.data, out.need);

    return NGX_OK;
}


static void
ngx_http_tocsin_put_label(struct tocsin_out *out,
    ngx_http_tocsin_label_t *label, struct tocsin_span value)
{
    size_t  first;

    /* the first one goes without its comma */

    first = (out->need == 0);

    tocsin_out_put(out, (char *) label->prefix.data + first,
                   label->prefix.len - first);
    tocsin_pct_encode(out, value);
}


struct tocsin_span
ngx_http_tocsin_evaluate(ngx_http_request_t *r, ngx_http_tocsin_value_t *value)
{
    ngx_str_t                   text;
    ngx_http_variable_value_t  *vv;

    if (value->index != -1) {
        vv = ngx_http_get_flushed_variable(r, value->index);

        if (vv == NULL || vv->not_found) {
            return TOCSIN_SPAN("");
        }

        return tocsin_span_of((char *) vv->data,
                              ngx_min(vv->len, TOCSIN_TEXT_MAX));
    }

    if (value->complex == NULL) {
        return value->text;
    }

    if (ngx_http_complex_value(r, value->complex, &text) != NGX_OK) {
        return TOCSIN_SPAN("");
    }

    return tocsin_span_of((char *) text.data,
                          ngx_min(text.len, TOCSIN_TEXT_MAX));
}


/* of labels with variables; buf has TOCSIN_LABELS_MAX bytes; what does not fit
   is left out */

struct tocsin_span
ngx_http_tocsin_evaluate_labels(ngx_http_request_t *r,
    ngx_http_tocsin_labels_t *labels, u_char *buf)
{
    size_t                    mark;
    ngx_uint_t                i;
    struct tocsin_out         out;
    struct tocsin_span        value;
    ngx_http_tocsin_label_t  *label;

    out.data = (char *) buf;
    out.cap = TOCSIN_LABELS_MAX;
    out.need = 0;

    tocsin_out_span(&out, labels->constant);

    label = labels->variable->elts;

    for (i = 0; i < labels->variable->nelts; i++) {

        value = ngx_http_tocsin_evaluate(r, &label[i].value);

        if (value.len == 0) {
            continue;
        }

        mark = out.need;

        ngx_http_tocsin_put_label(&out, &label[i], value);

        if (!tocsin_out_fits(&out)) {
            out.need = mark;
        }
    }

    return tocsin_span_of(out.data, out.need);
}
