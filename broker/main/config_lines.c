/* Where the keys stand. libcyaml checks a file against the schema, but names the line of the value before an unknown key and none
 * at all for a value out of bounds; so the events of libyaml are walked once for the lines, and unknown keys found here. */
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "broker/main/config_keys.h"

enum { DEPTH_MAX = 4, LINES_MAX = 16384 };

struct level {
    bool mapping, key_next;
    unsigned index;
    size_t path_size; /* of the path up to here, without this level's own part */
};

struct walk {
    const char *file;
    struct config_lines lines;
    char path[sizeof((struct config_line *)0)->path];
    size_t path_size;
    struct level levels[DEPTH_MAX];
    unsigned depth;
    char *why;
};

static truc_status bad(struct walk *walk, unsigned line, const char *what)
{
    snprintf(walk->why, CONFIG_WHY_BYTES, "%s:%u: %s", walk->file, line, what);
    return TRUC_BAD_CONFIG;
}

static truc_status note(struct walk *walk, unsigned line)
{
    struct config_lines *lines = &walk->lines;
    if (lines->count >= LINES_MAX) {
        return bad(walk, line, "more keys than a configuration has");
    }
    if ((lines->count & (lines->count - 1)) == 0) {
        size_t capacity = lines->count == 0 ? 16 : lines->count * 2;
        struct config_line *grown = capacity > lines->count ? realloc(lines->lines, capacity * sizeof *grown) : NULL;
        if (grown == NULL) {
            snprintf(walk->why, CONFIG_WHY_BYTES, "no memory for the configuration");
            return TRUC_NO_MEMORY;
        }
        lines->lines = grown;
    }
    struct config_line *entry = &lines->lines[lines->count++];
    snprintf(entry->path, sizeof entry->path, "%s", walk->path);
    entry->line = line;
    return TRUC_OK;
}

/* Puts a key or an index behind the path of the level. */
static void extend(struct walk *walk, const char *key, unsigned index)
{
    struct level *level = &walk->levels[walk->depth - 1];
    int size = key == NULL ? snprintf(walk->path + level->path_size, sizeof walk->path - level->path_size, "[%u]", index)
                           : snprintf(walk->path + level->path_size, sizeof walk->path - level->path_size, "%s%s",
                                      level->path_size > 0 ? "." : "", key);
    walk->path_size = level->path_size + (size_t)size;
    if (walk->path_size >= sizeof walk->path) {
        walk->path_size = sizeof walk->path - 1;
    }
}

/* A node begins: at the top, as a mapping's value, or as an item of a sequence. */
static truc_status node_begins(struct walk *walk, unsigned line)
{
    if (walk->depth == 0) {
        return TRUC_OK;
    }
    struct level *level = &walk->levels[walk->depth - 1];
    if (!level->mapping) {
        extend(walk, NULL, level->index++);
        return note(walk, line);
    }
    level->key_next = true;
    return TRUC_OK;
}

static truc_status key_begins(struct walk *walk, const char *key, unsigned line)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (key[0] == '\0' || key[strspn(key, letters)] != '\0') {
        return bad(walk, line, "a key must be a plain word");
    }
    walk->levels[walk->depth - 1].key_next = false;
    extend(walk, key, 0);
    if (config_line_of(&walk->lines, walk->path) != 0) {
        char what[256];
        snprintf(what, sizeof what, "the key `%s` is given twice", walk->path);
        return bad(walk, line, what);
    }
    return note(walk, line);
}

static truc_status container_begins(struct walk *walk, bool mapping, unsigned line)
{
    truc_status status = node_begins(walk, line);
    if (status != TRUC_OK) {
        return status;
    }
    if (walk->depth == DEPTH_MAX) {
        return bad(walk, line, "nested deeper than a configuration is");
    }
    walk->levels[walk->depth++] = (struct level){.mapping = mapping, .key_next = mapping, .path_size = walk->path_size};
    return TRUC_OK;
}

static truc_status walk_event(struct walk *walk, const yaml_event_t *event)
{
    unsigned line = (unsigned)event->start_mark.line + 1;
    bool in_key = walk->depth > 0 && walk->levels[walk->depth - 1].mapping && walk->levels[walk->depth - 1].key_next;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return bad(walk, line, "aliases are not used in a configuration");
    case YAML_SCALAR_EVENT:
        return in_key ? key_begins(walk, (const char *)event->data.scalar.value, line) : node_begins(walk, line);
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        if (in_key) {
            return bad(walk, line, "a key must be a plain word");
        }
        return container_begins(walk, event->type == YAML_MAPPING_START_EVENT, line);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        walk->path_size = walk->levels[--walk->depth].path_size;
        walk->path[walk->path_size] = '\0';
        return TRUC_OK;
    default:
        return TRUC_OK;
    }
}

truc_status config_lines_load(const char *file, const char *text, size_t size, struct config_lines *ret_lines,
                              char why[CONFIG_WHY_BYTES])
{
    struct walk walk = {.file = file, .why = why};
    yaml_parser_t parser;
    truc_status status = TRUC_OK;
    bool end = false;
    if (!yaml_parser_initialize(&parser)) {
        snprintf(why, CONFIG_WHY_BYTES, "no memory for the configuration");
        return TRUC_NO_MEMORY;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    while (status == TRUC_OK && !end) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            status = bad(&walk, (unsigned)parser.problem_mark.line + 1, parser.problem != NULL ? parser.problem : "not YAML");
            break;
        }
        status = walk_event(&walk, &event);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (status != TRUC_OK) {
        config_lines_fini(&walk.lines);
        return status;
    }
    *ret_lines = walk.lines;
    return TRUC_OK;
}

void config_lines_fini(struct config_lines *lines)
{
    free(lines->lines);
    *lines = (struct config_lines){0};
}

unsigned config_line_of(const struct config_lines *lines, const char *path)
{
    for (size_t i = 0; i < lines->count; i++) {
        if (strcmp(lines->lines[i].path, path) == 0) {
            return lines->lines[i].line;
        }
    }
    return 0;
}
