/* pattern_tree.h: how many of many patterns match a topic. Layer: core. One owner, one thread.
 *
 * A tree of tokens. A node stands for the tokens on the way to it, `*` among them, and counts the patterns that end there, and
 * those that go on with `>` or `**`:
 *
 *     a.b  a.*  a.**  *.b        root -- a -- b       exact 1
 *                                  |     | `- *       exact 1
 *                                  |     `- rest any 1
 *                                  `- * -- b          exact 1
 *
 * Counting visits the nodes that match, at most as many as there are patterns. Patterns and topics are valid (proto/topic.h). */
#ifndef TRUC_CORE_PATTERN_TREE_H
#define TRUC_CORE_PATTERN_TREE_H

#include "broker/core/pool.h"
#include "broker/core/table.h"
#include "proto/bytes.h"

struct pattern_tree {
    struct pool nodes;     /* the root is the first, made with the first pattern */
    struct table by_token; /* of the node above and the token */
    uint8_t secret[16];    /* keys the table: patterns come from outside */
};

void pattern_tree_init(struct pattern_tree *tree, const uint8_t secret[16]);
void pattern_tree_fini(struct pattern_tree *tree);

/* Counts a pattern, which may be there already. False when out of memory: nothing changed. */
bool pattern_tree_add(struct pattern_tree *tree, struct bytes pattern);
/* Takes back one that was added. */
void pattern_tree_remove(struct pattern_tree *tree, struct bytes pattern);

/* How many of the patterns match the topic, as pattern_match says. */
uint32_t pattern_tree_count(const struct pattern_tree *tree, struct bytes topic);

#endif
