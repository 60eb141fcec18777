
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/fault.h>


/*
 * Built with TOCSIN_FAULT_POINTS only (make faults).  A point is armed by a
 * file of its name in the directory that TOCSIN_FAULT_DIR tells.  Workers may
 * pass it as many times as the file has bytes; then the one that removes it
 * dies.
 */

#ifdef TOCSIN_FAULT_POINTS

#include <signal.h>


static const char  *ngx_tocsin_faults[] = {
#define X(NAME, help)  #NAME,
    TOCSIN_FAULTS(X)
#undef X
};


void
tocsin_fault_reached(enum tocsin_fault fault)
{
    u_char           path[NGX_MAX_PATH];
    const char      *dir;
    ngx_file_info_t  fi;

    dir = getenv("TOCSIN_FAULT_DIR");

    if (dir == NULL || ngx_process != NGX_PROCESS_WORKER) {
        return;
    }

    (void) ngx_snprintf(path, NGX_MAX_PATH, "%s/%s%Z", dir,
                        ngx_tocsin_faults[fault]);

    if (ngx_file_info(path, &fi) == NGX_FILE_ERROR) {
        return;
    }

    if (ngx_file_size(&fi) != 0) {

        if (truncate((char *) path, ngx_file_size(&fi) - 1) == -1) {
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                          "truncate(\"%s\") failed", path);
        }

        return;
    }

    if (unlink((char *) path) == 0) {
        (void) raise(SIGKILL);
    }
}

#endif
