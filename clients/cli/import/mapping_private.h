/* mapping_private.h: the inside of a mapping, shared by mapping.c (compiling) and mapping_build.c (rows). Layer: cli/import. */
#ifndef TRUC_CLI_IMPORT_MAPPING_PRIVATE_H
#define TRUC_CLI_IMPORT_MAPPING_PRIVATE_H

#include "clients/cli/import/bounds.h"
#include "clients/cli/import/mapping.h"
#include "clients/cli/import/slug.h"
#include "clients/cli/import/template.h"
#include "clients/cli/payload.h"

struct named_template {
    char *name;
    struct template *template;
    bool is_time; /* a field of --set that holds a time */
};

struct mapping {
    struct columns *columns;
    const struct zone *zone;
    struct template_maps maps;
    struct template *topic, *key, *type, *time;
    struct named_template *headers, *sets;
    size_t header_count, set_count;
    const struct payload_type *payload; /* NULL: JSON */
    ProtobufCMessage *message;
    struct slugs *slugs[IMPORT_PARTS_MAX]; /* of each place in the topic */
    struct digest_context *digests;
    struct out identity; /* identity_head */
    /* what built records borrow from */
    struct out topic_text, text, data, scratch;
    uint8_t *encoded;
    size_t encoded_capacity;
    char *key_text;
};

#endif
