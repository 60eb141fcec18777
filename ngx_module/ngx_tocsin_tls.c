
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin_link.h"


/*
 * TLS to redis, by nginx' own functions.  One context is made from the
 * configuration and shared by the links of all workers.  A handshake is one
 * more state of a link, under the time limit of connecting; afterwards the
 * connection's recv() and send() are other ones, and nothing else is.
 *
 * The certificate must be signed by the CA that was named, or else by one that
 * the system trusts, and bear the name or the address that we connect to: this
 * is looked at before the first byte is sent, thus before the password is.
 */

#if (NGX_SSL)

#define NGX_TOCSIN_TLS_DEPTH  10


static ngx_int_t ngx_tocsin_tls_trust(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf,
    ngx_ssl_t *ssl);
static ngx_int_t ngx_tocsin_tls_expect(ngx_tocsin_link_t *link,
    ngx_connection_t *c);
static void ngx_tocsin_tls_handler(ngx_connection_t *c);
static ngx_int_t ngx_tocsin_tls_verify(ngx_tocsin_link_t *link,
    ngx_connection_t *c);
static ngx_str_t *ngx_tocsin_tls_name(ngx_tocsin_link_t *link);
static void ngx_tocsin_tls_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);


ngx_int_t
ngx_tocsin_tls_init(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    /* what is not sent yet moves within the buffer of the link, and grows */

    SSL_CTX_set_mode(ssl->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE
                               |SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    if (tcf->cert.len
        && ngx_ssl_certificate(cf, ssl, &tcf->cert, &tcf->key, NULL) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_tocsin_tls_trust(cf, tcf, ssl) != NGX_OK) {
        return NGX_ERROR;
    }

    tcf->ssl = ssl;

    return NGX_OK;
}


static ngx_int_t
ngx_tocsin_tls_trust(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf, ngx_ssl_t *ssl)
{
    if (ngx_ssl_trusted_certificate(cf, ssl, &tcf->ca, NGX_TOCSIN_TLS_DEPTH)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (tcf->ca.len) {
        return NGX_OK;
    }

    /* the file, now: a directory would be looked into by workers, each time */

    if (SSL_CTX_set_default_verify_file(ssl->ctx) == 0) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_file() failed");
        return NGX_ERROR;
    }

    ERR_clear_error();

    return NGX_OK;
}


void
ngx_tocsin_tls_start(ngx_tocsin_link_t *link)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = link->connection;

    link->state = NGX_TOCSIN_LINK_SECURING;

    /* what OpenSSL says becomes the reason of a failure, once */

    link->tls = *link->log;
    link->tls.log_level = NGX_LOG_INFO;
    link->tls.handler = NULL;
    link->tls.next = NULL;
    link->tls.writer = ngx_tocsin_tls_writer;
    link->tls.wdata = link;

    c->log = &link->tls;
    c->log_error = NGX_ERROR_INFO;

    c->pool = ngx_create_pool(512, link->log);

    if (c->pool == NULL
        || ngx_ssl_create_connection(link->tcf->ssl, c, NGX_SSL_CLIENT)
           != NGX_OK
        || ngx_tocsin_tls_expect(link, c) != NGX_OK)
    {
        ngx_tocsin_link_failed(link, "found no memory for TLS");
        return;
    }

    c->ssl->handler = ngx_tocsin_tls_handler;

    rc = ngx_ssl_handshake(c);

    if (rc != NGX_AGAIN) {
        ngx_tocsin_tls_handler(c);
    }
}


/* the name that is asked for, and the name or address that is due */

static ngx_int_t
ngx_tocsin_tls_expect(ngx_tocsin_link_t *link, ngx_connection_t *c)
{
    char               *name;
    ngx_int_t           rc;
    X509_VERIFY_PARAM  *param;

    name = (char *) ngx_tocsin_tls_name(link)->data;
    param = SSL_get0_param(c->ssl->connection);

    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);

    rc = NGX_OK;

    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 0
        && (X509_VERIFY_PARAM_set1_host(param, name, 0) == 0
            || SSL_set_tlsext_host_name(c->ssl->connection, name) == 0))
    {
        rc = NGX_ERROR;
    }

    ERR_clear_error();

    return rc;
}


