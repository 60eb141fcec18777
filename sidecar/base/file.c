/*
 * Whole files. A file that others may read at any moment is never written in
 * place: the new bytes go to a file beside it, reach the disk, and take the
 * name over. A failure on the way (a full disk) leaves the old file as it was.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_CHUNK 65536
#define FILE_SECRET_MAX 4096

static int file_read_all(int fd, const char *path, struct buf *to,
                         struct err *err)
{
    char *at;
    ssize_t n;

    for (;;) {
        at = buf_reserve(to, FILE_CHUNK);
        if (at == NULL) {
            return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path,
                           to->cap - FILE_CHUNK);
        }
        n = read(fd, at, FILE_CHUNK);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set_errno(err, "%s: read", path);
        }
        to->len += (size_t)n;
        to->data[to->len] = '\0';
        if (n == 0) {
            return 0;
        }
    }
}

int file_read(const char *path, struct buf *to, struct err *err)
{
    struct stat st;
    int fd, rc;

    /* Room for the chunk that finds the end. */
    to->cap += FILE_CHUNK;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        rc = err_set_errno(err, "%s", path);
        to->cap -= FILE_CHUNK;
        return rc;
    }
    if (fstat(fd, &st) != 0) {
        rc = err_set_errno(err, "%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        rc = err_set(err, ERR_INPUT, "%s: not a regular file", path);
    } else {
        rc = file_read_all(fd, path, to, err);
    }
    close(fd);
    to->cap -= FILE_CHUNK;
    return rc;
}

int file_read_secret(const char *path, struct buf *to, struct err *err)
{
    size_t cap = to->cap;
    int rc;

    to->cap = to->len + FILE_SECRET_MAX;
    rc = file_read(path, to, err);
    to->cap = cap;
    if (rc == 0) {
        to->len = strcspn(to->data, "\r\n");
        to->data[to->len] = '\0';
        if (to->len == 0) {
            rc = err_set(err, ERR_INPUT, "%s: its first line is empty", path);
        }
    }
    return rc;
}

void file_forget(struct buf *secret)
{
    if (secret->data != NULL) {
        explicit_bzero(secret->data, secret->room);
    }
    buf_release(secret);
}

static int file_write_all(int fd, const char *path, const char *data,
                          size_t len, struct err *err)
{
    ssize_t n;

    while (len != 0) {
        n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set_errno(err, "%s: write", path);
        }
        data += n;
        len -= (size_t)n;
    }
    if (fsync(fd) != 0) {
        return err_set_errno(err, "%s: fsync", path);
    }
    return 0;
}

static int file_write_new(const char *path, const void *data, size_t len,
                          struct err *err)
{
    int fd, rc;

    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_set_errno(err, "%s", path);
    }
    rc = file_write_all(fd, path, data, len, err);
    if (close(fd) != 0 && rc == 0) {
        rc = err_set_errno(err, "%s: close", path);
    }
    if (rc != 0) {
        unlink(path);
    }
    return rc;
}

/* The old file gets a second name first, so that there is always one at path.
 * Where it cannot have two (the kernel allows none for a stranger's file, some
 * file systems for no file) it is there under its second name alone, until the
 * new one comes. */
static int file_keep_old(const char *path, struct err *err)
{
    char old[PATH_MAX], link_path[PATH_MAX];

    snprintf(old, sizeof(old), "%s.old", path);
    snprintf(link_path, sizeof(link_path), "%s.lnk", path);
    unlink(link_path);
    if (link(path, link_path) != 0) {
        if (errno == ENOENT) {
            return 0;
        }
        memcpy(link_path, path, strlen(path) + 1);
    }
    if (rename(link_path, old) != 0) {
        return err_set_errno(err, "%s: rename", old);
    }
    return 0;
}

/* A rename is on the disk when its directory is. */
static int file_sync_directory(const char *path, struct err *err)
{
    char directory[PATH_MAX];
    char *slash;
    int fd, rc = 0;

    snprintf(directory, sizeof(directory), "%s", path);
    slash = strrchr(directory, '/');
    if (slash == NULL) {
        memcpy(directory, ".", 2);
    } else {
        slash[slash == directory] = '\0';
    }
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        rc = err_set_errno(err, "%s: fsync", directory);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int file_replace(const char *path, const void *data, size_t len, bool keep,
                 struct err *err)
{
    char new[PATH_MAX];

    if (strlen(path) + sizeof(".new") > sizeof(new)) {
        return err_set(err, ERR_LIMIT, "%s: path too long", path);
    }
    snprintf(new, sizeof(new), "%s.new", path);
    if (file_write_new(new, data, len, err) != 0) {
        return -1;
    }
    if (keep && file_keep_old(path, err) != 0) {
        unlink(new);
        return -1;
    }
    if (rename(new, path) != 0) {
        err_set_errno(err, "%s: rename", path);
        unlink(new);
        return -1;
    }
    return file_sync_directory(path, err);
}
