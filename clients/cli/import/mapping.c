#include "clients/cli/import/mapping_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/utf8.h"

/* --- compiling ---------------------------------------------------------------------------------------------------------------- */

/* Splits NAME=REST at the first '='. ret_name is allocated. */
static truc_status split_pair(const char *option, const char *text, char **ret_name, const char **ret_rest, struct failure *failure)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        return failure_set(failure, TRUC_USAGE, "%s %s: write NAME=VALUE", option, quote(bytes_of_text(text)).text);
    }
    *ret_name = strndup(text, (size_t)(equals - text));
    *ret_rest = equals + 1;
    return *ret_name == NULL ? failure_set(failure, TRUC_NO_MEMORY, "while reading %s", option) : TRUC_OK;
}

static truc_status load_maps(struct mapping *mapping, const struct cli_list *list, struct failure *failure)
{
    mapping->maps.items = calloc(list->count + 1, sizeof *mapping->maps.items);
    if (mapping->maps.items == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while reading --map");
    }
    for (size_t i = 0; i < list->count; i++) {
        char *name;
        const char *path;
        uint32_t column = 0;
        truc_status status = split_pair("--map", list->items[i], &name, &path, failure);
        if (status != TRUC_OK) {
            return status;
        }
        status = columns_number(mapping->columns, bytes_of_text(name), false, &column, failure);
        free(name);
        for (size_t m = 0; status == TRUC_OK && m < mapping->maps.count; m++) {
            if (mapping->maps.items[m].column == column) {
                status = failure_set(failure, TRUC_USAGE, "--map names column %s twice",
                                     (const char *)columns_name(mapping->columns, column).data);
            }
        }
        if (status == TRUC_OK) {
            status = map_load(path, &mapping->maps.items[mapping->maps.count].map, failure);
        }
        if (status != TRUC_OK) {
            return status;
        }
        mapping->maps.items[mapping->maps.count++].column = column;
    }
    return TRUC_OK;
}

/* A translation that no template uses has no effect: the payload is the row as it came. */
static truc_status check_maps_used(const struct mapping *mapping, struct failure *failure)
{
    for (size_t i = 0; i < mapping->maps.count; i++) {
        if (!mapping->maps.items[i].used) {
            return failure_set(failure, TRUC_USAGE, "--map %s=...: no template holds {%s}, so it would change nothing",
                               (const char *)columns_name(mapping->columns, mapping->maps.items[i].column).data,
                               (const char *)columns_name(mapping->columns, mapping->maps.items[i].column).data);
        }
    }
    return TRUC_OK;
}

static truc_status compile_named(struct mapping *mapping, const char *option, const struct cli_list *list,
                                 struct named_template **ret_array, size_t *ret_count, struct failure *failure)
{
    struct named_template *array = calloc(list->count + 1, sizeof *array);
    if (array == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while reading %s", option);
    }
    *ret_array = array;
    for (size_t i = 0; i < list->count; i++) {
        const char *rest;
        char label[128];
        truc_status status = split_pair(option, list->items[i], &array[i].name, &rest, failure);
        if (status != TRUC_OK) {
            return status;
        }
        *ret_count = i + 1; /* from here on it is destroyed with the mapping */
        (void)snprintf(label, sizeof label, "%s %s", option, array[i].name);
        status = template_compile(label, rest, mapping->columns, &mapping->maps, &array[i].template, failure);
        if (status != TRUC_OK) {
            return status;
        }
        for (size_t before = 0; before < i; before++) {
            if (strcmp(array[before].name, array[i].name) == 0) {
                return failure_set(failure, TRUC_USAGE, "%s is given twice", label);
            }
        }
    }
    return TRUC_OK;
}

static truc_status check_headers(const struct mapping *mapping, struct failure *failure)
{
    if (mapping->header_count > RECORD_HEADERS_MAX) {
        return failure_set(failure, TRUC_USAGE, "more than %d --header", RECORD_HEADERS_MAX);
    }
    for (size_t i = 0; i < mapping->header_count; i++) {
        struct bytes name = bytes_of_text(mapping->headers[i].name);
        if (name.size > RECORD_TEXT_BYTES_MAX || !utf8_valid(name)) {
            return failure_set(failure, TRUC_USAGE, "--header %s: the name is not UTF-8 or longer than %d bytes", quote(name).text,
                               RECORD_TEXT_BYTES_MAX);
        }
    }
    return TRUC_OK;
}

/* Whether a field holds a time, which is then checked as --time is. */
static bool field_is_time(const struct payload_type *type, const char *field)
{
    char name[128];
    size_t size = strlen(field);
    if (size > 3 && strcmp(field + size - 3, "_ns") == 0) {
        return true;
    }
    (void)snprintf(name, sizeof name, "%s_ns", field);
    return protobuf_c_message_descriptor_get_field_by_name(type->descriptor, field) == NULL &&
           protobuf_c_message_descriptor_get_field_by_name(type->descriptor, name) != NULL;
}

