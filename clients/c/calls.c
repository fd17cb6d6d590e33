#include "clients/c/calls.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

void calls_fini(struct calls *calls)
{
    for (size_t i = 0; i < calls->capacity; i++) {
        while (calls->buckets[i] != NULL) {
            struct call *call = calls->buckets[i];

            calls->buckets[i] = call->next;
            free(call);
        }
    }
    free(calls->buckets);
    free(calls->heap);
    *calls = (struct calls){0};
}

/* --- the table: serials are consecutive, so their low bits spread them -----------------------------------------------------------
 */

static struct call **bucket_of(const struct calls *calls, uint64_t serial)
{
    return &calls->buckets[serial & (calls->capacity - 1)];
}

static bool grow(struct calls *calls)
{
    size_t capacity = calls->capacity == 0 ? FIRST_CAPACITY : calls->capacity * 2;
    struct call **buckets = calloc(capacity, sizeof(struct call *));
    struct call **heap = realloc(calls->heap, capacity * sizeof(struct call *));

    if (heap != NULL)
        calls->heap = heap;
    if (buckets == NULL || heap == NULL) {
        free(buckets);
        return false;
    }
    for (size_t i = 0; i < calls->capacity; i++) {
        while (calls->buckets[i] != NULL) {
            struct call *call = calls->buckets[i];

            calls->buckets[i] = call->next;
            call->next = buckets[call->serial & (capacity - 1)];
            buckets[call->serial & (capacity - 1)] = call;
        }
    }
    free(calls->buckets);
    calls->buckets = buckets;
    calls->capacity = capacity;
    return true;
}

struct call *calls_add(struct calls *calls, truc_reply_callback *on_reply, void *opaque, int64_t deadline_ns)
{
    struct call *call;

    if (calls->count == calls->capacity && !grow(calls))
        return NULL;
    call = malloc(sizeof *call);
    if (call == NULL)
        return NULL;
    *call = (struct call){
        .serial = ++calls->last_serial, .deadline_ns = deadline_ns, .on_reply = on_reply, .opaque = opaque, .place = CALL_UNARMED};
    call->next = *bucket_of(calls, call->serial);
    *bucket_of(calls, call->serial) = call;
    calls->count++;
    return call;
}

struct call *calls_find(const struct calls *calls, uint64_t serial)
{
    struct call *call = calls->capacity == 0 ? NULL : *bucket_of(calls, serial);

    while (call != NULL && call->serial != serial)
        call = call->next;
    return call;
}

/* --- the heap ---------------------------------------------------------------------------------------------------------------- */

static void put(struct calls *calls, size_t place, struct call *call)
{
    calls->heap[place] = call;
    call->place = place;
}

/* Puts a call at a place, or above it as far as it is earlier than what is there. */
static void rise(struct calls *calls, size_t place, struct call *call)
{
    while (place > 0 && call->deadline_ns < calls->heap[(place - 1) / 2]->deadline_ns) {
        put(calls, place, calls->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(calls, place, call);
}

/* Puts a call at a place, or below it as far as it is later than what is there. */
static void sink(struct calls *calls, size_t place, struct call *call)
{
    for (;;) {
        size_t child = 2 * place + 1;

        if (child + 1 < calls->armed && calls->heap[child + 1]->deadline_ns < calls->heap[child]->deadline_ns)
            child++;
        if (child >= calls->armed || calls->heap[child]->deadline_ns >= call->deadline_ns)
            break;
        put(calls, place, calls->heap[child]);
        place = child;
    }
    put(calls, place, call);
}

void calls_arm(struct calls *calls, struct call *call)
{
    assert(call->place == CALL_UNARMED && calls->armed < calls->capacity);
    rise(calls, calls->armed++, call);
}

int64_t calls_next_deadline(const struct calls *calls)
{
    return calls->armed == 0 ? INT64_MAX : calls->heap[0]->deadline_ns;
}

static void disarm(struct calls *calls, struct call *call)
{
    size_t place = call->place;
    struct call *last = calls->heap[--calls->armed];

    call->place = CALL_UNARMED;
    if (last == call)
        return;
    if (place > 0 && last->deadline_ns < calls->heap[(place - 1) / 2]->deadline_ns)
        rise(calls, place, last);
    else
        sink(calls, place, last);
}

void calls_take(struct calls *calls, struct call *call)
{
    struct call **at = bucket_of(calls, call->serial);

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    calls->count--;
    if (call->place != CALL_UNARMED)
        disarm(calls, call);
}

struct call *calls_take_due(struct calls *calls, int64_t now_ns)
{
    struct call *call = calls->armed > 0 && calls->heap[0]->deadline_ns <= now_ns ? calls->heap[0] : NULL;

    if (call != NULL)
        calls_take(calls, call);
    return call;
}
