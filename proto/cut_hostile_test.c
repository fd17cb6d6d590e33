/* What a receiver of a cut entry refuses. Records are random from a seed that is printed: cut_hostile_test [SEED]. */
#include "proto/cut_test_kit.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { ENTRY_CHECKSUM = 56 };

/* A part of 40 records to be tampered with, its checksum mended after. */
struct tampering {
    struct whole whole;
    struct cutter *cutter;
    struct bytes part;
    uint8_t *bytes; /* the same, writable */
    struct proven proven;
};

static void tampering_init(struct tampering *t)
{
    static const uint32_t indexes[] = {17, 18, 39};
    whole_init(&t->whole, 40, RECORD_BYTES, CODEC_NONE, EVIDENCE_RECORD);
    t->cutter = cutter_create();
    assert_non_null(t->cutter);
    assert_status(cutter_take(t->cutter, &t->whole.view, NULL), TRUC_OK);
    t->part = cut(t->cutter, indexes, 3);
    t->bytes = (uint8_t *)t->part.data;
    t->proven = (struct proven){0};
    assert_status(prove(t->whole.digests, t->part, &t->proven), TRUC_OK);
}

static void tampering_fini(struct tampering *t)
{
    free(t->bytes);
    free(t->proven.records);
    cutter_destroy(t->cutter);
    whole_fini(&t->whole);
}

static void mend_checksum(uint8_t *entry, size_t size)
{
    uint8_t *covered = need(size - 8);
    memcpy(covered, entry, ENTRY_CHECKSUM);
    memcpy(covered + ENTRY_CHECKSUM, entry + ENTRY_HEADER_BYTES, size - ENTRY_HEADER_BYTES);
    store_u64(entry + ENTRY_CHECKSUM, XXH3_64bits(covered, size - 8));
    free(covered);
}

