/* core_bench.c: what the core costs per batch, publish and answer, and in memory; and what dividing work costs per record. Not a
 * test: `core_bench [BATCHES]`.
 *
 * CPU time, so that other loads on the machine disturb little. A step is given one batch or 16; a commit follows every 16 (one
 * topic) or 64. Includes the hash of the leaf. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/core/core.h"
#include "broker/core/share.h"
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

/* --- a shared subscription: scan, grant, acknowledge, save -----------------------------------------------------------------------
 */

enum { SHARE_RECORDS = 2000000, SHARE_OCTAVES = 17, SHARE_WORKERS = 16, SHARE_CREDIT = 256 };

static bool put_away(void *context, const struct delta *delta)
{
    uint8_t bytes[DELTA_BYTES_MAX];

    *(uint64_t *)context += delta_write(bytes, delta);
    return true;
}

/* A key by Zipf's law, the k-th about 1/k as often as the first: even in its logarithm. */
static uint64_t zipf_key(uint64_t i)
{
    uint64_t x = table_mix(i), octave = UINT64_C(1) << x % SHARE_OCTAVES;

    return table_mix(octave + (x >> 20) % octave);
}

/* What the log would answer: records i of [from, until) with one of the keys. */
static size_t found_in(const struct share_scan *scan, const struct share_record *records, struct share_record *found)
{
    size_t count = 0;

    for (uint64_t at = scan->from.position; at < scan->until.position && count < scan->records_max; at++) {
        size_t low = 0, high = scan->key_count;

        while (low < high) {
            size_t middle = low + (high - low) / 2;

            if (scan->keys[middle] < records[at].key)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < scan->key_count && scan->keys[low] == records[at].key)
            found[count++] = records[at];
    }
    return count;
}

struct share_bench {
    struct share *share;
    struct share_record *records, found[4096];
    uint64_t settled, saved_bytes, searches;
    int64_t outside_ns; /* the fake log's own time */
    int64_t now_ns;
    struct share_lease leases[SHARE_WORKERS][GRANT_RECORDS_MAX]; /* given out in the last round */
    uint64_t workers[SHARE_WORKERS];
    size_t counts[SHARE_WORKERS];
};

static void share_look(struct share_bench *bench)
{
    struct share_scan scan;

    while (share_next_search(bench->share, &scan)) {
        int64_t begun = clock_ns();
        size_t count = found_in(&scan, bench->records, bench->found);
        struct place next = scan.until;

        if (count == scan.records_max)
            next = (struct place){bench->found[count - 1].place.position + 1, 0};
        bench->searches++;
        bench->outside_ns += clock_ns() - begun;
        if (!share_found(bench->share, bench->found, count, next))
            exit(1);
    }
    while (share_scan_place(bench->share).position < SHARE_RECORDS && share_next_scan(bench->share, &scan)) {
        uint64_t left = SHARE_RECORDS - scan.from.position, count = left < scan.records_max ? left : scan.records_max;

        if (!share_scanned(bench->share, bench->records + scan.from.position, count, (struct place){scan.from.position + count, 0}))
            exit(1);
    }
}

/* What was given out in the last round is acknowledged, so every record is in somebody's hands during a save. */
static void share_round(struct share_bench *bench)
{
    for (size_t i = 0; i < SHARE_WORKERS; i++) {
        for (size_t j = 0; j < bench->counts[i]; j++)
            (void)share_settle(bench->share, bench->workers[i], bench->leases[i][j].lease, SHARE_ACK, 0, bench->now_ns);
        if (bench->counts[i] > 0)
            share_credit(bench->share, bench->workers[i], (uint32_t)bench->counts[i]);
        bench->settled += bench->counts[i];
    }
    share_look(bench);
    for (size_t i = 0; i < SHARE_WORKERS; i++)
        bench->counts[i] = share_grant(bench->share, bench->now_ns, bench->leases[i], GRANT_RECORDS_MAX, &bench->workers[i]);
    bench->now_ns += 1000000;
    share_tick(bench->share, bench->now_ns);
    if (!share_save(bench->share, 1, put_away, &bench->saved_bytes))
        exit(1);
}

static void share_run(bool keyed, uint32_t run_max, const char *what)
{
    struct share_config config = {.ack_wait_ns = INT64_C(30000000000), .in_flight_max = 10000, .lanes_max = 100000, .aside_max = 1};
    struct share_bench bench = {.records = calloc(SHARE_RECORDS, sizeof(struct share_record))};
    int64_t begun, took;

    if (!bench.records || share_create(&config, (struct place){0, 0}, &bench.share) != TRUC_OK)
        exit(1);
    for (uint64_t i = 0; i < SHARE_RECORDS; i++)
        bench.records[i] = (struct share_record){.place = {i, 0}, .bytes = 128, .key = keyed ? zipf_key(i) : 0};
    for (uint64_t i = 1; i <= SHARE_WORKERS; i++) {
        if (!share_join(bench.share, i, SHARE_CREDIT, run_max))
            exit(1);
    }
    begun = clock_ns();
    while (bench.settled < SHARE_RECORDS)
        share_round(&bench);
    took = clock_ns() - begun - bench.outside_ns;
    printf("%-46s %8.0f ns a record; %.0f bytes of deltas, %.4f searches a record\n", what, (double)took / SHARE_RECORDS,
           (double)bench.saved_bytes / SHARE_RECORDS, (double)bench.searches / SHARE_RECORDS);
    share_destroy(bench.share);
    free(bench.records);
}

int main(int argc, char **argv)
{
    uint64_t batches = argc > 1 ? strtoull(argv[1], NULL, 10) : BATCHES_DEFAULT;
    struct mallinfo2 before, after;
    struct bench bench;

    share_run(false, 1, "shared, no keys: scan, grant, ack, save:");
    share_run(true, 1, "shared, keys by Zipf's law:");
    share_run(true, 16, "shared, keys by Zipf's law, runs of 16:");
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
