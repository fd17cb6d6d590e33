/* What waits to be sent leaves in order, whole, and is freed once, however the writes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/net/send_queue.h"

static unsigned payloads_freed;

static void free_counted(void *owner)
{
    payloads_freed++;
    free(owner);
}

/* Queues pieces with contents counting up; every third is a payload of its own. */
static size_t fill(struct send_queue *queue, unsigned pieces, unsigned *ret_payloads)
{
    size_t total = 0;
    for (unsigned i = 0; i < pieces; i++) {
        size_t size = (i * 37) % 900;
        uint8_t *bytes = malloc(size + 1);
        for (size_t k = 0; k < size; k++) {
            bytes[k] = (uint8_t)(total + k);
        }
        if (i % 3 == 2) {
            assert_true(send_queue_own(queue, bytes_of(bytes, size), free_counted, bytes));
            (*ret_payloads)++;
        } else {
            assert_true(send_queue_copy(queue, bytes_of(bytes, size)));
            free(bytes);
        }
        total += size;
    }
    return total;
}

static void send_queue_partial_writes_keep_order(void **state)
{
    static const size_t writes[] = {1, 3, 64, 1000, 100000};
    (void)state;
    for (size_t w = 0; w < sizeof writes / sizeof writes[0]; w++) {
        struct send_queue queue = {0};
        unsigned payloads = 0;
        payloads_freed = 0;
        size_t total = fill(&queue, 100, &payloads), sent = 0;
        while (queue.size > 0) {
            struct bytes parts[SEND_PARTS_MAX];
            struct send_segment *done = NULL;
            size_t count = send_queue_parts(&queue, parts), written = 0;
            assert_true(count > 0);
            for (size_t i = 0; i < count; i++) {
                for (size_t k = 0; k < parts[i].size && written < writes[w]; k++, written++) {
                    assert_int_equal(parts[i].data[k], (uint8_t)(sent + written));
                }
            }
            send_queue_consume(&queue, written, &done);
            send_segments_free(done);
            sent += written;
        }
        assert_int_equal(sent, total);
        assert_int_equal(payloads_freed, payloads);
        assert_null(queue.first);
    }
}

static void send_queue_small_pieces_share_segments(void **state)
{
    struct send_queue queue = {0};
    struct bytes parts[SEND_PARTS_MAX];
    struct send_segment *done = NULL;
    (void)state;
    for (int i = 0; i < 40; i++) {
        assert_true(send_queue_copy(&queue, bytes_of("0123456789", 10)));
    }
    assert_true(send_queue_parts(&queue, parts) <= 2);
    send_queue_clear(&queue, &done);
    send_segments_free(done);
}

static void send_queue_clear_frees_payloads(void **state)
{
    struct send_queue queue = {0};
    struct send_segment *done = NULL;
    unsigned payloads = 0;
    (void)state;
    payloads_freed = 0;
    fill(&queue, 50, &payloads);
    send_queue_clear(&queue, &done);
    assert_int_equal(queue.size, 0);
    send_segments_free(done);
    assert_int_equal(payloads_freed, payloads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(send_queue_partial_writes_keep_order),
        cmocka_unit_test(send_queue_small_pieces_share_segments),
        cmocka_unit_test(send_queue_clear_frees_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
