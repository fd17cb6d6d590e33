#include "broker/log/history.h"

#include <stdlib.h>

#include "broker/log/letters.h"
#include "broker/log/trace.h"
#include "broker/log/walk.h"

enum {
    BLOCK_COST_BYTES = 4096, /* what a look at a block's header and deltas costs at least */
    CREATED_BEFORE_S = 2     /* so much earlier than its definition says a subscription may have been given to the log */
};
#define NS_PER_S INT64_C(1000000000)

/* One of those asked about. */
struct subject {
    struct log_history *history;
    struct letter_found letter;
    struct trace trace;
    uint64_t begin; /* block that its trace is looked at from */
    bool traced;    /* a letter does not say everything */
};

struct inquest {
    struct log *log;
    struct block_access access;
    struct place place;
    int64_t append_ns;   /* of the record, */
    uint64_t block, end; /* its block; the head's */
    struct subject *subjects;
    size_t count;
    bool to_the_end; /* everything up to the head was looked at */
};

/* --- what letters say ------------------------------------------------------------------------------------------------------- */

static truc_status look_for_letter(struct inquest *inquest, struct subject *subject)
{
    struct log_history *history = subject->history;
    if (!history->shared) {
        return TRUC_OK;
    }
    truc_status status = letters_find(inquest->log, inquest->place, history, &subject->letter);
    const struct dead_letter *letter = &subject->letter.letter;
    if (status == TRUC_OK && subject->letter.there && letter->kind == LETTER_DEAD && !subject->letter.unknown) {
        history->resolution = LOG_RESOLUTION_DEAD;
        history->resolved_ns = subject->letter.block_ns;
        history->attempts = letter->attempts;
        history->first_failed_ns = letter->first_failed_ns;
        history->last_failed_ns = letter->last_failed_ns;
        history->reason = letter->reason;
    }
    return status;
}

/* --- where to begin --------------------------------------------------------------------------------------------------------- */

/* A block before anything was said of a subscription of that age. */
static truc_status block_of_creation(struct inquest *inquest, int64_t created_ns, uint64_t *ret_block)
{
    uint64_t position, block;
    truc_status status = log_find_time(inquest->log, created_ns - CREATED_BEFORE_S * NS_PER_S, &position, NULL);
    if (status != TRUC_OK || position <= inquest->place.position + 1) {
        return status;
    }
    status = log_find_block(&inquest->access, position - 1, &block, NULL);
    if (status == TRUC_OK && block > *ret_block) {
        *ret_block = block;
    }
    return status == TRUC_DAMAGED ? TRUC_OK : status;
}

static truc_status begin(struct inquest *inquest, struct subject *subject)
{
    const struct log_history *history = subject->history;
    inquest->log->engine->access_end(&inquest->access); /* others look at the log meanwhile, one at a time */
    truc_status status = look_for_letter(inquest, subject);
    if (status != TRUC_OK || history->resolution == LOG_RESOLUTION_DEAD || subject->letter.unknown) {
        return status;
    }
    subject->traced = true;
    subject->begin = inquest->block;
    trace_begin(&subject->trace, history, inquest->place, inquest->append_ns);
    if (subject->letter.there) { /* it was given again */
        subject->begin = subject->letter.block;
        trace_again(&subject->trace);
        return TRUC_OK;
    }
    return block_of_creation(inquest, history->created_ns, &subject->begin);
}

/* --- through the blocks ------------------------------------------------------------------------------------------------------ */

static bool is_open(const struct subject *subject)
{
    return subject->traced && !trace_is_over(&subject->trace) && !trace_wants_past(&subject->trace);
}

/* The next block at or after `block` that somebody asks about. */
static uint64_t next_block(const struct inquest *inquest, uint64_t block)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < inquest->count; i++) {
        const struct subject *subject = &inquest->subjects[i];
        if (is_open(subject)) {
            uint64_t wanted = subject->begin > block ? subject->begin : block;
            next = wanted < next ? wanted : next;
        }
    }
    return next;
}

static uint32_t subscription_of(const struct delta *delta)
{
    switch (delta->kind) {
    case DELTA_CURSOR:
        return delta->cursor.subscription_id;
    case DELTA_LANE:
        return delta->lane.row.subscription_id;
    default:
        return 0;
    }
}

