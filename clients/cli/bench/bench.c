/* bench.c: `truc bench pub|read|e2e|work|request`: one load on one broker. The loads themselves are in bench/load. */
#include "bench/load/environment.h"
#include "bench/load/load.h"
#include "clients/cli/bench/report.h"
#include "clients/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench_options {
    struct cli_time seconds, warmup;
    struct cli_uint size, connections, waiting, topics, topic_run, keys, fill, seed, batch, batch_records, linger, workers,
        subscriptions, in_flight;
    struct cli_number rate, skew;
    const char *topic, *mode, *codec, *evidence, *format, *verify, *directory;
    bool no_environment, stuck;
};

static const char *const codecs[] = {"none", "lz4", "zstd", NULL};
static const char *const evidences[] = {"topic", "record", "batch", NULL};
static const char *const formats[] = {"table", "csv", "json", NULL};
static const char *const yes_no[] = {"yes", "no", NULL};
static const char *const modes[] = {"shared", "ordered", NULL};

/* One table for all of them; what does not suit a verb is refused by check_verb. */
#define AT(field) offsetof(struct bench_options, field)
static const struct cli_option options_of_bench[] = {
    {.name = "seconds", .type = CLI_DURATION, .offset = AT(seconds), .value = "TIME", .help = "how long is measured (10s)"},
    {.name = "warmup",
     .type = CLI_DURATION,
     .offset = AT(warmup),
     .value = "TIME",
     .help = "how long the load runs before that (2s)"},
    {.name = "size",
     .type = CLI_SIZE,
     .offset = AT(size),
     .value = "BYTES",
     .maximum = LOAD_PAYLOAD_MAX,
     .help = "data of a record, incompressible (128)"},
    {.name = "waiting",
     .type = CLI_UINT,
     .offset = AT(waiting),
     .value = "N",
     .minimum = 1,
     .maximum = LOAD_WAITING_MAX,
     .help = "pub, e2e: closed loop, so many publishers, each waiting for each record; request: so many requests at once (1)"},
    {.name = "rate",
     .type = CLI_NUMBER,
     .offset = AT(rate),
     .value = "N",
     .help = "pub, e2e: open loop, so many records per second; latency counts from when each was due"},
    {.name = "fill",
     .type = CLI_UINT,
     .offset = AT(fill),
     .value = "RECORDS",
     .minimum = 1,
     .maximum = UINT64_C(1000000000000),
     .help = "read, work: publishes so many records first"},
    {.name = "verify",
     .type = CLI_CHOICE,
     .offset = AT(verify),
     .value = "yes|no",
     .choices = yes_no,
     .help = "read, e2e, work: whether the reader checks digests (yes)"},
    {.name = "workers",
     .type = CLI_UINT,
     .offset = AT(workers),
     .value = "N",
     .minimum = 1,
     .maximum = LOAD_WORKERS_MAX,
     .help = "work: workers, each on a connection of its own (8)"},
    {.name = "subscriptions",
     .type = CLI_UINT,
     .offset = AT(subscriptions),
     .value = "N",
     .minimum = 1,
     .maximum = LOAD_WORKERS_MAX,
     .help = "work: the workers are divided among so many subscriptions, each of which gets everything (1)"},
    {.name = "mode",
     .type = CLI_CHOICE,
     .offset = AT(mode),
     .value = "shared|ordered",
     .choices = modes,
     .help = "work: of the subscription (shared)"},
    {.name = "in-flight",
     .type = CLI_UINT,
     .offset = AT(in_flight),
     .value = "N",
     .minimum = 1,
     .maximum = 100000,
     .help = "work: records leased at once over all workers (the broker's default)"},
    {.name = "stuck", .type = CLI_FLAG, .offset = AT(stuck), .help = "work: the records of one key of many are never settled"},
    {.name = "connections",
     .type = CLI_UINT,
     .offset = AT(connections),
     .value = "N",
     .minimum = 1,
     .maximum = LOAD_CONNECTIONS_MAX,
     .help = "clients, each with one producer (1)"},
    {.name = "topic",
     .type = CLI_TEXT,
     .offset = AT(topic),
     .value = "TOPIC",
     .help = "the topic, or with --topics the part before .N (bench.load)"},
    {.name = "topics",
     .type = CLI_UINT,
     .offset = AT(topics),
     .value = "N",
     .minimum = 1,
     .maximum = LOAD_TOPICS_MAX,
     .help = "spreads the records over so many topics (1)"},
    {.name = "topic-run",
     .type = CLI_UINT,
     .offset = AT(topic_run),
     .value = "N",
     .minimum = 1,
     .maximum = 1000000,
     .help = "records that follow each other in one topic before the next (1)"},
    {.name = "keys",
     .type = CLI_UINT,
     .offset = AT(keys),
     .value = "N",
     .maximum = LOAD_KEYS_MAX,
     .help = "different keys (0: no key)"},
    {.name = "skew",
     .type = CLI_NUMBER,
     .offset = AT(skew),
     .value = "S",
     .help = "key i is drawn with a weight of 1 / i^S (0: keys in turn)"},
    {.name = "batch",
     .type = CLI_SIZE,
     .offset = AT(batch),
     .value = "BYTES",
     .minimum = 1024,
     .maximum = 8 * 1024 * 1024,
     .help = "a batch is closed at so many bytes (libtruc's default)"},
    {.name = "batch-records",
     .type = CLI_UINT,
     .offset = AT(batch_records),
     .value = "N",
     .minimum = 1,
     .maximum = 65535,
     .help = "or at so many records"},
    {.name = "linger",
     .type = CLI_UINT,
     .offset = AT(linger),
     .value = "US",
     .maximum = 1000000,
     .help = "or after so many microseconds"},
    {.name = "codec",
     .type = CLI_CHOICE,
     .offset = AT(codec),
     .value = "none|lz4|zstd",
     .choices = codecs,
     .help = "compression of batches (none)"},
    {.name = "evidence",
     .type = CLI_CHOICE,
     .offset = AT(evidence),
     .value = "topic|record|batch",
     .choices = evidences,
     .help = "evidence level asked of the topic (topic)"},
    {.name = "seed", .type = CLI_UINT, .offset = AT(seed), .value = "N", .help = "of the payloads (1)"},
    {.name = "format",
     .type = CLI_CHOICE,
     .offset = AT(format),
     .value = "table|csv|json",
     .choices = formats,
     .help = "how the result is printed (table; json with --json)"},
    {.name = "directory",
     .type = CLI_TEXT,
     .offset = AT(directory),
     .value = "DIR",
     .help = "where the disk is measured beside the load: name one on the broker's disk (the current directory)"},
    {.name = "no-environment",
     .type = CLI_FLAG,
     .offset = AT(no_environment),
     .help = "leaves out the second that measures the disk"},
};
#undef AT

