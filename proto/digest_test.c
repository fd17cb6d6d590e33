#include "proto/digest.h"
#include "proto/test_support.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>

/* The formats' definitions, written down once more in the plainest way. */
static void model_salts(const uint8_t seed[SALT_SEED_BYTES], size_t count, uint8_t *salts)
{
    uint8_t iv[16] = {0};
    for (size_t i = 0; i < count; i++) {
        EVP_CIPHER_CTX *ecb = EVP_CIPHER_CTX_new();
        uint8_t out[32];
        int size;
        assert_non_null(ecb);
        assert_int_equal(EVP_EncryptInit_ex(ecb, EVP_aes_256_ecb(), NULL, seed, NULL), 1);
        iv[14] = (uint8_t)(i >> 8); /* the counter is big-endian */
        iv[15] = (uint8_t)i;
        assert_int_equal(EVP_EncryptUpdate(ecb, out, &size, iv, 16), 1);
        memcpy(salts + i * SALT_BYTES, out, SALT_BYTES);
        EVP_CIPHER_CTX_free(ecb);
    }
}

static void model_hash(uint8_t tag, const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t out[DIGEST_BYTES])
{
    uint8_t *all = malloc(1 + a_size + b_size);
    assert_non_null(all);
    all[0] = tag;
    if (a_size != 0)
        memcpy(all + 1, a, a_size);
    if (b_size != 0)
        memcpy(all + 1 + a_size, b, b_size);
    SHA256(all, 1 + a_size + b_size, out);
    free(all);
}

static void model_fold(uint8_t *digests, size_t count, uint8_t root[DIGEST_BYTES])
{
    if (count > 1) {
        size_t nodes = (count + 15) / 16;
        uint8_t *level = malloc(nodes * DIGEST_BYTES);
        assert_non_null(level);
        for (size_t i = 0; i < nodes; i++) {
            size_t children = i + 1 < nodes ? 16 : count - 16 * i;
            model_hash(2, digests + i * 16 * DIGEST_BYTES, children * DIGEST_BYTES, NULL, 0, level + i * DIGEST_BYTES);
        }
        model_fold(level, nodes, root);
        free(level);
    } else {
        memcpy(root, digests, DIGEST_BYTES);
    }
}

struct payload {
    uint8_t *bytes;
    size_t size;
    struct bytes *records;
    size_t count;
};

static struct payload make_payload(struct random *random, size_t count, size_t size_max)
{
    struct payload payload = {
        .bytes = malloc(count * (size_max + 10)), .records = calloc(count, sizeof(struct bytes)), .count = count};
    uint8_t *p = payload.bytes;
    assert_non_null(p);
    assert_non_null(payload.records);
    for (size_t i = 0; i < count; i++) {
        size_t size = size_max == 0 ? 0 : random_below(random, size_max + 1);
        p = varint_put(p, size);
        random_fill(random, p, size);
        payload.records[i] = bytes_of(p, size);
        p += size;
    }
    payload.size = (size_t)(p - payload.bytes);
    return payload;
}

static void free_payload(struct payload *payload)
{
    free(payload->bytes);
    free(payload->records);
}

static void model_root(const uint8_t seed[SALT_SEED_BYTES], const struct payload *payload, uint8_t root[DIGEST_BYTES])
{
    uint8_t *salts = malloc(payload->count * SALT_BYTES), *digests = malloc(payload->count * DIGEST_BYTES);
    assert_non_null(salts);
    assert_non_null(digests);
    model_salts(seed, payload->count, salts);
    for (size_t i = 0; i < payload->count; i++)
        model_hash(0, salts + i * SALT_BYTES, SALT_BYTES, payload->records[i].data, payload->records[i].size,
                   digests + i * DIGEST_BYTES);
    model_fold(digests, payload->count, root);
    free(salts);
    free(digests);
}

