#include "clients/cli/import/template.h"

#include <stdlib.h>

#include "clients/cli/import/bounds.h"

enum { FILTERS_MAX = 4 };

struct filter {
    enum { FILTER_LOWER, FILTER_UPPER, FILTER_TRIM, FILTER_OR } kind;
    struct bytes text; /* of or: */
};

struct part {
    bool place;
    struct bytes literal; /* borrowed from template->literals */
    uint32_t column;
    const struct map *map; /* NULL: none */
    struct filter filters[FILTERS_MAX];
    size_t filter_count;
};

struct template
{
    char *text;
    char *literals; /* the text again, with doubled braces made single, in place */
    size_t part_count;
    struct part parts[IMPORT_PARTS_MAX];
};

/* --- compiling ---------------------------------------------------------------------------------------------------------------- */

static bool parse_filter(struct bytes text, struct filter *ret_filter)
{
    static const char *const names[] = {"lower", "upper", "trim"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (bytes_equal(text, bytes_of_text(names[i]))) {
            ret_filter->kind = i == 0 ? FILTER_LOWER : i == 1 ? FILTER_UPPER : FILTER_TRIM;
            return true;
        }
    }
    if (text.size >= 3 && memcmp(text.data, "or:", 3) == 0) {
        *ret_filter = (struct filter){FILTER_OR, bytes_of(text.data + 3, text.size - 3)};
        return true;
    }
    return false;
}

/* `name|filter|filter` into a part. */
static truc_status parse_place(const char *option, struct bytes inside, struct columns *columns, struct part *part,
                               struct failure *failure)
{
    const uint8_t *bar = memchr(inside.data, '|', inside.size);
    struct bytes name = bar == NULL ? inside : bytes_of(inside.data, (size_t)(bar - inside.data));
    if (name.size == 0) {
        return failure_set(failure, TRUC_USAGE, "%s: a place names a column, as {column}; {{ and }} stand for braces", option);
    }
    while (bar != NULL) {
        const uint8_t *from = bar + 1, *end = inside.data + inside.size;
        bar = memchr(from, '|', (size_t)(end - from));
        struct bytes text = bytes_of(from, (size_t)((bar == NULL ? end : bar) - from));
        if (part->filter_count == FILTERS_MAX) {
            return failure_set(failure, TRUC_USAGE, "%s: {%.*s} has more than %d filters", option, (int)name.size,
                               (const char *)name.data, FILTERS_MAX);
        }
        if (!parse_filter(text, &part->filters[part->filter_count++])) {
            return failure_set(failure, TRUC_USAGE, "%s: there is no filter %s; there are lower, upper, trim and or:TEXT", option,
                               quote(text).text);
        }
    }
    part->place = true;
    truc_status status = columns_number(columns, name, false, &part->column, failure);
    return status == TRUC_INVALID_ARGUMENT || status == TRUC_TOO_MANY ? (failure->status = TRUC_USAGE) : status;
}

static struct part *new_part(struct template *template, const char *option, struct failure *failure)
{
    if (template->part_count == IMPORT_PARTS_MAX) {
        (void)failure_set(failure, TRUC_USAGE, "%s: more than %d parts", option, IMPORT_PARTS_MAX);
        return NULL;
    }
    return &template->parts[template->part_count++];
}

/* Walks the text; literals are written over template->literals, which is never behind what is read. */
static truc_status parse(struct template *template, const char *option, struct columns *columns, struct failure *failure)
{
    const char *text = template->text;
    char *out = template->literals, *literal = out;
    for (;;) {
        bool brace = (*text == '{' || *text == '}') && text[1] == *text;
        if (*text != '\0' && (brace || (*text != '{' && *text != '}'))) {
            *out++ = *text;
            text += brace ? 2 : 1;
            continue;
        }
        if (out > literal) {
            struct part *part = new_part(template, option, failure);
            if (part == NULL) {
                return failure->status;
            }
            part->literal = bytes_of(literal, (size_t)(out - literal));
            literal = out;
        }
        if (*text == '\0') {
            return TRUC_OK;
        }
        if (*text == '}') {
            return failure_set(failure, TRUC_USAGE, "%s: a single } at character %zu; write }} for the brace itself", option,
                               (size_t)(text - template->text) + 1);
        }
        const char *end = strchr(text, '}');
        if (end == NULL) {
            return failure_set(failure, TRUC_USAGE, "%s: the { at character %zu is not closed; write {{ for the brace itself",
                               option, (size_t)(text - template->text) + 1);
        }
        struct part *part = new_part(template, option, failure);
        if (part == NULL) {
            return failure->status;
        }
        truc_status status = parse_place(option, bytes_of(text + 1, (size_t)(end - text - 1)), columns, part, failure);
        if (status != TRUC_OK) {
            return status;
        }
        text = end + 1;
    }
}

