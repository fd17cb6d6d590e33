#include "broker/main/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/main/config_keys.h"
#include "broker/main/units.h"
#include "proto/topic.h"

const struct config_key config_keys[] = {
#define CONFIG_TOP(name, kind, default_text, least, most, text)                                                                    \
    {CONFIG_IN_TOP,                                                                                                                \
     CONFIG_##kind,                                                                                                                \
     #name,                                                                                                                        \
     default_text,                                                                                                                 \
     text,                                                                                                                         \
     least,                                                                                                                        \
     most,                                                                                                                         \
     offsetof(struct config, name),                                                                                                \
     offsetof(struct config_raw, name)},
#define CONFIG_LIMIT(name, kind, default_text, least, most, text)                                                                  \
    {CONFIG_IN_LIMITS,                                                                                                             \
     CONFIG_##kind,                                                                                                                \
     #name,                                                                                                                        \
     default_text,                                                                                                                 \
     text,                                                                                                                         \
     least,                                                                                                                        \
     most,                                                                                                                         \
     offsetof(struct config, name),                                                                                                \
     offsetof(struct config_raw_limits, name)},
#define CONFIG_TOPIC(name, kind, default_text, least, most, text)                                                                  \
    {CONFIG_IN_TOPICS,                                                                                                             \
     CONFIG_##kind,                                                                                                                \
     #name,                                                                                                                        \
     default_text,                                                                                                                 \
     text,                                                                                                                         \
     least,                                                                                                                        \
     most,                                                                                                                         \
     offsetof(struct config_topic, name),                                                                                          \
     offsetof(struct config_raw_topic, name)},
#include "broker/main/config.def"
#undef CONFIG_TOP
#undef CONFIG_LIMIT
#undef CONFIG_TOPIC
};
const size_t config_key_count = sizeof config_keys / sizeof config_keys[0];

struct load {
    const char *file;
    struct config_lines lines;
    char *why;
};

static truc_status no_memory(char *why)
{
    snprintf(why, CONFIG_WHY_BYTES, "no memory for the configuration");
    return TRUC_NO_MEMORY;
}

static void bounds_text(const struct config_key *key, char *text, size_t size)
{
    char least[32], most[32];
    switch (key->kind) {
    case CONFIG_TEXT:
        snprintf(text, size, "a text of %llu to %llu bytes", (unsigned long long)key->least, (unsigned long long)key->most);
        return;
    case CONFIG_SIZE:
        units_format_size(key->least, least, sizeof least);
        units_format_size(key->most, most, sizeof most);
        break;
    case CONFIG_DURATION:
        units_format_duration(key->least, least, sizeof least);
        units_format_duration(key->most, most, sizeof most);
        break;
    case CONFIG_COUNT:
        snprintf(least, sizeof least, "%llu", (unsigned long long)key->least);
        snprintf(most, sizeof most, "%llu", (unsigned long long)key->most);
        break;
    }
    snprintf(text, size, "%s to %s", least, most);
}

/* Converts a value and sets it. False: not of that kind, or out of bounds. */
static bool set_value(const struct config_key *key, void *structure, const char *text, truc_status *ret_status)
{
    void *at = (char *)structure + key->offset;
    uint64_t number = strlen(text);
    bool parsed = true;
    if (key->kind == CONFIG_COUNT) {
        parsed = units_parse_count(text, &number);
    } else if (key->kind == CONFIG_SIZE) {
        parsed = units_parse_size(text, &number);
    } else if (key->kind == CONFIG_DURATION) {
        parsed = units_parse_duration(text, &number);
    }
    if (!parsed || number < key->least || number > key->most) {
        return false;
    }
    if (key->kind == CONFIG_TEXT) {
        char *copy = strdup(text), *old;
        if (copy == NULL) {
            *ret_status = TRUC_NO_MEMORY;
            return true;
        }
        memcpy(&old, at, sizeof old);
        free(old);
        memcpy(at, &copy, sizeof copy);
    } else {
        memcpy(at, &number, sizeof number);
    }
    return true;
}

static truc_status bad_value(const struct load *load, const char *path, const char *value, const char *must)
{
    snprintf(load->why, CONFIG_WHY_BYTES, "%s:%u: %s: `%.100s` must be %s", load->file, config_line_of(&load->lines, path), path,
             value, must);
    return TRUC_BAD_CONFIG;
}

static truc_status set_section(const struct load *load, enum config_section section, const void *raw, const char *prefix,
                               void *structure)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        char *text, path[128], must[96];
        truc_status status = TRUC_OK;
        if (key->section != section) {
            continue;
        }
        memcpy(&text, (const char *)raw + key->raw_offset, sizeof text);
        if (text == NULL) {
            continue;
        }
        if (!set_value(key, structure, text, &status)) {
            snprintf(path, sizeof path, "%s%s", prefix, key->name);
            bounds_text(key, must, sizeof must);
            return bad_value(load, path, text, must);
        }
        if (status != TRUC_OK) {
            return no_memory(load->why);
        }
    }
    return TRUC_OK;
}

