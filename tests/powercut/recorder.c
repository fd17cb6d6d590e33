/* recorder.c: preloaded into trucd, lists what it does to its data directory and its sockets (trace.h).
 *
 * Layer: tests. TRUC_RECORD_DIR is the data directory (absolute), TRUC_RECORD_FILE the trace, appended to; a byte other than 0 in
 * TRUC_RECORD_STOP ends the process as a kill would. The list's order is
 * made under one mutex. Whatever the recorder might miss (stdio, mappings, raw system calls) shows at the end: the replayer's
 * picture of the directory must equal the directory itself. */
#include "trace.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))
/* Calls the function that this one stands before. */
#define NEXT(function)                                                                                                             \
    static __typeof__(function) *next;                                                                                             \
    if (next == NULL)                                                                                                              \
    next = (__typeof__(function) *)dlsym(RTLD_NEXT, #function)

enum descriptor_class { CLASS_UNKNOWN, CLASS_OTHER, CLASS_SOCKET, CLASS_FILE, CLASS_DIRECTORY };
enum { DESCRIPTORS_MAX = 65536 };

struct descriptor {
    uint8_t class;
    bool dsync;
    uint64_t inode;
};

static struct descriptor descriptors[DESCRIPTORS_MAX];
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint_fast64_t tickets;
static int trace_fd = -1;
static char directory[PATH_MAX];
static size_t directory_size;
static const volatile uint8_t *stop; /* set by powercut.py: end here, see stop_here */

/* --- the list ------------------------------------------------------------------------------------------------------------- */

static void emit(struct trace_event event, const char *name, const struct iovec *data, int data_count)
{
    struct iovec parts[IOV_MAX];
    parts[0] = (struct iovec){&event, sizeof event};
    parts[1] = (struct iovec){(void *)(uintptr_t)name, event.name_size};
    int count = 2;
    uint64_t left = event.size;
    for (int i = 0; i < data_count && left > 0 && count < IOV_MAX; i++) {
        size_t take = data[i].iov_len < left ? data[i].iov_len : (size_t)left;
        parts[count++] = (struct iovec){data[i].iov_base, take};
        left -= take;
    }
    size_t whole = sizeof event + event.name_size + event.size;
    int saved = errno;
    if (left > 0 || syscall(SYS_writev, trace_fd, parts, count) != (long)whole) {
        static const char text[] = "recorder: the trace could not be written\n";
        syscall(SYS_write, 2, text, sizeof text - 1);
        _exit(99);
    }
    errno = saved;
}

/* A kill from outside could fall between a write and its line in the list. So the process is told to end by a byte in a file, and
 * ends while it holds the mutex: then nobody is between the two. */
static void order_lock(void)
{
    pthread_mutex_lock(&order);
    if (stop != NULL && *stop != 0)
        syscall(SYS_exit_group, 137);
}

static void list(struct trace_event event, const char *name, const struct iovec *data, int data_count)
{
    order_lock();
    emit(event, name, data, data_count);
    pthread_mutex_unlock(&order);
}

static uint64_t list_begin(struct trace_event event, const char *name, const struct iovec *data, int data_count)
{
    event.ticket = atomic_fetch_add(&tickets, 1) + 1;
    list(event, name, data, data_count);
    return event.ticket;
}

static void list_done(uint64_t ticket, bool succeeded)
{
    list((struct trace_event){.kind = TRACE_DONE, .ticket = ticket, .offset = succeeded}, NULL, NULL, 0);
}

__attribute__((constructor)) static void recorder_start(void)
{
    const char *path = getenv("TRUC_RECORD_FILE"), *root = getenv("TRUC_RECORD_DIR");
    if (path == NULL || root == NULL || strlen(root) >= sizeof directory)
        return;
    directory_size = strlen(root);
    memcpy(directory, root, directory_size + 1);
    int stop_fd = (int)syscall(SYS_openat, AT_FDCWD, getenv("TRUC_RECORD_STOP"), O_RDONLY | O_CLOEXEC);
    void *byte = stop_fd >= 0 ? (void *)syscall(SYS_mmap, NULL, 1, PROT_READ, MAP_SHARED, stop_fd, 0) : MAP_FAILED;
    stop = byte != MAP_FAILED ? byte : NULL;
    trace_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace_fd >= 0)
        list((struct trace_event){.kind = TRACE_START}, NULL, NULL, 0);
}

/* --- what a path or a descriptor is ------------------------------------------------------------------------------------------ */

