/* The pattern tree against pattern_match over random patterns and topics, also when memory fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/core/pattern_tree.h"
#include "broker/core/table.h"
#include "proto/limits.h"
#include "proto/topic.h"

enum { PATTERNS = 300, ROUNDS = 3000, NAME_BYTES = 64 };

static const uint8_t secret[16] = {5};
static uint64_t random_state;
static uint64_t fail_at, taken; /* the allocation that fails; 0: none */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);

static bool fails(void)
{
    return fail_at != 0 && ++taken == fail_at;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

static uint64_t draw(uint64_t below)
{
    return table_mix(random_state++) % below;
}

/* A few tokens, so that much matches. */
static struct bytes draw_name(char *out, bool pattern)
{
    static const char *const tokens[] = {"a", "b", "c", "sys", "dead"};
    size_t size = 0, count = 1 + draw(5);

    for (size_t i = 0; i < count; i++) {
        uint64_t wild = pattern ? draw(8) : 8;
        const char *token = wild < 2                      ? "*"
                            : wild == 2 && i + 1 == count ? ">"
                            : wild == 3 && i + 1 == count ? "**"
                                                          : tokens[draw(draw(3) == 0 ? 5 : 3)];

        if (i > 0)
            out[size++] = '.';
        memcpy(out + size, token, strlen(token));
        size += strlen(token);
    }
    return bytes_of(out, size);
}

static struct pattern_member members[PATTERNS];

static void note(void *context, struct pattern_member *member)
{
    bool *visited = context;

    assert_false(visited[member - members]);
    visited[member - members] = true;
}

static void check_topics(const struct pattern_tree *tree, const struct bytes *patterns, const bool *there, size_t rounds)
{
    char name[NAME_BYTES];

    for (size_t round = 0; round < rounds; round++) {
        struct bytes topic = draw_name(name, false);
        bool visited[PATTERNS] = {false};
        uint32_t matching = 0;

        pattern_tree_visit(tree, topic, note, visited);
        for (size_t i = 0; i < PATTERNS; i++) {
            bool matches = there[i] && pattern_match(patterns[i], topic);

            matching += matches;
            assert_int_equal(visited[i], matches);
        }
        assert_int_equal(pattern_tree_count(tree, topic), matching);
    }
}

static void counts_are_those_of_pattern_match(void **state)
{
    static char names[PATTERNS][NAME_BYTES];
    struct bytes patterns[PATTERNS];
    bool there[PATTERNS] = {false};
    struct pattern_tree tree;

    (void)state;
    pattern_tree_init(&tree, secret);
    for (size_t i = 0; i < PATTERNS; i++) {
        patterns[i] = draw_name(names[i], true);
        assert_int_equal(pattern_check(patterns[i], NULL), TRUC_OK);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t i = draw(PATTERNS);

        if (there[i])
            pattern_tree_remove(&tree, patterns[i], &members[i]);
        else
            assert_true(pattern_tree_add(&tree, patterns[i], &members[i]));
        there[i] = !there[i];
        check_topics(&tree, patterns, there, 5);
    }
    for (size_t i = 0; i < PATTERNS; i++) {
        if (there[i])
            pattern_tree_remove(&tree, patterns[i], &members[i]);
        there[i] = false;
    }
    check_topics(&tree, patterns, there, 5);
    assert_int_equal(tree.nodes.used, 1); /* nothing is left but the root */
    pattern_tree_fini(&tree);
}

/* Names of as many tokens as there may be, of which every node goes on both ways. */
static void longest_names_fit(void **state)
{
    enum { DEEP = 400 };
    static struct pattern_member deep[DEEP];
    char topic[2 * TOPIC_TOKENS_MAX], pattern[2 * TOPIC_TOKENS_MAX];
    struct pattern_tree tree;

    (void)state;
    pattern_tree_init(&tree, secret);
    for (size_t i = 0; i < TOPIC_TOKENS_MAX; i++) {
        topic[2 * i] = 'a';
        topic[2 * i + 1] = pattern[2 * i + 1] = '.';
    }
    for (size_t i = 0; i < DEEP; i++) {
        for (size_t at = 0; at < TOPIC_TOKENS_MAX; at++)
            pattern[2 * at] = draw(2) == 0 ? '*' : 'a';
        assert_true(pattern_tree_add(&tree, bytes_of(pattern, sizeof pattern - 1), &deep[i]));
    }
    assert_int_equal(pattern_tree_count(&tree, bytes_of(topic, sizeof topic - 1)), DEEP);
    assert_int_equal(pattern_tree_count(&tree, bytes_of_text("a")), 0);
    pattern_tree_fini(&tree);
}

static void empty_tree_matches_nothing(void **state)
{
    struct pattern_tree tree;

    (void)state;
    pattern_tree_init(&tree, secret);
    assert_int_equal(pattern_tree_count(&tree, bytes_of_text("a.b")), 0);
    pattern_tree_fini(&tree);
}

static void add_without_memory_changes_nothing(void **state)
{
    static const char *const patterns[] = {"a.b.c.d", "a.b.x.y.z.>", "*.*", "**"};
    bool added = false;

    (void)state;
    for (size_t p = 0; p < 4; p++) {
        for (uint64_t at = 1;; at++) {
            struct pattern_tree tree;
            uint32_t used;

            pattern_tree_init(&tree, secret);
            assert_true(p == 0 || pattern_tree_add(&tree, bytes_of_text("a.b.c"), &members[0]));
            used = tree.nodes.used;
            taken = 0;
            fail_at = at;
            added = pattern_tree_add(&tree, bytes_of_text(patterns[p]), &members[1]);
            fail_at = 0;
            if (!added) {
                assert_true(tree.nodes.used == used || (used == 0 && tree.nodes.used == 1));
                assert_int_equal(pattern_tree_count(&tree, bytes_of_text("a.b.c")), p > 0);
                assert_int_equal(pattern_tree_count(&tree, bytes_of_text("a.b.c.d")), 0);
                assert_true(pattern_tree_add(&tree, bytes_of_text(patterns[p]), &members[1]));
            }
            pattern_tree_remove(&tree, bytes_of_text(patterns[p]), &members[1]);
            assert_int_equal(pattern_tree_count(&tree, bytes_of_text("a.b.c")), p > 0);
            pattern_tree_fini(&tree);
            if (added)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_of_pattern_match),
        cmocka_unit_test(longest_names_fit),
        cmocka_unit_test(empty_tree_matches_nothing),
        cmocka_unit_test(add_without_memory_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
