/* log_bench.c: what the engine does on this machine, beside what the disk does in the same run. Not part of the product.
 *
 *   log_bench DIR commits MIB        commits of 1 and 4 MiB into a new log, against pwrite+fdatasync into a growing file
 *   log_bench DIR small COUNT        commits of one entry: percentiles
 *   log_bench DIR topics MIB COUNT   commits of 100-record batches: one topic, then COUNT topics; then reading of one of them
 *   log_bench DIR many MIB COUNT     the second half of that
 *   log_bench DIR read MIB           sequential reading
 *   log_bench DIR open MIB           writes, dies without closing, and measures the next opening */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/log/log_test_kit.h"

#define MIB ((uint64_t)1 << 20)

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* VmRSS's anonymous part, in KiB. */
static long rss_anon(void)
{
    char line[256];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "RssAnon: %ld", &value) == 1) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return value;
}

/* Processor seconds of this process so far. */
static double cpu_s(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* Bytes that it has had written to the device so far. */
static double written_mb(void)
{
    char line[256];
    unsigned long long value = 0;
    FILE *file = fopen("/proc/self/io", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "write_bytes: %llu", &value) == 1) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return (double)value / 1e6;
}

static struct log *open_log(const char *directory)
{
    struct log_options options;
    struct log *log;
    char why[LOG_WHY_BYTES] = "";
    log_options_init(&options);
    options.directory = directory;
    if (log_open(&options, NULL, &log, why) != TRUC_OK) {
        fail("open", why);
    }
    return log;
}

/* Commits prepared entries again and again under new positions: what is measured is the log, not the making. */
struct load {
    struct log *log;
    struct maker maker;
    uint64_t *next_offsets;
    uint32_t topic_count;
};

static void load_init(struct load *load, struct log *log, uint32_t topic_count)
{
    load->log = log;
    load->topic_count = topic_count;
    load->next_offsets = calloc(topic_count + 1, sizeof *load->next_offsets);
    maker_init(&load->maker, log);
    load->maker.clock_ns = log_head(log).last_append_ns + 1700000000000000000;
    for (uint32_t i = 0; i < topic_count; i++) {
        struct delta delta = {.kind = DELTA_TOPIC, .topic = {.topic_id = i + 1, .evidence = EVIDENCE_RECORD}};
        char name[64];
        (void)snprintf(name, sizeof name, "bench.topic.of.some.length.%u", i);
        delta.topic.name = bytes_of_text(name);
        maker_delta(&load->maker, &delta);
    }
    load->maker.topic_count = 1;
    (void)snprintf(load->maker.topics[0].name, sizeof load->maker.topics[0].name, "bench.topic.of.some.length.0");
    (void)maker_commit(&load->maker);
}

/* A draft of about so many bytes; kept by the maker until the end. */
static struct log_draft load_draft(struct load *load, uint64_t bytes, uint32_t records)
{
    uint64_t position = load->maker.position, size = 0;
    for (uint32_t i = 0; size < bytes; i++) {
        maker_add(&load->maker, 1, records, 128, "bench.key", 1);
        size += load->maker.appends[i].batch.size + 500;
    }
    load->maker.position = position;
    return (struct log_draft){.appends = load->maker.appends, .append_count = load->maker.append_count};
}

static void load_commit(struct load *load, const struct log_draft *draft, struct log_head *head)
{
    char why[LOG_WHY_BYTES] = "";
    static uint64_t mix = 88172645463325252u;
    for (size_t i = 0; i < draft->append_count; i++) {
        struct log_append *append = &load->maker.appends[i];
        mix ^= mix << 13, mix ^= mix >> 7, mix ^= mix << 17;
        append->fields.topic_id = 1 + (uint32_t)(mix % load->topic_count);
        append->position = head->position + i;
        append->base_offset = load->next_offsets[append->fields.topic_id];
        append->append_time_ns = ++load->maker.clock_ns;
        uint8_t *leaf = load->maker.owned[i * 3 + 2];
        store_u64(leaf + 24, append->position);
        store_u64(leaf + 32, append->base_offset);
        store_u64(leaf + 40, (uint64_t)append->append_time_ns);
        load->next_offsets[append->fields.topic_id] += append->fields.record_count;
    }
    if (log_commit(load->log, draft, head, why) != TRUC_OK) {
        fail("commit", why);
    }
}

