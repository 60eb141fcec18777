
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_http_tocsin_module.h"


#define NGX_HTTP_TOCSIN_PROVIDER_MAX  63
#define NGX_HTTP_TOCSIN_NAMES_MAX     512    /* bytes, in a warning */


typedef struct {
    ngx_str_t                 upstream;
    ngx_http_tocsin_place_t  *place;
    ngx_str_t                 file;     /* where it is written */
    ngx_uint_t                line;
    unsigned                  found:1;  /* there is such an upstream */
} ngx_http_tocsin_named_place_t;


typedef struct {
    ngx_radix_tree_t         *tree;
#if (NGX_HAVE_INET6)
    ngx_radix_tree_t         *tree6;
#endif
    ngx_array_t               named;    /* ngx_http_tocsin_named_place_t */
} ngx_http_tocsin_clouds_t;


static ngx_http_tocsin_clouds_t *ngx_http_tocsin_create_clouds(ngx_conf_t *cf,
    ngx_http_tocsin_main_conf_t *tmcf);
static ngx_http_tocsin_place_t *ngx_http_tocsin_create_place(ngx_conf_t *cf);
static char *ngx_http_tocsin_provider(ngx_conf_t *cf, ngx_str_t *provider);
static char *ngx_http_tocsin_add_named(ngx_conf_t *cf,
    ngx_http_tocsin_clouds_t *clouds, ngx_str_t *name,
    ngx_http_tocsin_place_t *place);
static char *ngx_http_tocsin_add_network(ngx_conf_t *cf,
    ngx_http_tocsin_clouds_t *clouds, ngx_str_t *text,
    ngx_http_tocsin_place_t *place);
static size_t ngx_http_tocsin_upstream_names(ngx_conf_t *cf, u_char *buf);
static ngx_http_tocsin_place_t *ngx_http_tocsin_find(ngx_radix_tree_t *tree,
    in_addr_t addr);


/* the values of OpenTelemetry's cloud.provider, and what people write */

static ngx_str_t  ngx_http_tocsin_providers[] = {
    ngx_string("aws"),
    ngx_string("azure"),
    ngx_string("gcp"),
    ngx_string("alibaba_cloud"),
    ngx_string("tencent_cloud"),
    ngx_string("ibm_cloud"),
    ngx_string("oracle_cloud"),
    ngx_string("heroku"),
    ngx_null_string
};


static ngx_keyval_t  ngx_http_tocsin_misnomers[] = {
    { ngx_string("amazon"), ngx_string("aws") },
    { ngx_string("ec2"), ngx_string("aws") },
    { ngx_string("microsoft"), ngx_string("azure") },
    { ngx_string("google"), ngx_string("gcp") },
    { ngx_string("google_cloud"), ngx_string("gcp") },
    { ngx_string("gce"), ngx_string("gcp") },
    { ngx_string("alibaba"), ngx_string("alibaba_cloud") },
    { ngx_string("aliyun"), ngx_string("alibaba_cloud") },
    { ngx_string("tencent"), ngx_string("tencent_cloud") },
    { ngx_string("qcloud"), ngx_string("tencent_cloud") },
    { ngx_string("ibm"), ngx_string("ibm_cloud") },
    { ngx_string("oracle"), ngx_string("oracle_cloud") },
    { ngx_string("oci"), ngx_string("oracle_cloud") },
    { ngx_null_string, ngx_null_string }
};


