/* directory.c: columns are gathered at full width, then those that hold one value throughout are closed up. */
#include "proto/directory.h"

#include "proto/record.h"

#include <sodium/crypto_shorthash.h>
#include <stdlib.h>

_Static_assert(HASH_SECRET_BYTES == crypto_shorthash_KEYBYTES, "SipHash-2-4 takes the secret as it is");

enum { DIRECTORY_HEADER_BYTES = 8, DIRECTORY_VERSION = 1 };

static const size_t widths[DIRECTORY_COLUMNS] = {4, 8, 8, 8, 1, 8};

uint64_t directory_hash(const uint8_t secret[HASH_SECRET_BYTES], struct bytes text)
{
    uint8_t hash[crypto_shorthash_BYTES];
    if (text.size == 0)
        return 0;
    crypto_shorthash(hash, text.data, text.size, secret);
    uint64_t value = load_u64(hash);
    return value == 0 ? 1 : value;
}

/* A keyed hash that remembers its last text: neighbours often share their type, and a dossier's events their key. */
struct hash_memo {
    struct bytes text;
    uint64_t hash;
};

static uint64_t hash_remembered(struct hash_memo *memo, const uint8_t secret[HASH_SECRET_BYTES], struct bytes text)
{
    if (!bytes_equal(memo->text, text))
        *memo = (struct hash_memo){text, directory_hash(secret, text)};
    return memo->hash;
}

/* The columns while they are gathered, each at full width. */
struct gathering {
    uint8_t *columns[DIRECTORY_COLUMNS];
    uint64_t first[DIRECTORY_COLUMNS], differs[DIRECTORY_COLUMNS];
    struct hash_memo key, type;
};

static size_t full_size(size_t record_count)
{
    size_t size = DIRECTORY_HEADER_BYTES;
    for (int c = 0; c < DIRECTORY_COLUMNS; c++)
        size += align8(widths[c] * record_count);
    return size;
}

static truc_status reserve(uint8_t **buffer, size_t *capacity, size_t size)
{
    if (size <= *capacity)
        return TRUC_OK;
    uint8_t *grown = realloc(*buffer, size);
    if (grown == NULL)
        return TRUC_NO_MEMORY;
    *buffer = grown;
    *capacity = size;
    return TRUC_OK;
}

static inline void gather_value(struct gathering *gathering, enum directory_column column, size_t index, uint64_t value)
{
    if (index == 0)
        gathering->first[column] = value;
    gathering->differs[column] |= gathering->first[column] ^ value;
}

static inline void gather(struct gathering *g, const uint8_t *secret, size_t index, size_t length, const struct record_brief *brief)
{
    uint64_t key_hash = hash_remembered(&g->key, secret, brief->key);
    uint64_t type_hash = hash_remembered(&g->type, secret, brief->type);

    store_u32(g->columns[DIRECTORY_LENGTH] + 4 * index, (uint32_t)length);
    store_u64(g->columns[DIRECTORY_KEY] + 8 * index, key_hash);
    store_u64(g->columns[DIRECTORY_TYPE] + 8 * index, type_hash);
    store_u64(g->columns[DIRECTORY_TIME] + 8 * index, (uint64_t)brief->time_ns);
    g->columns[DIRECTORY_FLAGS][index] = brief->flags;
    store_u64(g->columns[DIRECTORY_EXPIRES] + 8 * index, (uint64_t)brief->expires_at_ns);

    gather_value(g, DIRECTORY_LENGTH, index, length);
    gather_value(g, DIRECTORY_KEY, index, key_hash);
    gather_value(g, DIRECTORY_TYPE, index, type_hash);
    gather_value(g, DIRECTORY_TIME, index, (uint64_t)brief->time_ns);
    gather_value(g, DIRECTORY_FLAGS, index, brief->flags);
    gather_value(g, DIRECTORY_EXPIRES, index, (uint64_t)brief->expires_at_ns);
}

