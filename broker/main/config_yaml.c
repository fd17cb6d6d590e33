/* The schema of the file, made from config.def, and loading by it. */
#include <cyaml/cyaml.h>
#include <stdio.h>

#include "broker/main/config_keys.h"

#define TEXT_FIELD(structure, name)                                                                                                \
    CYAML_FIELD_STRING_PTR(#name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, name, 0, CYAML_UNLIMITED),

static const cyaml_schema_field_t topic_fields[] = {
#define CONFIG_TOP(name, kind, default_text, least, most, text)
#define CONFIG_LIMIT(name, kind, default_text, least, most, text)
#define CONFIG_TOPIC(name, kind, default_text, least, most, text) TEXT_FIELD(struct config_raw_topic, name)
#include "broker/main/config.def"
#undef CONFIG_TOP
#undef CONFIG_LIMIT
#undef CONFIG_TOPIC
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t limit_fields[] = {
#define CONFIG_TOP(name, kind, default_text, least, most, text)
#define CONFIG_LIMIT(name, kind, default_text, least, most, text) TEXT_FIELD(struct config_raw_limits, name)
#define CONFIG_TOPIC(name, kind, default_text, least, most, text)
#include "broker/main/config.def"
#undef CONFIG_TOP
#undef CONFIG_LIMIT
#undef CONFIG_TOPIC
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t topic_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_topic, topic_fields)};
static const cyaml_schema_value_t listen_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, CYAML_UNLIMITED)};
static const cyaml_schema_field_t top_fields[] = {
#define CONFIG_TOP(name, kind, default_text, least, most, text) TEXT_FIELD(struct config_raw, name)
#define CONFIG_LIMIT(name, kind, default_text, least, most, text)
#define CONFIG_TOPIC(name, kind, default_text, least, most, text)
#include "broker/main/config.def"
#undef CONFIG_TOP
#undef CONFIG_LIMIT
#undef CONFIG_TOPIC
    CYAML_FIELD_MAPPING("limits", CYAML_FLAG_OPTIONAL, struct config_raw, limits, limit_fields),
    CYAML_FIELD_SEQUENCE("listen", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_raw, listen, &listen_schema, 1,
                         CONFIG_LISTEN_MAX),
    CYAML_FIELD_SEQUENCE("topics", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_raw, topics, &topic_schema, 0,
                         CONFIG_TOPICS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t top_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_raw, top_fields)};

/* What libcyaml logs: first the fault, then lines of "in ... (line: N, column: M)", innermost first. */
struct capture {
    char fault[200];
    unsigned line;
};

static void capture_log(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct capture *capture = context;
    char text[256];
    (void)level;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    const char *said = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
    const char *line = strstr(said, "(line: ");
    if (line != NULL) {
        unsigned number;
        if (capture->line == 0 && sscanf(line, "(line: %u", &number) == 1) {
            capture->line = number;
        }
    } else if (capture->fault[0] == '\0' && strncmp(said, "Backtrace", 9) != 0) {
        snprintf(capture->fault, sizeof capture->fault, "%.190s", said);
    }
}

static cyaml_config_t cyaml_configuration(struct capture *capture)
{
    return (cyaml_config_t){.log_fn = capture_log, .log_ctx = capture, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_WARNING};
}

truc_status config_raw_load(const char *file, const char *text, size_t size, struct config_raw **ret_raw,
                            char why[CONFIG_WHY_BYTES])
{
    struct capture capture = {0};
    cyaml_config_t configuration = cyaml_configuration(&capture);
    cyaml_data_t *data = NULL;
    cyaml_err_t error = cyaml_load_data((const uint8_t *)text, size, &configuration, &top_schema, &data, NULL);
    if (error == CYAML_ERR_OOM) {
        snprintf(why, CONFIG_WHY_BYTES, "no memory for the configuration");
        return TRUC_NO_MEMORY;
    }
    if (error != CYAML_OK) {
        snprintf(why, CONFIG_WHY_BYTES, "%s:%u: %s", file, capture.line == 0 ? 1 : capture.line,
                 capture.fault[0] != '\0' ? capture.fault : cyaml_strerror(error));
        return TRUC_BAD_CONFIG;
    }
    *ret_raw = (struct config_raw *)data;
    return TRUC_OK;
}

void config_raw_destroy(struct config_raw *raw)
{
    struct capture capture = {0};
    cyaml_config_t configuration = cyaml_configuration(&capture);
    if (raw != NULL) {
        (void)cyaml_free(&configuration, &top_schema, raw, 0);
    }
}
