#include "clients/c/turns.h"

#include <stdlib.h>
#include <xxhash.h>

enum { FIRST_CAPACITY = 64 };

void turn_record_free(struct turn_record *record)
{
    if (record == NULL)
        return;
    truc_message_free(record->message);
    free(record);
}

uint64_t turns_key(const struct turns *turns, truc_text key)
{
    uint64_t hash = XXH3_64bits_withSeed(key.data, key.size, turns->seed);

    return hash != 0 ? hash : 1;
}

/* --- lists ------------------------------------------------------------------------------------------------------------------- */

static struct turn_list *list_of(struct turns *turns, const struct turn *turn)
{
    return turn->state == TURN_READY ? &turns->ready : turn->state == TURN_REFUSED ? &turns->refused : NULL;
}

static void leave_list(struct turns *turns, struct turn *turn)
{
    struct turn_list *list = list_of(turns, turn);

    if (list == NULL)
        return;
    if (turn->previous != NULL)
        turn->previous->next = turn->next;
    else
        list->head = turn->next;
    if (turn->next != NULL)
        turn->next->previous = turn->previous;
    else
        list->tail = turn->previous;
}

static void change_state(struct turns *turns, struct turn *turn, enum turn_state state)
{
    struct turn_list *list;

    leave_list(turns, turn);
    turn->state = state;
    list = list_of(turns, turn);
    if (list == NULL)
        return;
    turn->next = NULL;
    turn->previous = list->tail;
    if (list->tail != NULL)
        list->tail->next = turn;
    else
        list->head = turn;
    list->tail = turn;
}

/* --- the table --------------------------------------------------------------------------------------------------------------- */

/* Where the turn of a key is pointed to, or would be. There must be buckets. */
static struct turn **find(const struct turns *turns, uint64_t key)
{
    struct turn **at = &turns->buckets[key & (turns->capacity - 1)];

    while (*at != NULL && (*at)->key != key)
        at = &(*at)->chain;
    return at;
}

static bool grow(struct turns *turns)
{
    size_t capacity = turns->capacity == 0 ? FIRST_CAPACITY : turns->capacity * 2;
    struct turn **buckets = calloc(capacity, sizeof(struct turn *));

    if (buckets == NULL)
        return false;
    for (size_t i = 0; i < turns->capacity; i++) {
        struct turn *turn = turns->buckets[i];

        while (turn != NULL) {
            struct turn *chain = turn->chain, **bucket = &buckets[turn->key & (capacity - 1)];

            turn->chain = *bucket;
            *bucket = turn;
            turn = chain;
        }
    }
    free(turns->buckets);
    turns->buckets = buckets;
    turns->capacity = capacity;
    return true;
}

static struct turn *add(struct turns *turns, uint64_t key)
{
    struct turn *turn, **at;

    if (turns->count == turns->capacity && !grow(turns))
        return NULL;
    turn = turns->free;
    if (turn != NULL)
        turns->free = turn->chain;
    else
        turn = malloc(sizeof *turn);
    if (turn == NULL)
        return NULL;
    at = &turns->buckets[key & (turns->capacity - 1)];
    *turn = (struct turn){.chain = *at, .key = key, .state = TURN_GIVEN};
    *at = turn;
    turns->count++;
    return turn;
}

static size_t drop_waiting(struct turn *turn)
{
    size_t count = 0;

    while (turn->head != NULL) {
        struct turn_record *record = turn->head;

        turn->head = record->next;
        turn_record_free(record);
        count++;
    }
    turn->tail = NULL;
    return count;
}

static void remove_turn(struct turns *turns, struct turn *turn)
{
    *find(turns, turn->key) = turn->chain;
    leave_list(turns, turn);
    turn->chain = turns->free;
    turns->free = turn;
    turns->count--;
}

void turns_clear(struct turns *turns)
{
    for (size_t i = 0; i < turns->capacity; i++) {
        while (turns->buckets[i] != NULL) {
            (void)drop_waiting(turns->buckets[i]);
            remove_turn(turns, turns->buckets[i]);
        }
    }
}

