#include "pattern_tree.h"

#include <stdlib.h>

#include "broker/core/invariant.h"
#include "proto/directory.h"
#include "proto/limits.h"

enum { ROOT = 0 };

struct node {
    uint8_t *token; /* owned; NULL: the root */
    uint32_t above, children;
    uint32_t exact;    /* patterns that end here */
    uint32_t rest_one; /* that go on with `>` */
    uint32_t rest_any; /* that go on with `**` */
    uint32_t token_size;
};

static struct node *node_at(const struct pattern_tree *tree, uint32_t index)
{
    return pool_at(&tree->nodes, index);
}

void pattern_tree_init(struct pattern_tree *tree, const uint8_t secret[16])
{
    *tree = (struct pattern_tree){0};
    pool_init(&tree->nodes, sizeof(struct node), 6);
    memcpy(tree->secret, secret, sizeof tree->secret);
}

void pattern_tree_fini(struct pattern_tree *tree)
{
    for (uint32_t i = 0; i < tree->nodes.touched; i++) {
        if (node_at(tree, i)->token_size > 0)
            free(node_at(tree, i)->token);
    }
    pool_fini(&tree->nodes);
    table_fini(&tree->by_token);
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------- */

static bool token_is(struct bytes token, const char *text)
{
    return bytes_equal(token, bytes_of_text(text));
}

/* Splits a valid name; returns how many. */
static size_t split(struct bytes name, struct bytes tokens[TOPIC_TOKENS_MAX])
{
    size_t count = 0, begin = 0;

    for (size_t i = 0; i <= name.size; i++) {
        if (i < name.size && name.data[i] != '.')
            continue;
        CORE_INVARIANT(count < TOPIC_TOKENS_MAX);
        tokens[count++] = bytes_of(name.data + begin, i - begin);
        begin = i + 1;
    }
    return count;
}

static uint64_t hash_of(const struct pattern_tree *tree, uint32_t above, struct bytes token)
{
    return table_mix(directory_hash(tree->secret, token) + above);
}

static bool find(const struct pattern_tree *tree, uint32_t above, struct bytes token, uint32_t *ret_index)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&tree->by_token, hash_of(tree, above, token));
         table_next(&tree->by_token, &probe, &index);) {
        const struct node *node = node_at(tree, index);

        if (node->above == above && bytes_equal(bytes_of(node->token, node->token_size), token)) {
            *ret_index = index;
            return true;
        }
    }
    return false;
}

/* --- patterns ------------------------------------------------------------------------------------------------------------------
 */

static bool provide_root(struct pattern_tree *tree)
{
    uint32_t index;

    if (tree->nodes.used > 0)
        return true;
    if (!pool_take(&tree->nodes, &index))
        return false;
    CORE_INVARIANT(index == ROOT);
    return true;
}

static bool grow(struct pattern_tree *tree, uint32_t above, struct bytes token, uint32_t *ret_index)
{
    uint8_t *text = malloc(token.size);
    struct node *node;

    if (!text || !table_reserve(&tree->by_token, 1) || !(node = pool_take(&tree->nodes, ret_index))) {
        free(text);
        return false;
    }
    memcpy(text, token.data, token.size);
    *node = (struct node){.token = text, .above = above, .token_size = (uint32_t)token.size};
    node_at(tree, above)->children++;
    table_add(&tree->by_token, hash_of(tree, above, token), *ret_index);
    return true;
}

/* Takes away what nothing is counted at, from a node upwards. The root stays. */
static void prune(struct pattern_tree *tree, uint32_t index)
{
    while (index != ROOT) {
        struct node *node = node_at(tree, index);
        uint32_t above = node->above;

        if (node->children > 0 || node->exact > 0 || node->rest_one > 0 || node->rest_any > 0)
            return;
        table_remove(&tree->by_token, hash_of(tree, above, bytes_of(node->token, node->token_size)), index);
        free(node->token);
        pool_give(&tree->nodes, index);
        node_at(tree, above)->children--;
        index = above;
    }
}

/* The number at the node that a pattern ends with, to be counted up or down. */
static uint32_t *counter(struct node *node, struct bytes last)
{
    return token_is(last, ">") ? &node->rest_one : token_is(last, "**") ? &node->rest_any : &node->exact;
}

static bool is_rest(struct bytes token)
{
    return token_is(token, ">") || token_is(token, "**");
}

bool pattern_tree_add(struct pattern_tree *tree, struct bytes pattern)
{
    struct bytes tokens[TOPIC_TOKENS_MAX];
    size_t count = split(pattern, tokens), steps = is_rest(tokens[count - 1]) ? count - 1 : count;
    uint32_t index = ROOT;

    if (!provide_root(tree))
        return false;
    for (size_t i = 0; i < steps; i++) {
        uint32_t next;

        if (!find(tree, index, tokens[i], &next) && !grow(tree, index, tokens[i], &next)) {
            prune(tree, index);
            return false;
        }
        index = next;
    }
    ++*counter(node_at(tree, index), tokens[count - 1]);
    return true;
}

void pattern_tree_remove(struct pattern_tree *tree, struct bytes pattern)
{
    struct bytes tokens[TOPIC_TOKENS_MAX];
    size_t count = split(pattern, tokens), steps = is_rest(tokens[count - 1]) ? count - 1 : count;
    uint32_t index = ROOT, *number;

    for (size_t i = 0; i < steps; i++) {
        bool found = find(tree, index, tokens[i], &index);

        CORE_INVARIANT(found);
    }
    number = counter(node_at(tree, index), tokens[count - 1]);
    CORE_INVARIANT(*number > 0);
    --*number;
    prune(tree, index);
}

/* --- topics ---------------------------------------------------------------------------------------------------------------------
 */

/* Nodes that are still to be visited. Each step takes one and adds two at most, one token further, so there are never more than
 * tokens and one. */
struct visits {
    struct {
        uint32_t node, depth;
    } waiting[TOPIC_TOKENS_MAX + 1];
    size_t count;
};

static void visit_below(struct visits *visits, const struct pattern_tree *tree, uint32_t above, struct bytes token, uint32_t depth)
{
    uint32_t index;

    if (find(tree, above, token, &index)) {
        CORE_INVARIANT(visits->count < sizeof visits->waiting / sizeof visits->waiting[0]);
        visits->waiting[visits->count].node = index;
        visits->waiting[visits->count++].depth = depth;
    }
}

uint32_t pattern_tree_count(const struct pattern_tree *tree, struct bytes topic)
{
    struct bytes tokens[TOPIC_TOKENS_MAX];
    size_t count = split(topic, tokens);
    bool reserved = token_is(tokens[0], "sys") || token_is(tokens[0], "dead"); /* a leading wildcard does not reach these */
    struct visits visits = {.count = 1};                                       /* the root, of no token */
    uint32_t matching = 0;

    if (tree->nodes.used == 0)
        return 0;
    while (visits.count > 0) {
        uint32_t index = visits.waiting[visits.count - 1].node, depth = visits.waiting[visits.count - 1].depth;
        const struct node *node = node_at(tree, index);
        bool hidden = reserved && depth == 0;

        visits.count--;
        matching += hidden ? 0 : node->rest_any;
        if (depth == count) {
            matching += node->exact;
            continue;
        }
        matching += hidden ? 0 : node->rest_one;
        if (node->children == 0)
            continue;
        visit_below(&visits, tree, index, tokens[depth], depth + 1);
        if (!hidden)
            visit_below(&visits, tree, index, bytes_of_text("*"), depth + 1);
    }
    return matching;
}
