#include "broker/log/lmdb/area.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE_BYTES = 1 << 20, PREALLOCATE_BYTES = 64 << 20, ALIGN_BYTES = 4096 };

static uint8_t zeros[WRITE_BYTES] __attribute__((aligned(ALIGN_BYTES)));

truc_status area_open(struct area *ret_area, const char *path, bool create, uint64_t target, char *why)
{
    int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0);
    bool direct = true;
    int fd = open(path, flags | O_DIRECT, 0600);
    if (fd < 0 && errno == EINVAL) {
        direct = false;
        fd = open(path, flags, 0600);
    }
    struct stat file;
    if (fd < 0 || fstat(fd, &file) != 0) {
        truc_status status = files_error(errno, "opening", path, why);
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    uint64_t size = (uint64_t)file.st_size / ALIGN_BYTES * ALIGN_BYTES;
    *ret_area = (struct area){.fd = fd, .direct = direct, .filled = size, .target = size > target ? size : target};
    return TRUC_OK;
}

void area_close(struct area *area)
{
    if (area->fd >= 0) {
        (void)close(area->fd);
        area->fd = -1;
    }
}

/* Writes zeros at `at`; O_DIRECT is given up where it is refused at the first write. */
static int write_zeros(struct area *area, uint64_t at, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t written = pwrite(area->fd, zeros, size - done, (off_t)(at + done));
        if (written > 0) {
            done += (size_t)written;
        } else if (written < 0 && errno == EINVAL && area->direct) {
            area->direct = false;
            if (fcntl(area->fd, F_SETFL, fcntl(area->fd, F_GETFL) & ~O_DIRECT) != 0) {
                return errno;
            }
        } else if (written == 0 || errno != EINTR) {
            return written == 0 ? ENOSPC : errno;
        }
    }
    return 0;
}

truc_status area_fill(struct area *area, uint64_t wanted, char *why)
{
    uint64_t end = (wanted < area->target ? wanted : area->target) / ALIGN_BYTES * ALIGN_BYTES;
    end = end < area->filled + AREA_STEP_BYTES ? end : area->filled + AREA_STEP_BYTES;
    if (end <= area->filled) {
        end = area->target; /* less than a page is missing */
    }
    if (area->filled % PREALLOCATE_BYTES == 0 || area->filled < WRITE_BYTES) {
        /* Larger extents, if the file system can; what matters is decided by the writes. */
        uint64_t more = area->target - area->filled;
        (void)fallocate(area->fd, FALLOC_FL_KEEP_SIZE, (off_t)area->filled,
                        (off_t)(more < PREALLOCATE_BYTES ? more : PREALLOCATE_BYTES));
    }
    int code = 0;
    uint64_t at = area->filled;
    while (code == 0 && at < end) {
        uint64_t left = end - at, aligned = WRITE_BYTES - at % WRITE_BYTES;
        size_t size = (size_t)(left < aligned ? left : aligned);
        code = write_zeros(area, at, size);
        at += code == 0 ? size : 0;
    }
    if (fdatasync(area->fd) != 0 && code == 0) {
        code = errno;
    } else if (at > area->filled) {
        area->filled = at;
    }
    return code == 0 ? TRUC_OK : files_error(code, "filling", "a segment ahead of its use", why);
}
