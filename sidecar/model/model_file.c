/*
 * A TorchScript file is a program: loading one that somebody else can write
 * gives him our process. So its owner and mode are looked at, on the open
 * descriptor, before a byte of it is handed to libtorch.
 */
#include "model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model_zip.h"

static int model_file_check(int fd, const char *path, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return err_set_errno(err, "%s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, ERR_INPUT, "%s: not a regular file", path);
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        return err_set(err, ERR_REFUSED,
                       "%s: belongs to user %ju; a model is code and must "
                       "belong to the user that runs tocsin, or to root",
                       path, (uintmax_t)st.st_uid);
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return err_set(err, ERR_REFUSED,
                       "%s: mode %04o lets others write it; a model is code: "
                       "chmod go-w",
                       path, (unsigned)(st.st_mode & 07777));
    }
    return 0;
}

static int model_file_bytes(int fd, const char *path, struct buf *to,
                            struct err *err)
{
    ssize_t n;
    char *at;

    do {
        at = buf_reserve(to, 65536);
        if (at == NULL) {
            return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path,
                           to->cap);
        }
        do {
            n = read(fd, at, 65536);
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
            return err_set_errno(err, "%s: read", path);
        }
        to->len += (size_t)n;
    } while (n > 0);
    return 0;
}

int model_file_read(const char *path, struct buf *to, struct err *err)
{
    int fd, rc;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_set_errno(err, "%s", path);
    }
    rc = model_file_check(fd, path, err);
    if (rc == 0) {
        rc = model_file_bytes(fd, path, to, err);
    }
    close(fd);
    if (rc == 0 &&
        model_zip_check(to->data, to->len, MODEL_FILE_MAX, err) != 0) {
        rc = err_prefix(err, "%s", path);
    }
    return rc;
}