truc_status template_compile(const char *option, const char *text, struct columns *columns, struct template_maps *maps,
                             struct template **ret_template, struct failure *failure)
{
    if (strlen(text) > IMPORT_TEMPLATE_BYTES_MAX) {
        return failure_set(failure, TRUC_USAGE, "%s is longer than %d bytes", option, IMPORT_TEMPLATE_BYTES_MAX);
    }
    struct template *template = calloc(1, sizeof *template);
    truc_status status = failure_set(failure, TRUC_NO_MEMORY, "while reading %s", option);
    if (template == NULL) {
        return status;
    }
    template->text = strdup(text);
    template->literals = strdup(text);
    if (template->text != NULL && template->literals != NULL) {
        status = parse(template, option, columns, failure);
    }
    if (status != TRUC_OK) {
        template_destroy(template);
        return status;
    }
    for (size_t i = 0; i < template->part_count; i++) {
        for (size_t m = 0; m < maps->count; m++) {
            if (template->parts[i].place && template->parts[i].column == maps->items[m].column) {
                template->parts[i].map = maps->items[m].map;
                maps->items[m].used = true;
            }
        }
    }
    *ret_template = template;
    return TRUC_OK;
}

void template_destroy(struct template *template)
{
    if (template == NULL) {
        return;
    }
    free(template->text);
    free(template->literals);
    free(template);
}

/* --- use ---------------------------------------------------------------------------------------------------------------------- */

bool template_missing(const struct template *template, const struct columns *columns, uint32_t *ret_column)
{
    for (size_t i = 0; i < template->part_count; i++) {
        if (template->parts[i].place && !columns_seen(columns, template->parts[i].column)) {
            *ret_column = template->parts[i].column;
            return true;
        }
    }
    return false;
}

const char *template_text(const struct template *template)
{
    return template->text;
}

bool template_is_empty(const struct template *template)
{
    return template->part_count == 0;
}

size_t template_part_count(const struct template *template)
{
    return template->part_count;
}

bool template_part_is_place(const struct template *template, size_t part, uint32_t *ret_column)
{
    *ret_column = template->parts[part].column;
    return template->parts[part].place;
}

struct bytes template_part_literal(const struct template *template, size_t part)
{
    return template->parts[part].literal;
}

static struct bytes trimmed(struct bytes value)
{
    while (value.size > 0 && (*value.data == ' ' || (*value.data >= '\t' && *value.data <= '\r'))) {
        value = bytes_of(value.data + 1, value.size - 1);
    }
    while (value.size > 0 &&
           (value.data[value.size - 1] == ' ' || (value.data[value.size - 1] >= '\t' && value.data[value.size - 1] <= '\r'))) {
        value.size--;
    }
    return value;
}

static struct bytes in_case(struct bytes value, bool upper, struct out *scratch)
{
    size_t from = scratch->size;
    out_bytes(scratch, value.data, value.size);
    if (scratch->status != TRUC_OK) {
        return value;
    }
    for (size_t i = from; i < scratch->size; i++) {
        char c = scratch->data[i];
        bool letter = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
        scratch->data[i] = letter ? (char)(c ^ 0x20) : c;
    }
    return bytes_of(scratch->data + from, value.size);
}

truc_status template_part_value(const struct template *template, size_t part, const struct columns *columns, const struct row *row,
                                struct out *scratch, struct bytes *ret_value, struct failure *failure)
{
    const struct part *at = &template->parts[part];
    struct bytes value = row_value(row, at->column), name;
    if (at->map != NULL) {
        if (map_find(at->map, value, &name)) {
            value = name;
        } else if (value.size > 0) { /* an empty value that has no name stays empty */
            return failure_set(failure, TRUC_BAD_ROW, "column %s: %s is not in %s", quote(columns_name(columns, at->column)).text,
                               quote(value).text, map_path(at->map));
        }
    }
    scratch->size = 0;
    if (out_room(scratch, value.size * FILTERS_MAX + 1) == NULL) { /* so that it does not move under the value */
        return failure_set(failure, TRUC_NO_MEMORY, "while filling a template");
    }
    for (size_t i = 0; i < at->filter_count; i++) {
        switch (at->filters[i].kind) {
        case FILTER_LOWER:
        case FILTER_UPPER:
            value = value.size == 0 ? value : in_case(value, at->filters[i].kind == FILTER_UPPER, scratch);
            break;
        case FILTER_TRIM:
            value = trimmed(value);
            break;
        case FILTER_OR:
            value = value.size == 0 ? at->filters[i].text : value;
            break;
        }
    }
    *ret_value = value;
    return TRUC_OK;
}

truc_status template_expand(const struct template *template, const struct columns *columns, const struct row *row,
                            struct out *scratch, struct out *out, struct failure *failure)
{
    for (size_t i = 0; i < template->part_count; i++) {
        struct bytes value = template->parts[i].literal;
        if (template->parts[i].place) {
            truc_status status = template_part_value(template, i, columns, row, scratch, &value, failure);
            if (status != TRUC_OK) {
                return status;
            }
        }
        out_bytes(out, value.data, value.size);
    }
    return out->status == TRUC_OK ? TRUC_OK : failure_set(failure, out->status, "while filling a template");
}
