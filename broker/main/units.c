#include "broker/main/units.h"

#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first, the preferred name of a factor before the others. */
static const struct unit sizes[] = {
    {"TiB", 1ull << 40}, {"TB", 1000000000000}, {"GiB", 1ull << 30}, {"GB", 1000000000}, {"MiB", 1 << 20}, {"MB", 1000000},
    {"KiB", 1 << 10},    {"kB", 1000},          {"KB", 1000},        {"B", 1},           {"", 1},
};
static const struct unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

static const char *digits(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return NULL;
        }
    }
    *ret_value = value;
    return at == text ? NULL : at;
}

static bool parse(const char *text, const struct unit *units, size_t unit_count, uint64_t *ret_value)
{
    uint64_t value;
    const char *name = digits(text, &value);
    if (name == NULL) {
        return false;
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(name, units[i].name) == 0) {
            return !__builtin_mul_overflow(value, units[i].factor, ret_value);
        }
    }
    return false;
}

bool units_parse_count(const char *text, uint64_t *ret_count)
{
    const char *end = digits(text, ret_count);
    return end != NULL && *end == '\0';
}

bool units_parse_size(const char *text, uint64_t *ret_bytes)
{
    return parse(text, sizes, sizeof sizes / sizeof sizes[0], ret_bytes);
}

bool units_parse_duration(const char *text, uint64_t *ret_ms)
{
    return parse(text, durations, sizeof durations / sizeof durations[0], ret_ms);
}

static void format(uint64_t value, const struct unit *units, size_t unit_count, char *text, size_t text_size)
{
    for (size_t i = 0; i < unit_count; i++) {
        if (value >= units[i].factor && value % units[i].factor == 0) {
            snprintf(text, text_size, "%llu%s", (unsigned long long)(value / units[i].factor), units[i].name);
            return;
        }
    }
    snprintf(text, text_size, "%llu%s", (unsigned long long)value, units[unit_count - 1].name);
}

void units_format_size(uint64_t bytes, char *text, size_t text_size)
{
    static const struct unit binary[] = {{"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};
    format(bytes, binary, sizeof binary / sizeof binary[0], text, text_size);
}

void units_format_duration(uint64_t ms, char *text, size_t text_size)
{
    format(ms, durations, sizeof durations / sizeof durations[0], text, text_size);
}