/* Writes the header and moves the columns down to where they belong; returns the directory's size. */
static size_t close_up(uint8_t *buffer, const struct gathering *gathering, uint32_t record_count)
{
    uint8_t *out = buffer + DIRECTORY_HEADER_BYTES;
    uint16_t arrays = 0;

    for (int c = 0; c < DIRECTORY_COLUMNS; c++) {
        if (gathering->differs[c] == 0) {
            store_u64(out, gathering->first[c]); /* the value, and its padding */
            out += 8;
            continue;
        }
        size_t size = widths[c] * record_count;
        arrays |= (uint16_t)(1u << c);
        memmove(out, gathering->columns[c], size);
        memset(out + size, 0, align8(size) - size);
        out += align8(size);
    }
    store_u16(buffer, DIRECTORY_VERSION);
    store_u16(buffer + 2, arrays);
    store_u32(buffer + 4, record_count);
    return (size_t)(out - buffer);
}

truc_status directory_build(const uint8_t secret[HASH_SECRET_BYTES], struct bytes raw_payload, uint32_t record_count,
                            size_t record_bytes_max, uint8_t flags, uint8_t **buffer, size_t *capacity, struct bytes *ret_directory,
                            uint32_t *ret_bad, const char **ret_why)
{
    struct reader payload = reader_over(raw_payload);
    struct gathering gathering = {0};
    struct record_brief brief;
    struct bytes record;
    const char *why = "records: not as many as the header says";
    uint32_t index = 0;
    truc_status status;

    if (record_count == 0 || record_count > BATCH_RECORDS_MAX) {
        status = TRUC_BAD_BATCH;
        goto done;
    }
    status = reserve(buffer, capacity, full_size(record_count));
    if (status != TRUC_OK) {
        why = "out of memory";
        goto done;
    }
    uint8_t *column = *buffer + DIRECTORY_HEADER_BYTES;
    for (int c = 0; c < DIRECTORY_COLUMNS; c++) {
        gathering.columns[c] = column;
        column += align8(widths[c] * record_count);
    }
    for (; records_next(&payload, &record, &status); index++) {
        if (index == record_count) {
            status = TRUC_BAD_BATCH;
            goto done;
        }
        if (record.size > record_bytes_max) {
            why = "record: larger than the topic allows";
            status = TRUC_RECORD_TOO_LARGE;
            goto done;
        }
        status = record_brief_parse(record, &brief, &why);
        if (status != TRUC_OK)
            goto done;
        brief.flags |= flags;
        gather(&gathering, secret, index, record.size, &brief);
    }
    if (status != TRUC_OK) {
        why = "records: cut short";
    } else if (index != record_count) {
        status = TRUC_BAD_BATCH;
    } else {
        *ret_directory = bytes_of(*buffer, close_up(*buffer, &gathering, record_count));
    }
done:
    if (status != TRUC_OK) {
        if (ret_bad != NULL)
            *ret_bad = index;
        if (ret_why != NULL)
            *ret_why = why;
    }
    return status;
}

truc_status directory_parse(struct bytes encoded, struct directory_view *ret_view)
{
    struct reader r = reader_over(encoded);
    struct directory_view view;

    uint16_t version = reader_u16(&r);
    view.arrays = reader_u16(&r);
    view.record_count = reader_u32(&r);
    if (r.failed || version != DIRECTORY_VERSION || view.arrays >> DIRECTORY_COLUMNS != 0 || view.record_count == 0 ||
        view.record_count > BATCH_RECORDS_MAX)
        return TRUC_BAD_BATCH;
    for (int c = 0; c < DIRECTORY_COLUMNS; c++) {
        size_t count = view.arrays & 1u << c ? view.record_count : 1;
        view.columns[c] = reader_take(&r, align8(widths[c] * count)).data;
    }
    if (r.failed || reader_left(&r) != 0)
        return TRUC_BAD_BATCH;
    *ret_view = view;
    return TRUC_OK;
}

uint64_t directory_at(const struct directory_view *view, enum directory_column column, uint32_t index)
{
    size_t at = view->arrays & 1u << column ? index : 0;
    const uint8_t *values = view->columns[column];

    switch (widths[column]) {
    case 1:
        return values[at];
    case 4:
        return load_u32(values + 4 * at);
    default:
        return load_u64(values + 8 * at);
    }
}
