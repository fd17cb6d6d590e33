/* config.h: the broker's configuration: a YAML file by schema, and what the command line says above it. Layer: main.
 *
 * config.def is the one table of keys. Unknown keys, wrong kinds and values out of bounds are errors that name file, line and
 * key. Owned by whoever loaded it; constant afterwards. */
#ifndef TRUC_MAIN_CONFIG_H
#define TRUC_MAIN_CONFIG_H

#include "broker/core/core.h"

enum { CONFIG_LISTEN_MAX = 16, CONFIG_TOPICS_MAX = 1024, CONFIG_WHY_BYTES = 512, CONFIG_FILE_BYTES_MAX = 1024 * 1024 };

#define CONFIG_TYPE_TEXT char *
#define CONFIG_TYPE_COUNT uint64_t
#define CONFIG_TYPE_SIZE uint64_t
#define CONFIG_TYPE_DURATION uint64_t /* milliseconds */

struct config_topic {
#define CONFIG_TOP(name, kind, default_text, least, most, text)
#define CONFIG_LIMIT(name, kind, default_text, least, most, text)
#define CONFIG_TOPIC(name, kind, default_text, least, most, text) CONFIG_TYPE_##kind name;
#include "broker/main/config.def"
#undef CONFIG_TOP
#undef CONFIG_LIMIT
#undef CONFIG_TOPIC
};

struct config {
#define CONFIG_TOP(name, kind, default_text, least, most, text) CONFIG_TYPE_##kind name;
#define CONFIG_LIMIT(name, kind, default_text, least, most, text) CONFIG_TYPE_##kind name;
#define CONFIG_TOPIC(name, kind, default_text, least, most, text)
#include "broker/main/config.def"
#undef CONFIG_TOP
#undef CONFIG_LIMIT
#undef CONFIG_TOPIC
    char **listen;
    size_t listen_count;
    struct config_topic *topics;
    struct core_family *families; /* the topics, as the core wants them; borrow their texts */
    size_t topic_count;
    bool domain_given; /* by the file: an existing log must have it */
};

#define CONFIG_LISTEN_DEFAULT "tcp://127.0.0.1:8782"
#define CONFIG_LISTEN_TEXT "addresses to serve: tcp://127.0.0.1:PORT (port 0: any) or ipc:///PATH"

/* The defaults. TRUC_NO_MEMORY. */
truc_status config_default(struct config **ret_config, char why[CONFIG_WHY_BYTES]);

/* The defaults and what a text in YAML says above them; `file` is its name in messages. TRUC_BAD_CONFIG, TRUC_NO_MEMORY. */
truc_status config_parse(const char *file, const char *text, size_t size, struct config **ret_config, char why[CONFIG_WHY_BYTES]);

/* Reads the file, then as above. TRUC_IO. */
truc_status config_load(const char *file, struct config **ret_config, char why[CONFIG_WHY_BYTES]);

void config_destroy(struct config *config); /* NULL is allowed */

/* What the command line says: replaces data; replaces listen (all of it). */
truc_status config_set_data(struct config *config, const char *data);
truc_status config_set_listen(struct config *config, const char *const *urls, size_t count);

/* The table, in Markdown: what `trucd --help-config` prints and docs/operations.md holds. Calls `line` for each. */
void config_describe(void (*line)(void *context, const char *text), void *context);

#endif
