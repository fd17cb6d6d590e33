#include "bench/peers/peer.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum peer_work work;
    size_t payload_size;
} works[] = {
    {"publish_async_128", WORK_PUBLISH_ASYNC, 128},
    {"publish_async_1k", WORK_PUBLISH_ASYNC, 1024},
    {"publish_400_sync_128", WORK_PUBLISH_400_SYNC, 128},
    {"publish_400_conn_128", WORK_PUBLISH_400_CONN, 128},
    {"publish_1_sync_128", WORK_PUBLISH_1_SYNC, 128},
    {"read_128", WORK_READ, 128},
    {"work_128", WORK_SHARE, 128},
};

void peer_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static _Noreturn void usage(const char *program, const char *wrong)
{
    fprintf(stderr,
            "%s: %s\nusage: %s --address PORT_OR_URL --work WORK [--seconds S] [--warmup S] [--fill RECORDS] [--flush]\nworks:",
            program, wrong, program);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        fprintf(stderr, " %s", works[i].name);
    fputc('\n', stderr);
    exit(2);
}

struct peer_options peer_options_parse(int argc, char **argv, const char *system)
{
    static const struct option names[] = {{"address", required_argument, NULL, 'a'},
                                          {"work", required_argument, NULL, 'w'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"warmup", required_argument, NULL, 'u'},
                                          {"fill", required_argument, NULL, 'f'},
                                          {"flush", no_argument, NULL, 'l'},
                                          {NULL, 0, NULL, 0}};
    struct peer_options options = {.system = system, .warmup_s = 2, .seconds_s = 20, .fill_records = 1000000};
    int name;
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case 'a':
            options.address = optarg;
            break;
        case 'w':
            options.work_name = optarg;
            break;
        case 's':
            options.seconds_s = strtod(optarg, NULL);
            break;
        case 'u':
            options.warmup_s = strtod(optarg, NULL);
            break;
        case 'f':
            options.fill_records = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            options.flush = true;
            break;
        default:
            usage(argv[0], "unknown option");
        }
    }
    if (!options.address || !options.work_name || !(options.seconds_s > 0) || !(options.warmup_s >= 0) || options.fill_records == 0)
        usage(argv[0], "--address and --work are needed; times and counts are positive");
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        if (strcmp(works[i].name, options.work_name) == 0) {
            options.work = works[i].work;
            options.payload_size = works[i].payload_size;
            return options;
        }
    }
    usage(argv[0], "no such work");
}

struct peer_window peer_window_start(const struct peer_options *options)
{
    uint64_t begin_ns = load_now_ns() + (uint64_t)(options->warmup_s * 1e9);
    return (struct peer_window){.begin_ns = begin_ns, .end_ns = begin_ns + (uint64_t)(options->seconds_s * 1e9)};
}

static void print_result(const struct peer_options *options, const char *unit, double value)
{
    printf("{\"work\":\"%s\",\"system\":\"%s\",\"unit\":\"%s\",\"value\":%.3f}\n", options->work_name, options->system, unit,
           value);
    fflush(stdout);
}

void peer_print_rate(const struct peer_options *options, uint64_t records, const struct peer_window *window)
{
    double per_second = (double)records / ((double)(window->end_ns - window->begin_ns) / 1e9);
    if (options->payload_size >= 1024)
        print_result(options, "MB/s", per_second * (double)options->payload_size / 1e6);
    else
        print_result(options, "record/s", per_second);
}

void peer_print_share(const struct peer_options *options, uint64_t records, uint64_t begin_ns, uint64_t end_ns)
{
    print_result(options, "record/s", (double)records / ((double)(end_ns - begin_ns) / 1e9));
}

void peer_print_p50(const struct peer_options *options, const struct histogram *latencies)
{
    print_result(options, "us_p50", (double)histogram_quantile(latencies, 0.5) / 1e3);
}