/* Subjects are in the order of their subscriptions' ids. */
static int compare(const void *a, const void *b)
{
    uint32_t x = ((const struct subject *)a)->history->subscription, y = ((const struct subject *)b)->history->subscription;
    return (x > y) - (x < y);
}

static struct subject *subject_of(const struct inquest *inquest, uint32_t subscription)
{
    struct log_history history = {.subscription = subscription};
    struct subject key = {.history = &history};
    return subscription == 0 ? NULL : bsearch(&key, inquest->subjects, inquest->count, sizeof key, compare);
}

/* The deltas of a block, checked. */
static truc_status open_block(struct inquest *inquest, uint64_t block, size_t *budget, struct block_view *ret_view)
{
    truc_status status = log_block(&inquest->access, block, ret_view, NULL);
    if (status == TRUC_OK) {
        status = block_deltas_check(ret_view);
    }
    if (status == TRUC_OK) {
        size_t cost = BLOCK_COST_BYTES + ret_view->deltas.size;
        *budget = *budget > cost ? *budget - cost : 0;
    }
    return status;
}

static truc_status look_at_block(struct inquest *inquest, uint64_t block, size_t *budget)
{
    struct block_view view;
    struct delta delta;
    truc_status status = open_block(inquest, block, budget, &view);
    if (status != TRUC_OK) {
        return status;
    }
    struct reader deltas = reader_over(view.deltas);
    struct trace_before before = {.block_ns = view.append_time_ns};
    while (delta_next(&deltas, &delta, &status)) {
        struct subject *subject = subject_of(inquest, subscription_of(&delta));
        if (subject != NULL && subject->traced && block >= subject->begin) {
            trace_delta(&subject->trace, &delta, &before);
        }
        trace_pass(&before, &delta);
    }
    return status;
}

/* Towards the head. Damage ends it: what follows could mean anything. */
static truc_status look_forward(struct inquest *inquest)
{
    size_t budget = WALK_BUDGET_BYTES;
    uint64_t block = next_block(inquest, 0);
    truc_status status = TRUC_OK;
    while (status == TRUC_OK && budget > 0 && block < inquest->end) {
        status = look_at_block(inquest, block, &budget);
        block = next_block(inquest, block + 1);
    }
    inquest->to_the_end = status == TRUC_OK && block >= inquest->end;
    return status == TRUC_DAMAGED ? TRUC_OK : status;
}

/* --- what stood before ------------------------------------------------------------------------------------------------------- */

/* What a block says last of the lane of its key. False: nothing. */
static bool lane_in_block(const struct block_view *view, const struct trace *trace, bool *ret_there)
{
    struct reader deltas = reader_over(view->deltas);
    struct delta delta;
    truc_status status;
    bool said = false;
    while (delta_next(&deltas, &delta, &status)) {
        const struct lane_row *row = &delta.lane.row;
        if (delta.kind == DELTA_LANE && row->subscription_id == trace->subscription && row->key == trace->key && !row->aside) {
            said = true;
            *ret_there = !delta.lane.gone;
        }
    }
    return said;
}

static bool wants_past(const struct subject *subject)
{
    const struct trace *trace = &subject->trace;
    return subject->traced && !trace_is_over(trace) && trace->early.there && !trace->past_known;
}

static truc_status look_back(struct inquest *inquest)
{
    size_t budget = WALK_BUDGET_BYTES;
    truc_status status = TRUC_OK;
    bool any = true;
    for (uint64_t block = inquest->block; any && block > 0 && budget > 0 && status == TRUC_OK; block--) {
        struct block_view view;
        any = false;
        for (size_t i = 0; i < inquest->count; i++) {
            any = any || wants_past(&inquest->subjects[i]);
        }
        status = any ? open_block(inquest, block - 1, &budget, &view) : TRUC_OK;
        for (size_t i = 0; any && status == TRUC_OK && i < inquest->count; i++) {
            struct subject *subject = &inquest->subjects[i];
            bool there = false;
            if (wants_past(subject) && (lane_in_block(&view, &subject->trace, &there) || block == 1 ||
                                        view.append_time_ns < subject->history->created_ns - CREATED_BEFORE_S * NS_PER_S)) {
                trace_lane_before(&subject->trace, there);
            }
        }
    }
    return status == TRUC_DAMAGED ? TRUC_OK : status;
}

