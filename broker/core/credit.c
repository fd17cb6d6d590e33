/* credit.c: CREDIT and CANCEL: what a client says to one of its readers or subscribers. Unknown ones are ignored: it may have ended
 * while the frame was on its way. Layer: core. */
#include "broker/core/answer.h"
#include "broker/core/reader.h"
#include "broker/core/subscription.h"
#include "truc/v1/wire.pb-c.h"

/* Records for a worker, bytes for one who stands by. */
static void credit_attachment(struct core *core, struct attachment *attachment, uint64_t more)
{
    uint64_t most = core->config.read_credit_bytes_max;

    if (!attachment)
        return;
    if (attachment->subscription->row.mode == SUBSCRIPTION_ORDERED) {
        attachment->credit = more > most - attachment->credit ? most : attachment->credit + more;
    } else {
        share_credit(attachment->subscription->share, attachment->number,
                     more < CREDIT_RECORDS_MAX ? (uint32_t)more : CREDIT_RECORDS_MAX);
        subscription_touch(core, attachment->subscription);
    }
}

void core_request_credit(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__Credit *credit = request_decode(core, connection, frame, &truc__v1__credit__descriptor);
    int64_t most = core->config.read_credit_bytes_max;
    struct core_reader *reader;

    if (!credit)
        return;
    reader = reader_find(connection, frame->request_id);
    if (!reader) {
        credit_attachment(core, attachment_find(connection, frame->request_id), credit->bytes);
        return;
    }
    reader->credit = credit->bytes > (uint64_t)(most - reader->credit) ? most : reader->credit + (int64_t)credit->bytes;
    if (reader->credit > reader->window)
        reader->window = reader->credit;
    reader_advance(core, reader);
}

void core_request_cancel(struct core *core, struct connection *connection, const struct frame *frame)
{
    struct attachment *attachment;
    struct core_reader *reader;

    if (!request_decode(core, connection, frame, &truc__v1__cancel__descriptor))
        return;
    attachment = attachment_find(connection, frame->request_id);
    reader = reader_find(connection, frame->request_id);
    if (attachment)
        attachment_end(core, attachment, TRUC_CANCELLED, "");
    else if (reader)
        reader_end(core, reader, TRUC_CANCELLED, "");
}
