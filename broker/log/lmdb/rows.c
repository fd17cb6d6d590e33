/* rows.c: the catalog's rows as derived.mdb holds them: varints, then texts; of subscriptions the deltas themselves.
 * docs/format.md "Derived data". */
#include "broker/log/lmdb/derived.h"

static struct derived_key topic_key(uint32_t topic_id)
{
    struct derived_key key = {.size = 0};
    key_add_u32(&key, topic_id);
    return key;
}

static truc_status decode_topic(uint32_t topic_id, struct bytes value, struct topic_row *ret_row)
{
    struct reader reader = reader_over(value);
    struct topic_row row = {.topic_id = topic_id, .evidence = reader_u8(&reader)};
    struct bytes hash = reader_take(&reader, DIGEST_BYTES);
    row.next_offset = reader_varint(&reader);
    row.first_position = reader_varint(&reader);
    row.last_position = reader_varint(&reader);
    row.created_ns = (int64_t)reader_varint(&reader);
    row.last_append_ns = (int64_t)reader_varint(&reader);
    row.bytes = reader_varint(&reader);
    row.entry_count = reader_varint(&reader);
    row.name = reader_take(&reader, reader_left(&reader));
    if (reader.failed || row.name.size == 0 || row.name.size > TOPIC_BYTES_MAX) {
        return TRUC_DAMAGED;
    }
    memcpy(row.last_leaf_hash, hash.data, DIGEST_BYTES);
    *ret_row = row;
    return TRUC_OK;
}

truc_status derived_get_topic(struct derived *derived, MDB_txn *txn, uint32_t topic_id, struct topic_row *ret_row)
{
    struct derived_key key = topic_key(topic_id);
    struct bytes value = {0};
    truc_status status = derived_get(derived, txn, TABLE_TOPICS, &key, &value);
    return status == TRUC_OK ? decode_topic(topic_id, value, ret_row) : status;
}

truc_status derived_put_topic(struct derived *derived, MDB_txn *txn, const struct topic_row *row, char *why)
{
    uint8_t value[1 + DIGEST_BYTES + 7 * 10 + TOPIC_BYTES_MAX], *p = value;
    *p++ = row->evidence;
    memcpy(p, row->last_leaf_hash, DIGEST_BYTES);
    p = varint_put(p + DIGEST_BYTES, row->next_offset);
    p = varint_put(p, row->first_position);
    p = varint_put(p, row->last_position);
    p = varint_put(p, (uint64_t)row->created_ns);
    p = varint_put(p, (uint64_t)row->last_append_ns);
    p = varint_put(p, row->bytes);
    p = varint_put(p, row->entry_count);
    memcpy(p, row->name.data, row->name.size);
    p += row->name.size;
    struct derived_key key = topic_key(row->topic_id);
    return derived_put(derived, txn, TABLE_TOPICS, &key, bytes_of(value, (size_t)(p - value)), false, why);
}

static truc_status decode_producer(uint64_t producer_id, struct bytes value, struct producer_row *ret_row)
{
    struct reader reader = reader_over(value);
    struct producer_row row = {.producer_id = producer_id, .epoch = reader_u32(&reader), .named = reader_u8(&reader) != 0};
    row.scope = reader_take(&reader, reader_u8(&reader));
    row.name = reader_take(&reader, reader_left(&reader));
    if (reader.failed || row.scope.size > SOURCE_BYTES_MAX || row.name.size > PRODUCER_NAME_BYTES_MAX) {
        return TRUC_DAMAGED;
    }
    *ret_row = row;
    return TRUC_OK;
}

truc_status derived_put_producer(struct derived *derived, MDB_txn *txn, const struct producer_row *row, char *why)
{
    uint8_t value[6 + SOURCE_BYTES_MAX + PRODUCER_NAME_BYTES_MAX];
    store_u32(value, row->epoch);
    value[4] = row->named ? 1 : 0;
    value[5] = (uint8_t)row->scope.size;
    size_t size = 6;
    if (row->scope.size > 0) {
        memcpy(value + size, row->scope.data, row->scope.size);
        size += row->scope.size;
    }
    if (row->name.size > 0) {
        memcpy(value + size, row->name.data, row->name.size);
        size += row->name.size;
    }
    struct derived_key key = {.size = 0};
    key_add_u64(&key, row->producer_id);
    return derived_put(derived, txn, TABLE_PRODUCERS, &key, bytes_of(value, size), false, why);
}

static truc_status remove_row(struct derived *derived, MDB_txn *txn, enum derived_table table, const struct derived_key *key,
                              char *why)
{
    MDB_val k = {key->size, (void *)(uintptr_t)key->bytes};
    int code = mdb_del(txn, derived->tables[table], &k, NULL);
    return code == 0 || code == MDB_NOTFOUND ? TRUC_OK : files_error(code, "writing", "derived.mdb", why);
}

