/*
 * OpenSSL's part of a connection to Redis. hiredis moves bytes through the SSL
 * object that it is given here; what must be true of the peer is laid down in
 * it beforehand, for hiredis itself checks no name before 1.5. A context is
 * made for each connection, so that renewed files need no restart.
 */
#include "redis_tls.h"

#include <stddef.h>

#ifdef TOCSIN_TLS

#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

const char *redis_tls_missing(void)
{
    return NULL;
}

static bool given(const char *text)
{
    return text != NULL && *text != '\0';
}

/* What OpenSSL refused; its first word is the cause. */
static int refuse(struct err *err, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return err_set(err, ERR_USAGE, "redis: TLS: %s: %s", what,
                   reason != NULL ? reason : "not accepted");
}

static int trust(SSL_CTX *ctx, const struct redis_tls *tls, struct err *err)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        return refuse(err, "version");
    }
    if (given(tls->ca)) {
        if (SSL_CTX_load_verify_locations(ctx, tls->ca, NULL) != 1) {
            return refuse(err, tls->ca);
        }
    } else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return refuse(err, "the CAs of this system");
    }
    return 0;
}

static int show(SSL_CTX *ctx, const struct redis_tls *tls, struct err *err)
{
    if (!given(tls->cert) && !given(tls->key)) {
        return 0;
    }
    if (!given(tls->cert) || !given(tls->key)) {
        return err_set(err, ERR_USAGE,
                       "redis: TLS: a certificate needs its key, and a key its "
                       "certificate");
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, tls->cert) != 1) {
        return refuse(err, tls->cert);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, tls->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        return refuse(err, tls->key);
    }
    return 0;
}

/* The name that is asked for, and the name or the address that is due. */
static int expect(SSL *ssl, const char *name, struct err *err)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1) {
        return 0;
    }
    ERR_clear_error();
    if (X509_VERIFY_PARAM_set1_host(param, name, 0) != 1 ||
        SSL_set_tlsext_host_name(ssl, name) != 1) {
        return refuse(err, name);
    }
    return 0;
}

static SSL *make(const struct redis_tls *tls, const char *name, struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;

    if (ctx == NULL) {
        refuse(err, "no context");
        return NULL;
    }
    if (trust(ctx, tls, err) == 0 && show(ctx, tls, err) == 0) {
        ssl = SSL_new(ctx);
        if (ssl == NULL) {
            refuse(err, "no connection");
        } else if (expect(ssl, name, err) != 0) {
            SSL_free(ssl);
            ssl = NULL;
        }
    }
    SSL_CTX_free(ctx); /* the connection holds it */
    return ssl;
}

int redis_tls_start(redisContext *redis, const struct redis_tls *tls,
                    const char *host, struct err *err)
{
    const char *name = given(tls->name) ? tls->name : host;
    SSL *ssl = make(tls, name, err);
    long verified;

    if (ssl == NULL) {
        return -1;
    }
    if (redisInitiateSSL(redis, ssl) == REDIS_OK) {
        redis->privdata = ssl; /* redisFree() frees it */
        return 0;
    }
    verified = SSL_get_verify_result(ssl);
    if (verified != X509_V_OK) {
        err_set(err, ERR_NETWORK,
                "redis: certificate verify failed (%s), expected one for "
                "\"%s\" by %s",
                X509_verify_cert_error_string(verified), name,
                given(tls->ca) ? tls->ca : "a CA that the system trusts");
    } else {
        err_set(err, ERR_NETWORK, "redis: TLS: %s", redis->errstr);
    }
    SSL_free(ssl);
    ERR_clear_error();
    return -1;
}

bool redis_tls_pending(const redisContext *redis)
{
    return redis->privdata != NULL && SSL_pending(redis->privdata) > 0;
}

#else

const char *redis_tls_missing(void)
{
    return "this tocsin was built without TLS, for want of hiredis_ssl: use "
           "a unix socket, loopback or a tunnel (stunnel)";
}

int redis_tls_start(struct redisContext *redis, const struct redis_tls *tls,
                    const char *host, struct err *err)
{
    (void)redis, (void)tls, (void)host;
    return err_set(err, ERR_USAGE, "%s", redis_tls_missing());
}

bool redis_tls_pending(const struct redisContext *redis)
{
    (void)redis;
    return false;
}

#endif
