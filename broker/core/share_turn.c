#include "share_internal.h"

/* Of the lanes of one key one at a time is at work: the key's own, or one aside that was its turn to have (key->at_work). The turn
 * belongs
 *
 *   - to who has it and has begun: its first record is leased, or has failed and is not resolved;
 *   - else to one that has failed (after a restart, if it was not resolved then);
 *   - else to a lane aside that asks for it, that of the least place;
 *   - else to the key's own lane.
 *
 * A lane aside asks from when it is due. From then until it is resolved its key has a lane, if an empty one. Those that ask are a
 * pairing heap: a lane's first child and its next sibling are its links of the turn. */

static uint32_t *child_of(struct lane *lane)
{
    return &lane->links[LINK_TURN].previous;
}

static uint32_t *sibling_of(struct lane *lane)
{
    return &lane->links[LINK_TURN].next;
}

static bool goes_before(const struct lane *a, const struct lane *b)
{
    if (lane_has_failed(a) != lane_has_failed(b))
        return lane_has_failed(a);
    return place_before(lane_place(a), lane_place(b));
}

/* Two heaps, as number + 1 of their first ones, 0: empty, become one. */
static uint32_t meld(const struct share *share, uint32_t a, uint32_t b)
{
    if (a == 0 || b == 0)
        return a ? a : b;
    if (goes_before(lane_at(share, b - 1), lane_at(share, a - 1))) {
        uint32_t other = a;

        a = b;
        b = other;
    }
    *sibling_of(lane_at(share, b - 1)) = *child_of(lane_at(share, a - 1));
    *child_of(lane_at(share, a - 1)) = b;
    return a;
}

/* Takes a heap, or 0, out of a row of siblings. */
static uint32_t next_sibling(const struct share *share, uint32_t *row)
{
    uint32_t first = *row;

    if (first != 0) {
        *row = *sibling_of(lane_at(share, first - 1));
        *sibling_of(lane_at(share, first - 1)) = 0;
    }
    return first;
}

static void add_asking(struct share *share, struct lane *plain, struct lane *aside)
{
    lane_set_waiting(share, aside);
    plain->asking = meld(share, plain->asking, aside->index + 1);
}

/* The first of those that ask gets the turn. */
static void give_turn(struct share *share, struct lane *plain)
{
    struct lane *next = lane_at(share, plain->asking - 1);
    uint32_t children = *child_of(next), pairs = 0, all = 0, first;

    *child_of(next) = 0;
    while ((first = next_sibling(share, &children)) != 0) { /* two by two, */
        uint32_t pair = meld(share, first, next_sibling(share, &children));

        *sibling_of(lane_at(share, pair - 1)) = pairs;
        pairs = pair;
    }
    while ((first = next_sibling(share, &pairs)) != 0) /* then the pairs, the last one first */
        all = meld(share, all, first);
    plain->asking = all;
    plain->at_work = next->index + 1;
    lane_go_on(share, next);
}

void turn_review(struct share *share, struct lane *lane)
{
    struct lane *plain = lane->aside ? lane_at(share, lane->asking - 1) : lane;
    struct lane *holder = plain->at_work ? lane_at(share, plain->at_work - 1) : plain;
    const struct lane *first = plain->asking ? lane_at(share, plain->asking - 1) : NULL;

    if (holder->state == LANE_LEASED || lane_has_failed(holder))
        return;
    if (holder == plain) {
        if (!first)
            return;
        if (plain->state == LANE_READY)
            lane_set_waiting(share, plain);
        give_turn(share, plain);
    } else if (lane_has_failed(plain)) {
        plain->at_work = 0;
        add_asking(share, plain, holder);
        if (plain->state == LANE_WAITING)
            lane_go_on(share, plain);
    } else if (first && goes_before(first, holder)) {
        add_asking(share, plain, holder);
        give_turn(share, plain);
    }
}

void turn_ask(struct share *share, struct lane *aside)
{
    struct lane *plain = lane_of_key(share, aside->key);

    if (!plain) {
        plain = lane_create(share, aside->key, share->scan, false);
        lane_set_empty(share, plain);
    }
    aside->asking = plain->index + 1;
    add_asking(share, plain, aside);
    turn_review(share, plain);
}

void turn_end(struct share *share, struct lane *plain)
{
    plain->at_work = 0;
    if (plain->state == LANE_AHEAD)
        turn_review(share, plain);
    else
        lane_settle_down(share, plain);
}
