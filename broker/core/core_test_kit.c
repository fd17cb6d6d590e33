#include "core_test_kit.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH_BYTES = 100, NS_PER_MS = 1000000 };

struct held { /* a prepared batch and what it borrows */
    struct core_prepared prepared;
    uint8_t *bytes;
    char topic[256], agency[64], system[64];
};

/* Grows an array by one element if need be. */
static void *grown(void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? *capacity * 2 : 64;
    items = realloc(items, *capacity * item_size);
    assert_non_null(items);
    return items;
}

/* What a root computed at another level looks like here: bytes 0x30 + level. */
static truc_status digest_again(void *context, struct core_prepared *prepared, enum evidence evidence)
{
    (void)context;
    prepared->evidence = evidence;
    memset(prepared->records_root, 0x30 + (int)evidence, DIGEST_BYTES);
    return TRUC_OK;
}

void kit_init(struct kit *kit)
{
    memset(kit, 0, sizeof *kit);
    core_config_init(&kit->config);
    kit->config.digest_again = digest_again;
    memset(kit->config.log_id, 0x4c, LOG_ID_BYTES);
    memset(kit->config.hash_secret, 0x53, sizeof kit->config.hash_secret);
    kit->now = (struct core_now){.boot_ns = INT64_C(5000000000), .wall_ns = INT64_C(1800000000000000000)};
    kit->capacity.available_bytes = UINT64_C(1) << 40;
}

void kit_start(struct kit *kit)
{
    kit->log_count = kit->durable_count;
    for (size_t i = 0; i < kit->log_count; i++)
        kit->log[i].ticket = 0;
    assert_int_equal(core_create(&kit->config, &kit->core), TRUC_OK);
    kit_restore(kit);
    kit_event(kit, (struct core_event){.kind = CORE_START, .head = kit->head, .capacity = kit->capacity});
}

void kit_stop(struct kit *kit)
{
    core_destroy(kit->core);
    kit->core = NULL;
    kit->prepared_held = kit->data_held = 0;
    for (size_t i = 0; i < kit->inbox_count; i++)
        free(kit->inbox[i].bytes);
    kit->inbox_count = kit->other_count = 0;
}

void kit_fini(struct kit *kit)
{
    kit_stop(kit);
    free(kit->log);
    free(kit->inbox);
    free(kit->others);
}

/* --- effects --------------------------------------------------------------------------------------------------------------------
 */

static void file_frames(struct kit *kit, uint64_t connection, struct bytes bytes, struct bytes data)
{
    while (bytes.size > 0) {
        struct kit_frame filed = {.connection = connection};
        struct bytes all = bytes;
        uint8_t *joined = NULL;
        struct frame frame;
        size_t size;

        if (data.size > 0) { /* one head, its payload apart */
            all.size = bytes.size + data.size;
            joined = malloc(all.size);
            assert_non_null(joined);
            memcpy(joined, bytes.data, bytes.size);
            memcpy(joined + bytes.size, data.data, data.size);
            all.data = joined;
        }
        assert_int_equal(frame_peek(all, FRAME_BYTES_MAX, &frame, &size, NULL), TRUC_OK);
        assert_true(size > 0 && size <= all.size);
        assert_true(data.size == 0 || size == all.size);
        filed.kind = frame.kind;
        filed.request_id = frame.request_id;
        filed.bytes = malloc(size);
        assert_non_null(filed.bytes);
        memcpy(filed.bytes, all.data + FRAME_PREFIX_BYTES, size - FRAME_PREFIX_BYTES);
        filed.header = bytes_of(filed.bytes, frame.header.size);
        filed.payload = bytes_of(filed.bytes + frame.header.size, frame.payload.size);
        kit->inbox = grown(kit->inbox, kit->inbox_count, &kit->inbox_capacity, sizeof *kit->inbox);
        kit->inbox[kit->inbox_count++] = filed;
        free(joined);
        if (data.size > 0)
            break;
        bytes = bytes_of(bytes.data + size, bytes.size - size);
    }
}

static struct kit_entry *log_add(struct kit *kit, uint64_t ticket)
{
    struct kit_entry *entry;

    if (kit->log_count > kit->durable_count)
        assert_int_equal(ticket, kit->log[kit->log_count - 1].ticket + 1);
    kit->log = grown(kit->log, kit->log_count, &kit->log_capacity, sizeof *kit->log);
    entry = &kit->log[kit->log_count++];
    memset(entry, 0, sizeof *entry);
    entry->ticket = ticket;
    return entry;
}

