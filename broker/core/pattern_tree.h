/* pattern_tree.h: which of many patterns match a topic, and how many. Layer: core. One owner, one thread.
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

/* Whose pattern it is: part of the caller's own struct. */
struct pattern_member {
    struct pattern_member *previous, *next; /* of those with the same pattern */
};

struct pattern_tree {
    struct pool nodes;     /* the root is the first, made with the first pattern */
    struct table by_token; /* of the node above and the token */
    uint8_t secret[16];    /* keys the table: patterns come from outside */
};

void pattern_tree_init(struct pattern_tree *tree, const uint8_t secret[16]);
void pattern_tree_fini(struct pattern_tree *tree);

/* Adds a pattern, which may be there already, of a member, which stays where it is. False when out of memory: nothing changed. */
bool pattern_tree_add(struct pattern_tree *tree, struct bytes pattern, struct pattern_member *member);
/* Takes back one that was added. */
void pattern_tree_remove(struct pattern_tree *tree, struct bytes pattern, struct pattern_member *member);

/* How many of the patterns match the topic, as pattern_match says. */
uint32_t pattern_tree_count(const struct pattern_tree *tree, struct bytes topic);
/* Visits the members whose patterns match, in no order. */
void pattern_tree_visit(const struct pattern_tree *tree, struct bytes topic,
                        void (*visit)(void *context, struct pattern_member *member), void *context);

#endif
