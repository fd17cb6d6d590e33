#include "broker/log/lag.h"

#include "broker/log/walk.h"
#include "proto/leaf.h"

enum { LAG_BUDGET_BYTES = 512 << 20 };

struct count {
    struct walk walk;
    struct log_lag lag;
    uint32_t topic_id; /* of the entry before, */
    size_t around;     /* and what its entries have around batch and directory */
};

static size_t around_of(struct count *count, uint32_t topic_id)
{
    uint8_t name[TOPIC_BYTES_MAX];
    struct topic_row row;
    if (topic_id != count->topic_id && topics_get(&count->walk.log->topics, topic_id, &row, name)) {
        count->topic_id = topic_id;
        count->around = ENTRY_HEADER_BYTES + align8(leaf_size(row.name.size));
    }
    return count->around;
}

static truc_status visit(void *context, const struct walk_entry *at)
{
    struct count *count = context;
    struct block_row row = block_row_at(at->block, at->index);
    size_t around = around_of(count, row.topic_id);
    if (count->lag.since_ns == 0) {
        count->lag.since_ns = row.append_time_ns;
    }
    count->lag.records += row.record_count;
    count->lag.bytes += row.size > around ? row.size - around : 0;
    return TRUC_OK;
}

truc_status log_lag(struct log *log, struct bytes pattern, uint64_t from, uint64_t until, struct log_lag *ret_lag, char *why)
{
    struct log_filter filter = {.pattern = pattern};
    struct count count = {0};
    uint64_t head = log_head(log).position, at = from;
    truc_status status = walk_init(&count.walk, log, &filter, false);
    if (status != TRUC_OK) {
        return status;
    }
    count.walk.visit = visit;
    count.walk.context = &count;
    count.walk.peeks = true;
    count.walk.budget = LAG_BUDGET_BYTES;
    until = until < head ? until : head;
    while (status == TRUC_OK && at < until && count.walk.budget > 0) {
        status = walk_run(&count.walk, at, until, &at, why);
        if (status == TRUC_DAMAGED) { /* passed over */
            count.lag.more = true;
            status = TRUC_OK;
        }
    }
    count.lag.more = count.lag.more || at < until;
    walk_fini(&count.walk);
    if (status == TRUC_OK) {
        *ret_lag = count.lag;
    }
    return status;
}