/* The path below the data directory ("" for itself), or NULL when it is elsewhere or nothing is recorded. */
static const char *below(int at, const char *path, char buffer[PATH_MAX])
{
    if (trace_fd < 0 || path == NULL)
        return NULL;
    char base[PATH_MAX] = "";
    if (path[0] != '/') {
        char link[64];
        snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        ssize_t size = readlink(link, base, sizeof base - 1);
        base[size > 0 ? size : 0] = '\0';
    }
    int size = snprintf(buffer, PATH_MAX, "%s%s%s", base, base[0] != '\0' ? "/" : "", path);
    if (size < 0 || size >= PATH_MAX || strncmp(buffer, directory, directory_size) != 0)
        return NULL;
    while (size > 1 && buffer[size - 1] == '/')
        buffer[--size] = '\0';
    if (buffer[directory_size] == '\0')
        return buffer + directory_size;
    return buffer[directory_size] == '/' ? buffer + directory_size + 1 : NULL;
}

static struct descriptor *classify(int fd)
{
    static struct descriptor outside = {.class = CLASS_OTHER};
    if (trace_fd < 0 || fd < 0 || fd >= DESCRIPTORS_MAX)
        return &outside;
    struct descriptor *d = &descriptors[fd];
    if (d->class == CLASS_UNKNOWN) {
        struct stat status;
        d->class = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ? CLASS_SOCKET : CLASS_OTHER;
    }
    return d;
}