static void records_root_agrees_with_the_definition(void **state)
{
    static const size_t counts[] = {1, 2, 3, 5, 6, 15, 16, 17, 31, 32, 33, 100, 255, 256, 257, 272, 273, 1000, 4097};
    static const size_t sizes[] = {0, 1, 38, 39, 47, 48, 60, 128, 160, 300, 1500};
    struct digest_context *context = digest_context_create();
    struct random random = {11};
    (void)state;
    assert_non_null(context);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            struct payload payload = make_payload(&random, counts[c], sizes[s]);
            uint8_t seed[SALT_SEED_BYTES], expected[DIGEST_BYTES], root[DIGEST_BYTES];
            random_fill(&random, seed, sizeof seed);
            model_root(seed, &payload, expected);
            assert_status(digest_records_root(context, seed, bytes_of(payload.bytes, payload.size), (uint32_t)counts[c], root),
                          TRUC_OK);
            if (memcmp(root, expected, DIGEST_BYTES) != 0)
                fail_msg("%zu records of up to %zu bytes", counts[c], sizes[s]);
            free_payload(&payload);
        }
    }
    digest_context_destroy(context);
}

static void records_root_every_length_around_block_ends(void **state)
{
    struct digest_context *context = digest_context_create();
    struct random random = {12};
    static uint8_t bytes[20 * 400];
    (void)state;
    assert_non_null(context);
    for (size_t size = 0; size < 270; size++) {
        struct bytes records[20];
        struct payload payload = {.bytes = bytes, .records = records, .count = 20};
        uint8_t seed[SALT_SEED_BYTES] = {1}, expected[DIGEST_BYTES], root[DIGEST_BYTES];
        uint8_t *p = bytes;
        for (size_t i = 0; i < 20; i++) {
            p = varint_put(p, size);
            random_fill(&random, p, size);
            records[i] = bytes_of(p, size);
            p += size;
        }
        model_root(seed, &payload, expected);
        assert_status(digest_records_root(context, seed, bytes_of(bytes, (size_t)(p - bytes)), 20, root), TRUC_OK);
        assert_memory_equal(root, expected, DIGEST_BYTES);
    }
    digest_context_destroy(context);
}

static void records_root_large_records_among_small(void **state)
{
    struct digest_context *context = digest_context_create();
    struct random random = {13};
    (void)state;
    assert_non_null(context);
    struct payload payload = make_payload(&random, 40, 100000);
    uint8_t seed[SALT_SEED_BYTES] = {2}, expected[DIGEST_BYTES], root[DIGEST_BYTES];
    model_root(seed, &payload, expected);
    assert_status(digest_records_root(context, seed, bytes_of(payload.bytes, payload.size), 40, root), TRUC_OK);
    assert_memory_equal(root, expected, DIGEST_BYTES);
    free_payload(&payload);
    digest_context_destroy(context);
}

static void batch_root_agrees_with_the_definition(void **state)
{
    static const size_t sizes[] = {1, 1023, 1024, 1025, 6 * 1024, 16 * 1024, 16 * 1024 + 1, 17 * 1024 - 1, 100000, 262144, 300001};
    struct digest_context *context = digest_context_create();
    struct random random = {16};
    (void)state;
    assert_non_null(context);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t size = sizes[s], count = (size + 1023) / 1024;
        uint8_t seed[SALT_SEED_BYTES], expected[DIGEST_BYTES], root[DIGEST_BYTES];
        uint8_t *payload = malloc(size), *salts = malloc(count * SALT_BYTES), *digests = malloc(count * DIGEST_BYTES);
        assert_non_null(payload);
        assert_non_null(salts);
        assert_non_null(digests);
        random_fill(&random, seed, sizeof seed);
        random_fill(&random, payload, size);
        model_salts(seed, count, salts);
        for (size_t i = 0; i < count; i++)
            model_hash(3, salts + i * SALT_BYTES, SALT_BYTES, payload + i * 1024, i + 1 < count ? 1024 : size - i * 1024,
                       digests + i * DIGEST_BYTES);
        model_fold(digests, count, expected);
        assert_status(digest_batch_root(context, seed, bytes_of(payload, size), root), TRUC_OK);
        if (memcmp(root, expected, DIGEST_BYTES) != 0)
            fail_msg("a payload of %zu bytes", size);
        free(payload);
        free(salts);
        free(digests);
    }
    uint8_t seed[SALT_SEED_BYTES] = {0}, root[DIGEST_BYTES];
    assert_status(digest_batch_root(context, seed, bytes_of(NULL, 0), root), TRUC_BAD_BATCH);
    digest_context_destroy(context);
}

