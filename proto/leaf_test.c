#include "proto/leaf.h"
#include "proto/test_support.h"

static struct leaf sample(void)
{
    struct leaf leaf = {
        .evidence = 1, .record_count = 100, .position = 7, .base_offset = 300, .append_time_ns = 1591344000000000001};
    struct random random = {21};
    random_fill(&random, leaf.log_id, LOG_ID_BYTES);
    random_fill(&random, leaf.header_digest, DIGEST_BYTES);
    random_fill(&random, leaf.records_root, DIGEST_BYTES);
    random_fill(&random, leaf.previous, DIGEST_BYTES);
    leaf.topic = bytes_of_text("dossier.status.H26.16");
    return leaf;
}

static void leaf_comes_back_as_written(void **state)
{
    struct leaf leaf = sample(), back;
    uint8_t out[LEAF_BYTES_MAX];
    (void)state;
    memset(out, 0xee, sizeof out);
    leaf_write(&leaf, out);
    assert_status(leaf_parse(bytes_of(out, leaf_size(leaf.topic.size)), &back), TRUC_OK);
    assert_int_equal(back.evidence, 1);
    assert_int_equal(back.record_count, 100);
    assert_int_equal(back.position, 7);
    assert_int_equal(back.base_offset, 300);
    assert_true(back.append_time_ns == leaf.append_time_ns);
    assert_memory_equal(back.log_id, leaf.log_id, LOG_ID_BYTES);
    assert_memory_equal(back.header_digest, leaf.header_digest, DIGEST_BYTES);
    assert_memory_equal(back.records_root, leaf.records_root, DIGEST_BYTES);
    assert_memory_equal(back.signature_digest, leaf.signature_digest, DIGEST_BYTES);
    assert_memory_equal(back.previous, leaf.previous, DIGEST_BYTES);
    assert_bytes(back.topic, "dossier.status.H26.16");
    assert_int_equal(out[leaf_size(leaf.topic.size)], 0xee);
}

static void leaf_longest_topic_fits(void **state)
{
    struct leaf leaf = sample(), back;
    uint8_t out[LEAF_BYTES_MAX], topic[TOPIC_BYTES_MAX];
    (void)state;
    memset(topic, 'a', sizeof topic);
    leaf.topic = bytes_of(topic, sizeof topic);
    leaf_write(&leaf, out);
    assert_status(leaf_parse(bytes_of(out, sizeof out), &back), TRUC_OK);
    assert_int_equal(back.topic.size, TOPIC_BYTES_MAX);
}

static void leaf_other_version_size_or_reserved_byte_is_damage(void **state)
{
    struct leaf leaf = sample(), back;
    uint8_t out[LEAF_BYTES_MAX + 1];
    size_t size = leaf_size(leaf.topic.size);
    (void)state;
    memset(out, 0, sizeof out);
    leaf_write(&leaf, out);
    for (size_t cut = 0; cut < size; cut++)
        assert_status(leaf_parse(bytes_of(out, cut), &back), TRUC_DAMAGED);
    assert_status(leaf_parse(bytes_of(out, size + 1), &back), TRUC_DAMAGED);
    assert_status(leaf_parse(bytes_of(NULL, 0), &back), TRUC_DAMAGED);
    for (size_t at = 0; at < LEAF_FIXED_BYTES; at++) {
        bool checked = at < 2 || at == 3 || at >= 176;
        out[at] ^= 0x10;
        assert_status(leaf_parse(bytes_of(out, size), &back), checked ? TRUC_DAMAGED : TRUC_OK);
        out[at] ^= 0x10;
    }
    out[3] = 0;
    assert_status(leaf_parse(bytes_of(out, LEAF_FIXED_BYTES), &back), TRUC_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaf_comes_back_as_written),
        cmocka_unit_test(leaf_longest_topic_fits),
        cmocka_unit_test(leaf_other_version_size_or_reserved_byte_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