static double raw_growing(const char *directory, uint64_t chunk, uint64_t total)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/raw", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    uint8_t *data = malloc(chunk);
    if (fd < 0 || data == NULL) {
        fail("raw", path);
    }
    for (uint64_t i = 0; i < chunk; i++) {
        data[i] = (uint8_t)rand();
    }
    double begin = now_s();
    for (uint64_t at = 0; at < total; at += chunk) {
        if (pwrite(fd, data, chunk, (off_t)at) != (ssize_t)chunk || fdatasync(fd) != 0) {
            fail("raw", path);
        }
    }
    double took = now_s() - begin;
    (void)close(fd);
    (void)unlink(path);
    free(data);
    return (double)total / 1e6 / took;
}

static double commit_rate(const char *directory, uint64_t chunk, uint64_t total, uint32_t topics, const char *label)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/log-%s", directory, label);
    struct log *log = open_log(path);
    struct load load;
    load_init(&load, log, topics);
    struct log_draft draft = load_draft(&load, chunk, 100);
    struct log_head head = log_head(log);
    uint64_t first = log_usage(log).bytes;
    double begin = now_s(), worst = 0, cpu = cpu_s(), written = written_mb();
    while (log_usage(log).bytes - first < total) {
        double start = now_s();
        load_commit(&load, &draft, &head);
        worst = now_s() - start > worst ? now_s() - start : worst;
    }
    double took = now_s() - begin, rate = (double)(log_usage(log).bytes - first) / 1e6 / took;
    (void)printf("%-16s commits of %4.1f MiB: %6.0f MB/s, %8.0f record/s, worst %6.1f ms, RssAnon %ld KiB\n", label,
                 (double)chunk / (double)MIB, rate, (double)head.record_count / took, worst * 1e3, rss_anon());
    double mb = (double)(log_usage(log).bytes - first) / 1e6;
    (void)printf("%-16s per MB of log: %.2f ms of processor, %.2f MB written to the device\n", label, (cpu_s() - cpu) * 1e3 / mb,
                 (written_mb() - written) / mb);
    maker_fini(&load.maker);
    free(load.next_offsets);
    begin = now_s();
    log_close(log);
    (void)printf("%-16s closed in %.2f s\n", label, now_s() - begin);
    return rate;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static void small(const char *directory, size_t count)
{
    struct log *log = open_log(directory);
    struct load load;
    load_init(&load, log, 1);
    struct log_draft draft = load_draft(&load, 1, 1);
    struct log_head head = log_head(log);
    double *took = malloc(count * sizeof *took);
    for (size_t i = 0; i < count; i++) {
        double begin = now_s();
        load_commit(&load, &draft, &head);
        took[i] = now_s() - begin;
    }
    qsort(took, count, sizeof *took, compare_doubles);
    (void)printf("one entry: p50 %.0f us, p99 %.0f us, max %.0f us\n", took[count / 2] * 1e6, took[count * 99 / 100] * 1e6,
                 took[count - 1] * 1e6);
    free(took);
    maker_fini(&load.maker);
    free(load.next_offsets);
    log_close(log);
}