static const truc_status exits[] = {TRUC_UNREACHABLE, TRUC_TIMED_OUT, TRUC_BAD_TOPIC, TRUC_EVIDENCE_MISMATCH,
                                    TRUC_NOT_FOUND,   TRUC_DISK_FULL, TRUC_IO};

enum bench_verb { BENCH_PUB, BENCH_READ, BENCH_E2E, BENCH_WORK, BENCH_REQUEST };
static const char *const verb_names[] = {"pub", "read", "e2e", "work", "request"};

static truc_status check_verb(struct cli_context *context, enum bench_verb verb, const struct bench_options *options)
{
    bool reads = verb == BENCH_READ || verb == BENCH_WORK;
    if (reads && (options->waiting.given || options->rate.given))
        return cli_error(context, TRUC_USAGE,
                         "--waiting and --rate are for `bench pub` and `bench e2e`: a reader reads as fast as it can");
    if (verb == BENCH_REQUEST &&
        (options->rate.given || options->topics.given || options->keys.given || options->connections.given))
        return cli_error(context, TRUC_USAGE,
                         "--rate, --topics, --keys and --connections are not for `bench request`: see --waiting");
    if (!reads && options->fill.given)
        return cli_error(context, TRUC_USAGE, "--fill is for `bench read` and `bench work`");
    if (verb != BENCH_WORK &&
        (options->workers.given || options->subscriptions.given || options->mode || options->in_flight.given || options->stuck))
        return cli_error(context, TRUC_USAGE, "--workers, --subscriptions, --mode, --in-flight and --stuck are for `bench work`");
    if (options->subscriptions.value > (options->workers.given ? options->workers.value : 8))
        return cli_error(context, TRUC_USAGE, "--subscriptions N needs --workers N at least: each is to have one");
    if (options->skew.given && !options->keys.value)
        return cli_error(context, TRUC_USAGE, "--skew needs --keys N: without keys there is nothing to be skewed");
    if (options->mode && strcmp(options->mode, "ordered") == 0 && (options->in_flight.given || options->stuck))
        return cli_error(context, TRUC_USAGE, "--in-flight and --stuck are for a shared subscription");
    if ((verb == BENCH_PUB || verb == BENCH_REQUEST) && options->verify)
        return cli_error(context, TRUC_USAGE, "--verify is for `bench read`, `bench e2e` and `bench work`");
    if (options->waiting.given && options->rate.given)
        return cli_error(context, TRUC_USAGE, "--waiting (closed loop) and --rate (open loop) exclude each other");
    if (verb == BENCH_E2E && !options->waiting.given && !options->rate.given)
        return cli_error(context, TRUC_USAGE,
                         "`bench e2e` needs --rate N or --waiting N: without either it would measure how long the queue is");
    if (verb == BENCH_E2E && options->size.given && options->size.value < sizeof(uint64_t))
        return cli_error(context, TRUC_USAGE, "--size must be at least 8 for `bench e2e`: the data carries the time");
    return TRUC_OK;
}

