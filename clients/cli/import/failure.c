#include "clients/cli/import/failure.h"

#include <stdarg.h>
#include <stdio.h>

#include "proto/utf8.h"

truc_status failure_set(struct failure *failure, truc_status status, const char *format, ...)
{
    failure->status = status;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(failure->why, sizeof failure->why, format, arguments);
    va_end(arguments);
    return status;
}

/* Bytes of the UTF-8 sequence that begins at value.data[at], or 0 when it is broken there. */
static size_t sequence_size(struct bytes value, size_t at)
{
    uint8_t first = value.data[at];
    size_t size = first < 0x80 ? 1 : (first & 0xe0) == 0xc0 ? 2 : (first & 0xf0) == 0xe0 ? 3 : (first & 0xf8) == 0xf0 ? 4 : 0;
    if (size == 0 || size > value.size - at || !utf8_valid(bytes_of(value.data + at, size))) {
        return 0;
    }
    return size;
}

struct quoted quote(struct bytes value)
{
    struct quoted quoted;
    const size_t room = sizeof quoted.text - sizeof "'...'"; /* what the value itself may take */
    size_t out = 0, at = 0;
    quoted.text[out++] = '\'';
    while (at < value.size) {
        size_t size = sequence_size(value, at);
        if (out + (size == 0 ? 1 : size) > room) {
            memcpy(quoted.text + out, "...", 3);
            out += 3;
            break;
        }
        if (size == 0 || value.data[at] < 0x20 || value.data[at] == 0x7f) {
            quoted.text[out++] = '?';
            at += 1;
        } else {
            memcpy(quoted.text + out, value.data + at, size);
            out += size;
            at += size;
        }
    }
    quoted.text[out++] = '\'';
    quoted.text[out] = '\0';
    return quoted;
}
