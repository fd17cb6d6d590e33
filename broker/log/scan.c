/* scan.c: which records are wanted: directories are looked at, and of entries that may hold one whatever its filters need. */
#include "broker/log/scan.h"

#include <stdlib.h>

#include "broker/log/walk.h"
#include "proto/record.h"

enum {
    PEEK_COST_BYTES = 4096,      /* what a look at an entry without its payload costs at most, beside its directory */
    SCRATCH_BYTES_KEPT = 1 << 20 /* between calls, unless an entry is being looked through */
};

struct log_scanner {
    struct walk walk;
    /* what the record itself must have; empty: anything */
    uint8_t key_bytes[RECORD_KEY_BYTES_MAX], type_bytes[RECORD_TYPE_BYTES_MAX], header_bytes[SUBSCRIPTION_HEADERS_BYTES_MAX];
    struct bytes key, type, headers;
    bool exact; /* one of them is not empty */
    /* the entry unpacked last, which several calls may look into */
    uint8_t *scratch;
    size_t scratch_capacity;
    bool unpacked;
    uint64_t unpacked_position;
    struct bytes raw;
    struct digest_context *digests; /* made when the first delayed entry is met */
    /* the call under way */
    struct log_scan *scan;
    struct place until;
    bool stopped; /* within an entry: next is set */
};

/* A look into one entry. */
struct look {
    struct log_scanner *scanner;
    const struct walk_entry *at;
    struct directory_view directory;
    struct reader payload; /* its records, from this one on: */
    uint32_t payload_index;
    bool opened; /* payload is set */
    bool timed;  /* this is set: */
    int64_t deliver_at_ns;
};

static bool copy(struct bytes text, uint8_t *buffer, size_t max, struct bytes *ret_copy)
{
    if (text.size > 0 && text.size <= max) {
        memcpy(buffer, text.data, text.size);
        *ret_copy = bytes_of(buffer, text.size);
    }
    return text.size <= max;
}

static truc_status look(void *context, const struct walk_entry *at);

truc_status log_scanner_create(struct log *log, const struct log_scan_filter *filter, struct log_scanner **ret_scanner)
{
    struct log_scanner *scanner = calloc(1, sizeof *scanner);
    if (scanner == NULL) {
        return TRUC_NO_MEMORY;
    }
    truc_status status = walk_init(&scanner->walk, log, &filter->filter, false);
    if (status == TRUC_OK && !(copy(filter->filter.key, scanner->key_bytes, sizeof scanner->key_bytes, &scanner->key) &&
                               copy(filter->filter.type, scanner->type_bytes, sizeof scanner->type_bytes, &scanner->type) &&
                               copy(filter->headers, scanner->header_bytes, sizeof scanner->header_bytes, &scanner->headers) &&
                               filter_headers_check(scanner->headers))) {
        status = TRUC_INVALID_ARGUMENT;
    }
    if (status != TRUC_OK) {
        log_scanner_destroy(scanner);
        return status;
    }
    scanner->exact = scanner->key.size > 0 || scanner->type.size > 0 || scanner->headers.size > 0;
    scanner->walk.visit = look;
    scanner->walk.context = scanner;
    scanner->walk.peeks = true;
    *ret_scanner = scanner;
    return TRUC_OK;
}

void log_scanner_destroy(struct log_scanner *scanner)
{
    if (scanner != NULL) {
        walk_fini(&scanner->walk);
        digest_context_destroy(scanner->digests);
        free(scanner->scratch);
        free(scanner);
    }
}

/* --- the record itself ---------------------------------------------------------------------------------------------------- */

/* Begins to read the entry's records: unpacks it, unless that was done for the call before. */
static truc_status open_payload(struct look *look)
{
    struct log_scanner *scanner = look->scanner;
    struct bytes raw = scanner->raw;
    if (!scanner->unpacked || scanner->unpacked_position != look->at->position) {
        struct entry_view entry;
        struct batch_view batch;
        const char *why;
        if (block_entry(look->at->block, look->at->index, &entry) != TRUC_OK || batch_parse(entry.batch, &batch, &why) != TRUC_OK) {
            return TRUC_DAMAGED;
        }
        scanner->unpacked = false;
        truc_status status = batch_raw(&batch, &scanner->scratch, &scanner->scratch_capacity, &raw);
        if (status != TRUC_OK) {
            return status == TRUC_NO_MEMORY ? status : TRUC_DAMAGED;
        }
        walk_spend(&scanner->walk, entry.entry_size + raw.size);
        if (batch.codec != CODEC_NONE) {
            scanner->unpacked = true;
            scanner->unpacked_position = look->at->position;
            scanner->raw = raw;
        }
    }
    look->payload = reader_over(raw);
    look->payload_index = 0;
    look->opened = true;
    return TRUC_OK;
}

