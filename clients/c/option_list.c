#include "clients/c/option_list.h"

#include <stdlib.h>

bool backoffs_next(const char **text, uint32_t *ret_ms)
{
    const char *at = *text;
    uint64_t ms = 0;

    if (*at < '0' || *at > '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        ms = ms * 10 + (uint64_t)(*at - '0');
        if (ms > DELAY_MS_MAX)
            return false;
    }
    if (*at == ',' && at[1] != '\0')
        at++;
    *ret_ms = (uint32_t)ms;
    *text = at;
    return true;
}

bool backoffs_check(const char *text, const char **ret_why)
{
    size_t count = 0;
    uint32_t ms;

    *ret_why = "up to 8 numbers of milliseconds, of at most 7 days, parted by commas, are expected";
    while (backoffs_next(&text, &ms))
        count++;
    return *text == '\0' && count >= 1 && count <= SUBSCRIPTION_BACKOFFS_MAX;
}

bool headers_next(const char **text, struct bytes *ret_name, struct bytes *ret_value)
{
    const char *at = *text, *end = strchr(at, ';'), *equals;

    if (end == NULL)
        end = at + strlen(at);
    equals = memchr(at, '=', (size_t)(end - at));
    if (equals == NULL || equals == at)
        return false;
    *ret_name = bytes_of(at, (size_t)(equals - at));
    *ret_value = bytes_of(equals + 1, (size_t)(end - equals - 1));
    *text = *end == ';' && end[1] != '\0' ? end + 1 : end;
    return true;
}

bool headers_check(const char *text, const char **ret_why)
{
    struct bytes name, value;
    size_t count = 0, size = 0;

    *ret_why = "NAME=VALUE, more of them behind semicolons, 512 bytes together, is expected";
    while (headers_next(&text, &name, &value)) {
        count++;
        size += name.size + value.size + 2; /* as the broker keeps them: each ends with a zero byte */
    }
    return *text == '\0' && count >= 1 && count <= HEADERS_MAX && size <= SUBSCRIPTION_HEADERS_BYTES_MAX;
}
