
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_TOCSIN_H_INCLUDED_
#define _NGX_TOCSIN_H_INCLUDED_


/*
 * The transport: a ring per worker in shared memory, shipped to Redis Streams.
 * It knows the nginx core only; the http module, and later the stream module,
 * fill in the settings and emit events.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include <shared/alert_codec.h>
#include <shared/event_codec.h>
#include <shared/names.h>


#define NGX_TOCSIN_PASSWORD_MAX   1024


/* reasons of dropped events, as in tocsin_events_dropped_total{reason} */

#define NGX_TOCSIN_DROP_FULL      0    /* no room in the ring */
#define NGX_TOCSIN_DROP_REFUSED   1    /* Redis refused this very entry */
#define NGX_TOCSIN_DROP_SHUTDOWN  2    /* not drained within 3 s */
#define NGX_TOCSIN_DROP_SLOT      3    /* the worker has got no ring */
#define NGX_TOCSIN_DROPS          4


typedef struct {
    ngx_str_t                url;          /* as configured */
    ngx_addr_t              *addrs;
    ngx_uint_t               naddrs;
    ngx_uint_t               db;
    ngx_uint_t               tls;
    ngx_str_t                name;         /* what a certificate has to bear */
    ngx_str_t                master;       /* addrs are of sentinels */
} ngx_tocsin_server_t;


typedef struct {
    ngx_array_t              servers;      /* of ngx_tocsin_server_t */
    ngx_str_t                user;
    ngx_str_t                password_file;
    ngx_str_t                password;     /* read by ngx_tocsin_init() */
    ngx_str_t                ca;           /* or what the system trusts */
    ngx_str_t                cert;         /* of our own, and its key */
    ngx_str_t                key;
    ngx_str_t                tls_name;     /* instead of those of servers */
    void                    *ssl;          /* made by ngx_tocsin_init() */
    ngx_msec_t               timeout;

    ngx_str_t                prefix;
    ngx_uint_t               maxlen;
    ngx_uint_t               shards;

    size_t                   zone_size;
    size_t                   buffer_size;
    ngx_msec_t               flush;

    ngx_str_t                hostname;     /* as it stands in src */
    ngx_core_conf_t         *core;         /* may be read after this */
    ngx_uint_t               slots;        /* workers, also those that drain */
    ngx_shm_zone_t          *zone;         /* counters and slots */
    ngx_shm_zone_t          *ring_zone;    /* a ring for every slot */
    uint64_t                 cycle;        /* number of this configuration */
    void                    *worker;       /* of ngx_tocsin_ring.c */
} ngx_tocsin_conf_t;


typedef struct {
    uint64_t                 emitted;
    uint64_t                 delivered;
    uint64_t                 dropped[NGX_TOCSIN_DROPS];
    uint64_t                 buffered;     /* counted in the rings */
    uint64_t                 reconnects;
    ngx_uint_t               connected;    /* workers with a link that is up */
    ngx_uint_t               workers;
    char                     error[128];   /* the last one of a link, or "" */
    uint64_t                 error_us;
} ngx_tocsin_totals_t;


/*
 * Parses redis://HOST[:PORT][/DB], rediss://..., unix:/PATH[?db=DB] or
 * sentinel://MASTER@HOST[:PORT][,...][/DB] and resolves names; what is wrong is
 * logged, with what is legal.
 */
char *ngx_tocsin_parse_url(ngx_conf_t *cf, ngx_str_t *url,
    ngx_tocsin_server_t *server);

/*
 * Reads the password and certificates and adds the shared memory zones; after
 * the directives have been read.
 */
ngx_int_t ngx_tocsin_init(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf, void *tag);

/* the context of TLS, where a server wants it; ngx_tocsin_init() calls this */
ngx_int_t ngx_tocsin_tls_init(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf);

ngx_int_t ngx_tocsin_init_process(ngx_cycle_t *cycle, ngx_tocsin_conf_t *tcf);
void ngx_tocsin_exit_process(ngx_cycle_t *cycle, ngx_tocsin_conf_t *tcf);

/*
 * Takes one event: gives it v, src and seq, and copies it into this worker's
 * ring.  Never blocks, never fails: what does not fit is counted.  Returns the
 * seq given to it, for the `req` of attempts.
 */
uint64_t ngx_tocsin_emit(ngx_tocsin_conf_t *tcf, struct tocsin_event *ev);

/*
 * After one or several events of one handler, before it returns to the event
 * loop: from here on they outlive the worker, are counted, and will be sent.
 */
void ngx_tocsin_commit(ngx_tocsin_conf_t *tcf);

/* the seq that the next event of a stream will get */
uint64_t ngx_tocsin_next_seq(ngx_tocsin_conf_t *tcf, enum tocsin_stream stream);