static truc_status prepare_payload(struct mapping *mapping, const struct mapping_options *options, struct failure *failure)
{
    if (options->as == NULL) {
        return options->sets.count == 0 ? TRUC_OK
                                        : failure_set(failure, TRUC_USAGE, "--set needs --as, which names the payload's type");
    }
    mapping->payload = payload_type_find(bytes_of_text(options->as));
    if (mapping->payload == NULL) {
        return failure_set(failure, TRUC_USAGE, "--as: there is no payload type %s; there is %s",
                           quote(bytes_of_text(options->as)).text, payload_type_count() > 0 ? payload_type_at(0)->name : "none");
    }
    if (options->sets.count == 0) {
        return failure_set(failure, TRUC_USAGE, "--as needs --set FIELD=TEMPLATE for the fields that are to be filled");
    }
    mapping->message = payload_create(mapping->payload);
    if (mapping->message == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while reading --as");
    }
    for (size_t i = 0; i < mapping->set_count; i++) {
        char why[PAYLOAD_WHY_BYTES];
        if (payload_field_check(mapping->payload, mapping->sets[i].name, why) != TRUC_OK) {
            return failure_set(failure, TRUC_USAGE, "--set %s: %s", quote(bytes_of_text(mapping->sets[i].name)).text, why);
        }
        mapping->sets[i].is_time = field_is_time(mapping->payload, mapping->sets[i].name);
    }
    return TRUC_OK;
}

/* Literals must be what a topic can hold; each place gets its guard. */
static truc_status prepare_topic(struct mapping *mapping, struct failure *failure)
{
    if (template_is_empty(mapping->topic)) {
        return failure_set(failure, TRUC_USAGE, "--topic is empty");
    }
    for (size_t i = 0; i < template_part_count(mapping->topic); i++) {
        uint32_t column;
        if (template_part_is_place(mapping->topic, i, &column)) {
            mapping->slugs[i] = slugs_create();
            if (mapping->slugs[i] == NULL) {
                return failure_set(failure, TRUC_NO_MEMORY, "while reading --topic");
            }
            continue;
        }
        struct bytes literal = template_part_literal(mapping->topic, i);
        for (size_t at = 0; at < literal.size; at++) {
            if (memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.", literal.data[at], 65) == NULL) {
                return failure_set(failure, TRUC_USAGE,
                                   "--topic: %s holds a character that a topic cannot hold (A-Z a-z 0-9 _ - and dots)",
                                   quote(literal).text);
            }
        }
    }
    return TRUC_OK;
}

static truc_status compile_all(struct mapping *mapping, const struct mapping_options *options, struct failure *failure)
{
    const struct {
        const char *option, *text;
        struct template **template;
    } plain[] = {{"--topic", options->topic, &mapping->topic},
                 {"--key", options->key, &mapping->key},
                 {"--type", options->type, &mapping->type},
                 {"--time", options->time, &mapping->time}};
    truc_status status = load_maps(mapping, &options->maps, failure);
    for (size_t i = 0; status == TRUC_OK && i < sizeof plain / sizeof plain[0]; i++) {
        if (plain[i].text == NULL) {
            return failure_set(failure, TRUC_USAGE, "%s is missing%s", plain[i].option, i == 0 ? "" : "; '' leaves the field out");
        }
        status = template_compile(plain[i].option, plain[i].text, mapping->columns, &mapping->maps, plain[i].template, failure);
    }
    if (status == TRUC_OK) {
        status = prepare_topic(mapping, failure);
    }
    if (status == TRUC_OK) {
        status = compile_named(mapping, "--header", &options->headers, &mapping->headers, &mapping->header_count, failure);
    }
    if (status == TRUC_OK) {
        status = check_headers(mapping, failure);
    }
    if (status == TRUC_OK) {
        status = compile_named(mapping, "--set", &options->sets, &mapping->sets, &mapping->set_count, failure);
    }
    if (status == TRUC_OK) {
        status = prepare_payload(mapping, options, failure);
    }
    return status == TRUC_OK ? check_maps_used(mapping, failure) : status;
}

truc_status mapping_create(const struct mapping_options *options, struct columns *columns, const struct zone *zone,
                           struct mapping **ret_mapping, struct failure *failure)
{
    struct mapping *mapping = calloc(1, sizeof *mapping);
    if (mapping == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while reading the mapping");
    }
    mapping->columns = columns;
    mapping->zone = zone;
    struct out *const buffers[] = {&mapping->identity, &mapping->topic_text, &mapping->text, &mapping->data, &mapping->scratch};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        out_init(buffers[i], -1);
    }
    mapping->digests = digest_context_create();
    truc_status status = mapping->digests == NULL ? failure_set(failure, TRUC_NO_MEMORY, "while reading the mapping")
                                                  : compile_all(mapping, options, failure);
    if (status != TRUC_OK) {
        mapping_destroy(mapping);
        return status;
    }
    *ret_mapping = mapping;
    return TRUC_OK;
}