static void release(struct kit *kit, struct core_prepared *prepared)
{
    struct held *held = prepared->owner;

    if (!held) { /* the core's own */
        free(prepared);
        return;
    }
    assert_true(kit->prepared_held > 0);
    kit->prepared_held--;
    free(held->bytes);
    free(held);
}

static void file_append(struct kit *kit, const struct core_effect *effect)
{
    const struct core_append *append = effect->append;
    struct kit_entry *entry = log_add(kit, effect->ticket);

    entry->position = append->position;
    entry->base_offset = append->base_offset;
    entry->append_time_ns = append->append_time_ns;
    entry->record_count = append->fields.record_count;
    entry->topic_id = append->fields.topic_id;
    entry->producer_id = append->fields.producer_id;
    entry->epoch = append->fields.epoch;
    entry->first_sequence = append->fields.first_sequence;
    entry->batch_bytes = effect->prepared->batch.encoded.size;
    entry->joined = effect->joined;
    entry->leaf_size = append->leaf_size;
    memcpy(entry->leaf, append->leaf, append->leaf_size);
    memcpy(entry->leaf_hash, append->leaf_hash, DIGEST_BYTES);
    release(kit, effect->prepared);
}

static void file_delta(struct kit *kit, const struct core_effect *effect)
{
    struct kit_entry *entry = log_add(kit, effect->ticket);

    assert_true(effect->bytes.size <= DELTA_BYTES_MAX);
    memcpy(entry->delta, effect->bytes.data, effect->bytes.size);
    entry->delta_size = effect->bytes.size;
    entry->joined = effect->joined;
    entry->delta_count = effect->delta_count;
}

static void file_other(struct kit *kit, const struct core_effect *effect)
{
    struct kit_effect *other;

    kit->others = grown(kit->others, kit->other_count, &kit->other_capacity, sizeof *kit->others);
    other = &kit->others[kit->other_count++];
    memset(other, 0, sizeof *other);
    other->effect = *effect;
    if (effect->kind == EFFECT_ALARM) {
        assert_true(effect->bytes.size < sizeof other->text);
        memcpy(other->text, effect->bytes.data, effect->bytes.size);
    } else if (effect->kind == EFFECT_READ_OPEN) {
        other->spec = *effect->spec;
        memcpy(other->pattern, effect->spec->pattern.data, effect->spec->pattern.size);
        assert_true(effect->spec->head <= kit->head.position);
    } else if (effect->kind == EFFECT_READ) { /* nobody reads above the durable head */
        assert_true(effect->from <= kit->head.position && effect->until <= kit->head.position);
    }
}

static void file(struct kit *kit, const struct core_effect *effect)
{
    switch (effect->kind) {
    case EFFECT_SEND:
        kit->send_count++;
        file_frames(kit, effect->connection, effect->bytes, bytes_of(NULL, 0));
        break;
    case EFFECT_SEND_DATA:
        file_frames(kit, effect->connection, effect->bytes, effect->data);
        kit->data_held--;
        free(effect->owner);
        break;
    case EFFECT_FREE_DATA:
        kit->data_held--;
        free(effect->owner);
        break;
    case EFFECT_APPEND:
        file_append(kit, effect);
        break;
    case EFFECT_DELTA:
        file_delta(kit, effect);
        break;
    case EFFECT_RELEASE:
        release(kit, effect->prepared);
        break;
    default:
        file_other(kit, effect);
        break;
    }
}

void kit_step(struct kit *kit, const struct core_event *events, size_t count)
{
    struct core_effects effects = core_step(kit->core, events, count, kit->now);

    for (size_t i = 0; i < effects.count; i++)
        file(kit, &effects.effects[i]);
}

void kit_event(struct kit *kit, struct core_event event)
{
    kit_step(kit, &event, 1);
}

void kit_pass(struct kit *kit, int64_t ms)
{
    kit->now.boot_ns += ms * NS_PER_MS;
    kit->now.wall_ns += ms * NS_PER_MS;
}

