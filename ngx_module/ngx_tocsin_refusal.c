
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin.h"


/*
 * Redis begins an error with a code.  What is not listed is taken for trouble
 * of the server that passes: better to wait with an entry than to lose it.
 */

typedef struct {
    ngx_str_t             text;
    ngx_tocsin_refusal_e  refusal;
} ngx_tocsin_refusal_t;


static ngx_tocsin_refusal_t  ngx_tocsin_refusals[] = {

    /* of a replica, or of a user that may not */
    { ngx_string("READONLY "), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("MASTERDOWN "), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("NOAUTH "), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("NOPERM "), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("WRONGPASS "), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("DENIED "), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("UNBLOCKED "), NGX_TOCSIN_ELSEWHERE },

    /* of a cluster's node that does not hold this key */
    { ngx_string("MOVED "), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("ASK "), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("CROSSSLOT "), NGX_TOCSIN_ELSEWHERE },

    { ngx_string("ERR invalid password"), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("ERR AUTH "), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("ERR Client sent AUTH"), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("ERR operation not permitted"), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("ERR max number of clients"), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("ERR unknown command"), NGX_TOCSIN_ELSEWHERE },
    { ngx_string("ERR Protocol error"), NGX_TOCSIN_ELSEWHERE },

    /* of this very entry, or of the key that it goes to */
    { ngx_string("WRONGTYPE "), NGX_TOCSIN_REFUSED },
    { ngx_string("ERR "), NGX_TOCSIN_REFUSED },

    /* OOM, LOADING, BUSY, MISCONF, CLUSTERDOWN, TRYAGAIN, NOREPLICAS, ... */
    { ngx_null_string, NGX_TOCSIN_LATER }
};


ngx_tocsin_refusal_e
ngx_tocsin_refusal(u_char *p, size_t len)
{
    ngx_tocsin_refusal_t  *r;

    for (r = ngx_tocsin_refusals; r->text.len; r++) {

        if (len >= r->text.len
            && ngx_strncmp(p, r->text.data, r->text.len) == 0)
        {
            break;
        }
    }

    return r->refusal;
}


void
ngx_tocsin_words(u_char *to, size_t size, u_char *p, size_t len)
{
    u_char  *last;

    last = p + ngx_min(len, size - 1);

    while (p < last) {
        *to++ = (*p < 0x20 || *p == 0x7f) ? '.' : *p;
        p++;
    }

    *to = '\0';
}
