#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "clients/cli/replay_digest.h"

static const uint8_t log_id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static truc_message message(uint64_t position, uint32_t index, uint64_t offset, const char *data)
{
    return (truc_message){.size = sizeof(truc_message),
                          .topic = "dossier.status.H26.16",
                          .position = position,
                          .index = index,
                          .offset = offset,
                          .append_time_ns = 1591318800000000000 + (int64_t)position - 6,
                          .source = "H26.16",
                          .system = "portal",
                          .log_id = log_id,
                          .generation = 3,
                          .encoded = {data, strlen(data)}};
}

static void digest_of(const truc_message *messages, size_t count, char hex[65])
{
    struct replay_digest *digest = replay_digest_create(log_id, 3);
    uint8_t bytes[REPLAY_DIGEST_BYTES];
    assert_non_null(digest);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(replay_digest_add(digest, &messages[i]), TRUC_OK);
    }
    assert_int_equal(replay_digest_end(digest, bytes), TRUC_OK);
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    }
    replay_digest_destroy(digest);
}

/* Made from the definition with another tool: Python's hashlib and struct. */
static void digest_matches_its_definition(void **state)
{
    truc_message messages[] = {message(7, 2, 5, "abc"), message(8, 0, 6, "")};
    char hex[65];
    (void)state;
    digest_of(NULL, 0, hex);
    assert_string_equal(hex, "680f0fd5ee4aa745aeb5be01b3e2a1325cde098634e1fe8ca0ccc5cd530b7df3");
    digest_of(messages, 2, hex);
    assert_string_equal(hex, "43b35dc57a58515dacd6175a9624fe3229c2aed542e45e404660f67864e43b31");
}

static void digest_tells_every_difference(void **state)
{
    truc_message one = message(7, 2, 5, "abc"), two = message(8, 0, 6, "x");
    truc_message variants[8];
    char plain[65], other[65];
    (void)state;
    digest_of((truc_message[]){one, two}, 2, plain);
    for (size_t i = 0; i < 8; i++) {
        variants[i] = one;
    }
    variants[0].position++;
    variants[1].index++;
    variants[2].offset++;
    variants[3].append_time_ns++;
    variants[4].topic = "dossier.status.H26.17";
    variants[5].system = "portai";
    variants[6].encoded = (truc_text){"abd", 3};
    variants[7].encoded = (truc_text){"ab", 2};
    for (size_t i = 0; i < 8; i++) {
        digest_of((truc_message[]){variants[i], two}, 2, other);
        assert_string_not_equal(plain, other);
    }
    digest_of((truc_message[]){two, one}, 2, other); /* the order */
    assert_string_not_equal(plain, other);
    digest_of(&one, 1, other);
    assert_string_not_equal(plain, other);
}

static void digest_other_log_is_refused(void **state)
{
    static const uint8_t other_log[16] = {9};
    struct replay_digest *digest = replay_digest_create(log_id, 3);
    truc_message one = message(7, 2, 5, "abc");
    (void)state;
    assert_non_null(digest);
    one.generation = 4;
    assert_int_equal(replay_digest_add(digest, &one), TRUC_LOG_MISMATCH);
    one.generation = 3;
    one.log_id = other_log;
    assert_int_equal(replay_digest_add(digest, &one), TRUC_LOG_MISMATCH);
    replay_digest_destroy(digest);
    replay_digest_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_matches_its_definition),
        cmocka_unit_test(digest_tells_every_difference),
        cmocka_unit_test(digest_other_log_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
