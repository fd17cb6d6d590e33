#include "clients/cli/output.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void out_init(struct out *out, int descriptor)
{
    *out = (struct out){.descriptor = descriptor, .status = TRUC_OK};
}

void out_fini(struct out *out)
{
    free(out->data);
    out->data = NULL;
    out->size = out->capacity = 0;
}

char *out_room(struct out *out, size_t size)
{
    if (out->status != TRUC_OK) {
        return NULL;
    }
    if (out->capacity - out->size >= size) {
        return out->data + out->size;
    }
    size_t capacity = out->capacity == 0 ? 64 * 1024 : out->capacity * 2;
    if (capacity < out->size + size) {
        capacity = out->size + size;
    }
    char *data = realloc(out->data, capacity);
    if (data == NULL) {
        out->status = TRUC_NO_MEMORY;
        return NULL;
    }
    out->data = data;
    out->capacity = capacity;
    return data + out->size;
}

void out_bytes(struct out *out, const void *data, size_t size)
{
    char *room = size > 0 ? out_room(out, size) : NULL;
    if (room != NULL) {
        memcpy(room, data, size);
        out->size += size;
    }
}

void out_text(struct out *out, const char *text)
{
    out_bytes(out, text, strlen(text));
}

void out_u64(struct out *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    out_bytes(out, digits + at, sizeof digits - at);
}

void out_i64(struct out *out, int64_t value)
{
    if (value < 0) {
        out_bytes(out, "-", 1);
    }
    out_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void out_hex(struct out *out, struct bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *room = out_room(out, bytes.size * 2);
    if (room == NULL) {
        return;
    }
    for (size_t i = 0; i < bytes.size; i++) {
        room[2 * i] = digits[bytes.data[i] >> 4];
        room[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    out->size += bytes.size * 2;
}

void out_base64(struct out *out, struct bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = (bytes.size + 2) / 3 * 4, i = 0;
    char *p = out_room(out, size);
    if (p == NULL) {
        return;
    }
    for (; i + 3 <= bytes.size; i += 3) {
        uint32_t group = (uint32_t)bytes.data[i] << 16 | (uint32_t)bytes.data[i + 1] << 8 | bytes.data[i + 2];
        *p++ = digits[group >> 18];
        *p++ = digits[group >> 12 & 63];
        *p++ = digits[group >> 6 & 63];
        *p++ = digits[group & 63];
    }
    if (i < bytes.size) {
        bool two = i + 2 == bytes.size;
        uint32_t group = (uint32_t)bytes.data[i] << 16 | (two ? (uint32_t)bytes.data[i + 1] << 8 : 0);
        *p++ = digits[group >> 18];
        *p++ = digits[group >> 12 & 63];
        *p++ = two ? digits[group >> 6 & 63] : '=';
        *p++ = '=';
    }
    out->size += size;
}

void out_format(struct out *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *room = size < 0 ? NULL : out_room(out, (size_t)size + 1);
    if (room != NULL) {
        va_start(arguments, format);
        vsnprintf(room, (size_t)size + 1, format, arguments);
        va_end(arguments);
        out->size += (size_t)size;
    }
}

/* --- JSON ----------------------------------------------------------------------------------------------------------------- */

static bool needs_escape(uint8_t c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

static char *put_escape(char *p, uint8_t c)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char shorts[] = "\bb\tt\nn\ff\rr\"\"\\\\"; /* pairs: character, its letter */
    *p++ = '\\';
    for (size_t i = 0; i + 1 < sizeof shorts; i += 2) {
        if ((uint8_t)shorts[i] == c) {
            *p++ = shorts[i + 1];
            return p;
        }
    }
    memcpy(p, "u00", 3);
    p[3] = hex[c >> 4];
    p[4] = hex[c & 15];
    return p + 5;
}

void out_json_string(struct out *out, struct bytes text)
{
    char *p = out_room(out, text.size * 6 + 2); /* the worst case, so that the loop needs no checks */
    if (p == NULL) {
        return;
    }
    char *begin = p;
    *p++ = '"';
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (needs_escape(text.data[i])) {
            memcpy(p, text.data + from, i - from);
            p = put_escape(p + (i - from), text.data[i]);
            from = i + 1;
        }
    }
    if (text.size > from) {
        memcpy(p, text.data + from, text.size - from);
        p += text.size - from;
    }
    *p++ = '"';
    out->size += (size_t)(p - begin);
}

void out_json_line(struct out *out, json_t *take_value)
{
    if (take_value == NULL) {
        if (out->status == TRUC_OK) {
            out->status = TRUC_NO_MEMORY;
        }
        return;
    }
    size_t size = json_dumpb(take_value, NULL, 0, JSON_COMPACT);
    char *room = size == 0 ? NULL : out_room(out, size + 1);
    if (room != NULL) {
        json_dumpb(take_value, room, size, JSON_COMPACT);
        room[size] = '\n';
        out->size += size + 1;
    } else if (out->status == TRUC_OK) {
        out->status = TRUC_NO_MEMORY;
    }
    json_decref(take_value);
}

/* --- the descriptor ------------------------------------------------------------------------------------------------------- */

truc_status out_flush(struct out *out)
{
    size_t done = 0;
    if (out->descriptor < 0) {
        return out->status;
    }
    while (out->status == TRUC_OK && done < out->size) {
        ssize_t written = write(out->descriptor, out->data + done, out->size - done);
        if (written >= 0) {
            done += (size_t)written;
        } else if (errno != EINTR) {
            out->error = errno;
            out->status = errno == EPIPE ? TRUC_CANCELLED : TRUC_IO;
        }
    }
    out->size = 0;
    return out->status;
}

bool out_reader_gone(const struct out *out)
{
    struct pollfd descriptor = {.fd = out->descriptor};
    return poll(&descriptor, 1, 0) == 1 && (descriptor.revents & (POLLERR | POLLHUP)) != 0;
}