struct core_event kit_commit_event(struct kit *kit, size_t count)
{
    assert_true(kit->durable_count + count <= kit->log_count);
    for (size_t i = 0; i < count; i++) {
        const struct kit_entry *entry = &kit->log[kit->durable_count++];

        if (entry->record_count == 0)
            continue;
        assert_int_equal(entry->position, kit->head.position);
        assert_true(entry->append_time_ns > kit->head.last_append_ns);
        kit->head.position++;
        kit->head.last_append_ns = entry->append_time_ns;
        kit->head.record_count += entry->record_count;
    }
    kit->head.block++;
    return (struct core_event){.kind = CORE_COMMITTED,
                               .ticket = kit->durable_count > 0 ? kit->log[kit->durable_count - 1].ticket : 0,
                               .head = kit->head,
                               .capacity = kit->capacity};
}

void kit_commit_some(struct kit *kit, size_t count)
{
    if (count > 0)
        kit_event(kit, kit_commit_event(kit, count));
}

void kit_commit(struct kit *kit)
{
    kit_commit_some(kit, kit->log_count - kit->durable_count);
}

/* --- clients
 * ---------------------------------------------------------------------------------------------------------------------- */

uint64_t kit_connect(struct kit *kit)
{
    struct core_event event = {.kind = CORE_CONNECTED, .connection = ++kit->last_connection};

    memset(event.nonce, 0x4e, sizeof event.nonce);
    kit_event(kit, event);
    return kit->last_connection;
}

void kit_disconnect(struct kit *kit, uint64_t connection)
{
    kit_event(kit, (struct core_event){.kind = CORE_DISCONNECTED, .connection = connection});
}

void kit_send_raw(struct kit *kit, uint64_t connection, enum frame_kind kind, uint64_t request_id, struct bytes header,
                  struct bytes payload)
{
    kit_event(kit, (struct core_event){.kind = CORE_FRAME,
                                       .connection = connection,
                                       .frame = {.kind = kind, .request_id = request_id, .header = header, .payload = payload}});
}

void kit_send(struct kit *kit, uint64_t connection, enum frame_kind kind, uint64_t request_id, const ProtobufCMessage *message)
{
    uint8_t header[FRAME_HEADER_BYTES_MAX];
    size_t size = protobuf_c_message_get_packed_size(message);

    assert_true(size <= sizeof header);
    protobuf_c_message_pack(message, header);
    kit_send_raw(kit, connection, kind, request_id, bytes_of(header, size), bytes_of(NULL, 0));
}

void kit_hello(struct kit *kit, uint64_t connection)
{
    Truc__V1__ClientHello hello = TRUC__V1__CLIENT_HELLO__INIT;
    uint8_t nonce[32] = {1};

    hello.magic = 0x54525543;
    hello.version_min = hello.version_max = 1;
    hello.nonce = (ProtobufCBinaryData){sizeof nonce, nonce};
    kit_send(kit, connection, FRAME_HELLO, 1, &hello.base);
    assert_int_equal(((const Truc__V1__ServerHello *)kit_take(kit, connection, FRAME_HELLO_OK, 1))->durable_position,
                     kit->head.position);
}

uint64_t kit_session(struct kit *kit, const char *agency, const char *system)
{
    uint64_t connection = kit_connect(kit);
    Truc__V1__Login login = TRUC__V1__LOGIN__INIT;

    kit_hello(kit, connection);
    login.algorithm = "none";
    login.source = (char *)(uintptr_t)agency;
    login.system = (char *)(uintptr_t)system;
    kit_send(kit, connection, FRAME_LOGIN, 2, &login.base);
    assert_non_null(kit_take(kit, connection, FRAME_LOGIN_OK, 2));
    return connection;
}

const struct kit_frame *kit_peek(struct kit *kit, uint64_t connection)
{
    for (size_t i = 0; i < kit->inbox_count; i++) {
        if (kit->inbox[i].connection == connection && !kit->inbox[i].taken)
            return &kit->inbox[i];
    }
    return NULL;
}

