#include "clients/c/settle_batch.h"

#include <stdlib.h>
#include <string.h>

#include "truc/v1/wire.pb-c.h"

struct settle_batch *settle_batch_create(struct truc_worker *worker, uint64_t serial)
{
    struct settle_batch *batch = malloc(sizeof *batch); /* the items are written before they are read */

    if (batch == NULL)
        return NULL;
    memset(batch, 0, offsetof(struct settle_batch, items));
    batch->worker = worker;
    batch->serial = serial;
    return batch;
}

void settle_batch_destroy(struct settle_batch *batch)
{
    if (batch == NULL)
        return;
    free(batch->stale);
    free(batch);
}

/* Appends b to a where it adjoins with the same outcome. */
static bool merge(struct settlement *a, const struct settlement *b)
{
    if (a->outcome != b->outcome || a->delay_ms != b->delay_ms || a->first + a->count != b->first ||
        a->lease + a->count != b->lease || a->count > UINT32_MAX - b->count)
        return false;
    a->count += b->count;
    return true;
}

bool settle_batch_add(struct settle_batch *batch, const struct settlement *item)
{
    if (batch->count > 0 && merge(&batch->items[batch->count - 1], item))
        return true;
    if (batch->count == SETTLEMENTS_MAX)
        settle_batch_pack(batch);
    if (batch->count == SETTLEMENTS_MAX)
        return false;
    batch->items[batch->count] = *item;
    batch->items[batch->count].order = (uint32_t)batch->count; /* above all that were packed */
    batch->count++;
    return true;
}

/* Those of one key are settled in the order of their numbers; what is given back lies behind what was settled. */
static int rank(const struct settlement *item)
{
    return item->outcome == TRUC_OUTCOME_EXTEND ? 0 : item->outcome == SETTLE_RETURN ? 2 : 1;
}

static int compare(const void *left, const void *right)
{
    const struct settlement *a = left, *b = right;

    if (rank(a) != rank(b))
        return rank(a) < rank(b) ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return a->order < b->order ? -1 : 1; /* no two have the same */
}

void settle_batch_pack(struct settle_batch *batch)
{
    size_t kept = 0;

    if (batch->count < 2)
        return;
    qsort(batch->items, batch->count, sizeof batch->items[0], compare);
    for (size_t i = 1; i < batch->count; i++) {
        if (!merge(&batch->items[kept], &batch->items[i]))
            batch->items[++kept] = batch->items[i];
    }
    batch->count = kept + 1;
    for (size_t i = 0; i < batch->count; i++)
        batch->items[i].order = (uint32_t)i;
}

truc_status settle_batch_encode(const struct settle_batch *batch, uint64_t subscribe_id,
                                truc_status (*send)(void *context, const ProtobufCMessage *settle), void *context)
{
    Truc__V1__Settle settle = TRUC__V1__SETTLE__INIT;
    Truc__V1__Settlement *rows = malloc(batch->count * sizeof *rows);
    Truc__V1__Settlement **pointers = malloc(batch->count * sizeof(Truc__V1__Settlement *));
    truc_status status = TRUC_NO_MEMORY;

    if (rows == NULL || pointers == NULL)
        goto done;
    for (size_t i = 0; i < batch->count; i++) {
        truc__v1__settlement__init(&rows[i]);
        rows[i].first = batch->items[i].lease;
        rows[i].count = batch->items[i].count == 1 ? 0 : batch->items[i].count;
        rows[i].outcome = (Truc__V1__Outcome)batch->items[i].outcome;
        rows[i].delay_ms = batch->items[i].delay_ms;
        pointers[i] = &rows[i];
    }
    settle.subscribe_id = subscribe_id;
    settle.expired = batch->expired;
    settle.n_settlements = batch->count;
    settle.settlements = pointers;
    status = send(context, &settle.base);
done:
    free(rows);
    free(pointers);
    return status;
}

/* --- the answer -------------------------------------------------------------------------------------------------------------- */

/* The item that settled a lease; NULL: none did. */
static const struct settlement *item_of(const struct settle_batch *batch, uint64_t lease)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (lease >= batch->items[i].lease && lease - batch->items[i].lease < batch->items[i].count)
            return &batch->items[i];
    }
    return NULL;
}

