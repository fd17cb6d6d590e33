#include "dead.h"

#include <stdlib.h>

#include "broker/core/accept.h"
#include "broker/core/clock.h"
#include "broker/core/pending.h"
#include "broker/core/topic_state.h"
#include "proto/directory.h"
#include "proto/record.h"

enum { NUMBER_BYTES = 24, DEAD_RECORD_BYTES_MAX = 1024, DEAD_TYPE_HEADERS = 7 };
static const char dead_type[] = "truc.dead.v1";
static const char *const reasons[] = {[DEAD_ATTEMPTS] = "attempts", [DEAD_REJECTED] = "rejected", [DEAD_DAMAGED] = "damaged"};

/* A prepared batch of the core's own: one piece of memory. */
struct letter_batch {
    struct core_prepared prepared;
    uint8_t topic[TOPIC_BYTES_MAX];
    uint8_t bytes[BATCH_PREFIX_BYTES + BATCH_HEADER_BYTES_MAX + DEAD_RECORD_BYTES_MAX];
    uint8_t directory[256];
};

static struct bytes number_text(uint64_t number, char out[NUMBER_BYTES])
{
    char *at = out + NUMBER_BYTES;

    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return bytes_of(at, (size_t)(out + NUMBER_BYTES - at));
}

/* "dead.<agency>.<subscription>" */
static struct bytes dead_topic(const struct subscription *subscription, uint8_t out[TOPIC_BYTES_MAX])
{
    const struct subscription_row *row = &subscription->row;
    uint8_t *at = out;

    memcpy(at, "dead.", 5);
    memcpy(at += 5, row->owner.data, row->owner.size);
    at += row->owner.size;
    *at++ = '.';
    memcpy(at, row->name.data, row->name.size);
    return bytes_of(out, (size_t)(at - out) + row->name.size);
}

/* What only the log's secret and the record's place decide, so that the same events give the same bytes: id and salt seed. */
static void derive(struct core *core, const struct subscription *subscription, struct place place, uint8_t ret[DIGEST_BYTES])
{
    uint8_t where[8 + 4 + 4];
    const struct bytes parts[] = {bytes_of("truc-dead-v1", 13), bytes_of(core->config.hash_secret, sizeof core->config.hash_secret),
                                  bytes_of(where, sizeof where)};

    store_u64(where, place.position);
    store_u32(where + 8, place.index);
    store_u32(where + 12, subscription->row.subscription_id);
    digest_parts(core->digest, parts, sizeof parts / sizeof parts[0], ret);
}

static size_t write_record(struct core *core, const struct subscription *subscription, const struct share_dead *dead,
                           const uint8_t id[DIGEST_BYTES], uint8_t *out)
{
    char numbers[5][NUMBER_BYTES];
    const struct record_header headers[DEAD_TYPE_HEADERS] = {
        {bytes_of_text("reason"), bytes_of_text(reasons[dead->reason])},
        {bytes_of_text("attempts"), number_text(dead->attempts, numbers[0])},
        {bytes_of_text("position"), number_text(dead->place.position, numbers[1])},
        {bytes_of_text("index"), number_text(dead->place.index, numbers[2])},
        {bytes_of_text("first-failed-ns"), number_text((uint64_t)dead->first_failed_ns, numbers[3])},
        {bytes_of_text("last-failed-ns"), number_text((uint64_t)dead->last_failed_ns, numbers[4])},
        {bytes_of_text("subscription"), subscription->row.name},
    };
    struct record_view view = {.id = bytes_of(id, 16), .type = bytes_of_text(dead_type), .time_ns = clock_now(core)};
    size_t size = record_encoded_size(&view, headers, DEAD_TYPE_HEADERS);
    uint8_t *at = varint_put(out, size);

    CORE_INVARIANT(size + 10 <= DEAD_RECORD_BYTES_MAX);
    return (size_t)(record_encode(&view, headers, DEAD_TYPE_HEADERS, at) - out);
}

static bool prepare(struct core *core, const struct subscription *subscription, const struct share_dead *dead,
                    struct letter_batch *letter)
{
    struct core_prepared *prepared = &letter->prepared;
    struct bytes topic = dead_topic(subscription, letter->topic), payload, directory = {0};
    struct batch_header_fields fields = {.topic = topic,
                                         .source = subscription->row.owner,
                                         .system = bytes_of_text("broker"),
                                         .evidence = EVIDENCE_RECORD,
                                         .record_count = 1};
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields), size, capacity = 0;
    uint8_t derived[DIGEST_BYTES], *built = NULL;
    const char *why = "";

    derive(core, subscription, dead->place, derived);
    size = write_record(core, subscription, dead, derived, letter->bytes + head);
    digest_parts(core->digest, &(struct bytes){derived, sizeof derived}, 1, derived); /* the seed is not to be told from the id */
    batch_head_write(letter->bytes, &fields, CODEC_NONE, (uint32_t)size, (uint32_t)size, derived);
    payload = bytes_of(letter->bytes + head, size);
    if (batch_parse(bytes_of(letter->bytes, head + size), &prepared->batch, &why) != TRUC_OK ||
        directory_build(core->config.hash_secret, payload, 1, DEAD_RECORD_BYTES_MAX, 0, &built, &capacity, &directory, NULL,
                        &why) != TRUC_OK)
        return false;
    CORE_INVARIANT(directory.size <= sizeof letter->directory);
    memcpy(letter->directory, directory.data, directory.size);
    prepared->directory = bytes_of(letter->directory, directory.size);
    free(built);
    prepared->evidence = EVIDENCE_RECORD;
    prepared->record_largest = (uint32_t)size;
    digest_header(core->digest, prepared->batch.header, prepared->header_digest);
    return batch_root(core->digest, &prepared->batch, EVIDENCE_RECORD, payload, prepared->records_root) == TRUC_OK;
}

static bool append(struct core *core, const struct subscription *subscription, const struct share_dead *dead, bool joined)
{
    struct letter_batch *letter = malloc(sizeof *letter);

    if (!letter)
        return false;
    memset(&letter->prepared, 0, sizeof letter->prepared);
    if (prepare(core, subscription, dead, letter) && accept_own(core, &letter->prepared, joined))
        return true;
    free(letter);
    return false;
}

bool dead_bury(struct core *core, struct subscription *subscription)
{
    struct share_dead dead;
    bool any = false;

    while (!core->failed && share_next_dead(subscription->share, &dead)) {
        if (!append(core, subscription, &dead, any)) {
            subscription_retry(core, subscription);
            break;
        }
        share_bury(subscription->share);
        any = true;
    }
    return any;
}
