/* tally.h: how many different keys there are. Layer: cli/import. Holds 64-bit hashes, so two keys among four million are taken for
 * one with a chance of less than one in a million; beyond IMPORT_KEYS_MAX it only knows that there are more. One thread. */
#ifndef TRUC_CLI_IMPORT_TALLY_H
#define TRUC_CLI_IMPORT_TALLY_H

#include "proto/bytes.h"

struct tally {
    uint64_t *hashes;
    size_t count, slot_count;
    bool more; /* the bound, or memory, did not suffice */
};

void tally_init(struct tally *tally);
void tally_fini(struct tally *tally);
void tally_note(struct tally *tally, struct bytes key);

#endif