char *
ngx_http_tocsin_cloud(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tocsin_main_conf_t *tmcf = conf;

    ngx_str_t                 *value, name;
    ngx_http_tocsin_place_t   *place;
    ngx_http_tocsin_clouds_t  *clouds;

    clouds = ngx_http_tocsin_create_clouds(cf, tmcf);
    if (clouds == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (ngx_http_tocsin_provider(cf, &value[2]) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    place = ngx_http_tocsin_create_place(cf);
    if (place == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value[1].data, "upstream:", 9) == 0) {
        name.data = value[1].data + 9;
        name.len = value[1].len - 9;

        return ngx_http_tocsin_add_named(cf, clouds, &name, place);
    }

    return ngx_http_tocsin_add_network(cf, clouds, &value[1], place);
}


static ngx_http_tocsin_clouds_t *
ngx_http_tocsin_create_clouds(ngx_conf_t *cf, ngx_http_tocsin_main_conf_t *tmcf)
{
    ngx_http_tocsin_clouds_t  *clouds;

    if (tmcf->cloud) {
        return tmcf->cloud;
    }

    clouds = ngx_pcalloc(cf->pool, sizeof(ngx_http_tocsin_clouds_t));
    if (clouds == NULL) {
        return NULL;
    }

    if (ngx_array_init(&clouds->named, cf->pool, 4,
                       sizeof(ngx_http_tocsin_named_place_t))
        != NGX_OK)
    {
        return NULL;
    }

    clouds->tree = ngx_radix_tree_create(cf->pool, 0);
    if (clouds->tree == NULL) {
        return NULL;
    }

#if (NGX_HAVE_INET6)
    clouds->tree6 = ngx_radix_tree_create(cf->pool, 0);
    if (clouds->tree6 == NULL) {
        return NULL;
    }
#endif

    tmcf->cloud = clouds;

    return clouds;
}


static ngx_http_tocsin_place_t *
ngx_http_tocsin_create_place(ngx_conf_t *cf)
{
    ngx_str_t                *value;
    ngx_uint_t                i;
    struct tocsin_span       *span[3];
    struct tocsin_event       ev;
    ngx_http_tocsin_place_t  *place;

    place = ngx_pcalloc(cf->pool, sizeof(ngx_http_tocsin_place_t));
    if (place == NULL) {
        return NULL;
    }

    span[0] = &place->provider;
    span[1] = &place->region;
    span[2] = &place->zone;

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts && i < 5; i++) {

        if (value[i].len > TOCSIN_TEXT_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" in \"tocsin_cloud\" is longer "
                               "than %d bytes", &value[i], TOCSIN_TEXT_MAX);
            return NULL;
        }

        *span[i - 2] = tocsin_span_of((char *) value[i].data, value[i].len);
    }

    ev.cloud = place->provider;
    ev.region = place->region;
    ev.zone = place->zone;

    if (ngx_http_tocsin_make_piece(cf, &place->piece, tocsin_record_place, &ev)
        != NGX_OK)
    {
        return NULL;
    }

    return place;
}


static char *
ngx_http_tocsin_provider(ngx_conf_t *cf, ngx_str_t *provider)
{
    u_char         ch;
    ngx_str_t     *known;
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    for (known = ngx_http_tocsin_providers; known->len; known++) {
        if (known->len == provider->len
            && ngx_strcmp(known->data, provider->data) == 0)
        {
            return NGX_CONF_OK;
        }
    }

    for (i = 0; i < provider->len; i++) {
        ch = provider->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')
              || ch == '_'))
        {
            break;
        }
    }

    if (i == 0 || i < provider->len || i > NGX_HTTP_TOCSIN_PROVIDER_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid provider \"%V\" in \"tocsin_cloud\", it "
                           "may be aws, azure, gcp, alibaba_cloud, "
                           "tencent_cloud, ibm_cloud, oracle_cloud, heroku, "
                           "or a name of your own of 1 to %d of the "
                           "characters a-z 0-9 _",
                           provider, NGX_HTTP_TOCSIN_PROVIDER_MAX);
        return NGX_CONF_ERROR;
    }

    for (kv = ngx_http_tocsin_misnomers; kv->key.len; kv++) {
        if (kv->key.len == provider->len
            && ngx_strcmp(kv->key.data, provider->data) == 0)
        {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "provider \"%V\" in \"tocsin_cloud\" is taken "
                               "as it is, the usual name is \"%V\"",
                               provider, &kv->value);
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tocsin_add_named(ngx_conf_t *cf, ngx_http_tocsin_clouds_t *clouds,
    ngx_str_t *name, ngx_http_tocsin_place_t *place)
{
    ngx_uint_t                      i;
    ngx_http_tocsin_named_place_t  *np;

    if (name->len == 0) {
        return "has \"upstream:\" without a name";
    }

    np = clouds->named.elts;

    for (i = 0; i < clouds->named.nelts; i++) {
        if (np[i].upstream.len == name->len
            && ngx_strncasecmp(np[i].upstream.data, name->data, name->len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate \"upstream:%V\" in \"tocsin_cloud\"",
                               name);
            return NGX_CONF_ERROR;
        }
    }

    np = ngx_array_push(&clouds->named);
    if (np == NULL) {
        return NGX_CONF_ERROR;
    }

    np->upstream = *name;
    np->place = place;
    np->file = cf->conf_file->file.name;
    np->line = cf->conf_file->line;
    np->found = 0;

    return NGX_CONF_OK;
}


/* after all upstreams were asked for their place */

void
ngx_http_tocsin_check_clouds(ngx_conf_t *cf, ngx_http_tocsin_main_conf_t *tmcf)
{
    u_char                          names[NGX_HTTP_TOCSIN_NAMES_MAX];
    size_t                          len;
    ngx_uint_t                      i;
    ngx_http_tocsin_clouds_t       *clouds;
    ngx_http_tocsin_named_place_t  *np;

    clouds = tmcf->cloud;

    if (clouds == NULL) {
        return;
    }

    np = clouds->named.elts;

    for (i = 0; i < clouds->named.nelts; i++) {

        if (np[i].found) {
            continue;
        }

        len = ngx_http_tocsin_upstream_names(cf, names);

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"tocsin_cloud upstream:%V\" names no upstream that "
                      "exists, only a proxy_pass with variables may come to "
                      "it; there are: %*s in %V:%ui",
                      &np[i].upstream, len, names, &np[i].file, np[i].line);
    }
}


