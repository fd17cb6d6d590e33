/* The table of configuration keys as text. */
#include <stdio.h>

#include "broker/main/config_keys.h"
#include "broker/main/units.h"

static void bounds(const struct config_key *key, char *text, size_t size)
{
    char least[32], most[32];
    if (key->kind == CONFIG_TEXT) {
        snprintf(text, size, "%llu to %llu bytes", (unsigned long long)key->least, (unsigned long long)key->most);
        return;
    }
    if (key->kind == CONFIG_SIZE) {
        units_format_size(key->least, least, sizeof least);
        units_format_size(key->most, most, sizeof most);
    } else if (key->kind == CONFIG_DURATION) {
        units_format_duration(key->least, least, sizeof least);
        units_format_duration(key->most, most, sizeof most);
    } else {
        snprintf(least, sizeof least, "%llu", (unsigned long long)key->least);
        snprintf(most, sizeof most, "%llu", (unsigned long long)key->most);
    }
    snprintf(text, size, "%s to %s", least, most);
}

void config_describe(void (*line)(void *context, const char *text), void *context)
{
    static const char *const prefixes[] = {"", "limits.", "topics[]."};
    static const char *const kinds[] = {"text", "count", "size", "duration"};
    char text[768], range[80];
    line(context, "| key | kind | default | range | what it is |");
    line(context, "|---|---|---|---|---|");
    snprintf(text, sizeof text, "| `listen` | list of texts | `[%s]` | 1 to %d | %s |", CONFIG_LISTEN_DEFAULT, CONFIG_LISTEN_MAX,
             CONFIG_LISTEN_TEXT);
    line(context, text);
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        char given[64];
        bounds(key, range, sizeof range);
        snprintf(given, sizeof given, key->default_text[0] != '\0' ? "`%s`" : "%s", key->default_text);
        snprintf(text, sizeof text, "| `%s%s` | %s | %s | %s | %s |", prefixes[key->section], key->name, kinds[key->kind], given,
                 range, key->text);
        line(context, text);
    }
}
