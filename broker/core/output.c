#include "output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/core_internal.h"

enum {
    EFFECTS_MIN = 1024,
    BUFFER_BYTES_MIN = 1024,
    BUFFER_BYTES_KEPT = 64 * 1024, /* a buffer that has grown beyond is given back after the step */
    BUFFERS_KEPT = 256,            /* buffers with memory that are kept from step to step */
    SLAB_CHUNK_BYTES = 64 * 1024,
    SLAB_KEPT_BYTES = 1024 * 1024,
    ALARM_BYTES_MAX = 512
};

bool output_init(struct output *output)
{
    *output = (struct output){0};
    slab_init(&output->slab, SLAB_CHUNK_BYTES, SLAB_KEPT_BYTES);
    return output_reserve(output, EFFECTS_MIN);
}

void output_fini(struct output *output)
{
    for (uint32_t i = 0; i < output->buffer_count; i++)
        free(output->buffers[i].data);
    free(output->buffers);
    free(output->effects);
    slab_fini(&output->slab);
}

void output_begin(struct output *output)
{
    for (uint32_t i = 0; i < output->buffer_used; i++) {
        struct output_buffer *buffer = &output->buffers[i];

        if (buffer->capacity > BUFFER_BYTES_KEPT || i >= BUFFERS_KEPT) {
            free(buffer->data);
            buffer->data = NULL;
            buffer->capacity = 0;
        }
        buffer->size = 0;
        buffer->connection = NULL;
    }
    output->buffer_used = 0;
    output->count = 0;
    slab_reset(&output->slab);
}

void output_end(struct output *output)
{
    for (uint32_t i = 0; i < output->buffer_used; i++) {
        if (output->buffers[i].connection)
            output_flush(output, output->buffers[i].connection);
    }
}

bool output_reserve(struct output *output, size_t more)
{
    size_t capacity = output->capacity ? output->capacity : EFFECTS_MIN;
    struct core_effect *effects;

    if (output->exhausted)
        return false;
    if (output->capacity - output->count >= more)
        return true;
    while (capacity - output->count < more)
        capacity *= 2;
    effects = realloc(output->effects, capacity * sizeof *effects);
    if (!effects)
        return false;
    output->effects = effects;
    output->capacity = capacity;
    return true;
}

struct core_effect *output_effect(struct output *output, enum core_effect_kind kind)
{
    struct core_effect *effect = &output->spare;

    if (output_reserve(output, 1))
        effect = &output->effects[output->count++];
    else
        output->exhausted = true;
    *effect = (struct core_effect){.kind = kind};
    return effect;
}

/* A free buffer for a connection; NULL when out of memory. */
static struct output_buffer *buffer_take(struct output *output, struct connection *connection)
{
    struct output_buffer *buffer;

    if (output->buffer_used == output->buffer_count) {
        uint32_t count = output->buffer_count ? output->buffer_count * 2 : 64;
        struct output_buffer *buffers = realloc(output->buffers, count * sizeof *buffers);

        if (!buffers)
            return NULL;
        memset(buffers + output->buffer_count, 0, (count - output->buffer_count) * sizeof *buffers);
        output->buffers = buffers;
        output->buffer_count = count;
    }
    buffer = &output->buffers[output->buffer_used++];
    buffer->connection = connection;
    connection->output = output->buffer_used;
    return buffer;
}

uint8_t *output_room(struct output *output, struct connection *connection, size_t size)
{
    struct output_buffer *buffer = connection->output ? &output->buffers[connection->output - 1] : buffer_take(output, connection);

    if (!buffer)
        return NULL;
    if (buffer->capacity - buffer->size < size) {
        size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_BYTES_MIN;
        uint8_t *data;

        while (capacity - buffer->size < size)
            capacity *= 2;
        data = realloc(buffer->data, capacity);
        if (!data)
            return NULL;
        buffer->data = data;
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

void output_written(struct output *output, struct connection *connection, size_t size)
{
    struct output_buffer *buffer = &output->buffers[connection->output - 1];

    CORE_INVARIANT(size <= buffer->capacity - buffer->size);
    buffer->size += size;
}

void output_flush(struct output *output, struct connection *connection)
{
    struct output_buffer *buffer;

    if (connection->output == 0)
        return;
    buffer = &output->buffers[connection->output - 1];
    connection->output = 0;
    buffer->connection = NULL;
    if (buffer->size > 0) {
        struct core_effect *effect = output_effect(output, EFFECT_SEND);

        effect->connection = connection->number;
        effect->bytes = bytes_of(buffer->data, buffer->size);
    }
}

void output_alarm(struct output *output, const char *format, ...)
{
    char *text = slab_take(&output->slab, ALARM_BYTES_MAX);
    va_list arguments;
    int size;

    if (!text)
        return; /* a line for the operator is worth less than going on */
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above; clang-tidy 14 loses sight of it */
    size = vsnprintf(text, ALARM_BYTES_MAX, format, arguments);
    va_end(arguments);
    if (size < 0)
        return;
    output_effect(output, EFFECT_ALARM)->bytes = bytes_of(text, size < ALARM_BYTES_MAX ? (size_t)size : ALARM_BYTES_MAX - 1);
}