static void destroy_named(struct named_template *array, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(array[i].name);
        template_destroy(array[i].template);
    }
    free(array);
}

void mapping_destroy(struct mapping *mapping)
{
    if (mapping == NULL) {
        return;
    }
    for (size_t i = 0; i < mapping->maps.count; i++) {
        map_destroy(mapping->maps.items[i].map);
    }
    free(mapping->maps.items);
    template_destroy(mapping->topic);
    template_destroy(mapping->key);
    template_destroy(mapping->type);
    template_destroy(mapping->time);
    destroy_named(mapping->headers, mapping->header_count);
    destroy_named(mapping->sets, mapping->set_count);
    payload_destroy(mapping->message);
    for (size_t i = 0; i < IMPORT_PARTS_MAX; i++) {
        slugs_destroy(mapping->slugs[i]);
    }
    digest_context_destroy(mapping->digests);
    struct out *const buffers[] = {&mapping->identity, &mapping->topic_text, &mapping->text, &mapping->data, &mapping->scratch};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        out_fini(buffers[i]);
    }
    free(mapping->encoded);
    free(mapping->key_text);
    free(mapping);
}

/* --- checks before any row ------------------------------------------------------------------------------------------------------
 */

static truc_status missing_column(const struct mapping *mapping, const char *option, const char *name, uint32_t column,
                                  struct failure *failure)
{
    struct bytes missing = columns_name(mapping->columns, column);
    const char *nearest = columns_nearest(mapping->columns, missing);
    return failure_set(failure, TRUC_USAGE, "%s%s%s: the file has no column %s%s%s", option, *name == '\0' ? "" : " ", name,
                       quote(missing).text, nearest == NULL ? "" : "; did you mean ",
                       nearest == NULL ? "" : quote(bytes_of_text(nearest)).text);
}

truc_status mapping_check(const struct mapping *mapping, struct failure *failure)
{
    const struct {
        const char *option;
        const struct template *template;
    } plain[] = {{"--topic", mapping->topic}, {"--key", mapping->key}, {"--type", mapping->type}, {"--time", mapping->time}};
    uint32_t column;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (template_missing(plain[i].template, mapping->columns, &column)) {
            return missing_column(mapping, plain[i].option, "", column, failure);
        }
    }
    for (size_t i = 0; i < mapping->header_count; i++) {
        if (template_missing(mapping->headers[i].template, mapping->columns, &column)) {
            return missing_column(mapping, "--header", mapping->headers[i].name, column, failure);
        }
    }
    for (size_t i = 0; i < mapping->set_count; i++) {
        if (template_missing(mapping->sets[i].template, mapping->columns, &column)) {
            return missing_column(mapping, "--set", mapping->sets[i].name, column, failure);
        }
    }
    return TRUC_OK;
}

static void digest_text(struct out *out, const char *label, struct bytes text)
{
    out_text(out, label);
    out_bytes(out, "", 1);
    out_u64(out, text.size);
    out_bytes(out, "", 1);
    out_bytes(out, text.data, text.size);
}

truc_status mapping_digest(const struct mapping *mapping, uint8_t ret_digest[DIGEST_BYTES])
{
    struct out all;
    out_init(&all, -1);
    digest_text(&all, "topic", bytes_of_text(template_text(mapping->topic)));
    digest_text(&all, "key", bytes_of_text(template_text(mapping->key)));
    digest_text(&all, "type", bytes_of_text(template_text(mapping->type)));
    digest_text(&all, "time", bytes_of_text(template_text(mapping->time)));
    digest_text(&all, "zone", bytes_of_text(mapping->zone->name));
    digest_text(&all, "as", bytes_of_text(mapping->payload == NULL ? "" : mapping->payload->name));
    for (size_t i = 0; i < mapping->set_count; i++) {
        digest_text(&all, "set", bytes_of_text(mapping->sets[i].name));
        digest_text(&all, "to", bytes_of_text(template_text(mapping->sets[i].template)));
    }
    for (size_t i = 0; i < mapping->header_count; i++) {
        digest_text(&all, "header", bytes_of_text(mapping->headers[i].name));
        digest_text(&all, "to", bytes_of_text(template_text(mapping->headers[i].template)));
    }
    for (size_t i = 0; i < mapping->maps.count; i++) {
        digest_text(&all, "map", columns_name(mapping->columns, mapping->maps.items[i].column));
        for (size_t at = 0; at < map_count(mapping->maps.items[i].map); at++) {
            struct bytes value, name;
            map_at(mapping->maps.items[i].map, at, &value, &name);
            digest_text(&all, "value", value);
            digest_text(&all, "to", name);
        }
    }
    struct bytes part = bytes_of(all.data, all.size);
    truc_status status = all.status;
    if (status == TRUC_OK) {
        digest_parts(mapping->digests, &part, 1, ret_digest);
    }
    out_fini(&all);
    return status;
}

truc_status mapping_identify(struct mapping *mapping, const char *source, const char *producer)
{
    identity_head(&mapping->identity, source, producer);
    return mapping->identity.status;
}
