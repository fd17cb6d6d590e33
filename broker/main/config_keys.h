/* config_keys.h: the table of config.def at run time, and the YAML schema made from it. Layer: main; of config*.c. */
#ifndef TRUC_MAIN_CONFIG_KEYS_H
#define TRUC_MAIN_CONFIG_KEYS_H

#include "broker/main/config.h"

enum config_kind { CONFIG_TEXT, CONFIG_COUNT, CONFIG_SIZE, CONFIG_DURATION };
enum config_section { CONFIG_IN_TOP, CONFIG_IN_LIMITS, CONFIG_IN_TOPICS };

struct config_key {
    enum config_section section;
    enum config_kind kind;
    const char *name, *default_text, *text;
    uint64_t least, most;
    size_t offset;     /* in struct config or struct config_topic */
    size_t raw_offset; /* of a char * in struct config_raw, its limits, or struct config_raw_topic */
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* The file as the schema loads it: every value a text, NULL where it is left out. */
struct config_raw_topic {
#define CONFIG_TOP(name, kind, default_text, least, most, text)
#define CONFIG_LIMIT(name, kind, default_text, least, most, text)
#define CONFIG_TOPIC(name, kind, default_text, least, most, text) char *name;
#include "broker/main/config.def"
#undef CONFIG_TOP
#undef CONFIG_LIMIT
#undef CONFIG_TOPIC
};
struct config_raw_limits {
#define CONFIG_TOP(name, kind, default_text, least, most, text)
#define CONFIG_LIMIT(name, kind, default_text, least, most, text) char *name;
#define CONFIG_TOPIC(name, kind, default_text, least, most, text)
#include "broker/main/config.def"
#undef CONFIG_TOP
#undef CONFIG_LIMIT
#undef CONFIG_TOPIC
};
struct config_raw {
#define CONFIG_TOP(name, kind, default_text, least, most, text) char *name;
#define CONFIG_LIMIT(name, kind, default_text, least, most, text)
#define CONFIG_TOPIC(name, kind, default_text, least, most, text)
#include "broker/main/config.def"
#undef CONFIG_TOP
#undef CONFIG_LIMIT
#undef CONFIG_TOPIC
    struct config_raw_limits limits;
    char **listen;
    unsigned listen_count;
    struct config_raw_topic *topics;
    unsigned topics_count;
};

/* config_yaml.c: NULL for an empty file; freed with config_raw_destroy. TRUC_BAD_CONFIG with why. */
truc_status config_raw_load(const char *file, const char *text, size_t size, struct config_raw **ret_raw,
                            char why[CONFIG_WHY_BYTES]);
void config_raw_destroy(struct config_raw *raw);

/* config_lines.c: where the keys of a YAML text stand. */
struct config_line {
    char path[96]; /* "domain", "limits.topics_max", "topics[2].pattern", "listen[0]" */
    unsigned line;
};
struct config_lines {
    struct config_line *lines;
    size_t count;
};
/* TRUC_BAD_CONFIG (not YAML; anchors, nesting or number of keys beyond what a configuration needs) with why; TRUC_NO_MEMORY. */
truc_status config_lines_load(const char *file, const char *text, size_t size, struct config_lines *ret_lines,
                              char why[CONFIG_WHY_BYTES]);
void config_lines_fini(struct config_lines *lines);
unsigned config_line_of(const struct config_lines *lines, const char *path); /* 0: not in the file */

#endif