static truc_status set_defaults(enum config_section section, void *structure, char *why)
{
    for (size_t i = 0; i < config_key_count; i++) {
        truc_status status = TRUC_OK;
        const char *text = config_keys[i].default_text;
        struct config_key key = config_keys[i];
        if (key.section == section) {
            key.least = 0; /* a key that must be given has the empty default */
            if (!set_value(&key, structure, text, &status) || status != TRUC_OK) {
                return no_memory(why);
            }
        }
    }
    return TRUC_OK;
}

truc_status config_set_data(struct config *config, const char *data)
{
    char *copy = strdup(data);
    if (copy == NULL) {
        return TRUC_NO_MEMORY;
    }
    free(config->data);
    config->data = copy;
    return TRUC_OK;
}

truc_status config_set_listen(struct config *config, const char *const *urls, size_t count)
{
    char **listen = calloc(count, sizeof *listen);
    bool complete = listen != NULL;
    for (size_t i = 0; i < count && complete; i++) {
        complete = (listen[i] = strdup(urls[i])) != NULL;
    }
    if (!complete) {
        for (size_t i = 0; listen != NULL && i < count; i++) {
            free(listen[i]);
        }
        free(listen);
        return TRUC_NO_MEMORY;
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        free(config->listen[i]);
    }
    free(config->listen);
    config->listen = listen;
    config->listen_count = count;
    return TRUC_OK;
}

truc_status config_default(struct config **ret_config, char why[CONFIG_WHY_BYTES])
{
    const char *listen = CONFIG_LISTEN_DEFAULT;
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return no_memory(why);
    }
    truc_status status = set_defaults(CONFIG_IN_TOP, config, why);
    if (status == TRUC_OK) {
        status = set_defaults(CONFIG_IN_LIMITS, config, why);
    }
    if (status == TRUC_OK && config_set_listen(config, &listen, 1) != TRUC_OK) {
        status = no_memory(why);
    }
    if (status != TRUC_OK) {
        config_destroy(config);
        return status;
    }
    *ret_config = config;
    return TRUC_OK;
}

void config_destroy(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->topic_count; i++) {
        free(config->topics[i].pattern);
        free(config->topics[i].evidence);
        free(config->topics[i].codec);
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        free(config->listen[i]);
    }
    free(config->listen);
    free(config->topics);
    free(config->families);
    free(config->domain);
    free(config->data);
    free(config->engine);
    free(config);
}

/* An item of topics as the core's family. */
static truc_status set_family(const struct load *load, size_t index, const struct config_topic *topic, struct core_family *family)
{
    char path[64];
    const char *why = "";
    enum codec codec;
    *family = (struct core_family){.codec = -1, .record_bytes_max = (uint32_t)topic->record_bytes_max};
    family->pattern = bytes_of_text(topic->pattern);
    snprintf(path, sizeof path, "topics[%zu].pattern", index);
    if (topic->pattern[0] == '\0') {
        snprintf(path, sizeof path, "topics[%zu]", index);
        return bad_value(load, path, "", "an item with a pattern");
    }
    if (pattern_check(family->pattern, &why) != TRUC_OK) {
        char must[160];
        snprintf(must, sizeof must, "a topic or pattern (%.100s)", why);
        return bad_value(load, path, topic->pattern, must);
    }
    if (strcmp(topic->evidence, "record") == 0) {
        family->evidence = EVIDENCE_RECORD;
    } else if (strcmp(topic->evidence, "batch") == 0) {
        family->evidence = EVIDENCE_BATCH;
    } else if (topic->evidence[0] != '\0') {
        snprintf(path, sizeof path, "topics[%zu].evidence", index);
        return bad_value(load, path, topic->evidence, "record or batch");
    }
    if (topic->codec[0] != '\0') {
        if (!codec_find(topic->codec, &codec)) {
            snprintf(path, sizeof path, "topics[%zu].codec", index);
            return bad_value(load, path, topic->codec, "none, lz4 or zstd");
        }
        family->codec = (int)codec;
    }
    return TRUC_OK;
}

