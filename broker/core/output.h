/* output.h: the effects of a step and the bytes they borrow. Layer: core. One owner, one thread.
 *
 * Frames for a connection are gathered in one buffer, which becomes one EFFECT_SEND at the end of the step, or before, when
 * something must follow it in order (data, close). Buffers and the array of effects are reused from step to step.
 * When not even an effect can be recorded the output is exhausted: the core then stops for good (core.c), because an effect that
 * is lost could be an append that others build upon. */
#ifndef TRUC_CORE_OUTPUT_H
#define TRUC_CORE_OUTPUT_H

#include "broker/core/core.h"
#include "broker/core/slab.h"

struct connection;

struct output_buffer {
    uint8_t *data; /* owned */
    size_t size, capacity;
    struct connection *connection; /* whose it is in this step; NULL: sealed */
};

struct output {
    struct core_effect *effects; /* owned */
    size_t count, capacity;
    struct core_effect spare; /* where an effect goes that cannot be recorded */
    struct output_buffer *buffers;
    uint32_t buffer_count, buffer_used;
    struct slab slab; /* appends, deltas, alarms, heads of data: good until the next step */
    bool exhausted;
};

bool output_init(struct output *output);
void output_fini(struct output *output);

/* Forgets the last step. */
void output_begin(struct output *output);
/* Turns what is still gathered into effects. */
void output_end(struct output *output);

/* Makes sure that `more` effects can be recorded. */
bool output_reserve(struct output *output, size_t more);

/* Records an effect; its other fields are zero and to be filled in before the next call. */
struct core_effect *output_effect(struct output *output, enum core_effect_kind kind);

/* Room for at least size bytes of frames to a connection; NULL when out of memory. output_written says how many were used. */
uint8_t *output_room(struct output *output, struct connection *connection, size_t size);
void output_written(struct output *output, struct connection *connection, size_t size);

/* What is gathered for a connection becomes an effect now. */
void output_flush(struct output *output, struct connection *connection);

/* A line for the operator. */
void output_alarm(struct output *output, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
