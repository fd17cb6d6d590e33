/* How much of a log stays in the page cache. Engine lmdb. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/magic.h>

#include "broker/log/lmdb/files.h"
#include "broker/log/log_test_kit.h"

enum { BLOCKS = 192, BLOCK_RECORDS = 16, RECORD_BYTES = 16 << 10, PAGE_BYTES = 4096 };
#define MIB ((size_t)1 << 20)

/* Bytes of a file that are in the page cache. */
static size_t resident_bytes(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat file;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &file), 0);
    size_t size = (size_t)file.st_size, pages = (size + PAGE_BYTES - 1) / PAGE_BYTES, resident = 0;
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    unsigned char *there = malloc(pages);
    assert_true(map != MAP_FAILED);
    assert_non_null(there);
    assert_int_equal(mincore(map, size, there), 0);
    for (size_t i = 0; i < pages; i++) {
        resident += (there[i] & 1u) != 0 ? PAGE_BYTES : 0;
    }
    free(there);
    assert_int_equal(munmap(map, size), 0);
    (void)close(fd);
    return resident;
}

static size_t resident_log_bytes(const char *directory)
{
    char why[LOG_WHY_BYTES] = "", path[FILES_PATH_MAX];
    uint64_t *first_blocks = NULL;
    size_t count = 0, resident = 0;
    assert_int_equal(files_list_segments(directory, &first_blocks, &count, why), TRUC_OK);
    assert_in_range(count, 4, 100);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(files_segment_path(path, directory, first_blocks[i], why), TRUC_OK);
        resident += resident_bytes(path);
    }
    free(first_blocks);
    return resident;
}

/* 48 MiB are written, and read on the way, which maps them; 4 MiB and what the index needs are to be kept. */
static void cache_holds_the_newest_only(void **state)
{
    (void)state;
    char *directory = kit_directory(), why[LOG_WHY_BYTES] = "";
    struct statfs system;
    assert_int_equal(statfs(directory, &system), 0);
    if (system.f_type == TMPFS_MAGIC) {
        kit_remove(directory);
        skip(); /* all of a tmpfs is page cache */
    }
    struct log_options options;
    struct log *log = NULL;
    struct maker maker;
    kit_options(&options, "lmdb", directory);
    options.cache_bytes = 4 * MIB;
    options.index_flush_bytes = 4 * MIB;
    assert_int_equal(log_open(&options, NULL, &log, why), TRUC_OK);
    maker_init(&maker, log);
    uint32_t topic = maker_topic(&maker, "cache.test");
    for (int i = 0; i < BLOCKS; i++) {
        uint64_t positions[1];
        maker_add(&maker, topic, BLOCK_RECORDS, RECORD_BYTES, NULL, 0);
        (void)maker_commit(&maker);
        assert_int_equal(kit_read(log, ">", maker.position - 1, maker.position, false, positions, 1), 1);
    }
    assert_in_range(resident_log_bytes(directory), MIB, 24 * MIB);

    /* Every entry can still be read, from the disk. */
    uint64_t *positions = calloc(BLOCKS + 8, sizeof *positions);
    assert_non_null(positions);
    assert_int_equal(kit_read(log, "cache.test", 0, maker.position, false, positions, BLOCKS + 8), BLOCKS);
    free(positions);
    maker_fini(&maker);
    log_close(log);
    kit_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cache_holds_the_newest_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