/* Removes all rows whose keys begin so. */
static truc_status remove_rows(struct derived *derived, MDB_txn *txn, enum derived_table table, const struct derived_key *key,
                               char *why)
{
    MDB_val k, v;
    MDB_cursor *cursor = NULL;
    int code = mdb_cursor_open(txn, derived->tables[table], &cursor);
    while (code == 0) {
        k = (MDB_val){key->size, (void *)(uintptr_t)key->bytes};
        code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
        if (code == 0 && (k.mv_size < key->size || memcmp(k.mv_data, key->bytes, key->size) != 0)) {
            break;
        }
        code = code == 0 ? mdb_cursor_del(cursor, 0) : code;
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    return code == 0 || code == MDB_NOTFOUND ? TRUC_OK : files_error(code, "writing", "derived.mdb", why);
}

truc_status derived_end_producer(struct derived *derived, MDB_txn *txn, uint64_t producer_id, char *why)
{
    struct derived_key key = {.size = 0};
    key_add_u64(&key, producer_id);
    truc_status status = remove_row(derived, txn, TABLE_PRODUCERS, &key, why);
    return status == TRUC_OK ? remove_rows(derived, txn, TABLE_SEQUENCES, &key, why) : status;
}

static struct derived_key sequence_key(uint64_t producer_id, uint32_t topic_id)
{
    struct derived_key key = {.size = 0};
    key_add_u64(&key, producer_id);
    key_add_u32(&key, topic_id);
    return key;
}

/* Results grow in position and offset, so each is stored as a step from the one before. */
static truc_status decode_sequence(uint64_t producer_id, uint32_t topic_id, struct bytes value, struct sequence_row *ret_row)
{
    struct reader reader = reader_over(value);
    struct sequence_row row = {.producer_id = producer_id, .topic_id = topic_id, .next_sequence = reader_varint(&reader)};
    uint64_t position = 0, offset = 0;
    while (!reader.failed && reader_left(&reader) > 0 && row.result_count < BATCHES_IN_FLIGHT_MAX) {
        position += reader_varint(&reader);
        offset += reader_varint(&reader);
        uint64_t count = reader_varint(&reader);
        row.results[row.result_count++] = (struct batch_result){position, offset, (uint32_t)count};
    }
    if (reader.failed || reader_left(&reader) > 0) {
        return TRUC_DAMAGED;
    }
    *ret_row = row;
    return TRUC_OK;
}

truc_status derived_get_sequence(struct derived *derived, MDB_txn *txn, uint64_t producer_id, uint32_t topic_id,
                                 struct sequence_row *ret_row)
{
    struct derived_key key = sequence_key(producer_id, topic_id);
    struct bytes value = {0};
    truc_status status = derived_get(derived, txn, TABLE_SEQUENCES, &key, &value);
    return status == TRUC_OK ? decode_sequence(producer_id, topic_id, value, ret_row) : status;
}

truc_status derived_put_sequence(struct derived *derived, MDB_txn *txn, const struct sequence_row *row, char *why)
{
    uint8_t value[10 + 30 * BATCHES_IN_FLIGHT_MAX], *p = varint_put(value, row->next_sequence);
    uint64_t position = 0, offset = 0;
    for (uint32_t i = 0; i < row->result_count; i++) {
        const struct batch_result *result = &row->results[i];
        p = varint_put(p, result->position - position);
        p = varint_put(p, result->base_offset - offset);
        p = varint_put(p, result->record_count);
        position = result->position;
        offset = result->base_offset;
    }
    struct derived_key key = sequence_key(row->producer_id, row->topic_id);
    return derived_put(derived, txn, TABLE_SEQUENCES, &key, bytes_of(value, (size_t)(p - value)), false, why);
}

/* --- subscriptions: a row is the delta that says it, and so is checked like one ------------------------------------------ */

static truc_status put_delta(struct derived *derived, MDB_txn *txn, enum derived_table table, const struct derived_key *key,
                             const struct delta *delta, char *why)
{
    uint8_t value[DELTA_BYTES_MAX];
    return derived_put(derived, txn, table, key, bytes_of(value, delta_write(value, delta)), false, why);
}

static truc_status decode_delta(struct bytes value, enum delta_kind kind, struct delta *ret_delta)
{
    struct reader reader = reader_over(value);
    truc_status status;
    bool good = delta_next(&reader, ret_delta, &status) && ret_delta->kind == kind && reader_left(&reader) == 0;
    return good ? TRUC_OK : TRUC_DAMAGED;
}

static struct derived_key subscription_key(uint32_t subscription_id)
{
    struct derived_key key = {.size = 0};
    key_add_u32(&key, subscription_id);
    return key;
}

truc_status derived_put_subscription(struct derived *derived, MDB_txn *txn, const struct subscription_row *row, char *why)
{
    struct derived_key key = subscription_key(row->subscription_id);
    struct delta delta = {.kind = DELTA_SUBSCRIPTION, .subscription = *row};
    return put_delta(derived, txn, TABLE_SUBSCRIPTIONS, &key, &delta, why);
}

truc_status derived_end_subscription(struct derived *derived, MDB_txn *txn, uint32_t subscription_id, char *why)
{
    struct derived_key key = subscription_key(subscription_id);
    truc_status status = remove_row(derived, txn, TABLE_SUBSCRIPTIONS, &key, why);
    if (status == TRUC_OK) {
        status = remove_row(derived, txn, TABLE_CURSORS, &key, why);
    }
    return status == TRUC_OK ? remove_rows(derived, txn, TABLE_LANES, &key, why) : status;
}

truc_status derived_put_cursor(struct derived *derived, MDB_txn *txn, const struct cursor_row *row, char *why)
{
    struct derived_key key = subscription_key(row->subscription_id);
    struct delta delta = {.kind = DELTA_CURSOR, .cursor = *row};
    return put_delta(derived, txn, TABLE_CURSORS, &key, &delta, why);
}

struct derived_key derived_lane_key(const struct lane_row *row)
{
    bool single = row->key == 0 || row->aside;
    struct derived_key key = subscription_key(row->subscription_id);
    key_add_u64(&key, single ? 0 : row->key);
    if (single) {
        key_add_u64(&key, row->place.position);
        key_add_u32(&key, row->place.index);
    }
    return key;
}

truc_status derived_put_lane(struct derived *derived, MDB_txn *txn, const struct lane_row *row, char *why)
{
    struct derived_key key = derived_lane_key(row);
    struct delta delta = {.kind = DELTA_LANE, .lane = {.row = *row}};
    return put_delta(derived, txn, TABLE_LANES, &key, &delta, why);
}

/* --- visiting ------------------------------------------------------------------------------------------------------------- */

truc_status derived_put_segment(struct derived *derived, MDB_txn *txn, uint64_t first_block, uint64_t first_position, char *why)
{
    struct derived_key key = {.size = 0};
    key_add_u64(&key, first_block);
    uint8_t value[8];
    store_u64(value, first_position);
    return derived_put(derived, txn, TABLE_SEGMENTS, &key, bytes_of(value, sizeof value), false, why);
}

static truc_status visit_topic(const struct derived_visitor *visitor, struct bytes key, struct bytes value)
{
    struct topic_row row;
    truc_status status = key.size == 4 ? decode_topic(key_u32(key.data), value, &row) : TRUC_DAMAGED;
    return status == TRUC_OK ? visitor->catalog.topic(visitor->catalog.context, &row) : status;
}

static truc_status visit_producer(const struct derived_visitor *visitor, struct bytes key, struct bytes value)
{
    struct producer_row row;
    truc_status status = key.size == 8 ? decode_producer(key_u64(key.data), value, &row) : TRUC_DAMAGED;
    return status == TRUC_OK ? visitor->catalog.producer(visitor->catalog.context, &row) : status;
}

static truc_status visit_sequence(const struct derived_visitor *visitor, struct bytes key, struct bytes value)
{
    struct sequence_row row;
    truc_status status = key.size == 12 ? decode_sequence(key_u64(key.data), key_u32(key.data + 8), value, &row) : TRUC_DAMAGED;
    return status == TRUC_OK ? visitor->catalog.sequence(visitor->catalog.context, &row) : status;
}

static truc_status visit_subscription(const struct derived_visitor *visitor, struct bytes key, struct bytes value)
{
    struct delta delta;
    truc_status status = decode_delta(value, DELTA_SUBSCRIPTION, &delta);
    if (status == TRUC_OK && (key.size != 4 || key_u32(key.data) != delta.subscription.subscription_id)) {
        status = TRUC_DAMAGED;
    }
    return status == TRUC_OK ? visitor->catalog.subscription(visitor->catalog.context, &delta.subscription) : status;
}

static truc_status visit_cursor(const struct derived_visitor *visitor, struct bytes key, struct bytes value)
{
    struct delta delta;
    truc_status status = decode_delta(value, DELTA_CURSOR, &delta);
    if (status == TRUC_OK && (key.size != 4 || key_u32(key.data) != delta.cursor.subscription_id)) {
        status = TRUC_DAMAGED;
    }
    return status == TRUC_OK ? visitor->catalog.cursor(visitor->catalog.context, &delta.cursor) : status;
}

static truc_status visit_lane(const struct derived_visitor *visitor, struct bytes key, struct bytes value)
{
    struct delta delta;
    truc_status status = decode_delta(value, DELTA_LANE, &delta);
    if (status == TRUC_OK) {
        struct derived_key expected = derived_lane_key(&delta.lane.row);
        bool its = !delta.lane.gone && bytes_equal(key, bytes_of(expected.bytes, expected.size));
        status = its ? visitor->catalog.lane(visitor->catalog.context, &delta.lane.row) : TRUC_DAMAGED;
    }
    return status;
}

static truc_status visit_segment(const struct derived_visitor *visitor, struct bytes key, struct bytes value)
{
    if (key.size != 8 || value.size != 8) {
        return TRUC_DAMAGED;
    }
    visitor->segment(visitor->segment_context, key_u64(key.data), load_u64(value.data));
    return TRUC_OK;
}

typedef truc_status visit_row(const struct derived_visitor *visitor, struct bytes key, struct bytes value);

static truc_status visit_table(struct derived *derived, MDB_txn *txn, enum derived_table table, visit_row *visit,
                               const struct derived_visitor *visitor, char *why)
{
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, derived->tables[table], &cursor);
    if (code != 0) {
        return files_error(code, "reading", "derived.mdb", why);
    }
    MDB_val k, v;
    MDB_stat stat;
    size_t count = 0;
    truc_status status = mdb_stat(txn, derived->tables[table], &stat) == 0 ? TRUC_OK : TRUC_DAMAGED;
    for (; status == TRUC_OK && (code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0; count++) {
        struct bytes key = bytes_of(k.mv_data, k.mv_size), value;
        status = derived_unseal(key, bytes_of(v.mv_data, v.mv_size), &value);
        if (status == TRUC_OK && visit != NULL) {
            status = visit(visitor, key, value);
        }
    }
    mdb_cursor_close(cursor);
    if (status == TRUC_OK && code == MDB_NOTFOUND && count != stat.ms_entries) {
        status = TRUC_DAMAGED;
    }
    return status == TRUC_OK && code != MDB_NOTFOUND ? files_error(code, "reading", "derived.mdb", why) : status;
}

truc_status derived_check(struct derived *derived, char *why)
{
    static const enum derived_table tables[] = {TABLE_META,          TABLE_SEGMENTS, TABLE_TOPICS, TABLE_PRODUCERS, TABLE_SEQUENCES,
                                                TABLE_SUBSCRIPTIONS, TABLE_CURSORS,  TABLE_LANES,  TABLE_RUNS};
    MDB_txn *txn;
    truc_status status = derived_begin(derived, false, &txn, why);
    if (status != TRUC_OK) {
        return status;
    }
    for (size_t i = 0; status == TRUC_OK && i < sizeof tables / sizeof *tables; i++) {
        status = visit_table(derived, txn, tables[i], NULL, NULL, why);
    }
    mdb_txn_abort(txn);
    return status;
}

truc_status derived_visit(struct derived *derived, const struct derived_visitor *visitor, char *why)
{
    const struct catalog_visitor *catalog = &visitor->catalog;
#ifdef TRUC_CANARY_FORGET_DEDUP
    const bool sequences = false; /* the seeded bug: what producers published is forgotten at a restart */
#else
    const bool sequences = catalog->sequence != NULL;
#endif
    const struct {
        enum derived_table table;
        visit_row *visit;
        bool wanted;
    } tables[] = {
        {TABLE_SEGMENTS, visit_segment, visitor->segment != NULL},
        {TABLE_TOPICS, visit_topic, catalog->topic != NULL},
        {TABLE_PRODUCERS, visit_producer, catalog->producer != NULL},
        {TABLE_SEQUENCES, visit_sequence, sequences},
        {TABLE_SUBSCRIPTIONS, visit_subscription, catalog->subscription != NULL},
        {TABLE_CURSORS, visit_cursor, catalog->cursor != NULL},
        {TABLE_LANES, visit_lane, catalog->lane != NULL},
    };
    MDB_txn *txn;
    truc_status status = derived_begin(derived, false, &txn, why);
    if (status != TRUC_OK) {
        return status;
    }
    for (size_t i = 0; status == TRUC_OK && i < sizeof tables / sizeof *tables; i++) {
        if (tables[i].wanted) {
            status = visit_table(derived, txn, tables[i].table, tables[i].visit, visitor, why);
        }
    }
    mdb_txn_abort(txn);
    return status;
}