/* --- what follows ------------------------------------------------------------------------------------------------------------ */

static enum log_resolution kind_of(const struct log_history *history, const struct trace *trace, const struct trace_end *end)
{
    if (history->expires_at_ns == 0 || end->expired == 0) {
        return LOG_RESOLUTION_ACKNOWLEDGED;
    }
    if (!trace->certain) {
        return LOG_RESOLUTION_DONE;
    }
    if (end->block_ns < history->expires_at_ns) {
        return LOG_RESOLUTION_ACKNOWLEDGED;
    }
    return trace->shared && end->counted && end->acknowledged == 0 ? LOG_RESOLUTION_EXPIRED : LOG_RESOLUTION_DONE;
}

static void conclude(const struct subject *subject)
{
    const struct trace *trace = &subject->trace;
    struct log_history *history = subject->history;
    struct trace_end end = trace_end(trace);
    if (!subject->traced) {
        return;
    }
    if (trace->passed) {
        history->resolution = LOG_RESOLUTION_PASSED;
    } else if (end.there) {
        history->resolution = kind_of(history, trace, &end);
        history->attempts = end.attempts + (history->resolution == LOG_RESOLUTION_ACKNOWLEDGED);
        history->first_failed_ns = end.first_failed_ns;
        history->last_failed_ns = end.last_failed_ns;
        history->resolved_ns = trace->certain ? end.block_ns : 0;
    }
}

static truc_status find_record(struct inquest *inquest)
{
    struct block_view view;
    truc_status status = log_find_block(&inquest->access, inquest->place.position, &inquest->block, NULL);
    if (status == TRUC_OK) {
        status = log_block(&inquest->access, inquest->block, &view, NULL);
    }
    if (status == TRUC_OK) {
        status = block_table_check(&view);
    }
    if (status == TRUC_OK) {
        inquest->append_ns = block_row_at(&view, (uint32_t)(inquest->place.position - view.first_position)).append_time_ns;
    }
    return status;
}

static truc_status inquire(struct inquest *inquest)
{
    truc_status status = find_record(inquest);
    for (size_t i = 0; status == TRUC_OK && i < inquest->count; i++) {
        status = begin(inquest, &inquest->subjects[i]);
    }
    if (status == TRUC_OK) {
        qsort(inquest->subjects, inquest->count, sizeof inquest->subjects[0], compare);
        status = look_forward(inquest);
    }
    for (size_t i = 0; status == TRUC_OK && i < inquest->count; i++) {
        struct trace *trace = &inquest->subjects[i].trace;
        /* A lane that stood at an earlier record would have been seen to go since. */
        if (inquest->to_the_end && trace->lane == TRACE_LANE_UNKNOWN) {
            trace_lane_before(trace, false);
        }
    }
    if (status == TRUC_OK) {
        status = look_back(inquest);
    }
    for (size_t i = 0; status == TRUC_OK && i < inquest->count; i++) {
        conclude(&inquest->subjects[i]);
    }
    return status;
}

truc_status log_history(struct log *log, struct place place, struct log_history *histories, size_t count, char *why)
{
    struct inquest inquest = {.log = log, .access = {.log = log}, .place = place, .end = log_head(log).block, .count = count};
    if (why != NULL) {
        why[0] = '\0';
    }
    for (size_t i = 0; i < count; i++) {
        histories[i].resolution = LOG_RESOLUTION_UNKNOWN;
        histories[i].attempts = 0;
        histories[i].resolved_ns = histories[i].first_failed_ns = histories[i].last_failed_ns = 0;
    }
    if (count == 0) {
        return TRUC_OK;
    }
    inquest.subjects = calloc(count, sizeof *inquest.subjects);
    if (inquest.subjects == NULL) {
        return TRUC_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        inquest.subjects[i].history = &histories[i];
    }
    truc_status status = inquire(&inquest);
    log->engine->access_end(&inquest.access);
    free(inquest.subjects);
    if (status == TRUC_DAMAGED) {
        log_why(why, "the block that holds position %llu cannot be read", (unsigned long long)place.position);
    }
    return status;
}
