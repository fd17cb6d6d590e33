/* Frames cut from bytes that arrive in every way, and what a connection may cost in memory meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/net/intake.h"

enum { TOTAL_MAX = 32 << 20, HELD_MAX = 16 << 20 };

struct fixture {
    struct buffer_pool *pool;
    struct intake intake;
};

static void start(struct fixture *fixture, size_t frame_bytes_max)
{
    fixture->pool = buffer_pool_create(TOTAL_MAX);
    assert_non_null(fixture->pool);
    intake_init(&fixture->intake, buffer_account_create(fixture->pool, HELD_MAX), frame_bytes_max);
    fixture->intake.logged_in = true;
}

static void stop(struct fixture *fixture)
{
    intake_fini(&fixture->intake);
    assert_int_equal(atomic_load(&fixture->pool->total), 0);
    buffer_pool_unref(fixture->pool);
}

static size_t make_frame(uint8_t *out, uint64_t id, size_t payload)
{
    frame_prefix_write(out, FRAME_PUBLISH, id, 0, payload);
    for (size_t i = 0; i < payload; i++) {
        out[FRAME_PREFIX_BYTES + i] = (uint8_t)(id * 31 + i);
    }
    return FRAME_PREFIX_BYTES + payload;
}

static void check_frame(const struct frame *frame, uint64_t id, size_t payload)
{
    assert_int_equal(frame->request_id, id);
    assert_int_equal(frame->payload.size, payload);
    for (size_t i = 0; i < payload; i++) {
        assert_int_equal(frame->payload.data[i], (uint8_t)(id * 31 + i));
    }
}

/* Feeds bytes, at most `part` at a time, and checks the frames that come out against ids counting up and their sizes. */
static void feed(struct intake *intake, const uint8_t *bytes, size_t size, size_t part, const size_t *sizes, size_t *next)
{
    for (size_t at = 0; at < size;) {
        uint8_t *room;
        size_t room_size, n = size - at < part ? size - at : part;
        struct frame frame;
        truc_status status;
        const char *why;
        assert_int_equal(intake_room(intake, &room, &room_size), TRUC_OK);
        n = n < room_size ? n : room_size;
        memcpy(room, bytes + at, n);
        intake_received(intake, n);
        at += n;
        while (intake_next(intake, &frame, &status, &why)) {
            check_frame(&frame, *next, sizes[*next]);
            (*next)++;
        }
        assert_int_equal(status, TRUC_OK);
    }
}

static void intake_any_split_yields_same_frames(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 4000, 4096, 5000, 40000, 3, 70000, 300000, 0, 17};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    static const size_t parts[] = {1, 2, 7, 15, 16, 17, 100, 1000, 4095, 65536, SIZE_MAX};
    uint8_t *bytes = malloc(1 << 20);
    size_t size = 0;
    (void)state;
    assert_non_null(bytes);
    for (uint64_t i = 0; i < COUNT; i++) {
        size += make_frame(bytes + size, i, sizes[i]);
    }
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        struct fixture fixture;
        size_t next = 0;
        start(&fixture, FRAME_BYTES_MAX);
        feed(&fixture.intake, bytes, size, parts[p], sizes, &next);
        assert_int_equal(next, COUNT);
        assert_false(intake_is_partial(&fixture.intake));
        stop(&fixture);
    }
    free(bytes);
}

static void intake_frame_kept_survives_later_bytes(void **state)
{
    struct fixture fixture;
    struct frame kept, frame;
    truc_status status;
    const char *why;
    uint8_t bytes[2048], *room;
    size_t room_size;
    (void)state;
    start(&fixture, FRAME_BYTES_MAX);
    size_t size = make_frame(bytes, 5, 600);
    assert_int_equal(intake_room(&fixture.intake, &room, &room_size), TRUC_OK);
    memcpy(room, bytes, size);
    intake_received(&fixture.intake, size);
    assert_true(intake_next(&fixture.intake, &kept, &status, &why));
    struct net_buffer *buffer = fixture.intake.buffer;
    net_buffer_ref(buffer);
    for (uint64_t i = 0; i < 100; i++) {
        size = make_frame(bytes, i, 900);
        for (size_t at = 0; at < size;) {
            assert_int_equal(intake_room(&fixture.intake, &room, &room_size), TRUC_OK);
            size_t n = size - at < room_size ? size - at : room_size;
            memcpy(room, bytes + at, n);
            intake_received(&fixture.intake, n);
            at += n;
        }
        assert_true(intake_next(&fixture.intake, &frame, &status, &why));
        check_frame(&frame, i, 900);
    }
    check_frame(&kept, 5, 600);
    net_buffer_unref(buffer);
    stop(&fixture);
}