static void records_root_wrong_count_or_cut_is_refused(void **state)
{
    struct digest_context *context = digest_context_create();
    struct random random = {14};
    uint8_t seed[SALT_SEED_BYTES] = {3}, root[DIGEST_BYTES];
    (void)state;
    assert_non_null(context);
    struct payload payload = make_payload(&random, 20, 50);
    struct bytes raw = bytes_of(payload.bytes, payload.size);
    assert_status(digest_records_root(context, seed, raw, 20, root), TRUC_OK);
    assert_status(digest_records_root(context, seed, raw, 19, root), TRUC_BAD_BATCH);
    assert_status(digest_records_root(context, seed, raw, 21, root), TRUC_BAD_BATCH);
    assert_status(digest_records_root(context, seed, raw, 0, root), TRUC_BAD_BATCH);
    assert_status(digest_records_root(context, seed, raw, BATCH_RECORDS_MAX + 1, root), TRUC_BAD_BATCH);
    assert_status(digest_records_root(context, seed, bytes_of(NULL, 0), 1, root), TRUC_BAD_BATCH);
    raw.size -= payload.records[19].size == 0 ? 0 : 1;
    assert_status(digest_records_root(context, seed, raw, 20, root), TRUC_BAD_BATCH);
    assert_status(digest_records_root(context, seed, bytes_of(payload.bytes, payload.size), 20, root), TRUC_OK); /* as before */
    free_payload(&payload);
    digest_context_destroy(context);
}

static void labelled_digests_follow_their_definitions(void **state)
{
    struct digest_context *context = digest_context_create();
    uint8_t seed[SALT_SEED_BYTES] = {4}, salt[SALT_BYTES], expected[DIGEST_BYTES], digest[DIGEST_BYTES];
    (void)state;
    assert_non_null(context);
    model_salts(seed, 1, salt);
    assert_status(digest_batch_root(context, seed, bytes_of_text("payload"), digest), TRUC_OK);
    model_hash(3, salt, sizeof salt, (const uint8_t *)"payload", 7, expected);
    assert_memory_equal(digest, expected, DIGEST_BYTES);
    digest_header(context, bytes_of_text("header"), digest);
    SHA256((const uint8_t *)"truc-header-v1\0header", 21, expected);
    assert_memory_equal(digest, expected, DIGEST_BYTES);
    digest_leaf(context, bytes_of_text("leaf"), digest);
    SHA256((const uint8_t *)"\0leaf", 5, expected);
    assert_memory_equal(digest, expected, DIGEST_BYTES);
    struct bytes parts[3] = {bytes_of_text("a"), bytes_of(NULL, 0), bytes_of_text("bc")};
    digest_parts(context, parts, 3, digest);
    SHA256((const uint8_t *)"abc", 3, expected);
    assert_memory_equal(digest, expected, DIGEST_BYTES);
    digest_context_destroy(context);
}

static void chain_covers_all_its_parts(void **state)
{
    struct digest_context *context = digest_context_create();
    uint8_t all[14 + 32 + 16 + 64 + 32] = "truc-block-v1", expected[DIGEST_BYTES], chain[DIGEST_BYTES];
    struct random random = {15};
    (void)state;
    assert_non_null(context);
    random_fill(&random, all + 14, 32);
    store_u64(all + 46, 7);
    store_u64(all + 54, 99);
    random_fill(&random, all + 62, 64);
    SHA256((const uint8_t *)"deltas", 6, all + 126);
    SHA256(all, sizeof all, expected);
    digest_chain(context, all + 14, 7, 99, all + 62, 2, bytes_of_text("deltas"), chain);
    assert_memory_equal(chain, expected, DIGEST_BYTES);
    digest_chain(context, all + 14, 7, 99, NULL, 0, bytes_of(NULL, 0), chain);
    assert_memory_not_equal(chain, expected, DIGEST_BYTES);
    digest_context_destroy(context);
}

static void context_destroy_takes_null(void **state)
{
    (void)state;
    digest_context_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_root_agrees_with_the_definition),
        cmocka_unit_test(records_root_every_length_around_block_ends),
        cmocka_unit_test(records_root_large_records_among_small),
        cmocka_unit_test(batch_root_agrees_with_the_definition),
        cmocka_unit_test(records_root_wrong_count_or_cut_is_refused),
        cmocka_unit_test(labelled_digests_follow_their_definitions),
        cmocka_unit_test(chain_covers_all_its_parts),
        cmocka_unit_test(context_destroy_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