static void read_all(struct log *log, const char *pattern, const char *label)
{
    static uint8_t out[1 << 20];
    struct log_filter filter = {.pattern = bytes_of_text(pattern)};
    struct log_reader *reader;
    char why[LOG_WHY_BYTES] = "";
    double begin = now_s();
    if (log_reader_create(log, &filter, false, &reader) != TRUC_OK) {
        fail("reader", pattern);
    }
    struct log_read read = {.from = 0, .until = log_head(log).position, .out = out, .capacity = sizeof out};
    uint64_t bytes = 0, records = 0, calls = 0;
    while (read.from != read.until) {
        if (log_reader_read(reader, &read, why) != TRUC_OK) {
            fail("read", why);
        }
        bytes += read.size;
        records += read.record_count;
        calls++;
        read.from = read.next;
    }
    double took = now_s() - begin;
    (void)printf("%-16s %llu records, %.1f MB, %llu calls in %.2f ms: %.0f MB/s\n", label, (unsigned long long)records,
                 (double)bytes / 1e6, (unsigned long long)calls, took * 1e3, (double)bytes / 1e6 / took);
    log_reader_destroy(reader);
}

static void open_after_kill(const char *directory, uint64_t total, uint32_t topics)
{
    pid_t child = fork();
    if (child == 0) {
        struct log *log = open_log(directory);
        struct load load;
        load_init(&load, log, topics);
        struct log_draft draft = load_draft(&load, 2 * MIB, 100);
        struct log_head head = log_head(log);
        while (log_usage(log).bytes < total) {
            load_commit(&load, &draft, &head);
        }
        _exit(0);
    }
    int code;
    if (waitpid(child, &code, 0) != child || code != 0) {
        fail("child", "ended badly");
    }
    for (int i = 0; i < 2; i++) {
        double begin = now_s();
        struct log *log = open_log(directory);
        (void)printf("open %d: %.3f s, %u segments, RssAnon %ld KiB\n", i, now_s() - begin, log_usage(log).segment_count,
                     rss_anon());
        if (i == 1) {
            read_all(log, "bench.topic.of.some.length.7", "one topic");
            read_all(log, "bench.topic.of.some.length.7", "again");
        }
        log_close(log);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        (void)fprintf(stderr, "usage: log_bench DIR commits|small|topics|read|open N [COUNT]\n");
        return 2;
    }
    const char *directory = argv[1], *what = argv[2];
    uint64_t n = strtoull(argv[3], NULL, 10);
    uint32_t topics = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 100000;
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/log-all", directory);
    if (strcmp(what, "commits") == 0) {
        double raw = raw_growing(directory, MIB, 512 * MIB);
        (void)printf("raw growing file, 1 MiB: %.0f MB/s\n", raw);
        (void)printf("ratio %.2f\n", commit_rate(directory, MIB, n * MIB, 1, "1MiB") / raw);
        (void)printf("ratio %.2f\n", commit_rate(directory, 4 * MIB, n * MIB, 1, "4MiB") / raw);
        (void)printf("raw growing file, 1 MiB: %.0f MB/s\n", raw_growing(directory, MIB, 512 * MIB));
    } else if (strcmp(what, "small") == 0) {
        small(path, (size_t)n);
    } else if (strcmp(what, "topics") == 0) {
        double one = commit_rate(directory, 2 * MIB, n * MIB, 1, "one");
        (void)printf("ratio %.2f\n", commit_rate(directory, 2 * MIB, n * MIB, topics, "many") / one);
        (void)snprintf(path, sizeof path, "%s/log-many", directory);
        struct log *log = open_log(path);
        read_all(log, "bench.topic.of.some.length.7", "one of many");
        read_all(log, "bench.topic.of.some.length.8", "one of many");
        log_close(log);
    } else if (strcmp(what, "many") == 0) {
        (void)commit_rate(directory, 2 * MIB, n * MIB, topics, "many");
    } else if (strcmp(what, "read") == 0) {
        (void)commit_rate(directory, 4 * MIB, n * MIB, 10, "all");
        struct log *log = open_log(path);
        read_all(log, ">", "all");
        read_all(log, ">", "all again");
        read_all(log, "bench.topic.of.some.length.7", "a tenth");
        log_close(log);
    } else if (strcmp(what, "open") == 0) {
        open_after_kill(path, n * MIB, topics);
    }
    return 0;
}