/* A symbolic link: what it leads to is not on this disk (LMDB's table of readers, which is in memory), and it tells nothing. */
static bool is_link(int at, const char *path)
{
    struct stat status;
    return fstatat(at, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
}

static void opened(int fd, int flags, const char *name, bool existed)
{
    struct stat status;
    if (fd < 0 || fd >= DESCRIPTORS_MAX || fstat(fd, &status) != 0)
        return;
    struct descriptor *d = &descriptors[fd];
    *d = (struct descriptor){.class = S_ISDIR(status.st_mode) ? CLASS_DIRECTORY : CLASS_FILE,
                             .dsync = (flags & (O_DSYNC | O_SYNC)) != 0,
                             .inode = status.st_ino};
    if (d->class == CLASS_FILE && !existed)
        emit((struct trace_event){.kind = TRACE_CREATE, .file = d->inode, .name_size = (uint32_t)strlen(name)}, name, NULL, 0);
    else if (d->class == CLASS_FILE && (flags & O_TRUNC) != 0)
        emit((struct trace_event){.kind = TRACE_RESIZE, .file = d->inode}, NULL, NULL, 0);
}

static int open_listed(int at, const char *path, int flags, mode_t mode)
{
    char buffer[PATH_MAX];
    const char *name = below(at, path, buffer);
    if (name == NULL || is_link(at, path)) {
        int fd = (int)syscall(SYS_openat, at, path, flags, mode);
        if (fd >= 0 && fd < DESCRIPTORS_MAX)
            descriptors[fd].class = CLASS_UNKNOWN;
        return fd;
    }
    order_lock();
    struct stat status;
    bool existed = fstatat(at, path, &status, 0) == 0;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    opened(fd, flags, name, existed);
    pthread_mutex_unlock(&order);
    return fd;
}

#define MODE_ARGUMENT(flags, mode)                                                                                                 \
    mode_t mode = 0;                                                                                                               \
    if (((flags) & (O_CREAT | __O_TMPFILE)) != 0) {                                                                                \
        va_list arguments;                                                                                                         \
        va_start(arguments, flags);                                                                                                \
        mode = (mode_t)va_arg(arguments, int);                                                                                     \
        va_end(arguments);                                                                                                         \
    }

PUBLIC int open(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return open_listed(AT_FDCWD, path, flags, mode);
}

PUBLIC int open64(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return open_listed(AT_FDCWD, path, flags, mode);
}

PUBLIC int openat(int at, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return open_listed(at, path, flags, mode);
}

PUBLIC int openat64(int at, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return open_listed(at, path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
PUBLIC int __open_2(const char *path, int flags)
{
    return open_listed(AT_FDCWD, path, flags, 0);
}
PUBLIC int __open64_2(const char *path, int flags)
{
    return open_listed(AT_FDCWD, path, flags, 0);
}

PUBLIC int creat(const char *path, mode_t mode)
{
    return open_listed(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

PUBLIC int close(int fd)
{
    NEXT(close);
    if (trace_fd >= 0 && fd >= 0 && fd < DESCRIPTORS_MAX) {
        if (fd == trace_fd)
            return 0;
        if (descriptors[fd].class == CLASS_SOCKET)
            list((struct trace_event){.kind = TRACE_HANGUP, .file = (uint64_t)fd}, NULL, NULL, 0);
        descriptors[fd].class = CLASS_UNKNOWN;
    }
    return next(fd);
}

/* --- writes --------------------------------------------------------------------------------------------------------------------
 */

static uint64_t total(const struct iovec *parts, int count)
{
    uint64_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

/* Every write to a file ends here. offset < 0: at the descriptor's own. */
static ssize_t write_listed(int fd, const struct descriptor *d, const struct iovec *parts, int count, off_t offset)
{
    off_t at = offset;
    order_lock();
    if (at < 0) {
        int status = fcntl(fd, F_GETFL);
        at = lseek(fd, 0, (status & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
    }
    struct trace_event event = {.kind = TRACE_WRITE, .file = d->inode, .offset = (uint64_t)at, .size = total(parts, count)};
    if (d->dsync) {
        pthread_mutex_unlock(&order);
        event.kind = TRACE_DSYNC_BEGIN;
        uint64_t ticket = list_begin(event, NULL, parts, count);
        ssize_t n = offset < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, (long)offset, 0L);
        list_done(ticket, n == (ssize_t)event.size);
        return n;
    }
    ssize_t n = offset < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, (long)offset, 0L);
    if (n > 0) {
        event.size = (uint64_t)n;
        emit(event, NULL, parts, count);
    }
    pthread_mutex_unlock(&order);
    return n;
}

static uint64_t send_begin(int fd, const struct iovec *parts, int count)
{
    return list_begin((struct trace_event){.kind = TRACE_SEND, .file = (uint64_t)fd, .size = total(parts, count)}, NULL, parts,
                      count);
}

static void send_done(uint64_t ticket, ssize_t n)
{
    list((struct trace_event){.kind = TRACE_SENT, .ticket = ticket, .offset = n > 0 ? (uint64_t)n : 0}, NULL, NULL, 0);
}

PUBLIC ssize_t write(int fd, const void *data, size_t size)
{
    struct descriptor *d = classify(fd);
    struct iovec part = {(void *)(uintptr_t)data, size};
    if (d->class == CLASS_FILE)
        return write_listed(fd, d, &part, 1, -1);
    if (d->class != CLASS_SOCKET)
        return syscall(SYS_write, fd, data, size);
    uint64_t ticket = send_begin(fd, &part, 1);
    ssize_t n = syscall(SYS_write, fd, data, size);
    send_done(ticket, n);
    return n;
}

PUBLIC ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct descriptor *d = classify(fd);
    if (d->class == CLASS_FILE)
        return write_listed(fd, d, parts, count, -1);
    if (d->class != CLASS_SOCKET)
        return syscall(SYS_writev, fd, parts, count);
    uint64_t ticket = send_begin(fd, parts, count);
    ssize_t n = syscall(SYS_writev, fd, parts, count);
    send_done(ticket, n);
    return n;
}

PUBLIC ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    struct descriptor *d = classify(fd);
    struct iovec part = {(void *)(uintptr_t)data, size};
    return d->class == CLASS_FILE ? write_listed(fd, d, &part, 1, offset) : syscall(SYS_pwrite64, fd, data, size, offset);
}

PUBLIC ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    return pwrite(fd, data, size, offset);
}

PUBLIC ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    struct descriptor *d = classify(fd);
    return d->class == CLASS_FILE ? write_listed(fd, d, parts, count, offset)
                                  : syscall(SYS_pwritev, fd, parts, count, (long)offset, 0L);
}

PUBLIC ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return pwritev(fd, parts, count, offset);
}

PUBLIC ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    NEXT(sendmsg);
    if (classify(fd)->class != CLASS_SOCKET)
        return next(fd, message, flags);
    uint64_t ticket = send_begin(fd, message->msg_iov, (int)message->msg_iovlen);
    ssize_t n = next(fd, message, flags);
    send_done(ticket, n);
    return n;
}

PUBLIC ssize_t send(int fd, const void *data, size_t size, int flags)
{
    struct iovec part = {(void *)(uintptr_t)data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return sendmsg(fd, &message, flags);
}

/* --- sizes and flushes
 * ------------------------------------------------------------------------------------------------------------ */

static void resized(const struct descriptor *d, off_t size)
{
    list((struct trace_event){.kind = TRACE_RESIZE, .file = d->inode, .offset = (uint64_t)size}, NULL, NULL, 0);
}

PUBLIC int ftruncate(int fd, off_t size)
{
    struct descriptor *d = classify(fd);
    int status = (int)syscall(SYS_ftruncate, fd, size);
    if (status == 0 && d->class == CLASS_FILE)
        resized(d, size);
    return status;
}

PUBLIC int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

/* Only the plain form makes a file longer; it never changes bytes that are there. */
PUBLIC int fallocate(int fd, int mode, off_t offset, off_t size)
{
    struct descriptor *d = classify(fd);
    int status = (int)syscall(SYS_fallocate, fd, mode, offset, size);
    struct stat now;
    if (status == 0 && d->class == CLASS_FILE && mode == 0 && fstat(fd, &now) == 0)
        resized(d, now.st_size);
    return status;
}

PUBLIC int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
    return fallocate(fd, mode, offset, size);
}