static truc_status set_topics(const struct load *load, const struct config_raw *raw, struct config *config)
{
    size_t count = raw->topics_count;
    config->topics = calloc(count == 0 ? 1 : count, sizeof *config->topics);
    config->families = calloc(count == 0 ? 1 : count, sizeof *config->families);
    if (config->topics == NULL || config->families == NULL) {
        return no_memory(load->why);
    }
    for (size_t i = 0; i < count; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "topics[%zu].", i);
        config->topic_count++;
        truc_status status = set_defaults(CONFIG_IN_TOPICS, &config->topics[i], load->why);
        if (status == TRUC_OK) {
            status = set_section(load, CONFIG_IN_TOPICS, &raw->topics[i], prefix, &config->topics[i]);
        }
        if (status == TRUC_OK) {
            status = set_family(load, i, &config->topics[i], &config->families[i]);
        }
        if (status != TRUC_OK) {
            return status;
        }
    }
    return TRUC_OK;
}

static truc_status set_all(const struct load *load, const struct config_raw *raw, struct config *config)
{
    truc_status status = set_section(load, CONFIG_IN_TOP, raw, "", config);
    if (status == TRUC_OK) {
        status = set_section(load, CONFIG_IN_LIMITS, &raw->limits, "limits.", config);
    }
    if (status == TRUC_OK && strcmp(config->engine, "lmdb") != 0 && strcmp(config->engine, "memory") != 0) {
        status = bad_value(load, "engine", config->engine, "lmdb or memory");
    }
    if (status == TRUC_OK && raw->listen_count > 0 &&
        config_set_listen(config, (const char *const *)raw->listen, raw->listen_count) != TRUC_OK) {
        status = no_memory(load->why);
    }
    config->domain_given = raw->domain != NULL;
    return status == TRUC_OK ? set_topics(load, raw, config) : status;
}

/* Every key of the file must be one of the table's: found here for the sake of its line. */
static truc_status check_keys(const struct load *load)
{
    for (size_t i = 0; i < load->lines.count; i++) {
        const char *path = load->lines.lines[i].path;
        const char *name = strrchr(path, '.') != NULL ? strrchr(path, '.') + 1 : path;
        enum config_section section = strncmp(path, "limits.", 7) == 0   ? CONFIG_IN_LIMITS
                                      : strncmp(path, "topics[", 7) == 0 ? CONFIG_IN_TOPICS
                                                                         : CONFIG_IN_TOP;
        bool known = path[strlen(path) - 1] == ']' || strcmp(path, "limits") == 0 || strcmp(path, "listen") == 0 ||
                     strcmp(path, "topics") == 0;
        for (size_t k = 0; k < config_key_count && !known; k++) {
            known = config_keys[k].section == section && strcmp(config_keys[k].name, name) == 0;
        }
        if (!known) {
            snprintf(load->why, CONFIG_WHY_BYTES, "%s:%u: there is no key `%s`; `trucd --help-config` lists the keys", load->file,
                     load->lines.lines[i].line, path);
            return TRUC_BAD_CONFIG;
        }
    }
    return TRUC_OK;
}

truc_status config_parse(const char *file, const char *text, size_t size, struct config **ret_config, char why[CONFIG_WHY_BYTES])
{
    struct load load = {.file = file, .why = why};
    struct config_raw *raw = NULL;
    struct config *config = NULL;
    truc_status status = config_lines_load(file, text, size, &load.lines, why);
    if (status == TRUC_OK) {
        status = check_keys(&load);
    }
    if (status == TRUC_OK) {
        status = config_raw_load(file, text, size, &raw, why);
    }
    if (status == TRUC_OK) {
        status = config_default(&config, why);
    }
    if (status == TRUC_OK && raw != NULL) { /* NULL: an empty file */
        status = set_all(&load, raw, config);
    }
    if (status == TRUC_OK) {
        *ret_config = config;
        config = NULL;
    }
    config_destroy(config);
    config_raw_destroy(raw);
    config_lines_fini(&load.lines);
    return status;
}

truc_status config_load(const char *file, struct config **ret_config, char why[CONFIG_WHY_BYTES])
{
    char *text = NULL;
    size_t size = 0;
    truc_status status = TRUC_IO;
    FILE *stream = fopen(file, "rb");
    if (stream == NULL) {
        snprintf(why, CONFIG_WHY_BYTES, "%.300s: %s", file, strerror(errno));
        return TRUC_IO;
    }
    text = malloc(CONFIG_FILE_BYTES_MAX + 1);
    if (text == NULL) {
        status = no_memory(why);
        goto done;
    }
    size = fread(text, 1, CONFIG_FILE_BYTES_MAX + 1, stream);
    if (ferror(stream)) {
        snprintf(why, CONFIG_WHY_BYTES, "%.300s: %s", file, strerror(errno));
    } else if (size > CONFIG_FILE_BYTES_MAX) {
        snprintf(why, CONFIG_WHY_BYTES, "%.300s: larger than a configuration is (1 MiB)", file);
        status = TRUC_BAD_CONFIG;
    } else {
        status = config_parse(file, text, size, ret_config, why);
    }
done:
    free(text);
    fclose(stream);
    return status;
}
