/* merge.h: makes few runs of many. Layer: log, engine lmdb. The indexer's thread.
 *
 * MERGE_FACTOR runs of a tier become one of the next, which readers see only when it is whole: it is built in steps, each a
 * transaction of bounded size, so that neither memory nor the indexing of new blocks waits for a merge. Then the old ones are
 * dead, in the same transaction, and removed in steps. A merge that a restart cut off begins again. */
#ifndef TRUC_LOG_LMDB_MERGE_H
#define TRUC_LOG_LMDB_MERGE_H

#include "broker/log/lmdb/postings.h"

enum { MERGE_FACTOR = 8 };

struct merge {
    bool under_way;
    struct run output;
    struct run inputs[MERGE_FACTOR];
    uint32_t topic_id; /* goes on with this topic, from this position on */
    uint64_t position;
};

/* Does one step of whatever is to be done. *ret_more: there is more to do. */
truc_status merge_step(struct merge *merge, struct derived *derived, bool *ret_more, char *why);

#endif