PUBLIC int posix_fallocate(int fd, off_t offset, off_t size)
{
    return fallocate(fd, 0, offset, size) == 0 ? 0 : errno;
}
PUBLIC int posix_fallocate64(int fd, off64_t offset, off64_t size)
{
    return posix_fallocate(fd, offset, size);
}

static int flush_listed(int fd, long call)
{
    struct descriptor *d = classify(fd);
    uint64_t ticket = 0;
    if (d->class == CLASS_FILE) {
        ticket = list_begin((struct trace_event){.kind = TRACE_SYNC_BEGIN, .file = d->inode}, NULL, NULL, 0);
    } else if (d->class == CLASS_DIRECTORY) {
        char link[64], path[PATH_MAX], buffer[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, path, sizeof path - 1);
        path[size > 0 ? size : 0] = '\0';
        const char *name = below(AT_FDCWD, path, buffer);
        if (name != NULL)
            ticket =
                list_begin((struct trace_event){.kind = TRACE_DIRSYNC_BEGIN, .name_size = (uint32_t)strlen(name)}, name, NULL, 0);
    }
    int status = (int)syscall(call, fd);
    if (ticket != 0)
        list_done(ticket, status == 0);
    return status;
}

PUBLIC int fsync(int fd)
{
    return flush_listed(fd, SYS_fsync);
}
PUBLIC int fdatasync(int fd)
{
    return flush_listed(fd, SYS_fdatasync);
}

PUBLIC void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    NEXT(mmap);
    if (fd >= 0 && (protection & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0 && classify(fd)->class == CLASS_FILE) {
        char link[64], path[PATH_MAX], buffer[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length > 0 ? length : 0] = '\0';
        const char *name = below(AT_FDCWD, path, buffer);
        if (name != NULL)
            list((struct trace_event){.kind = TRACE_MAPPED, .name_size = (uint32_t)strlen(name)}, name, NULL, 0);
    }
    return next(address, size, protection, flags, fd, offset);
}

PUBLIC void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
    return mmap(address, size, protection, flags, fd, offset);
}

/* --- names
 * -------------------------------------------------------------------------------------------------------------------------- */

static int name_listed(enum trace_kind kind, int at, const char *path, long call, long third)
{
    char buffer[PATH_MAX];
    const char *name = below(at, path, buffer);
    if (name != NULL && is_link(at, path))
        name = NULL;
    order_lock();
    int status = (int)syscall(call, at, path, third);
    if (status == 0 && name != NULL)
        emit((struct trace_event){.kind = kind, .name_size = (uint32_t)strlen(name)}, name, NULL, 0);
    pthread_mutex_unlock(&order);
    return status;
}

PUBLIC int mkdir(const char *path, mode_t mode)
{
    return name_listed(TRACE_MKDIR, AT_FDCWD, path, SYS_mkdirat, (long)mode);
}
PUBLIC int mkdirat(int at, const char *path, mode_t mode)
{
    return name_listed(TRACE_MKDIR, at, path, SYS_mkdirat, (long)mode);
}
PUBLIC int unlink(const char *path)
{
    return name_listed(TRACE_UNLINK, AT_FDCWD, path, SYS_unlinkat, 0);
}
PUBLIC int unlinkat(int at, const char *path, int flags)
{
    return name_listed(TRACE_UNLINK, at, path, SYS_unlinkat, flags);
}
PUBLIC int rmdir(const char *path)
{
    return name_listed(TRACE_UNLINK, AT_FDCWD, path, SYS_unlinkat, AT_REMOVEDIR);
}
PUBLIC int remove(const char *path)
{
    int status = unlink(path);
    return status != 0 && errno == EISDIR ? rmdir(path) : status;
}

PUBLIC int renameat(int from_at, const char *from, int to_at, const char *to)
{
    char from_buffer[PATH_MAX], to_buffer[PATH_MAX], both[2 * PATH_MAX];
    const char *from_name = below(from_at, from, from_buffer), *to_name = below(to_at, to, to_buffer);
    order_lock();
    int status = (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
    if (status == 0 && from_name != NULL && to_name != NULL) {
        int size = snprintf(both, sizeof both, "%s%c%s", from_name, '\0', to_name);
        emit((struct trace_event){.kind = TRACE_RENAME, .name_size = (uint32_t)size}, both, NULL, 0);
    }
    pthread_mutex_unlock(&order);
    return status;
}

PUBLIC int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}
