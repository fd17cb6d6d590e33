#include "bench/load/environment.h"

#include "bench/load/histogram.h"
#include "bench/load/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { SMALL = 4096, LARGE = 1024 * 1024, FLUSHES = 500, CHUNKS = 128 };

static void read_cpu(char cpu[128])
{
    char line[512];
    FILE *info = fopen("/proc/cpuinfo", "re");
    snprintf(cpu, 128, "unknown");
    while (info && fgets(line, sizeof line, info)) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && value) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(cpu, 128, "%.127s", value + 2);
            break;
        }
    }
    if (info)
        fclose(info);
}

static bool write_flushed(int file, struct payload_ring *ring, size_t size, off_t at)
{
    return pwrite(file, payload_next(ring), size, at) == (ssize_t)size && fdatasync(file) == 0;
}

static bool measure_disk(int file, struct payload_ring *ring, struct environment *environment)
{
    static struct histogram flushes;
    uint64_t start_ns = load_now_ns();
    for (int i = 0; i < CHUNKS; i++) {
        if (!write_flushed(file, ring, LARGE, (off_t)i * LARGE))
            return false;
    }
    environment->device_mb_per_s = (double)CHUNKS * LARGE / ((double)(load_now_ns() - start_ns) / 1e3);
    histogram_init(&flushes);
    for (int i = 0; i < FLUSHES; i++) {
        start_ns = load_now_ns();
        if (!write_flushed(file, ring, SMALL, (off_t)i * SMALL))
            return false;
        histogram_add(&flushes, load_now_ns() - start_ns);
    }
    environment->flush_p50_us = (double)histogram_quantile(&flushes, 0.5) / 1e3;
    environment->flush_p99_us = (double)histogram_quantile(&flushes, 0.99) / 1e3;
    return true;
}

truc_status environment_measure(const char *directory, struct environment *ret_environment, char *why, size_t why_size)
{
    struct environment environment = {.cores = sysconf(_SC_NPROCESSORS_ONLN)};
    struct utsname system;
    struct payload_ring ring;
    char path[4096];
    read_cpu(environment.cpu);
    snprintf(environment.kernel, sizeof environment.kernel, "%.60s %.60s", uname(&system) == 0 ? system.sysname : "unknown",
             system.release);
    snprintf(path, sizeof path, "%.4000s/truc-bench-XXXXXX", directory);
    int file = mkostemp(path, O_CLOEXEC);
    if (file < 0) {
        snprintf(why, why_size, "cannot create a file in %s: %s", directory, strerror(errno));
        return TRUC_IO;
    }
    unlink(path);
    if (payload_ring_init(&ring, LARGE, 1) < 0) {
        close(file);
        return TRUC_NO_MEMORY;
    }
    bool measured = measure_disk(file, &ring, &environment);
    if (!measured)
        snprintf(why, why_size, "cannot write in %s: %s", directory, strerror(errno));
    payload_ring_fini(&ring);
    close(file);
    if (!measured)
        return TRUC_IO;
    *ret_environment = environment;
    return TRUC_OK;
}