/* Numbers as libtruc's options take them. */
struct texts {
    char batch[24], batch_records[24], linger[24], in_flight[24];
};

static const char *text_of(const struct cli_uint *value, char text[24])
{
    snprintf(text, 24, "%" PRIu64, value->value);
    return value->given ? text : NULL;
}

static struct load_spec spec_of(const struct cli_context *context, const struct bench_options *options, struct texts *texts)
{
    struct load_spec spec;
    load_spec_init(&spec);
    spec.url = context->globals.url;
    spec.source = context->globals.source;
    spec.domain = context->globals.domain;
    spec.topic = options->topic ? options->topic : spec.topic;
    spec.payload_size = options->size.given ? (size_t)options->size.value : spec.payload_size;
    spec.connections = options->connections.given ? (uint32_t)options->connections.value : 1;
    spec.waiting = (uint32_t)options->waiting.value;
    spec.rate = options->rate.value;
    spec.topics = options->topics.given ? (uint32_t)options->topics.value : 1;
    spec.topic_run = options->topic_run.given ? (uint32_t)options->topic_run.value : 1;
    spec.keys = (uint32_t)options->keys.value;
    spec.skew = options->skew.value;
    spec.batch_bytes = text_of(&options->batch, texts->batch);
    spec.batch_records = text_of(&options->batch_records, texts->batch_records);
    spec.linger_us = text_of(&options->linger, texts->linger);
    spec.workers = options->workers.given ? (uint32_t)options->workers.value : spec.workers;
    spec.subscriptions = options->subscriptions.given ? (uint32_t)options->subscriptions.value : spec.subscriptions;
    spec.mode = options->mode;
    spec.in_flight = text_of(&options->in_flight, texts->in_flight);
    spec.stuck = options->stuck;
    spec.codec = options->codec;
    spec.evidence = options->evidence;
    spec.verify = options->verify;
    spec.fill_records = options->fill.value;
    spec.seed = options->seed.given ? options->seed.value : 1;
    if (options->seconds.given)
        spec.seconds_s = (double)options->seconds.ns / 1e9;
    if (options->warmup.given)
        spec.warmup_s = (double)options->warmup.ns / 1e9;
    return spec;
}