void turns_fini(struct turns *turns)
{
    turns_clear(turns);
    while (turns->free != NULL) {
        struct turn *turn = turns->free;

        turns->free = turn->chain;
        free(turn);
    }
    free(turns->buckets);
    *turns = (struct turns){0};
}

/* --- turns ------------------------------------------------------------------------------------------------------------------- */

static bool is_behind(struct turn_place place, struct turn_place other)
{
    return place.position != other.position ? place.position > other.position : place.index > other.index;
}

enum arrival turns_arrive(struct turns *turns, uint64_t key, struct turn_place place, uint64_t lease, uint64_t number,
                          struct turn **ret_turn, size_t *ret_dropped)
{
    struct turn *turn = turns->capacity > 0 ? *find(turns, key) : NULL;

    *ret_dropped = 0;
    if (turn == NULL) {
        turn = add(turns, key);
        if (turn == NULL)
            return ARRIVAL_NO_MEMORY;
    } else if (turn->state == TURN_REFUSED) {
        if (is_behind(place, turn->given) && (turn->serial != 0 || lease <= turn->doubt_lease))
            return ARRIVAL_RETURN;
    } else if (is_behind(place, turn->newest)) {
        turn->newest = place;
        *ret_turn = turn;
        return ARRIVAL_WAIT;
    } else {
        *ret_dropped = drop_waiting(turn);
    }
    change_state(turns, turn, TURN_GIVEN);
    turn->number = number;
    turn->given = turn->newest = place;
    return ARRIVAL_GIVE;
}

void turns_wait(struct turn *turn, struct turn_record *take_record)
{
    take_record->next = NULL;
    if (turn->tail != NULL)
        turn->tail->next = take_record;
    else
        turn->head = take_record;
    turn->tail = take_record;
}

/* The turn that the application has under this number; NULL: another record has taken it since. */
static struct turn *given(const struct turns *turns, uint64_t key, uint64_t number)
{
    struct turn *turn = turns->capacity > 0 ? *find(turns, key) : NULL;

    return turn != NULL && turn->state == TURN_GIVEN && turn->number == number ? turn : NULL;
}

bool turns_acknowledged(struct turns *turns, uint64_t key, uint64_t number)
{
    struct turn *turn = given(turns, key, number);

    if (turn == NULL)
        return false;
    if (turn->head == NULL) {
        remove_turn(turns, turn);
        return false;
    }
    change_state(turns, turn, TURN_READY);
    return true;
}

size_t turns_refused(struct turns *turns, uint64_t key, uint64_t number, uint64_t serial)
{
    struct turn *turn = given(turns, key, number);

    if (turn == NULL)
        return 0;
    turn->serial = serial;
    change_state(turns, turn, TURN_REFUSED);
    return drop_waiting(turn);
}

void turns_answered(struct turns *turns, uint64_t serial, uint64_t lease)
{
    for (struct turn *turn = turns->refused.head; turn != NULL; turn = turn->next) {
        if (turn->serial != serial)
            continue;
        turn->serial = 0;
        turn->doubt_lease = lease;
    }
}

void turns_consumed(struct turns *turns, uint64_t lease)
{
    /* Answers come in the order of refusals but for those that are asked again: behind such a one others wait, and cost an entry.
     */
    while (turns->refused.head != NULL && turns->refused.head->serial == 0 && turns->refused.head->doubt_lease <= lease)
        remove_turn(turns, turns->refused.head);
}

const struct turn_record *turns_first(const struct turns *turns)
{
    return turns->ready.head != NULL ? turns->ready.head->head : NULL;
}

struct turn_record *turns_take(struct turns *turns, uint64_t number, uint64_t *ret_key)
{
    struct turn *turn = turns->ready.head;
    struct turn_record *record = turn->head;

    turn->head = record->next;
    if (turn->head == NULL)
        turn->tail = NULL;
    turn->number = number;
    turn->given = (struct turn_place){record->message->position, record->message->index};
    change_state(turns, turn, TURN_GIVEN);
    *ret_key = turn->key;
    return record;
}