static const ProtobufCMessageDescriptor *descriptor_of(enum frame_kind kind)
{
    switch (kind) {
    case FRAME_HELLO_OK:
        return &truc__v1__server_hello__descriptor;
    case FRAME_LOGIN_OK:
        return &truc__v1__login_ok__descriptor;
    case FRAME_ERROR:
        return &truc__v1__error__descriptor;
    case FRAME_GOAWAY:
        return &truc__v1__go_away__descriptor;
    case FRAME_PONG:
        return &truc__v1__pong__descriptor;
    case FRAME_PRODUCER_OK:
        return &truc__v1__producer_ok__descriptor;
    case FRAME_PUBLISH_OK:
        return &truc__v1__publish_ok__descriptor;
    case FRAME_READ_OK:
        return &truc__v1__read_ok__descriptor;
    case FRAME_READ_DATA:
        return &truc__v1__read_data__descriptor;
    case FRAME_READ_END:
        return &truc__v1__read_end__descriptor;
    case FRAME_TOPICS_OK:
        return &truc__v1__topics_ok__descriptor;
    case FRAME_LOG_INFO_OK:
        return &truc__v1__log_info_ok__descriptor;
    case FRAME_SUBSCRIPTION_OK:
    case FRAME_SUBSCRIPTIONS_OK:
    case FRAME_SUBSCRIBE_OK:
    case FRAME_DELIVER:
    case FRAME_SETTLE_OK:
    case FRAME_DEAD_OK:
    case FRAME_RECEIPT_OK:
        return frame_header_descriptor(kind);
    default:
        fail_msg("the core sent a frame of kind %u", (unsigned)kind);
        return NULL;
    }
}

void *kit_take(struct kit *kit, uint64_t connection, enum frame_kind kind, uint64_t request_id)
{
    struct arena arena = {kit->arena, kit->arena + sizeof kit->arena};
    struct kit_frame *frame = (struct kit_frame *)(uintptr_t)kit_peek(kit, connection);
    const char *why = "";
    void *message;

    if (!frame)
        fail_msg("nothing came where %s was expected", frame_kind_name(kind));
    frame->taken = true;
    message = frame_header_decode(&arena, descriptor_of(frame->kind), frame->header, &why);
    if (!message)
        fail_msg("%s cannot be decoded: %s", frame_kind_name(frame->kind), why);
    if (frame->kind != kind)
        fail_msg("%s came where %s was expected: %s", frame_kind_name(frame->kind), frame_kind_name(kind),
                 frame->kind == FRAME_ERROR ? ((Truc__V1__Error *)message)->message : "");
    assert_int_equal(frame->request_id, request_id);
    return message;
}

void kit_expect_nothing(struct kit *kit, uint64_t connection)
{
    const struct kit_frame *frame = kit_peek(kit, connection);

    if (frame)
        fail_msg("%s came where nothing was expected", frame_kind_name(frame->kind));
}

const Truc__V1__Error *kit_take_error(struct kit *kit, uint64_t connection, uint64_t request_id, truc_status status)
{
    const Truc__V1__Error *error = kit_take(kit, connection, FRAME_ERROR, request_id);

    if (error->status != (uint32_t)status)
        fail_msg("%s instead of %s: %s", truc_status_name((truc_status)error->status), truc_status_name(status), error->message);
    /* Cause and next step: two clauses at least. */
    assert_true(strpbrk(error->message, ";,:") != NULL);
    return error;
}

const struct kit_effect *kit_other(struct kit *kit, enum core_effect_kind kind)
{
    for (size_t i = 0; i < kit->other_count; i++) {
        if (kit->others[i].effect.kind == kind && !kit->others[i].taken) {
            kit->others[i].taken = true;
            return &kit->others[i];
        }
    }
    return NULL;
}

const struct kit_effect *kit_expect(struct kit *kit, enum core_effect_kind kind)
{
    const struct kit_effect *other = kit_other(kit, kind);

    assert_non_null(other);
    return other;
}

void kit_expect_closed(struct kit *kit, uint64_t connection)
{
    assert_int_equal(kit_expect(kit, EFFECT_CLOSE)->effect.connection, connection);
}

struct kit_producer kit_open(struct kit *kit, uint64_t connection, const char *name)
{
    Truc__V1__ProducerOpen open = TRUC__V1__PRODUCER_OPEN__INIT;
    const Truc__V1__ProducerOk *ok;

    open.name = (char *)(uintptr_t)name;
    kit_send(kit, connection, FRAME_PRODUCER_OPEN, 3, &open.base);
    kit_commit(kit);
    ok = kit_take(kit, connection, FRAME_PRODUCER_OK, 3);
    return (struct kit_producer){ok->producer_id, ok->epoch};
}