static truc_status run(struct cli_context *context, const struct bench_options *options, enum bench_verb verb)
{
    static struct load_result result; /* too large for a stack */
    struct texts texts;
    struct load_spec spec = spec_of(context, options, &texts);
    struct environment environment = {0};
    char why[256];
    truc_status status = check_verb(context, verb, options);
    if (status != TRUC_OK)
        return status;
    status = verb == BENCH_PUB    ? load_publish(&spec, &result)
             : verb == BENCH_READ ? load_read(&spec, &result)
             : verb == BENCH_WORK ? load_work(&spec, &result)
             : verb == BENCH_E2E  ? load_e2e(&spec, &result)
                                  : load_request(&spec, &result);
    if (status != TRUC_OK)
        return cli_error(context, status, "%s", result.why[0] ? result.why : truc_status_text(status));
    if (result.failures)
        return cli_error(context, TRUC_INTERNAL, "%" PRIu64 " records were refused or their leases lost%s%s", result.failures,
                         result.why[0] ? ", the first with " : "", result.why);
    if (!options->no_environment) {
        status = environment_measure(options->directory ? options->directory : ".", &environment, why, sizeof why);
        if (status != TRUC_OK)
            return cli_error(context, status, "%s", why);
    }
    const char *format = options->format ? options->format : context->globals.json ? "json" : "table";
    bench_report(&context->out, format, verb_names[verb], &spec, &result, options->no_environment ? NULL : &environment);
    return TRUC_OK;
}

static truc_status run_pub(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    (void)operands;
    (void)operand_count;
    return run(context, options, BENCH_PUB);
}

static truc_status run_read(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    (void)operands;
    (void)operand_count;
    return run(context, options, BENCH_READ);
}

static truc_status run_e2e(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    (void)operands;
    (void)operand_count;
    return run(context, options, BENCH_E2E);
}

static truc_status run_work(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    (void)operands;
    (void)operand_count;
    return run(context, options, BENCH_WORK);
}

static truc_status run_request(struct cli_context *context, const void *options, char *const *operands, size_t operand_count)
{
    (void)operands;
    (void)operand_count;
    return run(context, options, BENCH_REQUEST);
}

#define BENCH_VERB(of_name, of_summary, of_example, of_notes, of_run)                                                              \
    {                                                                                                                              \
        .name = of_name, .summary = of_summary, .example = of_example, .operands = "", .options = options_of_bench,                \
        .option_count = CLI_COUNT(options_of_bench), .options_size = sizeof(struct bench_options), .notes = of_notes,              \
        .exits = exits, .exit_count = CLI_COUNT(exits), .run = of_run                                                              \
    }

const struct cli_verb verb_bench_pub =
    BENCH_VERB("bench pub", "measures publishing",
               "truc bench pub --size 128 --seconds 10\n"
               "truc bench pub --waiting 400           # 400 publishers, each waiting for each record\n"
               "truc bench pub --rate 50000 --json     # open loop: latency from when a record was due",
               "A record counts when it is acknowledged, that is, when it is on the broker's disk.", run_pub);

const struct cli_verb verb_bench_read =
    BENCH_VERB("bench read", "measures reading from the first record to the head, again and again",
               "truc bench read --fill 1000000 --seconds 10",
               "A record counts when the application's callback has it, its digest checked.", run_read);

const struct cli_verb verb_bench_e2e =
    BENCH_VERB("bench e2e", "measures from publishing to a following reader's callback", "truc bench e2e --rate 20000 --seconds 10",
               "Latency counts from when a record was due (with --waiting: sent) until the reader's callback has it.", run_e2e);

const struct cli_verb verb_bench_work =
    BENCH_VERB("bench work", "measures the workers of a subscription, from the first record on",
               "truc bench work --fill 1000000 --keys 100000 --skew 1\n"
               "truc bench work --mode ordered --workers 1   # on what the topic holds already",
               "A record counts when its acknowledgement is on the broker's disk. It ends when all records are done, or after\n"
               "--seconds. Subscriptions named bench-work-N are made for it, and removed.",
               run_work);

const struct cli_verb verb_bench_request = BENCH_VERB(
    "bench request", "measures from a request to its reply",
    "truc bench request                     # one at a time\n"
    "truc bench request --waiting 1000      # so many under way",
    "Requests and replies go through the log; the server is in this process, on a connection of its own, and replies with what it "
    "gets. Latency counts from sending a request until the requester's callback has the reply.",
    run_request);
