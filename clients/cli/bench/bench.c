/* bench.c: `truc bench pub|read|e2e`: one load on one broker. The loads themselves are in bench/load. */
#include "bench/load/environment.h"
#include "bench/load/load.h"
#include "clients/cli/bench/report.h"
#include "clients/cli/cli.h"

#include <stdlib.h>

struct bench_options {
    struct cli_time seconds, warmup;
    struct cli_uint size, connections, waiting, topics, topic_run, keys, fill, seed;
    struct cli_number rate;
    struct cli_uint batch, batch_records, linger;
    const char *topic, *codec, *evidence, *format, *verify, *directory;
    bool no_environment;
};

static const char *const codecs[] = {"none", "lz4", "zstd", NULL};
static const char *const evidences[] = {"topic", "record", "batch", NULL};
static const char *const formats[] = {"table", "csv", "json", NULL};
static const char *const yes_no[] = {"yes", "no", NULL};

#define OFFSET(field) offsetof(struct bench_options, field)
#define OPTION_SECONDS {.name = "seconds", .type = CLI_DURATION, .offset = OFFSET(seconds), .value = "TIME", .help = "how long is measured (10s)"}
#define OPTION_WARMUP {.name = "warmup", .type = CLI_DURATION, .offset = OFFSET(warmup), .value = "TIME", .help = "how long runs before that (2s)"}
#define OPTION_FORMAT {.name = "format", .type = CLI_CHOICE, .offset = OFFSET(format), .value = "table|csv|json", .choices = formats, .help = "how the result is printed (table; json with --json)"}
#define OPTION_DIRECTORY {.name = "directory", .type = CLI_TEXT, .offset = OFFSET(directory), .value = "DIR", .help = "where the disk is measured beside the load (the current directory): name one on the broker's disk"}
#define OPTION_NO_ENVIRONMENT {.name = "no-environment", .type = CLI_FLAG, .offset = OFFSET(no_environment), .help = "leaves out the second that measures the disk"}
#define OPTION_SIZE(least) {.name = "size", .type = CLI_SIZE, .offset = OFFSET(size), .value = "BYTES", .minimum = (least), .maximum = LOAD_PAYLOAD_MAX, .help = "data of a record, incompressible (128)"}
#define OPTION_CONNECTIONS {.name = "connections", .type = CLI_UINT, .offset = OFFSET(connections), .value = "N", .minimum = 1, .maximum = LOAD_CONNECTIONS_MAX, .help = "clients, each with one producer (1)"}
#define OPTION_TOPIC {.name = "topic", .type = CLI_TEXT, .offset = OFFSET(topic), .value = "TOPIC", .help = "the topic, or with --topics the part before .N (bench.load)"}
#define OPTION_TOPICS {.name = "topics", .type = CLI_UINT, .offset = OFFSET(topics), .value = "N", .minimum = 1, .maximum = LOAD_TOPICS_MAX, .help = "spreads the records over so many topics (1)"}
#define OPTION_TOPIC_RUN {.name = "topic-run", .type = CLI_UINT, .offset = OFFSET(topic_run), .value = "N", .minimum = 1, .maximum = 1000000, .help = "records that follow each other in one topic before the next (1)"}
#define OPTION_KEYS {.name = "keys", .type = CLI_UINT, .offset = OFFSET(keys), .value = "N", .maximum = LOAD_KEYS_MAX, .help = "different keys (0: no key)"}
#define OPTION_BATCH {.name = "batch", .type = CLI_SIZE, .offset = OFFSET(batch), .value = "BYTES", .minimum = 1024, .maximum = 8 * 1024 * 1024, .help = "a batch is closed at so many bytes (libtruc's default)"}
#define OPTION_BATCH_RECORDS {.name = "batch-records", .type = CLI_UINT, .offset = OFFSET(batch_records), .value = "N", .minimum = 1, .maximum = 65535, .help = "or at so many records"}
#define OPTION_LINGER {.name = "linger", .type = CLI_UINT, .offset = OFFSET(linger), .value = "US", .maximum = 1000000, .help = "or after so many microseconds"}
#define OPTION_CODEC {.name = "codec", .type = CLI_CHOICE, .offset = OFFSET(codec), .value = "none|lz4|zstd", .choices = codecs, .help = "compression of batches (none)"}
#define OPTION_EVIDENCE {.name = "evidence", .type = CLI_CHOICE, .offset = OFFSET(evidence), .value = "topic|record|batch", .choices = evidences, .help = "evidence level asked of the topic (topic)"}
#define OPTION_SEED {.name = "seed", .type = CLI_UINT, .offset = OFFSET(seed), .value = "N", .help = "of the payloads (1)"}
#define OPTIONS_PUBLISHING                                                                                                                  \
    OPTION_CONNECTIONS, OPTION_TOPIC, OPTION_TOPICS, OPTION_TOPIC_RUN, OPTION_KEYS, OPTION_BATCH, OPTION_BATCH_RECORDS, OPTION_LINGER,      \
        OPTION_CODEC, OPTION_EVIDENCE, OPTION_SEED
#define OPTION_WAITING {.name = "waiting", .type = CLI_UINT, .offset = OFFSET(waiting), .value = "N", .minimum = 1, .maximum = LOAD_WAITING_MAX, .help = "closed loop: so many publishers, each waiting for each record"}
#define OPTION_RATE {.name = "rate", .type = CLI_NUMBER, .offset = OFFSET(rate), .value = "N", .help = "open loop: so many records per second; latency counts from when each was due"}

static const struct cli_option pub_options[] = {OPTION_SECONDS, OPTION_WARMUP, OPTION_SIZE(0), OPTION_WAITING, OPTION_RATE, OPTIONS_PUBLISHING,
                                                OPTION_FORMAT, OPTION_DIRECTORY, OPTION_NO_ENVIRONMENT};
static const struct cli_option read_options[] = {
    OPTION_SECONDS, OPTION_WAITING_NONE_FILL, OPTION_WARMUP, OPTION_SIZE(0), OPTIONS_PUBLISHING, OPTION_FORMAT, OPTION_DIRECTORY, OPTION_NO_ENVIRONMENT};
