/* core_bench.c: what the core costs per batch, publish and answer, and in memory. Not a test: `core_bench [BATCHES]`.
 *
 * CPU time, so that other loads on the machine disturb little. A step is given one batch or 16; a commit follows every 16 (one
 * topic) or 64. Includes the hash of the leaf. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/core/core.h"
#include "broker/core/table.h"
#include "truc/v1/wire.pb-c.h"

enum { BATCHES_DEFAULT = 2000000, GROUP = 64, NAME_BYTES = 40, BATCH_BYTES = 20000, FRAME_BYTES = BATCH_BYTES + 20 };

struct bench {
    struct core *core;
    struct core_now now;
    struct core_head head;
    struct core_prepared prepared[GROUP];
    char (*names)[NAME_BYTES];
    uint64_t *sequences;
    uint32_t topic_count;
    uint64_t producer_id, last_ticket, answered_bytes;
};

static int64_t clock_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void step(struct bench *bench, const struct core_event *events, size_t count)
{
    struct core_effects effects = core_step(bench->core, events, count, bench->now);

    for (size_t i = 0; i < effects.count; i++) {
        const struct core_effect *effect = &effects.effects[i];

        if (effect->kind == EFFECT_APPEND || effect->kind == EFFECT_DELTA)
            bench->last_ticket = effect->ticket;
        else if (effect->kind == EFFECT_SEND)
            bench->answered_bytes += effect->bytes.size;
        if (effect->kind == EFFECT_APPEND) {
            bench->head.position++;
            bench->head.last_append_ns = effect->append->append_time_ns;
        } else if (effect->kind == EFFECT_RELEASE) {
            (void)fprintf(stderr, "core_bench: a batch was refused\n");
            exit(1);
        }
    }
}

static void commit(struct bench *bench)
{
    struct core_event event = {.kind = CORE_COMMITTED,
                               .ticket = bench->last_ticket,
                               .head = bench->head,
                               .capacity = {.available_bytes = UINT64_C(1) << 50}};

    step(bench, &event, 1);
}

static void send(struct bench *bench, enum frame_kind kind, const ProtobufCMessage *message)
{
    uint8_t header[512];
    struct core_event event = {.kind = CORE_FRAME, .connection = 1};

    event.frame = (struct frame){kind, 1, bytes_of(header, protobuf_c_message_pack(message, header)), bytes_of(NULL, 0)};
    step(bench, &event, 1);
}

static void begin(struct bench *bench, uint32_t topic_count)
{
    struct core_config config;
    struct core_event start = {.kind = CORE_START, .capacity = {.available_bytes = UINT64_C(1) << 50}};
    struct core_event connected = {.kind = CORE_CONNECTED, .connection = 1};
    Truc__V1__ClientHello hello = TRUC__V1__CLIENT_HELLO__INIT;
    Truc__V1__Login login = TRUC__V1__LOGIN__INIT;
    Truc__V1__ProducerOpen open = TRUC__V1__PRODUCER_OPEN__INIT;
    uint8_t nonce[32] = {0};

    *bench = (struct bench){.topic_count = topic_count, .producer_id = 1};
    bench->names = calloc(topic_count, sizeof *bench->names);
    bench->sequences = calloc(topic_count, sizeof *bench->sequences);
    core_config_init(&config);
    if (!bench->names || !bench->sequences || core_create(&config, &bench->core) != TRUC_OK)
        exit(1);
    for (uint32_t i = 0; i < topic_count; i++)
        (void)snprintf(bench->names[i], NAME_BYTES, "dossier.status.H26.%u", i);
    step(bench, &start, 1);
    step(bench, &connected, 1);
    hello.magic = 0x54525543;
    hello.version_min = hello.version_max = 1;
    hello.nonce = (ProtobufCBinaryData){sizeof nonce, nonce};
    send(bench, FRAME_HELLO, &hello.base);
    login.algorithm = "none";
    login.source = "H26.16";
    login.system = "portal";
    send(bench, FRAME_LOGIN, &login.base);
    open.name = "bench";
    send(bench, FRAME_PRODUCER_OPEN, &open.base);
    commit(bench);
}

static struct core_event publish_event(struct bench *bench, uint32_t slot, uint32_t topic)
{
    static const uint8_t bytes[BATCH_BYTES];
    struct core_prepared *prepared = &bench->prepared[slot];

    prepared->batch = (struct batch_view){.encoded = bytes_of(bytes, sizeof bytes),
                                          .topic = bytes_of_text(bench->names[topic]),
                                          .source = bytes_of_text("H26.16"),
                                          .system = bytes_of_text("portal"),
                                          .producer_id = bench->producer_id,
                                          .epoch = 1,
                                          .first_sequence = bench->sequences[topic],
                                          .record_count = 100};
    prepared->evidence = EVIDENCE_RECORD;
    bench->sequences[topic] += 100;
    return (struct core_event){
        .kind = CORE_PUBLISH, .connection = 1, .request_id = 7, .frame_bytes = FRAME_BYTES, .prepared = prepared};
}

/* Topics are visited in an order that no cache foresees. One topic takes 16 batches a commit, the most it may. */
static void run(struct bench *bench, uint64_t batches, uint32_t group, const char *what)
{
    struct core_event events[GROUP];
    uint32_t per_commit = bench->topic_count == 1 ? BATCHES_IN_FLIGHT_MAX : GROUP;
    int64_t begun = clock_ns(), took;

    for (uint64_t i = 0; i < batches; i += per_commit) {
        for (uint32_t j = 0; j < per_commit; j += group) {
            for (uint32_t k = 0; k < group; k++)
                events[k] = publish_event(bench, j + k, (uint32_t)((i + j + k) * 40503 % bench->topic_count));
            step(bench, events, group);
        }
        bench->now.boot_ns += 1000000;
        bench->now.wall_ns += 1000000;
        commit(bench);
    }
    took = clock_ns() - begun;
    printf("%-46s %8.0f ns a batch\n", what, (double)took / (double)batches);
}

static void end(struct bench *bench)
{
    core_destroy(bench->core);
    free(bench->names);
    free(bench->sequences);
}

int main(int argc, char **argv)
{
    uint64_t batches = argc > 1 ? strtoull(argv[1], NULL, 10) : BATCHES_DEFAULT;
    struct mallinfo2 before, after;
    struct bench bench;

    begin(&bench, 1);
    run(&bench, batches, 1, "1 topic, one batch a step:");
    run(&bench, batches, 16, "1 topic, 16 batches a step:");
    end(&bench);
    before = mallinfo2();
    begin(&bench, 100000);
    run(&bench, 100000, 16, "100,000 topics, created:");
    run(&bench, 1600000, 16, "100,000 topics, 16 batches a step:");
    run(&bench, batches, 1, "100,000 topics, one batch a step:");
    after = mallinfo2();
    /* The bench's own arrays: a name and a sequence each. */
    printf("%-46s %8.1f MiB\n", "memory of 100,000 topics and full sequences:",
           (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd - 100000UL * (NAME_BYTES + 8)) / 1048576.0);
    end(&bench);
    return 0;
}