/* Whether all leases of the run were settled by this batch. */
static bool was_settled(const struct settle_batch *batch, struct stale_run run)
{
    while (run.count > 0) {
        const struct settlement *item = item_of(batch, run.lease);
        uint64_t here;

        if (item == NULL)
            return false;
        here = item->count - (run.lease - item->lease);
        if (here >= run.count)
            return true;
        run.lease += here;
        run.count -= (uint32_t)here;
    }
    return true;
}

static int compare_runs(const void *left, const void *right)
{
    const struct stale_run *a = left, *b = right;

    return a->lease < b->lease ? -1 : a->lease > b->lease;
}

static truc_status take_stale(struct settle_batch *batch, const Truc__V1__SettleOk *ok, const char **ret_why)
{
    if (ok->n_stale == 0)
        return TRUC_OK;
    batch->stale = malloc(ok->n_stale * sizeof *batch->stale);
    if (batch->stale == NULL) {
        *ret_why = "no memory for the leases that were lost";
        return TRUC_NO_MEMORY;
    }
    for (size_t i = 0; i < ok->n_stale; i++) {
        struct stale_run *run = &batch->stale[i];

        *run = (struct stale_run){ok->stale[i]->first, ok->stale[i]->count == 0 ? 1 : ok->stale[i]->count};
        if (!was_settled(batch, *run)) {
            *ret_why = "a lease is called lost that was not settled";
            return TRUC_PROTOCOL;
        }
    }
    batch->stale_count = ok->n_stale;
    qsort(batch->stale, batch->stale_count, sizeof *batch->stale, compare_runs);
    return TRUC_OK;
}

truc_status settle_batch_answer(struct settle_batch *batch, struct bytes header, const char **ret_why)
{
    size_t capacity = 4096 + 16 * header.size; /* frame.h: a page decodes within this */
    uint8_t *memory = malloc(capacity);
    struct arena arena = {memory, memory == NULL ? NULL : memory + capacity};
    const Truc__V1__SettleOk *ok;
    truc_status status = TRUC_PROTOCOL;

    if (memory == NULL) {
        *ret_why = "no memory for an answer";
        return TRUC_NO_MEMORY;
    }
    ok = frame_header_decode(&arena, &truc__v1__settle_ok__descriptor, header, ret_why);
    if (ok != NULL)
        status = take_stale(batch, ok, ret_why);
    free(memory);
    return status;
}

static bool is_stale(const struct settle_batch *batch, uint64_t lease)
{
    size_t low = 0, high = batch->stale_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (batch->stale[middle].lease <= lease)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && lease - batch->stale[low - 1].lease < batch->stale[low - 1].count;
}

/* How many leases of a run the application settled: what was given back may have been free already. */
static uint64_t settled_of(const struct settle_batch *batch, struct stale_run run)
{
    uint64_t settled = 0;

    while (run.count > 0) {
        const struct settlement *item = item_of(batch, run.lease); /* there is one: was_settled */
        uint64_t here = item->count - (run.lease - item->lease);

        if (here > run.count)
            here = run.count;
        settled += item->outcome == SETTLE_RETURN ? 0 : here;
        run.lease += here;
        run.count -= (uint32_t)here;
    }
    return settled;
}

uint64_t settle_batch_failures(const struct settle_batch *batch)
{
    uint64_t failures = 0;

    if (batch->status == TRUC_OK) {
        for (size_t i = 0; i < batch->stale_count; i++)
            failures += settled_of(batch, batch->stale[i]);
    } else {
        for (size_t i = 0; i < batch->count; i++)
            failures += batch->items[i].outcome == SETTLE_RETURN ? 0 : batch->items[i].count;
    }
    return failures;
}

size_t settle_batch_tell(const struct settle_batch *batch, size_t *item, uint32_t *place, truc_settled *settled, size_t most)
{
    size_t count = 0;

    while (count < most && *item < batch->count) {
        const struct settlement *at = &batch->items[*item];

        /* Nobody was given what was returned, or, ordered, what lies before the first record. */
        if (*place == at->count || at->outcome == SETTLE_RETURN || at->first == 0) {
            ++*item;
            *place = 0;
            continue;
        }
        settled[count++] = (truc_settled){
            .size = sizeof *settled,
            .lease = at->first + *place,
            .outcome = (truc_outcome)at->outcome,
            .status = batch->status == TRUC_OK && is_stale(batch, at->lease + *place) ? TRUC_LEASE_LOST : batch->status,
        };
        ++*place;
    }
    return count;
}
