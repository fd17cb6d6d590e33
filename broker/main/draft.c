#include "broker/main/draft.h"

#include <stdlib.h>

enum { ITEMS_KEPT = 4096, BYTES_KEPT = 1 << 20, APPEND_OVERHEAD_BYTES = 512 };

static bool reserve(void **memory, size_t *capacity, size_t needed, size_t unit)
{
    if (needed <= *capacity) {
        return true;
    }
    size_t wanted = *capacity * 2 > needed ? *capacity * 2 : needed + 16;
    void *grown = realloc(*memory, wanted * unit);
    if (grown == NULL) {
        return false;
    }
    *memory = grown;
    *capacity = wanted;
    return true;
}

bool draft_append(struct draft *draft, const struct core_effect *effect)
{
    const struct core_append *append = effect->append;
    if (!reserve((void **)&draft->items, &draft->item_capacity, draft->item_count + 1, sizeof *draft->items) ||
        !reserve((void **)&draft->leaves, &draft->leaves_capacity, draft->leaves_size + append->leaf_size, 1)) {
        return false;
    }
    struct draft_item *item = &draft->items[draft->item_count++];
    *item = (struct draft_item){.leaf_offset = draft->leaves_size, .prepared = effect->prepared};
    item->append.fields = append->fields;
    item->append.position = append->position;
    item->append.base_offset = append->base_offset;
    item->append.append_time_ns = append->append_time_ns;
    item->append.leaf.size = append->leaf_size;
    memcpy(item->append.leaf_hash, append->leaf_hash, DIGEST_BYTES);
    memcpy(draft->leaves + draft->leaves_size, append->leaf, append->leaf_size);
    draft->leaves_size += append->leaf_size;
    draft->ticket = effect->ticket;
    draft->bytes += effect->prepared->batch.encoded.size + effect->prepared->directory.size + APPEND_OVERHEAD_BYTES;
    return true;
}

bool draft_delta(struct draft *draft, const struct core_effect *effect)
{
    if (!reserve((void **)&draft->deltas, &draft->deltas_capacity, draft->deltas_size + effect->bytes.size, 1)) {
        return false;
    }
    memcpy(draft->deltas + draft->deltas_size, effect->bytes.data, effect->bytes.size);
    draft->deltas_size += effect->bytes.size;
    draft->delta_count += effect->delta_count;
    draft->ticket = effect->ticket;
    draft->bytes += effect->bytes.size;
    return true;
}

void draft_collect(const struct draft *draft, struct log_append *out)
{
    for (size_t i = 0; i < draft->item_count; i++) {
        const struct draft_item *item = &draft->items[i];
        out[i] = item->append;
        out[i].leaf.data = draft->leaves + item->leaf_offset;
        out[i].batch = item->prepared->batch.encoded;
        out[i].directory = item->prepared->directory;
    }
}

void draft_reset(struct draft *draft)
{
    for (size_t i = 0; i < draft->item_count; i++) {
        prepared_free(draft->items[i].prepared);
    }
    struct draft kept = {0};
    if (draft->item_capacity <= ITEMS_KEPT) {
        kept.items = draft->items;
        kept.item_capacity = draft->item_capacity;
    } else {
        free(draft->items);
    }
    if (draft->leaves_capacity <= BYTES_KEPT && draft->deltas_capacity <= BYTES_KEPT) {
        kept.leaves = draft->leaves;
        kept.leaves_capacity = draft->leaves_capacity;
        kept.deltas = draft->deltas;
        kept.deltas_capacity = draft->deltas_capacity;
    } else {
        free(draft->leaves);
        free(draft->deltas);
    }
    *draft = kept;
}

void draft_destroy(struct draft *draft)
{
    if (draft != NULL) {
        draft_reset(draft);
        free(draft->items);
        free(draft->leaves);
        free(draft->deltas);
        free(draft);
    }
}
