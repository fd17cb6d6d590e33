/* peer_disk: the disk's limit: 1 MiB pwrite + fdatasync onto a growing file. --address is the file's path. */
#include "bench/peers/peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1024 * 1024 };

int main(int argc, char **argv)
{
    if (argc != 4)
        peer_fail("usage: %s FILE SECONDS WARMUP_SECONDS", argv[0]);
    struct peer_options options = {.work_name = "disk_limit",
                                   .system = "disk",
                                   .payload_size = CHUNK,
                                   .seconds_s = strtod(argv[2], NULL),
                                   .warmup_s = strtod(argv[3], NULL)};
    struct payload_ring ring;
    int file = open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        peer_fail("cannot create %s", argv[1]);
    if (payload_ring_init(&ring, CHUNK, 1) < 0)
        peer_fail("out of memory");
    struct peer_window window = peer_window_start(&options);
    uint64_t chunks = 0, written = 0;
    while (!peer_window_over(&window, load_now_ns())) {
        if (pwrite(file, payload_next(&ring), CHUNK, (off_t)(written * CHUNK)) != CHUNK || fdatasync(file) != 0)
            peer_fail("cannot write %s", argv[1]);
        written++;
        chunks += peer_window_counts(&window, load_now_ns());
    }
    close(file);
    unlink(argv[1]);
    peer_print_rate(&options, chunks, &window);
    return 0;
}
