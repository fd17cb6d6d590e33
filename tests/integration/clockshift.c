/* clockshift.c: preloaded into trucd, moves its wall clock by what TRUC_CLOCKSHIFT_FILE says (8 bytes, seconds, little-endian).
 *
 * Layer: tests. The file is mapped, so a test changes the time of a running broker by writing to it. Boot and monotonic clocks
 * stay: a wall clock that is set by hand does not touch them either. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

static const volatile int64_t *shift;

__attribute__((constructor)) static void clockshift_start(void)
{
    const char *path = getenv("TRUC_CLOCKSHIFT_FILE");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *data = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (data != MAP_FAILED)
        shift = data;
}

static int64_t shift_s(void)
{
    return shift != NULL ? *shift : 0;
}

PUBLIC int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*next)(clockid_t, struct timespec *);
    if (next == NULL)
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int status = next(clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI))
        now->tv_sec += shift_s();
    return status;
}

PUBLIC time_t time(time_t *ret_now)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_now != NULL)
        *ret_now = now.tv_sec;
    return now.tv_sec;
}

PUBLIC int gettimeofday(struct timeval *restrict ret_now, void *restrict zone)
{
    struct timespec now = {0};
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_now = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}