/* Whether a record has all headers of the filter. */
static bool has_headers(const struct record_view *record, struct bytes headers)
{
    struct reader wanted = reader_over(headers);
    struct bytes name, value;
    while (filter_header_next(&wanted, &name, &value)) {
        bool found = false;
        for (size_t i = 0; !found && i < record->header_count; i++) {
            struct record_header header = record_header_at(record, i);
            found = bytes_equal(header.name, name) && bytes_equal(header.value, value);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* Looks at a record, one not before the last one looked at, whose hashes match. */
static truc_status check_record(struct look *look, uint32_t index, bool *ret_wanted)
{
    const struct log_scanner *scanner = look->scanner;
    struct bytes encoded;
    struct record_view record;
    const char *why;
    truc_status status = look->opened ? TRUC_OK : open_payload(look);
    if (status != TRUC_OK) {
        return status;
    }
    do {
        if (!records_next(&look->payload, &encoded, &status)) {
            return TRUC_DAMAGED;
        }
    } while (look->payload_index++ < index);
    if (encoded.size != directory_at(&look->directory, DIRECTORY_LENGTH, index) ||
        record_parse(encoded, &record, &why) != TRUC_OK) {
        return TRUC_DAMAGED;
    }
    *ret_wanted = (scanner->key.size == 0 || bytes_equal(record.key, scanner->key)) &&
                  (scanner->type.size == 0 || bytes_equal(record.type, scanner->type)) && has_headers(&record, scanner->headers);
    return TRUC_OK;
}

/* --- an entry ------------------------------------------------------------------------------------------------------------- */

static bool is_searched(const struct log_scan *scan, uint64_t key)
{
    size_t low = 0, high = scan->key_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (scan->keys[middle] < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return scan->key_count == 0 || (low < scan->key_count && scan->keys[low] == key);
}

/* Whether the directory lets a record pass. */
static bool may_be_wanted(const struct look *look, uint32_t index)
{
    const struct log_scanner *scanner = look->scanner;
    return is_searched(scanner->scan, directory_at(&look->directory, DIRECTORY_KEY, index)) &&
           (!scanner->walk.matcher.picky_record || matcher_record(&scanner->walk.matcher, &look->directory, index)) &&
           (scanner->headers.size == 0 || (directory_at(&look->directory, DIRECTORY_FLAGS, index) & RECORD_FLAG_HEADERS) != 0);
}

/* When the entry's records are to be given. The header of its batch tells, which is held against the leaf: that proves it without
 * a look at the payload. */
static truc_status read_delivery(struct look *look)
{
    struct log_scanner *scanner = look->scanner;
    struct entry_view entry;
    struct leaf leaf;
    struct batch_view batch;
    if (scanner->digests == NULL && (scanner->digests = digest_context_create()) == NULL) {
        return TRUC_NO_MEMORY;
    }
    if (block_entry_peek(look->at->block, look->at->index, &entry) != TRUC_OK ||
        entry_prove_head(scanner->digests, &entry, &leaf, &batch, NULL) != TRUC_OK || leaf.position != look->at->position) {
        return TRUC_DAMAGED;
    }
    look->deliver_at_ns = batch.deliver_at_ns;
    look->timed = true;
    return TRUC_OK;
}

static truc_status take_record(struct look *look, uint32_t index)
{
    struct log_scan *scan = look->scanner->scan;
    bool delayed = (directory_at(&look->directory, DIRECTORY_FLAGS, index) & RECORD_FLAG_DELAYED) != 0;
    truc_status status = delayed && !look->timed ? read_delivery(look) : TRUC_OK;
    if (status == TRUC_OK) {
        scan->records[scan->count++] =
            (struct log_scan_record){.place = {look->at->position, index},
                                     .bytes = (uint32_t)directory_at(&look->directory, DIRECTORY_LENGTH, index),
                                     .key = directory_at(&look->directory, DIRECTORY_KEY, index),
                                     .deliver_at_ns = look->deliver_at_ns,
                                     .expires_at_ns = (int64_t)directory_at(&look->directory, DIRECTORY_EXPIRES, index)};
    }
    return status;
}

/* Takes the wanted ones of the records [first, end). TRUC_BUSY: there was no room beyond one, next is set. */
static truc_status take_records(struct look *look, uint32_t first, uint32_t end)
{
    struct log_scanner *scanner = look->scanner;
    struct log_scan *scan = scanner->scan;
    bool one_key = (look->directory.arrays >> DIRECTORY_KEY & 1) == 0;
    if (one_key && !is_searched(scan, directory_at(&look->directory, DIRECTORY_KEY, 0))) {
        return TRUC_OK;
    }
    for (uint32_t i = first; i < end; i++) {
        bool wanted = may_be_wanted(look, i);
        truc_status status = wanted && scanner->exact ? check_record(look, i, &wanted) : TRUC_OK;
        if (status == TRUC_OK && wanted) {
            status = take_record(look, i);
        }
        if (status != TRUC_OK) {
            return status;
        }
        if (!wanted) {
            continue;
        }
        if (scan->count == scan->records_max && i + 1 < end) {
            scan->next = (struct place){look->at->position, i + 1};
            scanner->stopped = true;
            return TRUC_BUSY;
        }
    }
    if (scan->count == scan->records_max) {
        walk_stop(&scanner->walk);
    }
    return TRUC_OK;
}

/* Layout, directory and source of the entry, without its payload where that can be. */
static truc_status open_entry(struct look *look, bool *ret_wanted)
{
    struct log_scanner *scanner = look->scanner;
    struct block_row row = block_row_at(look->at->block, look->at->index);
    struct entry_view entry;
    truc_status status = scanner->walk.matcher.picky_source ? block_entry(look->at->block, look->at->index, &entry)
                                                            : block_entry_peek(look->at->block, look->at->index, &entry);
    if (status != TRUC_OK || entry.fields.topic_id != row.topic_id || entry.fields.record_count != row.record_count) {
        return TRUC_DAMAGED;
    }
    if (scanner->walk.matcher.picky_source) {
        struct batch_view batch;
        const char *why;
        walk_spend(&scanner->walk, entry.entry_size);
        if (batch_parse(entry.batch, &batch, &why) != TRUC_OK) {
            return TRUC_DAMAGED;
        }
        if (!matcher_source(&scanner->walk.matcher, &batch)) {
            *ret_wanted = false;
            return TRUC_OK;
        }
    }
    walk_spend(&scanner->walk, (entry.entry_size < PEEK_COST_BYTES ? entry.entry_size : PEEK_COST_BYTES) + entry.directory.size);
    *ret_wanted = true;
    return matcher_directory(&entry, &look->directory);
}

static truc_status look(void *context, const struct walk_entry *at)
{
    struct log_scanner *scanner = context;
    struct log_scan *scan = scanner->scan;
    struct look look = {.scanner = scanner, .at = at};
    size_t count_before = scan->count;
    bool wanted = false;
    truc_status status = open_entry(&look, &wanted);
    if (status == TRUC_OK && wanted) {
        uint32_t first = at->position == scan->from.position ? scan->from.index : 0, end = look.directory.record_count;
        if (at->position == scanner->until.position && scanner->until.index < end) {
            end = scanner->until.index;
        }
        status = take_records(&look, first, end);
    }
    if (status == TRUC_DAMAGED) {
        scan->count = count_before;
        log_why(scanner->walk.why, "block %llu, position %llu: the entry cannot be read", (unsigned long long)at->block->block,
                (unsigned long long)at->position);
    }
    return status;
}

static bool place_below(struct place a, struct place b)
{
    return a.position != b.position ? a.position < b.position : a.index < b.index;
}

truc_status log_scan(struct log_scanner *scanner, struct log_scan *scan, char *why)
{
    struct place head = {log_head(scanner->walk.log).position, 0};
    char passed_over[LOG_WHY_BYTES] = "";
    scan->count = 0;
    scan->next = scan->from;
    scan->damaged = 0;
    scan->damaged_at = 0;
    scanner->scan = scan;
    scanner->until = place_below(head, scan->until) ? head : scan->until;
    scanner->stopped = false;
    scanner->walk.budget = WALK_BUDGET_BYTES;
    if (why != NULL) {
        why[0] = '\0';
    }
    if (!place_below(scan->from, scanner->until)) {
        return TRUC_OK;
    }
    uint64_t at = scan->from.position, end = scanner->until.position + (scanner->until.index > 0 ? 1 : 0);
    truc_status status = TRUC_DAMAGED;
    while (status == TRUC_DAMAGED && at < end && scanner->walk.budget > 0) {
        status = walk_run(&scanner->walk, at, end, &at, passed_over);
        if (status == TRUC_DAMAGED) {
            scan->damaged_at = scan->damaged == 0 ? scanner->walk.damaged_from : scan->damaged_at;
            scan->damaged += at - scanner->walk.damaged_from;
        }
        if (why != NULL && why[0] == '\0') {
            memcpy(why, passed_over, sizeof passed_over);
        }
    }
    if (!scanner->stopped) {
        if (scanner->scratch_capacity > SCRATCH_BYTES_KEPT) {
            free(scanner->scratch);
            scanner->scratch = NULL;
            scanner->scratch_capacity = 0;
            scanner->unpacked = false;
        }
        scan->next = at >= end ? scanner->until : (struct place){at, at == scan->from.position ? scan->from.index : 0};
    }
    return status == TRUC_DAMAGED ? TRUC_OK : status;
}
