/* credit.c: CREDIT and CANCEL: what a client says to one of its readers. Unknown readers are ignored: the reader may have ended
 * while the frame was on its way. Layer: core. */
#include "broker/core/answer.h"
#include "broker/core/reader.h"
#include "truc/v1/wire.pb-c.h"

void core_request_credit(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__Credit *credit = request_decode(core, connection, frame, &truc__v1__credit__descriptor);
    int64_t most = core->config.read_credit_bytes_max;
    struct core_reader *reader;

    if (!credit)
        return;
    reader = reader_find(connection, frame->request_id);
    if (!reader)
        return;
    reader->credit = credit->bytes > (uint64_t)(most - reader->credit) ? most : reader->credit + (int64_t)credit->bytes;
    if (reader->credit > reader->window)
        reader->window = reader->credit;
    reader_advance(core, reader);
}

void core_request_cancel(struct core *core, struct connection *connection, const struct frame *frame)
{
    struct core_reader *reader;

    if (!request_decode(core, connection, frame, &truc__v1__cancel__descriptor))
        return;
    reader = reader_find(connection, frame->request_id);
    if (reader)
        reader_end(core, reader, TRUC_CANCELLED, "");
}
