#include "dead.h"

#include <stdlib.h>

#include "broker/core/accept.h"
#include "broker/core/clock.h"
#include "broker/core/pending.h"
#include "broker/core/topic_state.h"

enum {
    DIRECTORY_BYTES_MAX = 64,        /* of a batch's directory, */
    DIRECTORY_RECORD_BYTES_MAX = 40, /* and more for each record */
    ENTRY_AROUND_BYTES_MAX = 1024    /* of the entry, around batch and directory */
};
_Static_assert((int)LETTER_ATTEMPTS == (int)DEAD_ATTEMPTS && (int)LETTER_REJECTED == (int)DEAD_REJECTED &&
                   (int)LETTER_DAMAGED == (int)DEAD_DAMAGED,
               "letters name the reasons that shares have");

/* A prepared batch of the core's own: one piece of memory. Behind it: the batch, then the directory. */
struct letter_batch {
    struct core_prepared prepared;
    uint8_t topic[LETTER_TOPIC_BYTES_MAX];
    uint8_t bytes[];
};

static size_t batch_bytes_max(size_t count)
{
    return (size_t)BATCH_PREFIX_BYTES + BATCH_HEADER_BYTES_MAX + count * LETTER_RECORD_BYTES_MAX;
}

static size_t directory_bytes_max(size_t count)
{
    return DIRECTORY_BYTES_MAX + count * DIRECTORY_RECORD_BYTES_MAX;
}

uint64_t dead_log_bytes(size_t count)
{
    return (uint64_t)ENTRY_AROUND_BYTES_MAX + batch_bytes_max(count) + directory_bytes_max(count);
}

static struct bytes dead_topic(const struct subscription *subscription, uint8_t out[LETTER_TOPIC_BYTES_MAX])
{
    return dead_letter_topic(subscription->row.owner, subscription->row.name, out);
}

uint64_t dead_next_offset(const struct core *core, const struct subscription *subscription)
{
    uint8_t name[LETTER_TOPIC_BYTES_MAX];
    const struct topic *topic;
    uint64_t hash;
    uint32_t index;

    topic = topic_find(core, dead_topic(subscription, name), &hash, &index);
    return topic ? topic->next_offset : 0;
}

/* Everything in them is decided by the log's secret and places, so that the same events give the same bytes: ids, and the salt
 * seed, which must not be told from an id. */
static size_t write_records(struct core *core, const struct subscription *subscription, const struct dead_letter *letters,
                            size_t count, uint8_t *out, uint8_t ret_seed[SALT_SEED_BYTES])
{
    uint64_t offset = dead_next_offset(core, subscription);
    uint8_t derived[DIGEST_BYTES], *at = out;

    for (size_t i = 0; i < count; i++) {
        dead_letter_derive(core->digest, core->config.hash_secret, &letters[i], subscription->row.subscription_id, offset + i,
                           derived);
        at = dead_letter_write(&letters[i], derived, clock_now(core), at);
        if (i == 0)
            digest_parts(core->digest, &(struct bytes){derived, sizeof derived}, 1, ret_seed);
    }
    return (size_t)(at - out);
}

static bool prepare(struct core *core, const struct subscription *subscription, const struct dead_letter *letters, size_t count,
                    struct letter_batch *batch)
{
    struct core_prepared *prepared = &batch->prepared;
    struct batch_header_fields fields = {.topic = dead_topic(subscription, batch->topic),
                                         .source = subscription->row.owner,
                                         .system = bytes_of_text("broker"),
                                         .evidence = EVIDENCE_RECORD,
                                         .record_count = (uint32_t)count};
    size_t head = BATCH_PREFIX_BYTES + batch_header_size(&fields), size, capacity = 0;
    uint8_t seed[SALT_SEED_BYTES], *built = NULL, *directory_at = batch->bytes + batch_bytes_max(count);
    struct bytes payload, directory = {0};
    const char *why = "";

    size = write_records(core, subscription, letters, count, batch->bytes + head, seed);
    batch_head_write(batch->bytes, &fields, CODEC_NONE, (uint32_t)size, (uint32_t)size, seed);
    payload = bytes_of(batch->bytes + head, size);
    if (batch_parse(bytes_of(batch->bytes, head + size), &prepared->batch, &why) != TRUC_OK ||
        directory_build(core->config.hash_secret, payload, (uint32_t)count, LETTER_RECORD_BYTES_MAX, 0, &built, &capacity,
                        &directory, NULL, &why) != TRUC_OK)
        return false;
    CORE_INVARIANT(directory.size <= directory_bytes_max(count));
    memcpy(directory_at, directory.data, directory.size);
    prepared->directory = bytes_of(directory_at, directory.size);
    free(built);
    prepared->evidence = EVIDENCE_RECORD;
    prepared->record_largest = LETTER_RECORD_BYTES_MAX;
    digest_header(core->digest, prepared->batch.header, prepared->header_digest);
    return batch_root(core->digest, &prepared->batch, EVIDENCE_RECORD, payload, prepared->records_root) == TRUC_OK;
}

bool dead_append(struct core *core, const struct subscription *subscription, const struct dead_letter *letters, size_t count,
                 bool joined)
{
    struct letter_batch *batch;

    CORE_INVARIANT(count > 0 && count <= LETTERS_MAX);
    batch = malloc(sizeof *batch + batch_bytes_max(count) + directory_bytes_max(count));
    if (!batch)
        return false;
    memset(&batch->prepared, 0, sizeof batch->prepared);
    if (prepare(core, subscription, letters, count, batch) && accept_own(core, &batch->prepared, joined))
        return true;
    free(batch);
    return false;
}

bool dead_bury(struct core *core, struct subscription *subscription)
{
    struct share_dead dead;
    bool any = false;

    while (!core->failed && share_next_dead(subscription->share, &dead)) {
        struct dead_letter letter = {.kind = LETTER_DEAD,
                                     .place = dead.place,
                                     .subscription = subscription->row.name,
                                     .reason = (enum dead_letter_reason)dead.reason,
                                     .attempts = dead.attempts,
                                     .first_failed_ns = dead.first_failed_ns,
                                     .last_failed_ns = dead.last_failed_ns};

        if (!dead_append(core, subscription, &letter, 1, any)) {
            subscription_retry(core, subscription);
            break;
        }
        share_bury(subscription->share);
        any = true;
    }
    return any;
}
