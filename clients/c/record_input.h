/* record_input.h: a record as the application gives it, checked and turned into what the encoder takes. Layer: libtruc. Pure. */
#ifndef TRUC_CLIENT_RECORD_INPUT_H
#define TRUC_CLIENT_RECORD_INPUT_H

#include "clients/c/truc.h"
#include "proto/record.h"
#include "proto/uuid7.h"

struct record_input {
    struct record_view view;
    struct record_header headers[RECORD_HEADERS_MAX]; /* the first header_count */
    size_t header_count;
    size_t encoded_size; /* with an id of 16 bytes when the record has none */
    bool needs_id;       /* view.id is `id`, to be filled by whoever encodes */
    uint8_t id[UUID_BYTES];
    bool needs_parse; /* has rare fields: check the encoded bytes by record_parse */
};

/* TRUC_BAD_RECORD, TRUC_INVALID_ARGUMENT, TRUC_RECORD_TOO_LARGE (beyond what the format allows). */
truc_status record_input_read(const truc_record *record, struct record_input *ret_input);

#endif