/* writes the `inflight` of the beat that is sent every second */
typedef void (*ngx_tocsin_inflight_pt)(void *data, struct tocsin_out *out);

void ngx_tocsin_set_inflight(ngx_tocsin_conf_t *tcf,
    ngx_tocsin_inflight_pt handler, void *data);

/* sums over all workers, living and dead, of this master */
void ngx_tocsin_totals(ngx_tocsin_conf_t *tcf, ngx_tocsin_totals_t *totals);

/* us since the epoch, true at the moment of the call (not ngx_cached_time) */
uint64_t ngx_tocsin_now(void);


/*
 * The link: one connection to Redis that a worker owns (ngx_tocsin_redis.c).
 * It connects, by TLS too, authenticates and selects by itself, tries the
 * servers in their order, backs off with jitter, and reads replies through a
 * table of functions, fed bytes capped.  An error that tells that this server
 * is of no use now (READONLY, NOAUTH, ...) makes it go on to the next one by
 * itself.
 */

typedef struct ngx_tocsin_link_s  ngx_tocsin_link_t;

typedef struct {
    /* events of a parsed reply, depth first; depth 0 is the reply itself */
    void  (*array)(void *data, ngx_uint_t depth, size_t elements);
    void  (*string)(void *data, ngx_uint_t depth, u_char *p, size_t len);
    void  (*integer)(void *data, ngx_uint_t depth, int64_t value);
    void  (*nil)(void *data, ngx_uint_t depth);
    void  (*error)(void *data, ngx_uint_t depth, u_char *p, size_t len);
    void  (*end)(void *data);             /* the reply is whole */

    void  (*ready)(void *data);           /* may send; after every connect */
    void  (*lost)(void *data);            /* all that is not replied is void */

    /* these may be NULL */
    void  (*ids)(void *data, ngx_uint_t n);   /* instead: so many entry ids */
    void  (*drained)(void *data);         /* all replies that came were read */
} ngx_tocsin_link_handler_t;

/* what an error reply means for the one who sent a command */

typedef enum {
    NGX_TOCSIN_REFUSED = 0,               /* this very command */
    NGX_TOCSIN_LATER,                     /* the server, for the time being */
    NGX_TOCSIN_ELSEWHERE                  /* the server, or our rights there */
} ngx_tocsin_refusal_e;

ngx_tocsin_refusal_e ngx_tocsin_refusal(u_char *p, size_t len);

/*
 * Copies what Redis said, as far as it fits, and terminates it: it may be
 * anything, but must not make lines of its own in a log.
 */
void ngx_tocsin_words(u_char *to, size_t size, u_char *p, size_t len);

ngx_tocsin_link_t *ngx_tocsin_link_create(ngx_tocsin_conf_t *tcf,
    ngx_pool_t *pool, ngx_log_t *log, const ngx_tocsin_link_handler_t *handler,
    void *data);
void ngx_tocsin_link_start(ngx_tocsin_link_t *link);
void ngx_tocsin_link_stop(ngx_tocsin_link_t *link);

/* how much longer than tcf->timeout a reply may take (XREAD BLOCK) */
void ngx_tocsin_link_patience(ngx_tocsin_link_t *link, ngx_msec_t patience);

ngx_uint_t ngx_tocsin_link_up(ngx_tocsin_link_t *link);

/* this server makes no sense: on to the next one, and tell why */
void ngx_tocsin_link_leave(ngx_tocsin_link_t *link, u_char *reason,
    size_t len);

/*
 * Copies one whole command to the link's buffer and sends; NGX_OK, or
 * NGX_AGAIN when the link is not up or the buffer has no room for it.
 */
ngx_int_t ngx_tocsin_link_send(ngx_tocsin_link_t *link, u_char *p, size_t len);

/*
 * The same without a copy: room for at least `size` bytes in the buffer (and
 * its true end, unless `last` is NULL), or NULL; then the end of what was
 * written there, `commands` of them; then all is sent at once.
 */
u_char *ngx_tocsin_link_room(ngx_tocsin_link_t *link, size_t size,
    u_char **last);
void ngx_tocsin_link_wrote(ngx_tocsin_link_t *link, u_char *end,
    ngx_uint_t commands);
void ngx_tocsin_link_flush(ngx_tocsin_link_t *link);

/*
 * Without the event loop, for a process that is about to exit: waits up to
 * `timer` for the link to make progress.
 */
void ngx_tocsin_link_poll(ngx_tocsin_link_t *link, ngx_msec_t timer);

/* the last trouble, or "" while all is well; for totals */
void ngx_tocsin_link_trouble(ngx_tocsin_link_t *link, char *text, size_t size);


#endif /* _NGX_TOCSIN_H_INCLUDED_ */
