#include "proto/replay_digest.h"
#include "proto/test_support.h"

#include <openssl/sha.h>

static const uint8_t log_id[LOG_ID_BYTES] = {1, 2, 3};

static void replay_digest_follows_its_definition(void **state)
{
    struct replay_digest *digest = replay_digest_create();
    uint8_t first[15 + 16 + 8] = "truc-replay-v1", link[32 + 8 + 4 + 32], value[DIGEST_BYTES];
    (void)state;
    assert_non_null(digest);
    replay_digest_begin(digest, log_id, 7);
    memcpy(first + 15, log_id, 16);
    store_u64(first + 31, 7);
    SHA256(first, sizeof first, link);
    replay_digest_value(digest, value);
    assert_memory_equal(value, link, DIGEST_BYTES);
    for (uint32_t k = 0; k < 3; k++) {
        store_u64(link + 32, UINT64_C(0x100000000) + k);
        store_u32(link + 40, 9 - k);
        SHA256((const uint8_t *)"abc", k, link + 44);
        SHA256(link, sizeof link, link);
        replay_digest_add(digest, UINT64_C(0x100000000) + k, 9 - k, bytes_of("abc", k));
        replay_digest_value(digest, value);
        assert_memory_equal(value, link, DIGEST_BYTES);
    }
    assert_int_equal(replay_digest_record_count(digest), 3);
    replay_digest_destroy(digest);
}

/* The digest after two records, the second of which the caller chooses. */
static void digest_of(uint64_t generation, uint64_t position, uint32_t index, const char *record, uint8_t ret_value[DIGEST_BYTES])
{
    struct replay_digest *digest = replay_digest_create();
    assert_non_null(digest);
    replay_digest_begin(digest, log_id, 99); /* begun anew below */
    replay_digest_add(digest, 5, 5, bytes_of_text("x"));
    replay_digest_begin(digest, log_id, generation);
    replay_digest_add(digest, 1, 0, bytes_of_text("first"));
    replay_digest_add(digest, position, index, bytes_of_text(record));
    replay_digest_value(digest, ret_value);
    replay_digest_destroy(digest);
}

static void replay_digest_differs_with_place_generation_and_bytes(void **state)
{
    uint8_t base[DIGEST_BYTES], other[DIGEST_BYTES];
    (void)state;
    digest_of(1, 2, 3, "r", base);
    digest_of(1, 2, 3, "r", other);
    assert_memory_equal(base, other, DIGEST_BYTES);
    digest_of(2, 2, 3, "r", other);
    assert_memory_not_equal(base, other, DIGEST_BYTES);
    digest_of(1, 3, 3, "r", other);
    assert_memory_not_equal(base, other, DIGEST_BYTES);
    digest_of(1, 2, 4, "r", other);
    assert_memory_not_equal(base, other, DIGEST_BYTES);
    digest_of(1, 2, 3, "s", other);
    assert_memory_not_equal(base, other, DIGEST_BYTES);
    digest_of(1, 2, 3, "", other);
    assert_memory_not_equal(base, other, DIGEST_BYTES);
}

static void replay_digest_destroy_takes_null(void **state)
{
    (void)state;
    replay_digest_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_digest_follows_its_definition),
        cmocka_unit_test(replay_digest_differs_with_place_generation_and_bytes),
        cmocka_unit_test(replay_digest_destroy_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
