/* flip.c: truc_flip: flips single bits in stored entries. `truc log verify`'s code must find each and name the entry; a reader
 * must get every other entry unchanged and never the altered one.
 *
 *   truc_flip [--flips N] [--seed S]
 *
 * Exit code 0 when every flip was found and none was delivered. One line on stdout is the result. */
#include "flip_log.h"

#include "broker/log/verify.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUFFER_BYTES = 4 * 1024 * 1024 };

struct tally {
    uint64_t flips, found, named, delivered, withheld;
};

static uint64_t random_next(uint64_t *state)
{
    uint64_t x = (*state += 0x9e3779b97f4a7c15u); /* splitmix64 */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static bool flip_bit(const struct flip_entry *entry, uint64_t bit)
{
    int fd = open(entry->file, O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;
    off_t at = (off_t)(entry->offset + bit / 8);
    bool fine = fd >= 0 && pread(fd, &byte, 1, at) == 1;
    byte ^= (uint8_t)(1u << bit % 8);
    fine = fine && pwrite(fd, &byte, 1, at) == 1;
    if (fd >= 0)
        close(fd);
    return fine;
}

/* Marks what a reader gave; false when it gave something that was never stored. */
static bool mark_given(struct bytes given, const struct flip_entry entries[FLIP_ENTRIES], bool seen[FLIP_ENTRIES])
{
    size_t at = 0;
    while (at < given.size) {
        size_t i = 0;
        while (i < FLIP_ENTRIES && (entries[i].served.size > given.size - at ||
                                    memcmp(entries[i].served.data, given.data + at, entries[i].served.size) != 0))
            i++;
        if (i == FLIP_ENTRIES)
            return false;
        seen[i] = true;
        at += entries[i].served.size;
    }
    return true;
}

/* Reads past what is damaged, as a broker does. */
static bool read_all(struct log *log, const struct flip_entry entries[FLIP_ENTRIES], bool seen[FLIP_ENTRIES])
{
    struct log_filter filter = {.pattern = bytes_of_text(">")};
    struct log_reader *reader = NULL;
    char why[LOG_WHY_BYTES] = "";
    uint8_t *buffer = malloc(BUFFER_BYTES);
    bool fine = buffer != NULL && log_reader_create(log, &filter, false, &reader) == TRUC_OK;
    struct log_read read = {.until = log_head(log).position, .out = buffer, .capacity = BUFFER_BYTES};
    while (fine && read.from < read.until) {
        read.size = 0;
        truc_status status = log_reader_read(reader, &read, why);
        fine = (status == TRUC_OK || status == TRUC_DAMAGED) && read.next > read.from &&
               mark_given(bytes_of(buffer, read.size), entries, seen);
        read.from = read.next;
    }
    log_reader_destroy(reader);
    free(buffer);
    return fine;
}

/* One flip, in the log that is flipped back after it. False: the flip passed somewhere. */
static bool try_flip(const char *directory, const struct flip_entry entries[FLIP_ENTRIES], size_t which, uint64_t bit,
                     struct tally *tally)
{
    struct log_verify_report report = {0};
    char why[LOG_WHY_BYTES] = "";
    truc_status verdict = log_verify(directory, NULL, NULL, &report, why);
    bool found = verdict == TRUC_DAMAGED && report.bad;
    bool named = found && report.bad_position == which;
    struct log *log = NULL;
    bool seen[FLIP_ENTRIES] = {false};
    truc_status opened = flip_log_open(directory, &log, why);
    bool clean = opened == TRUC_DAMAGED || (opened == TRUC_OK && read_all(log, entries, seen));
    log_close(log);
    size_t missing = 0;
    for (size_t i = 0; i < FLIP_ENTRIES; i++)
        missing += i != which && !seen[i];
    /* A bit of the directory is not what readers get: then the entry may come, unchanged. */
    bool delivered = !clean || (bit / 8 < entries[which].served.size && seen[which]);
    tally->flips++;
    tally->found += found;
    tally->named += named;
    tally->delivered += delivered;
    tally->withheld += missing > 0;
    if (!named || delivered || missing > 0)
        printf("flip: bit %" PRIu64 " of entry %zu: verify says %s (%s, position %" PRIu64
               "), open says %s%s, %zu others missing\n",
               bit, which, truc_status_name(verdict), report.bad_what, report.bad_position, truc_status_name(opened),
               delivered ? ", a reader got it" : "", missing);
    return named && !delivered && missing == 0;
}

static int run(const char *directory, uint64_t flips, uint64_t seed)
{
    static struct flip_entry entries[FLIP_ENTRIES];
    struct tally tally = {0};
    uint64_t random = seed, bad = 0;
    if (!flip_log_create(directory, entries))
        return 2;
    for (uint64_t i = 0; i < flips && bad < 10; i++) {
        size_t which = (size_t)(random_next(&random) % FLIP_ENTRIES);
        uint64_t bit = random_next(&random) % ((uint64_t)entries[which].size * 8);
        if (!flip_bit(&entries[which], bit))
            return 2;
        bad += !try_flip(directory, entries, which, bit, &tally);
        if (!flip_bit(&entries[which], bit))
            return 2;
    }
    struct log_verify_report report;
    char why[LOG_WHY_BYTES] = "";
    bool healed = log_verify(directory, NULL, NULL, &report, why) == TRUC_OK;
    printf("flip: %" PRIu64 " bits flipped in %d entries, %" PRIu64 " found by verify, %" PRIu64 " named, %" PRIu64 " delivered, "
           "%" PRIu64 " that hid others, seed %" PRIu64 ": %s\n",
           tally.flips, (int)FLIP_ENTRIES, tally.found, tally.named, tally.delivered, tally.withheld, seed,
           bad == 0 && healed ? "PASS" : "FAIL");
    for (size_t i = 0; i < FLIP_ENTRIES; i++)
        free((void *)(uintptr_t)entries[i].served.data);
    return bad == 0 && healed ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t flips = 1000, seed = 1;
    for (int i = 1; i < argc; i += 2) {
        bool is_flips = strcmp(argv[i], "--flips") == 0;
        if (i + 1 == argc || (!is_flips && strcmp(argv[i], "--seed") != 0)) {
            fprintf(stderr, "usage: truc_flip [--flips N] [--seed S]\n");
            return 2;
        }
        *(is_flips ? &flips : &seed) = strtoull(argv[i + 1], NULL, 10);
    }
    const char *parent = getenv("TMPDIR");
    char base[512], directory[600];
    snprintf(base, sizeof base, "%s/truc-flip-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(base) == NULL) {
        perror(base);
        return 2;
    }
    snprintf(directory, sizeof directory, "%s/data", base);
    int result = run(directory, flips, seed);
    pid_t child = fork();
    if (child == 0) {
        execlp("rm", "rm", "-rf", "--", base, (char *)NULL);
        _exit(127);
    }
    waitpid(child, NULL, 0);
    return result;
}