struct core_event kit_publish_event(struct kit *kit, uint64_t connection, uint64_t request_id, const struct kit_batch *batch)
{
    struct held *held = calloc(1, sizeof *held);
    size_t size = batch->batch_bytes ? batch->batch_bytes : BATCH_BYTES;
    struct core_prepared *prepared;

    assert_non_null(held);
    held->bytes = calloc(1, size);
    assert_non_null(held->bytes);
    (void)snprintf(held->topic, sizeof held->topic, "%s", batch->topic);
    (void)snprintf(held->agency, sizeof held->agency, "%s", batch->agency ? batch->agency : "H26.16");
    (void)snprintf(held->system, sizeof held->system, "%s", batch->agency ? batch->system : "portal");
    prepared = &held->prepared;
    prepared->owner = held;
    prepared->evidence = batch->evidence ? batch->evidence : EVIDENCE_RECORD;
    prepared->record_largest = batch->record_largest ? batch->record_largest : 10;
    prepared->batch.encoded = bytes_of(held->bytes, size);
    prepared->batch.topic = bytes_of_text(held->topic);
    prepared->batch.source = bytes_of_text(held->agency);
    prepared->batch.system = bytes_of_text(held->system);
    prepared->batch.codec = batch->codec;
    prepared->batch.evidence = batch->evidence;
    prepared->batch.producer_id = batch->producer_id;
    prepared->batch.epoch = batch->epoch;
    prepared->batch.first_sequence = batch->first_sequence;
    prepared->batch.record_count = batch->record_count;
    prepared->batch.conditional = batch->conditional;
    prepared->batch.expected_offset = batch->expected_offset;
    prepared->recalls = batch->recalls;
    prepared->recall_count = batch->recall_count;
    memset(prepared->header_digest, 0x11, DIGEST_BYTES);
    memset(prepared->records_root, 0x22, DIGEST_BYTES);
    kit->prepared_held++;
    return (struct core_event){.kind = CORE_PUBLISH,
                               .connection = connection,
                               .request_id = request_id,
                               .frame_bytes = batch->frame_bytes ? batch->frame_bytes : (uint32_t)size + 20,
                               .prepared = prepared};
}

struct core_event kit_together_event(struct kit *kit, uint64_t connection, uint64_t request_id, const struct kit_batch *batches,
                                     size_t count)
{
    struct core_event together = kit_publish_event(kit, connection, request_id, &batches[0]);
    struct core_prepared *last = together.prepared;

    for (size_t i = 1; i < count; i++) {
        struct core_event event = kit_publish_event(kit, connection, request_id, &batches[i]);

        together.frame_bytes += event.frame_bytes;
        last->next = event.prepared;
        last = event.prepared;
    }
    return together;
}

void kit_publish(struct kit *kit, uint64_t connection, uint64_t request_id, const struct kit_batch *batch)
{
    kit_event(kit, kit_publish_event(kit, connection, request_id, batch));
}

void kit_read(struct kit *kit, uint64_t connection, uint64_t request_id, Truc__V1__Read read)
{
    kit_send(kit, connection, FRAME_READ, request_id, &read.base);
}

void kit_resolve(struct kit *kit, uint64_t reader, uint64_t from, uint64_t until)
{
    kit_event(kit, (struct core_event){.kind = CORE_READ_RESOLVED, .reader = reader, .from = from, .until = until});
}

void kit_read_done(struct kit *kit, uint64_t reader, uint64_t next, uint64_t records, size_t size)
{
    struct core_event event = {.kind = CORE_READ_DONE, .reader = reader, .done = {.next = next, .record_count = records}};

    if (size > 0) {
        uint8_t *data = calloc(1, size);

        assert_non_null(data);
        event.done.entry_count = 1;
        event.done.data = bytes_of(data, size);
        event.done.owner = data;
        kit->data_held++;
    }
    kit_event(kit, event);
}

const struct core_look *kit_look(struct kit *kit, enum core_look_kind kind, uint64_t *ret_reader)
{
    const struct kit_effect *effect = kit_expect(kit, EFFECT_LOOK);

    assert_int_equal(effect->effect.look->kind, kind);
    *ret_reader = effect->effect.reader;
    return effect->effect.look;
}

void kit_looked(struct kit *kit, uint64_t reader, struct core_looked looked)
{
    kit_event(kit, (struct core_event){.kind = CORE_LOOKED, .reader = reader, .looked = looked});
}
