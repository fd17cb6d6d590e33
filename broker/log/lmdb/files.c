#include "broker/log/lmdb/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENT_DIGITS = 20 };

truc_status files_path(char *out, const char *directory, const char *name, char *why)
{
    int size = snprintf(out, FILES_PATH_MAX, "%s/%s", directory, name);
    if (size < 0 || size >= FILES_PATH_MAX) {
        log_why(why, "the path of the log's directory is too long");
        return TRUC_INVALID_ARGUMENT;
    }
    return TRUC_OK;
}

truc_status files_segment_path(char *out, const char *directory, uint64_t first_block, char *why)
{
    char name[64];
    (void)snprintf(name, sizeof name, "segments/%0*" PRIu64 ".mdb", SEGMENT_DIGITS, first_block);
    return files_path(out, directory, name, why);
}

bool files_is_full(int code)
{
    return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

truc_status files_error(int code, const char *what, const char *path, char *why)
{
    log_why(why, "%s %s: %s", what, path, mdb_strerror(code));
    if (files_is_full(code)) {
        return TRUC_DISK_FULL;
    }
    switch (code) {
    case ENOMEM:
        return TRUC_NO_MEMORY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_NOTFOUND:
        return TRUC_DAMAGED;
    default:
        return TRUC_IO;
    }
}

truc_status files_sync_directory(const char *path, char *why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return files_error(errno, "opening", path, why);
    }
    truc_status status = fsync(fd) == 0 ? TRUC_OK : files_error(errno, "syncing", path, why);
    (void)close(fd);
    return status;
}

/* Syncs what names a file or directory: its parent. */
static truc_status sync_parent(const char *path, char *why)
{
    char parent[FILES_PATH_MAX];
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL) {
        (void)snprintf(parent, sizeof parent, ".");
    } else {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    return files_sync_directory(parent, why);
}

truc_status files_make_directory(const char *path, char *why)
{
    char part[FILES_PATH_MAX];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof part) {
        log_why(why, "not a path for a log's directory");
        return TRUC_INVALID_ARGUMENT;
    }
    for (size_t at = 1; at <= size; at++) {
        if (at < size && path[at] != '/') {
            continue;
        }
        memcpy(part, path, at);
        part[at] = '\0';
        if (mkdir(part, 0700) == 0) {
            truc_status status = sync_parent(part, why);
            if (status != TRUC_OK) {
                return status;
            }
        } else if (errno != EEXIST) {
            return files_error(errno, "making", part, why);
        }
    }
    return TRUC_OK;
}

truc_status files_lock(const char *directory, bool create, int *ret_fd, char *why)
{
    char path[FILES_PATH_MAX];
    truc_status status = files_path(path, directory, "lock", why);
    if (status != TRUC_OK) {
        return status;
    }
    int fd = create ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return files_error(errno, "opening", path, why);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char holder[32] = "?";
        ssize_t size = pread(fd, holder, sizeof holder - 1, 0);
        holder[size > 0 ? size : 0] = '\0';
        holder[strspn(holder, "0123456789")] = '\0';
        (void)close(fd);
        log_why(why, "%s is in use by the process with pid %s", directory, holder[0] != '\0' ? holder : "unknown");
        return TRUC_LOCKED;
    }
    if (create) {
        char pid[32];
        int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        /* For people only: a full disk must not keep a log from being opened. */
        if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)size, 0) != size) {
            (void)ftruncate(fd, 0);
        }
    }
    *ret_fd = fd;
    return TRUC_OK;
}

/* "NNNNNNNNNNNNNNNNNNNN.mdb" */
static bool segment_name(const char *name, uint64_t *ret_first_block)
{
    if (strlen(name) != SEGMENT_DIGITS + 4 || strcmp(name + SEGMENT_DIGITS, ".mdb") != 0 ||
        strspn(name, "0123456789") != SEGMENT_DIGITS) {
        return false;
    }
    errno = 0;
    *ret_first_block = strtoull(name, NULL, 10);
    return errno == 0;
}

static int compare_blocks(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

truc_status files_list_segments(const char *directory, uint64_t **ret_first_blocks, size_t *ret_count, char *why)
{
    char path[FILES_PATH_MAX];
    truc_status status = files_path(path, directory, "segments", why);
    DIR *stream = status == TRUC_OK ? opendir(path) : NULL;
    if (stream == NULL) {
        return status != TRUC_OK ? status : files_error(errno, "opening", path, why);
    }
    uint64_t *blocks = NULL, first_block;
    size_t count = 0, capacity = 0;
    for (struct dirent *entry; status == TRUC_OK && (entry = readdir(stream)) != NULL;) {
        if (!segment_name(entry->d_name, &first_block)) {
            continue;
        }
        if (count == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            uint64_t *grown = realloc(blocks, capacity * sizeof *blocks);
            if (grown == NULL) {
                status = TRUC_NO_MEMORY;
                break;
            }
            blocks = grown;
        }
        blocks[count++] = first_block;
    }
    (void)closedir(stream);
    if (status != TRUC_OK) {
        free(blocks);
        return status;
    }
    if (count > 0) {
        qsort(blocks, count, sizeof *blocks, compare_blocks);
    }
    *ret_first_blocks = blocks;
    *ret_count = count;
    return TRUC_OK;
}
