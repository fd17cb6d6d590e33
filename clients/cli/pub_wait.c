#include "clients/cli/pub_wait.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "clients/cli/receipt.h"

enum { FIRST_CAPACITY = 16 };

void pub_wait_fini(struct pub_wait *wait)
{
    free(wait->ranges);
    *wait = (struct pub_wait){.ranges = NULL};
}

void pub_wait_note(struct pub_wait *wait, uint64_t offset)
{
    struct pub_range *last = wait->count > 0 ? &wait->ranges[wait->count - 1] : NULL;
    if (last != NULL && offset == last->last + 1) {
        last->last = offset;
        return;
    }
    if (wait->count == wait->capacity) {
        size_t capacity = wait->capacity == 0 ? FIRST_CAPACITY : wait->capacity * 2;
        struct pub_range *ranges = realloc(wait->ranges, capacity * sizeof *ranges);
        if (ranges == NULL) {
            wait->incomplete = true;
            return;
        }
        wait->ranges = ranges;
        wait->capacity = capacity;
    }
    wait->ranges[wait->count++] = (struct pub_range){offset, offset};
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static truc_status wait_for(struct cli_context *context, const char *topic, uint64_t offset, const struct cli_list *subscriptions,
                            int64_t left_ns)
{
    char *text = NULL, *why = NULL;
    truc_status status = truc_receipt_json(context->client, topic, offset, subscriptions->items, subscriptions->count,
                                           receipt_wait_ms(left_ns > 0 ? left_ns : 0), &text, &why);
    if (status != TRUC_OK) {
        cli_error(context, status, "%s offset %" PRIu64 ": %s", topic, offset, why != NULL ? why : truc_status_text(status));
    }
    truc_free(text);
    truc_free(why);
    return status;
}

truc_status pub_wait_run(struct cli_context *context, const struct pub_wait *wait, const char *topic,
                         const struct cli_list *subscriptions, int64_t timeout_ns)
{
    int64_t deadline_ns = now_ns() + timeout_ns;
    truc_status status = TRUC_OK;
    uint64_t count = 0;
    if (wait->incomplete) {
        return cli_error(context, TRUC_NO_MEMORY, "the places of what was published: it is stored, and was not waited for");
    }
    for (size_t i = 0; i < wait->count; i++) {
        for (uint64_t offset = wait->ranges[i].first; offset <= wait->ranges[i].last; offset++, count++) {
            if (cli_stopped()) {
                return TRUC_CANCELLED;
            }
            status = wait_for(context, topic, offset, subscriptions, deadline_ns - now_ns());
            if (status != TRUC_OK) {
                return status;
            }
        }
    }
    cli_note(context, "acknowledged: %" PRIu64 " record%s", count, count == 1 ? "" : "s");
    return status;
}
