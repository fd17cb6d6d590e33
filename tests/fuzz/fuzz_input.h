/* fuzz_input.h: a fuzzer's bytes as a file, for readers that open paths. Layer: tests. */
#ifndef TRUC_FUZZ_INPUT_H
#define TRUC_FUZZ_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Opens an unnamed file that holds the bytes. path gets a name for it, good until the descriptor is closed. */
static inline int fuzz_file(const uint8_t *data, size_t size, char path[64])
{
    int descriptor = memfd_create("fuzz", 0);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size || lseek(descriptor, 0, SEEK_SET) != 0) {
        abort();
    }
    (void)snprintf(path, 64, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

#endif
