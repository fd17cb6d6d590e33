#include "clients/cli/import/tally.h"

#include <stdlib.h>
#include <xxhash.h>

#include "clients/cli/import/bounds.h"

void tally_init(struct tally *tally)
{
    *tally = (struct tally){0};
}

void tally_fini(struct tally *tally)
{
    free(tally->hashes);
}

static void place(uint64_t *slots, size_t slot_count, uint64_t hash)
{
    size_t slot = (size_t)hash & (slot_count - 1);
    while (slots[slot] != 0) {
        slot = (slot + 1) & (slot_count - 1);
    }
    slots[slot] = hash;
}

static bool grow(struct tally *tally)
{
    size_t slot_count = tally->slot_count == 0 ? 1024 : tally->slot_count * 2;
    uint64_t *hashes = calloc(slot_count, sizeof *hashes);
    if (hashes == NULL) {
        return false;
    }
    for (size_t i = 0; i < tally->slot_count; i++) {
        if (tally->hashes[i] != 0) {
            place(hashes, slot_count, tally->hashes[i]);
        }
    }
    free(tally->hashes);
    tally->hashes = hashes;
    tally->slot_count = slot_count;
    return true;
}

void tally_note(struct tally *tally, struct bytes key)
{
    uint64_t hash = XXH3_64bits(key.data, key.size);
    hash = hash == 0 ? 1 : hash; /* 0 marks a free slot */
    for (size_t slot = (size_t)hash & (tally->slot_count - 1); tally->slot_count > 0 && tally->hashes[slot] != 0;
         slot = (slot + 1) & (tally->slot_count - 1)) {
        if (tally->hashes[slot] == hash) {
            return;
        }
    }
    bool full = (tally->count + 1) * 2 > tally->slot_count;
    if (tally->count == IMPORT_KEYS_MAX || (full && !grow(tally))) {
        tally->more = true;
        return;
    }
    place(tally->hashes, tally->slot_count, hash);
    tally->count++;
}
