#include "inquiry.h"

#include <stdlib.h>

#include "broker/core/reader.h"
#include "broker/core/receipt.h"

/* --- lists -----------------------------------------------------------------------------------------------------------------------
 */

static void list_add(struct inquiry_list *list, struct inquiry *inquiry)
{
    inquiry->list = list;
    inquiry->previous = list->last;
    inquiry->next = NULL;
    *(list->last ? &list->last->next : &list->first) = inquiry;
    list->last = inquiry;
}

static void list_remove(struct inquiry *inquiry)
{
    struct inquiry_list *list = inquiry->list;

    if (!list)
        return;
    *(inquiry->previous ? &inquiry->previous->next : &list->first) = inquiry->next;
    *(inquiry->next ? &inquiry->next->previous : &list->last) = inquiry->previous;
    inquiry->list = NULL;
}

static void connection_add(struct inquiry *inquiry)
{
    struct connection *connection = inquiry->connection;

    inquiry->connection_next = connection->inquiries;
    if (inquiry->connection_next)
        inquiry->connection_next->connection_previous = inquiry;
    connection->inquiries = inquiry;
}

static void connection_remove(struct inquiry *inquiry)
{
    struct connection *connection = inquiry->connection;

    *(inquiry->connection_previous ? &inquiry->connection_previous->connection_next : &connection->inquiries) =
        inquiry->connection_next;
    if (inquiry->connection_next)
        inquiry->connection_next->connection_previous = inquiry->connection_previous;
}

/* --- life ------------------------------------------------------------------------------------------------------------------------
 */

void *inquiry_begin(struct core *core, struct connection *connection, uint64_t request_id, const struct inquiry_kind *kind,
                    size_t size)
{
    struct inquiry *inquiry;

    if (core->failed) { /* it would wait for the disk, for ever */
        answer_error(core, connection, request_id, refusal_retry(TRUC_STOPPED, RETRY_STATE_MS),
                     "the log failed (%s); trucd exits, ask again when it is back", core->failure);
        return NULL;
    }
    if (core->inquiry_count >= INQUIRIES_MAX) {
        answer_error(core, connection, request_id, refusal_retry(TRUC_TOO_MANY, RETRY_STATE_MS),
                     "%u requests wait for receipts or look at the log, the most allowed; retry when some are answered",
                     core->inquiry_count);
        return NULL;
    }
    inquiry = calloc(1, size);
    if (!inquiry) {
        answer_error(core, connection, request_id, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                     "the broker has no memory for this; retry after the time given");
        return NULL;
    }
    inquiry->kind = kind;
    inquiry->request_id = request_id;
    inquiry->connection = connection;
    connection_add(inquiry);
    core->inquiry_count++;
    return inquiry;
}

static void stop_looking(struct core *core, struct inquiry *inquiry)
{
    if (!inquiry->reader)
        return;
    inquiry->reader->inquiry = NULL;
    reader_drop(core, inquiry->reader);
    inquiry->reader = NULL;
    core->look_count--;
}

struct connection *inquiry_leave(struct core *core, struct inquiry *inquiry)
{
    struct connection *connection = inquiry->connection;

    stop_looking(core, inquiry);
    list_remove(inquiry);
    connection_remove(inquiry);
    inquiry->state = INQUIRY_IDLE;
    return connection;
}

void inquiry_destroy(struct core *core, struct inquiry *inquiry)
{
    if (inquiry->kind->fini)
        inquiry->kind->fini(core, inquiry);
    free(inquiry);
    core->inquiry_count--;
}

void inquiry_refuse(struct core *core, struct inquiry *inquiry, struct refusal refusal, const char *text)
{
    answer_error(core, inquiry_leave(core, inquiry), inquiry->request_id, refusal, "%s", text);
    inquiry_destroy(core, inquiry);
}

void inquiry_drop_all(struct core *core, struct connection *connection)
{
    while (connection->inquiries) {
        struct inquiry *inquiry = connection->inquiries;

        (void)inquiry_leave(core, inquiry);
        inquiry_destroy(core, inquiry);
    }
}

void inquiry_refuse_all(struct core *core, struct refusal refusal, const char *text)
{
    for (struct connection *connection = core->connection_first; connection; connection = connection->next) {
        while (connection->inquiries)
            inquiry_refuse(core, connection->inquiries, refusal, text);
    }
}

void inquiry_ask(struct core *core, struct inquiry *inquiry)
{
    list_remove(inquiry);
    list_add(&core->inquiries_asking, inquiry);
    inquiry->state = INQUIRY_ASKING;
}

void inquiry_wait(struct core *core, struct inquiry *inquiry, struct inquiry_list *list)
{
    (void)core;
    list_remove(inquiry);
    list_add(list, inquiry);
    inquiry->state = INQUIRY_WAITING;
}

/* --- looking ---------------------------------------------------------------------------------------------------------------------
 */

static void get_in_line(struct core *core)
{
    while (core->inquiries_asking.first) {
        struct inquiry *inquiry = core->inquiries_asking.first;

        list_remove(inquiry);
        if (inquiry->kind->prepare)
            inquiry->kind->prepare(core, inquiry);
        inquiry->ticket = core->last_ticket;
        inquiry->state = INQUIRY_IN_LINE;
        list_add(&core->inquiries_in_line, inquiry);
    }
}

static void begin_look(struct core *core, struct inquiry *inquiry)
{
    struct core_look *look = slab_take(&core->output.slab, sizeof *look);
    struct core_reader *reader;
    struct core_effect *effect;

    list_remove(inquiry);
    inquiry->state = INQUIRY_IDLE;
    if (look) {
        *look = (struct core_look){.head = core_visible_position(core)};
        if (!inquiry->kind->look(core, inquiry, look))
            return;
    }
    reader = look ? reader_create_own(core, NULL, NULL) : NULL;
    if (!reader) {
        inquiry_refuse(core, inquiry, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                       "the broker has no memory to look at the log; retry after the time given");
        return;
    }
    reader->inquiry = inquiry;
    inquiry->reader = reader;
    inquiry->state = INQUIRY_LOOKING;
    core->look_count++;
    effect = output_effect(&core->output, EFFECT_LOOK);
    effect->reader = reader->number;
    effect->look = look;
    reader->opened = true;
}

void inquiry_advance(struct core *core)
{
    receipt_examine(core);
    get_in_line(core);
    /* Tickets in line only grow: when the first one must wait for the disk, all must. */
    while (core->look_count < LOOKS_MAX && core->inquiries_in_line.first &&
           core->inquiries_in_line.first->ticket <= core->committed_ticket)
        begin_look(core, core->inquiries_in_line.first);
}

void core_on_looked(struct core *core, const struct core_event *event)
{
    struct core_reader *reader = reader_find_number(core, event->reader);
    struct inquiry *inquiry = reader ? reader->inquiry : NULL;

    if (!inquiry)
        return;
    stop_looking(core, inquiry);
    inquiry->state = INQUIRY_IDLE;
    inquiry->kind->looked(core, inquiry, event);
}