static size_t
ngx_http_tocsin_upstream_names(ngx_conf_t *cf, u_char *buf)
{
    u_char                          *p, *last;
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **uscfp;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    p = buf;
    last = buf + NGX_HTTP_TOCSIN_NAMES_MAX;

    for (i = 0; i < umcf->upstreams.nelts; i++) {
        p = ngx_slprintf(p, last, "%s\"%V\"", i ? ", " : "",
                         &uscfp[i]->host);
    }

    if (p == buf) {
        p = ngx_slprintf(p, last, "none");
    }

    return p - buf;
}


static char *
ngx_http_tocsin_add_network(ngx_conf_t *cf, ngx_http_tocsin_clouds_t *clouds,
    ngx_str_t *text, ngx_http_tocsin_place_t *place)
{
    ngx_int_t   rc;
    ngx_cidr_t  cidr;

    rc = ngx_ptocidr(text, &cidr);

    if (rc == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%V\" in \"tocsin_cloud\", it may be "
                           "a network such as \"10.0.0.0/8\", \"fd00::/8\", "
                           "an address, or \"upstream:NAME\"", text);
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_DONE) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "low address bits of \"%V\" are meaningless", text);
    }

    switch (cidr.family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        rc = ngx_radix128tree_insert(clouds->tree6, cidr.u.in6.addr.s6_addr,
                                     cidr.u.in6.mask.s6_addr,
                                     (uintptr_t) place);
        break;
#endif

    default: /* AF_INET */
        rc = ngx_radix32tree_insert(clouds->tree, ntohl(cidr.u.in.addr),
                                    ntohl(cidr.u.in.mask), (uintptr_t) place);
        break;
    }

    if (rc == NGX_BUSY) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate network \"%V\" in \"tocsin_cloud\"",
                           text);
    }

    return (rc == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* by the longest prefix that contains the address */

ngx_http_tocsin_place_t *
ngx_http_tocsin_place_of_peer(ngx_http_tocsin_main_conf_t *tmcf,
    struct sockaddr *sa)
{
    struct sockaddr_in        *sin;
    ngx_http_tocsin_clouds_t  *clouds;
#if (NGX_HAVE_INET6)
    u_char                    *p;
    in_addr_t                  addr;
    uintptr_t                  value;
    struct sockaddr_in6       *sin6;
#endif

    clouds = tmcf->cloud;

    if (clouds == NULL || sa == NULL) {
        return NULL;
    }

    switch (sa->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        return ngx_http_tocsin_find(clouds->tree, ntohl(sin->sin_addr.s_addr));

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        p = sin6->sin6_addr.s6_addr;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            addr = (in_addr_t) p[12] << 24;
            addr += p[13] << 16;
            addr += p[14] << 8;
            addr += p[15];

            return ngx_http_tocsin_find(clouds->tree, addr);
        }

        value = ngx_radix128tree_find(clouds->tree6, p);

        if (value == NGX_RADIX_NO_VALUE) {
            return NULL;
        }

        return (ngx_http_tocsin_place_t *) value;
#endif

    default: /* AF_UNIX */
        return NULL;
    }
}


static ngx_http_tocsin_place_t *
ngx_http_tocsin_find(ngx_radix_tree_t *tree, in_addr_t addr)
{
    uintptr_t  value;

    value = ngx_radix32tree_find(tree, addr);

    if (value == NGX_RADIX_NO_VALUE) {
        return NULL;
    }

    return (ngx_http_tocsin_place_t *) value;
}


ngx_http_tocsin_place_t *
ngx_http_tocsin_place_of_upstream(ngx_http_tocsin_main_conf_t *tmcf,
    ngx_str_t *name)
{
    ngx_uint_t                      i;
    ngx_http_tocsin_clouds_t       *clouds;
    ngx_http_tocsin_named_place_t  *np;

    clouds = tmcf->cloud;

    if (clouds == NULL) {
        return NULL;
    }

    np = clouds->named.elts;

    for (i = 0; i < clouds->named.nelts; i++) {
        if (np[i].upstream.len == name->len
            && ngx_strncasecmp(np[i].upstream.data, name->data, name->len) == 0)
        {

            if (!np[i].found) {
                np[i].found = 1;
            }

            return np[i].place;
        }
    }

    return NULL;
}