static void intake_lying_length_costs_little(void **state)
{
    struct fixture fixture;
    uint8_t prefix[FRAME_PREFIX_BYTES], *room;
    size_t room_size, fed = 0;
    (void)state;
    start(&fixture, FRAME_BYTES_MAX);
    frame_prefix_write(prefix, FRAME_PUBLISH, 1, 0, 8 << 20);
    assert_int_equal(intake_room(&fixture.intake, &room, &room_size), TRUC_OK);
    memcpy(room, prefix, sizeof prefix);
    intake_received(&fixture.intake, sizeof prefix);
    assert_int_equal(intake_room(&fixture.intake, &room, &room_size), TRUC_OK);
    assert_true(atomic_load(&fixture.pool->total) <= 2 * INTAKE_BYTES_STREAM);
    /* It grows with what arrives, never beyond a few times of it. */
    while (fed < 800000) {
        assert_int_equal(intake_room(&fixture.intake, &room, &room_size), TRUC_OK);
        size_t n = room_size < 10000 ? room_size : 10000;
        memset(room, 0, n);
        intake_received(&fixture.intake, n);
        fed += n;
        assert_true(atomic_load(&fixture.pool->total) <= 2 * INTAKE_BYTES_STREAM + 5 * fed);
    }
    stop(&fixture);
}

static void intake_idle_holds_one_small_buffer(void **state)
{
    struct fixture fixture;
    size_t sizes[] = {300000}, next = 0, room_size;
    uint8_t *bytes = malloc(400000), *room;
    (void)state;
    start(&fixture, FRAME_BYTES_MAX);
    size_t size = make_frame(bytes, 0, sizes[0]);
    feed(&fixture.intake, bytes, size, 50000, sizes, &next);
    assert_int_equal(intake_room(&fixture.intake, &room, &room_size), TRUC_OK);
    assert_true(atomic_load(&fixture.pool->total) <= INTAKE_BYTES_SMALL + 64);
    free(bytes);
    stop(&fixture);
}

static void intake_before_login_frame_beyond_limit_is_refused(void **state)
{
    struct fixture fixture;
    struct frame frame;
    truc_status status;
    const char *why;
    uint8_t *room;
    size_t room_size;
    (void)state;
    start(&fixture, FRAME_BYTES_BEFORE_LOGIN_MAX);
    fixture.intake.logged_in = false;
    assert_int_equal(intake_room(&fixture.intake, &room, &room_size), TRUC_OK);
    assert_true(room_size <= INTAKE_BYTES_SMALL);
    frame_prefix_write(room, FRAME_PUBLISH, 1, 0, 5000);
    intake_received(&fixture.intake, FRAME_PREFIX_BYTES);
    assert_false(intake_next(&fixture.intake, &frame, &status, &why));
    assert_int_equal(status, TRUC_FRAME_TOO_LARGE);
    stop(&fixture);
}

static void buffer_total_used_up_still_grants_small(void **state)
{
    struct buffer_pool *pool = buffer_pool_create(1 << 20);
    struct buffer_account *greedy = buffer_account_create(pool, 8 << 20), *modest = buffer_account_create(pool, 8 << 20);
    struct net_buffer *large[64], *small, *refused;
    unsigned count = 0;
    (void)state;
    while (buffer_take(greedy, 32 * 1024, &large[count]) == TRUC_OK || buffer_take(greedy, 4096, &large[count]) == TRUC_OK) {
        count++;
        assert_true(count < 64);
    }
    assert_true(atomic_load(&pool->hungry));
    assert_int_equal(buffer_take(modest, 64 * 1024, &refused), TRUC_BUSY);
    assert_int_equal(buffer_take(modest, 4096, &small), TRUC_OK);
    while (count > 0) {
        net_buffer_unref(large[--count]);
    }
    assert_true(buffer_pool_wait(pool, 0)); /* whoever waited was woken */
    assert_int_equal(buffer_take(modest, 64 * 1024, &large[0]), TRUC_OK);
    net_buffer_unref(large[0]);
    net_buffer_unref(small);
    buffer_account_unref(greedy);
    buffer_account_unref(modest);
    buffer_pool_unref(pool);
}

static void buffer_outlives_account_and_pool(void **state)
{
    struct buffer_pool *pool = buffer_pool_create(1 << 20);
    struct buffer_account *account = buffer_account_create(pool, 1 << 20);
    struct net_buffer *buffer;
    (void)state;
    assert_int_equal(buffer_take(account, 1000, &buffer), TRUC_OK);
    buffer_account_unref(account);
    buffer_pool_unref(pool);
    memset(buffer->data, 1, 1000);
    net_buffer_unref(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intake_any_split_yields_same_frames),
        cmocka_unit_test(intake_frame_kept_survives_later_bytes),
        cmocka_unit_test(intake_lying_length_costs_little),
        cmocka_unit_test(intake_idle_holds_one_small_buffer),
        cmocka_unit_test(intake_before_login_frame_beyond_limit_is_refused),
        cmocka_unit_test(buffer_total_used_up_still_grants_small),
        cmocka_unit_test(buffer_outlives_account_and_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
