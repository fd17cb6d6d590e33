#include "broker/log/letters.h"

#include <stdlib.h>

#include "broker/log/walk.h"

struct search {
    struct walk walk;
    struct place place;
    uint32_t subscription;
    struct digest_context *digests;
    uint8_t *scratch; /* of batch_raw */
    size_t scratch_capacity;
    struct letter_found *found;
};

/* Those of a subscription of the same name that was reset or removed have ids of their own. */
static bool is_of(struct search *search, const struct dead_letter *letter, struct bytes id, uint64_t offset)
{
    uint8_t derived[DIGEST_BYTES];
    dead_letter_derive(search->digests, search->walk.log->identity.hash_secret, letter, search->subscription, offset, derived);
    return letter->place.position == search->place.position && letter->place.index == search->place.index &&
           bytes_equal(id, bytes_of(derived, LETTER_ID_BYTES));
}

static void take(struct search *search, const struct walk_entry *at, const struct record_view *record, uint64_t offset)
{
    struct dead_letter letter;
    if (!dead_letter_read(record, &letter) || letter.kind == LETTER_DROPPED || !is_of(search, &letter, record->id, offset)) {
        return;
    }
    letter.subscription = letter.by = bytes_of(NULL, 0);
    search->found->there = true;
    search->found->letter = letter;
    search->found->block = at->block->block;
    search->found->block_ns = at->block->append_time_ns;
}

static truc_status visit(void *context, const struct walk_entry *at)
{
    struct search *search = context;
    struct block_row row = block_row_at(at->block, at->index);
    struct entry_view entry;
    struct batch_view batch;
    struct bytes raw, encoded;
    const char *why;
    bool wanted = false;
    truc_status status = block_entry(at->block, at->index, &entry);
    if (status == TRUC_OK) {
        walk_spend(&search->walk, entry.entry_size);
        status = matcher_entry(&search->walk.matcher, &entry, &wanted);
    }
    if (status != TRUC_OK || !wanted) {
        return status;
    }
    if (batch_parse(entry.batch, &batch, &why) != TRUC_OK) {
        return TRUC_DAMAGED;
    }
    status = batch_raw(&batch, &search->scratch, &search->scratch_capacity, &raw);
    if (status != TRUC_OK) {
        return status == TRUC_NO_MEMORY ? status : TRUC_DAMAGED;
    }
    struct reader payload = reader_over(raw);
    for (uint64_t offset = row.base_offset; records_next(&payload, &encoded, &status); offset++) {
        struct record_view record;
        if (record_parse(encoded, &record, &why) == TRUC_OK) {
            take(search, at, &record, offset);
        }
    }
    return TRUC_OK;
}

truc_status letters_find(struct log *log, struct place place, const struct log_history *history, struct letter_found *ret_found)
{
    uint8_t topic[LETTER_TOPIC_BYTES_MAX];
    char key[LETTER_KEY_BYTES_MAX];
    struct letter_found found = {0};
    struct search search = {.place = place, .subscription = history->subscription, .found = &found};
    struct log_filter filter = {.pattern = dead_letter_topic(history->owner, history->name, topic),
                                .key = dead_letter_key(place, key)};
    struct topic_row row;
    if (!topics_find(&log->topics, filter.pattern, &row, NULL)) {
        *ret_found = found;
        return TRUC_OK;
    }
    truc_status status = walk_init(&search.walk, log, &filter, false);
    if (status != TRUC_OK) {
        return status;
    }
    search.walk.visit = visit;
    search.walk.context = &search;
    search.walk.budget = WALK_BUDGET_BYTES;
    search.digests = digest_context_create();
    status = search.digests != NULL ? TRUC_OK : TRUC_NO_MEMORY;
    uint64_t at = place.position + 1, head = log_head(log).position;
    while (status == TRUC_OK && at < head && search.walk.budget > 0) {
        status = walk_run(&search.walk, at, head, &at, NULL);
        if (status == TRUC_DAMAGED) {
            found.unknown = true;
            status = TRUC_OK;
        }
    }
    found.unknown = found.unknown || at < head;
    walk_fini(&search.walk);
    digest_context_destroy(search.digests);
    free(search.scratch);
    if (status == TRUC_OK) {
        *ret_found = found;
    }
    return status;
}
