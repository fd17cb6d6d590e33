#include "producer_answer.h"

#include "broker/core/answer.h"
#include "broker/core/sequence.h"
#include "truc/v1/wire.pb-c.h"

enum { SEQUENCE_BYTES_MAX = 4 + 3 + 11 }; /* encoded, besides the topic's name */

void producer_answer_ok(struct core *core, struct connection *connection, uint64_t request_id, struct producer *producer,
                        struct bytes after_topic)
{
    struct order_names names = sequence_order_names(core);
    struct order_cursor cursor = order_after(&producer->sequences, &names, after_topic);
    Truc__V1__TopicSequence page[PAGE_ITEMS_MAX], *pointers[PAGE_ITEMS_MAX];
    Truc__V1__ProducerOk ok = TRUC__V1__PRODUCER_OK__INIT;
    size_t bytes = 0;
    uint32_t index;

    while (order_next(&producer->sequences, &cursor, &index)) {
        const struct sequence *sequence = core_sequence(core, index);
        const struct topic *topic = core_topic(core, sequence->topic);
        uint64_t next = sequence_durable_next(sequence);

        if (next == 0) /* nothing of it is on disk yet */
            continue;
        bytes += topic->name_size + (size_t)SEQUENCE_BYTES_MAX;
        if (ok.n_sequences == PAGE_ITEMS_MAX || bytes > PAGE_BYTES_MAX) {
            ok.more = true;
            break;
        }
        truc__v1__topic_sequence__init(&page[ok.n_sequences]);
        page[ok.n_sequences].topic = (char *)(uintptr_t)topic->name; /* read only; the generated type is not const */
        page[ok.n_sequences].next_sequence = next;
        pointers[ok.n_sequences] = &page[ok.n_sequences];
        ok.n_sequences++;
    }
    ok.producer_id = producer->id;
    ok.epoch = producer->epoch;
    ok.sequences = pointers;
    ok.grace_ms = producer->named ? 0 : core->config.producer_grace_ms;
    answer_message(core, connection, FRAME_PRODUCER_OK, request_id, &ok.base, bytes_of(NULL, 0));
}
