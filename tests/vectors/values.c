#include "tests/vectors/values.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void vectors_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    exit(1);
}

void blob_add(struct blob *blob, struct bytes more)
{
    if (more.size > sizeof blob->data - blob->size)
        vectors_fail("a vector is over %d bytes", (int)BLOB_BYTES_MAX);
    if (more.size != 0)
        memcpy(blob->data + blob->size, more.data, more.size);
    blob->size += more.size;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct bytes hex_of(const json_t *value)
{
    static uint8_t memory[4 * 1024 * 1024];
    static size_t used;
    const char *text = json_string_value(value);
    size_t size = text == NULL ? 0 : strlen(text) / 2;
    uint8_t *out = memory + used;

    if (text == NULL || strlen(text) % 2 != 0 || size > sizeof memory - used)
        vectors_fail("not hex, or too much of it");
    for (size_t i = 0; i < size; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            vectors_fail("not lower-case hex: %s", text);
        out[i] = (uint8_t)(high << 4 | low);
    }
    used += size;
    return bytes_of(out, size);
}

struct bytes get_hex(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value == NULL ? bytes_of(NULL, 0) : hex_of(value);
}

struct bytes get_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL)
        return bytes_of(NULL, 0);
    if (!json_is_string(value))
        vectors_fail("%s: not a string", key);
    return bytes_of(json_string_value(value), json_string_length(value));
}

uint64_t get_u64(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    char *end = NULL;
    if (value == NULL)
        return 0;
    if (json_is_integer(value))
        return (uint64_t)json_integer_value(value);
    if (!json_is_string(value))
        vectors_fail("%s: neither a number nor a string", key);
    uint64_t number = strtoull(json_string_value(value), &end, 10);
    if (*end != '\0')
        vectors_fail("%s: not a number", key);
    return number;
}

int64_t get_i64(const json_t *object, const char *key)
{
    return (int64_t)get_u64(object, key); /* strtoull negates modulo 2^64 */
}

void put(json_t *object, const char *key, json_t *value)
{
    if (value == NULL || json_object_set_new(object, key, value) != 0)
        vectors_fail("%s: cannot be written", key);
}

json_t *hex_value(struct bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * bytes.size + 1);
    if (text == NULL)
        vectors_fail("out of memory");
    for (size_t i = 0; i < bytes.size; i++) {
        text[2 * i] = digits[bytes.data[i] >> 4];
        text[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    json_t *value = json_stringn(text, 2 * bytes.size);
    free(text);
    return value;
}

void put_hex(json_t *object, const char *key, struct bytes value)
{
    if (value.size != 0)
        put(object, key, hex_value(value));
}

void put_text(json_t *object, const char *key, struct bytes value)
{
    if (value.size != 0)
        put(object, key, json_stringn((const char *)value.data, value.size));
}

void put_number(json_t *object, const char *key, uint64_t value)
{
    if (value != 0)
        put(object, key, json_integer((json_int_t)value));
}

void put_u64(json_t *object, const char *key, uint64_t value)
{
    char text[24];
    if (value == 0)
        return;
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    put(object, key, json_string(text));
}

void put_i64(json_t *object, const char *key, int64_t value)
{
    char text[24];
    if (value == 0)
        return;
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    put(object, key, json_string(text));
}