static void
ngx_tocsin_tls_handler(ngx_connection_t *c)
{
    ngx_tocsin_link_t  *link;

    link = c->data;

    if (!c->ssl->handshaked) {
        ngx_tocsin_link_lost(link, "broke off the TLS handshake");
        return;
    }

    if (ngx_tocsin_tls_verify(link, c) != NGX_OK) {
        return;
    }

    c->read->handler = ngx_tocsin_link_read_handler;
    c->write->handler = ngx_tocsin_link_write_handler;

    /* what came with the end of the handshake makes no event of its own */

    ngx_post_event(c->read, &ngx_posted_events);

    ngx_tocsin_link_greet(link);
}


static ngx_int_t
ngx_tocsin_tls_verify(ngx_tocsin_link_t *link, ngx_connection_t *c)
{
    long        rc;
    X509       *cert;
    u_char     *p, text[NGX_TOCSIN_TROUBLE];
    ngx_str_t  *name, *ca;

    cert = SSL_get_peer_certificate(c->ssl->connection);

    if (cert == NULL) {
        ngx_tocsin_link_failed(link, "showed no certificate");
        return NGX_ERROR;
    }

    X509_free(cert);

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc == X509_V_OK) {
        return NGX_OK;
    }

    name = ngx_tocsin_tls_name(link);
    ca = &link->tcf->ca;

    p = ngx_snprintf(text, sizeof(text), "certificate verify failed (%s), "
                     "expected one for \"%V\" by ",
                     X509_verify_cert_error_string(rc), name);

    p = ca->len ? ngx_slprintf(p, text + sizeof(text), "\"%V\"", ca)
                : ngx_slprintf(p, text + sizeof(text),
                               "a CA that the system trusts");

    ngx_tocsin_link_fail(link, NGX_LOG_ERR, (char *) text, p - text);

    return NGX_ERROR;
}


static ngx_str_t *
ngx_tocsin_tls_name(ngx_tocsin_link_t *link)
{
    return link->tcf->tls_name.len
           ? &link->tcf->tls_name
           : &link->endpoints[link->endpoint].server->name;
}


void
ngx_tocsin_tls_close(ngx_connection_t *c)
{
    if (c->ssl) {
        /* neither waits nor sends: this may be all that is wrong with it */

        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }

    if (c->pool) {
        ngx_destroy_pool(c->pool);
        c->pool = NULL;
    }
}


/*
 * Of "... SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong
 * version number)" the last words; of what is no error of TLS, nothing.
 */

static void
ngx_tocsin_tls_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf, size_t len)
{
    u_char             *p, *end, *last;
    ngx_uint_t          i;
    ngx_tocsin_link_t  *link;

    link = log->wdata;
    last = buf + len;

    p = ngx_strnstr(buf, "(SSL: error:", len);

    if (p == NULL || link->tls_said[0]) {
        return;
    }

    p += sizeof("(SSL: error:") - 1;

    for (i = 0; i < 3; i++) {

        p = ngx_strlchr(p, last, ':');
        if (p == NULL) {
            return;
        }

        p++;
    }

    for (end = p; end < last && *end != ')' && *end != ':'; end++) {
        /* void */
    }

    ngx_snprintf((u_char *) link->tls_said, NGX_TOCSIN_TROUBLE - 1,
                 "TLS failed: %*s%Z", (size_t) (end - p), p);
}


#else


ngx_int_t
ngx_tocsin_tls_init(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "TLS to redis needs an nginx that was built "
                       "with OpenSSL, such as --with-http_ssl_module");

    return NGX_ERROR;
}


void
ngx_tocsin_tls_start(ngx_tocsin_link_t *link)
{
    ngx_tocsin_link_failed(link, "cannot be spoken to by TLS");
}


void
ngx_tocsin_tls_close(ngx_connection_t *c)
{
}


#endif
