#include "recalled.h"

/* Records of one entry whose recalls are looked for. */
struct stretch {
    const struct core_entry_ref *ref;
    uint32_t index, count;
};

static void tell(struct recalled *recalled, const struct core_entry_ref *ref, const struct recall *recall)
{
    Truc__V1__Recalled *item = &recalled->items[recalled->count];

    truc__v1__recalled__init(item);
    item->position = ref->position;
    item->index = (uint32_t)(recall->offset - ref->base_offset);
    item->agency = (char *)(uintptr_t)recall->agency.data; /* read only; the generated type is not const */
    item->recall_position = recall->position;
    recalled->pointers[recalled->count++] = item;
}

/* Tells what was durably recalled of a stretch while fewer than `max` are told. False when there was more. */
static bool look(const struct core *core, const struct stretch *stretch, size_t max, struct recalled *recalled)
{
    uint64_t first = stretch->ref->base_offset + stretch->index, visible = core_visible_position(core);
    struct recalls_cursor cursor = recalls_from(&core->recalls, stretch->ref->topic_id - 1, first);
    struct recall recall;

    while (recalls_next(&core->recalls, &cursor, &recall) && recall.topic == stretch->ref->topic_id - 1 &&
           recall.offset - first < stretch->count) {
        if (recall.position >= visible)
            continue;
        if (recalled->count == max)
            return false;
        tell(recalled, stretch->ref, &recall);
    }
    return true;
}

/* Whether a record of these entries was recalled, be it durable or not. */
static bool any_recalled(const struct core *core, const struct core_read_done *done)
{
    for (size_t i = 0; i < done->ref_count; i++) {
        const struct core_entry_ref *ref = &done->refs[i];
        struct recalls_cursor cursor = recalls_from(&core->recalls, ref->topic_id - 1, ref->base_offset);
        struct recall recall;

        if (recalls_next(&core->recalls, &cursor, &recall) && recall.topic == ref->topic_id - 1 &&
            recall.offset - ref->base_offset < ref->record_count)
            return true;
    }
    return false;
}

/* Makes room when there may be something to tell, which is rare. False when out of memory. */
static bool begin(struct core *core, const struct core_read_done *done, struct recalled **ret_recalled)
{
    *ret_recalled = NULL;
    if (core->recalls.count == 0 || !any_recalled(core, done))
        return true;
    *ret_recalled = slab_take(&core->output.slab, sizeof **ret_recalled);
    if (*ret_recalled)
        (*ret_recalled)->count = 0;
    return *ret_recalled != NULL;
}

static void end(struct recalled **recalled)
{
    if (*recalled && (*recalled)->count == 0)
        *recalled = NULL;
}

bool recalled_of_leases(struct core *core, const struct core_read_done *done, const struct share_lease *leases, size_t count,
                        struct recalled **ret_recalled)
{
    const struct core_entry_ref *ref = done->refs, *refs_end = ref + done->ref_count;

    if (!begin(core, done, ret_recalled))
        return false;
    for (size_t i = 0; *ret_recalled && i < count; i++) {
        struct place place = leases[i].record.place;

        while (ref != refs_end && ref->position != place.position)
            ref++;
        if (ref == refs_end)
            break;
        /* So much room is left for each of the records behind it. */
        (void)look(core, &(struct stretch){ref, place.index, 1}, DELIVER_RECALLED_MAX - (count - i - 1), *ret_recalled);
    }
    end(ret_recalled);
    return true;
}

static void cut_behind(struct core_read_done *done, size_t entries)
{
    done->next = done->refs[entries].position;
    done->entry_count = (uint32_t)entries;
    done->ref_count = entries;
    done->data.size = 0;
    done->record_count = 0;
    for (size_t i = 0; i < entries; i++) {
        done->data.size += done->refs[i].size;
        done->record_count += done->refs[i].record_count;
    }
}

bool recalled_of_entries(struct core *core, struct core_read_done *done, struct recalled **ret_recalled)
{
    if (!begin(core, done, ret_recalled))
        return false;
    for (size_t i = 0; *ret_recalled && i < done->ref_count; i++) {
        size_t told = (*ret_recalled)->count;

        if (look(core, &(struct stretch){&done->refs[i], 0, done->refs[i].record_count}, READ_DATA_RECALLED_MAX, *ret_recalled))
            continue;
        if (i > 0) {
            (*ret_recalled)->count = told;
            cut_behind(done, i);
        }
        break;
    }
    end(ret_recalled);
    return true;
}
