#include "proto/test_support.h"
#include "proto/uuid7.h"

static const uint64_t seed[UUID7_SEED_WORDS] = {1, 2, 3, 4};

static uint64_t ms_of(const uint8_t id[UUID_BYTES])
{
    return __builtin_bswap64(load_u64(id)) >> 16;
}

static void generate_sets_time_version_and_variant(void **state)
{
    struct uuid7_state uuids;
    uint8_t id[UUID_BYTES];
    (void)state;
    uuid7_seed(&uuids, seed);
    for (uint64_t ms = 1591344000000; ms < 1591344001000; ms++) {
        uuid7_generate(&uuids, ms, id);
        assert_true(ms_of(id) == ms);
        assert_int_equal(id[6] >> 4, 7);
        assert_int_equal(id[8] >> 6, 2);
    }
}

static void generate_grows_when_the_clock_stands_or_goes_back(void **state)
{
    struct uuid7_state uuids;
    uint8_t last[UUID_BYTES] = {0}, id[UUID_BYTES];
    struct random random = {5};
    (void)state;
    uuid7_seed(&uuids, seed);
    for (int i = 0; i < 300000; i++) {
        uuid7_generate(&uuids, 1591344000000 + random_below(&random, 50) - (size_t)(i % 2 == 0 ? 20 : 0), id);
        assert_true(memcmp(id, last, UUID_BYTES) > 0);
        memcpy(last, id, UUID_BYTES);
    }
}

static void generate_at_the_end_of_a_millisecond_takes_the_next(void **state)
{
    struct uuid7_state uuids;
    uint8_t id[UUID_BYTES], next[UUID_BYTES];
    (void)state;
    uuid7_seed(&uuids, seed);
    uuid7_generate(&uuids, 1000, id);
    uuids.high = 0xfff;
    uuids.low = (UINT64_C(1) << 62) - 1;
    uuid7_generate(&uuids, 1000, next);
    assert_true(ms_of(next) == 1001);
    assert_true(memcmp(next, id, UUID_BYTES) > 0);
    uuid7_generate(&uuids, 1000, id);
    assert_true(memcmp(id, next, UUID_BYTES) > 0);
}

static void generate_other_seed_gives_other_ids(void **state)
{
    static const uint64_t other[UUID7_SEED_WORDS] = {1, 2, 3, 5};
    struct uuid7_state a, b;
    uint8_t id_a[UUID_BYTES], id_b[UUID_BYTES];
    (void)state;
    uuid7_seed(&a, seed);
    uuid7_seed(&b, other);
    uuid7_generate(&a, 1000, id_a);
    uuid7_generate(&b, 1000, id_b);
    assert_memory_not_equal(id_a, id_b, UUID_BYTES);
}

static void text_form_goes_both_ways(void **state)
{
    static const char text[] = "01890a5d-ac96-774b-bcce-b302099a8057";
    static const uint8_t expected[UUID_BYTES] = {0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b,
                                                 0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57};
    uint8_t id[UUID_BYTES];
    char back[UUID_TEXT_BYTES];
    (void)state;
    assert_true(uuid_parse(bytes_of_text(text), id));
    assert_memory_equal(id, expected, UUID_BYTES);
    uuid_format(id, back);
    assert_memory_equal(back, text, UUID_TEXT_BYTES);
    memset(id, 0, sizeof id);
    assert_true(uuid_parse(bytes_of_text("01890A5D-AC96-774B-BCCE-B302099A8057"), id));
    assert_memory_equal(id, expected, UUID_BYTES);
}

static void parse_anything_else_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "01890a5d-ac96-774b-bcce-b302099a805",
                                      "01890a5d-ac96-774b-bcce-b302099a80577",
                                      "01890a5dac96-774b-bcce-b302099a8057-",
                                      "01890a5g-ac96-774b-bcce-b302099a8057",
                                      "{1890a5d-ac96-774b-bcce-b302099a8057",
                                      "01890a5d ac96 774b bcce b302099a8057"};
    uint8_t id[UUID_BYTES] = {9};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(uuid_parse(bytes_of_text(bad[i]), id));
    assert_int_equal(id[0], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generate_sets_time_version_and_variant),
        cmocka_unit_test(generate_grows_when_the_clock_stands_or_goes_back),
        cmocka_unit_test(generate_at_the_end_of_a_millisecond_takes_the_next),
        cmocka_unit_test(generate_other_seed_gives_other_ids),
        cmocka_unit_test(text_form_goes_both_ways),
        cmocka_unit_test(parse_anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