static void cut_every_flipped_bit_is_found(void **state)
{
    struct tampering t;
    (void)state;
    tampering_init(&t);
    for (size_t bit = 0; bit < 8 * t.part.size; bit++) {
        t.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_status(prove(t.whole.digests, t.part, &t.proven), TRUC_DAMAGED);
        t.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_status(prove(t.whole.digests, t.part, &t.proven), TRUC_OK);
    tampering_fini(&t);
}

/* What no digest in an entry covers: the broker's topic id, the leaf's place and time (checkpoints cover the leaf), raw size. */
static bool proves_nothing(const struct tampering *t, size_t at)
{
    size_t leaf = (size_t)(t->proven.view.leaf.data - t->bytes), batch = (size_t)(t->proven.view.batch.data - t->bytes);
    return (at >= 8 && at < 12) || (at >= leaf + 8 && at < leaf + 48) || (at >= leaf + 144 && at < leaf + 176) ||
           (at >= batch + 20 && at < batch + 24);
}

static void cut_every_forged_bit_is_found(void **state)
{
    struct tampering t;
    size_t accepted = 0;
    (void)state;
    tampering_init(&t);
    for (size_t bit = 0; bit < 8 * t.part.size; bit++) {
        if (bit / 8 >= ENTRY_CHECKSUM && bit / 8 < ENTRY_HEADER_BYTES)
            continue;
        t.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        mend_checksum(t.bytes, t.part.size);
        truc_status status = prove(t.whole.digests, t.part, &t.proven);
        if (status == TRUC_OK) {
            assert_true(proves_nothing(&t, bit / 8));
            accepted++;
        } else {
            assert_true(status == TRUC_DAMAGED || status == TRUC_DIGEST_MISMATCH);
        }
        t.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(accepted > 0); /* the checksum was mended indeed */
    tampering_fini(&t);
}

/* Proves the part with another payload in place of its own, everything else being right. */
static truc_status prove_payload(struct tampering *t, struct bytes payload)
{
    struct bytes header = t->proven.batch.header, leaf = t->whole.view.leaf;
    size_t batch_size = BATCH_PREFIX_BYTES + header.size + payload.size, size = entry_served_size(leaf.size, batch_size);
    uint8_t *entry = need(size), *batch = entry_batch_at(entry, leaf.size);
    struct proven p = {0};

    batch_cut_head_write(batch, header, (uint32_t)payload.size, t->proven.batch.raw_size);
    memcpy(batch + BATCH_PREFIX_BYTES + header.size, payload.data, payload.size);
    entry_write_cut(entry, &t->whole.view.fields, leaf, batch_size);
    truc_status status = prove(t->whole.digests, bytes_of(entry, size), &p);
    assert_true(p.capacity <= payload.size / 24); /* memory for what came, not for what is said to come */
    free(p.records);
    free(entry);
    return status;
}

/* The payload with one u32 changed. */
static truc_status prove_changed(struct tampering *t, size_t at, uint32_t value)
{
    struct bytes payload = t->proven.batch.stored;
    uint8_t *changed = need(payload.size);
    memcpy(changed, payload.data, payload.size);
    store_u32(changed + at, value);
    truc_status status = prove_payload(t, bytes_of(changed, payload.size));
    free(changed);
    return status;
}

static void cut_hostile_numbers_are_damage(void **state)
{
    static const uint32_t hostile[] = {0,    1,     2,     4,          15,         39,         40,        41,
                                       4096, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
    struct tampering t;
    (void)state;
    tampering_init(&t);
    const uint8_t *payload = t.proven.batch.stored.data;
    size_t second = 8 + 24 + align8(t.proven.records[0].encoded.size);
    size_t third = second + 24 + align8(t.proven.records[1].encoded.size);
    size_t counts[] = {0 /* chosen */, 4 /* digests */}, sizes[] = {8 + 4, second + 4};
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        for (size_t k = 0; k < 2; k++) {
            if (hostile[i] != load_u32(payload + counts[k]))
                assert_status(prove_changed(&t, counts[k], hostile[i]), TRUC_DAMAGED);
            if (align8(hostile[i]) != align8(load_u32(payload + sizes[k])))
                assert_status(prove_changed(&t, sizes[k], hostile[i]), TRUC_DAMAGED);
        }
        if (hostile[i] >= 18) /* not below the second one, or not a record */
            assert_status(prove_changed(&t, 8, hostile[i]), TRUC_DAMAGED);
        if (hostile[i] < 17 || hostile[i] >= 39)
            assert_status(prove_changed(&t, second, hostile[i]), TRUC_DAMAGED);
        if (hostile[i] < 18 || hostile[i] >= 40)
            assert_status(prove_changed(&t, third, hostile[i]), TRUC_DAMAGED);
    }
    assert_status(prove_changed(&t, second, 17), TRUC_DAMAGED); /* twice */
    assert_status(prove_changed(&t, 8, 17), TRUC_OK);           /* nothing changed */
    tampering_fini(&t);
}

/* Nothing chosen and the root given; a record behind the last one and the digests that it would need. */
static void cut_choice_outside_of_the_records_is_damage(void **state)
{
    struct tampering t;
    uint8_t changed[8 + DIGEST_BYTES] = {0};
    (void)state;
    tampering_init(&t);
    assert_status(prove_payload(&t, bytes_of(changed, 8)), TRUC_DAMAGED);
    store_u32(changed + 4, 1);
    memcpy(changed + 8, t.whole.levels[2], DIGEST_BYTES);
    assert_status(prove_payload(&t, bytes_of(changed, 8 + DIGEST_BYTES)), TRUC_DAMAGED);

    struct bytes payload = t.proven.batch.stored;
    size_t third = 8 + 2 * 24 + align8(t.proven.records[0].encoded.size) + align8(t.proven.records[1].encoded.size);
    size_t fewer = payload.size - 6 * DIGEST_BYTES; /* a node in place of d32 to d38 */
    uint8_t *behind = need(fewer);
    memcpy(behind, payload.data, fewer);
    store_u32(behind + 4, load_u32(behind + 4) - 6);
    store_u32(behind + third, t.whole.count);
    assert_status(prove_payload(&t, bytes_of(behind, fewer)), TRUC_DAMAGED);
    free(behind);
    tampering_fini(&t);
}

/* A directory is never served, and a cut entry does not even say that there is one. */
static void cut_entry_with_a_directory_is_damage(void **state)
{
    struct tampering t;
    (void)state;
    tampering_init(&t);
    store_u32(t.bytes, (uint32_t)t.part.size + 8);
    store_u32(t.bytes + 44, 8);
    mend_checksum(t.bytes, t.part.size);
    assert_status(prove(t.whole.digests, t.part, &t.proven), TRUC_DAMAGED);
    store_u32(t.bytes, (uint32_t)t.part.size);
    store_u32(t.bytes + 44, 0);
    mend_checksum(t.bytes, t.part.size);
    assert_status(prove(t.whole.digests, t.part, &t.proven), TRUC_OK);
    tampering_fini(&t);
}

static void cut_payload_too_short_or_long_is_damage(void **state)
{
    struct tampering t;
    (void)state;
    tampering_init(&t);
    struct bytes payload = t.proven.batch.stored;
    uint8_t *longer = need(payload.size + 64);
    memset(longer, 0, payload.size + 64);
    memcpy(longer, payload.data, payload.size);
    for (size_t size = 0; size < payload.size; size++)
        assert_status(prove_payload(&t, bytes_of(payload.data, size)), TRUC_DAMAGED);
    for (size_t more = 1; more <= 64; more++) {
        assert_status(prove_payload(&t, bytes_of(longer, payload.size + more)), TRUC_DAMAGED);
    }
    store_u32(longer + 4, load_u32(longer + 4) + 2); /* and counted */
    assert_status(prove_payload(&t, bytes_of(longer, payload.size + 64)), TRUC_DAMAGED);
    for (size_t size = 0; size < t.part.size; size++) {
        uint8_t *exact = need(size);
        memcpy(exact, t.bytes, size);
        assert_true(prove(t.whole.digests, bytes_of(exact, size), &t.proven) == (size == 0 ? TRUC_OK : TRUC_DAMAGED));
        free(exact);
    }
    free(longer);
    tampering_fini(&t);
}

/* The same root from other digests: only the largest subtrees in their order are the proof. */
static void cut_digests_in_another_form_are_refused(void **state)
{
    struct tampering t;
    uint8_t spread[4096];
    (void)state;
    tampering_init(&t);
    struct bytes payload = t.proven.batch.stored;
    uint32_t given = load_u32(payload.data + 4);
    size_t head = payload.size - (size_t)given * DIGEST_BYTES;
    assert_memory_equal(payload.data + head, t.whole.levels[1], DIGEST_BYTES);

    memcpy(spread, payload.data, head); /* the first node as its sixteen records' digests */
    memcpy(spread + head, t.whole.levels[0], 16 * DIGEST_BYTES);
    memcpy(spread + head + 16 * DIGEST_BYTES, payload.data + head + DIGEST_BYTES, (given - 1) * DIGEST_BYTES);
    store_u32(spread + 4, given + 15);
    assert_status(prove_payload(&t, bytes_of(spread, payload.size + 15 * DIGEST_BYTES)), TRUC_DAMAGED);

    memcpy(spread, payload.data, payload.size); /* two of them exchanged */
    memcpy(spread + head + DIGEST_BYTES, payload.data + head + 2 * DIGEST_BYTES, DIGEST_BYTES);
    memcpy(spread + head + 2 * DIGEST_BYTES, payload.data + head + DIGEST_BYTES, DIGEST_BYTES);
    assert_status(prove_payload(&t, bytes_of(spread, payload.size)), TRUC_DIGEST_MISMATCH);
    assert_status(prove_payload(&t, payload), TRUC_OK);
    tampering_fini(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_every_flipped_bit_is_found),          cmocka_unit_test(cut_every_forged_bit_is_found),
        cmocka_unit_test(cut_hostile_numbers_are_damage),          cmocka_unit_test(cut_choice_outside_of_the_records_is_damage),
        cmocka_unit_test(cut_entry_with_a_directory_is_damage),    cmocka_unit_test(cut_payload_too_short_or_long_is_damage),
        cmocka_unit_test(cut_digests_in_another_form_are_refused),
    };
    source.state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    print_message("seed %llu\n", (unsigned long long)source.state);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
