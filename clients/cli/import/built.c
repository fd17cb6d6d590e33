#include "clients/cli/import/built.h"

static void put_u32(struct out *out, size_t value)
{
    uint8_t bytes[4];
    store_u32(bytes, (uint32_t)value);
    out_bytes(out, bytes, sizeof bytes);
}

static void put_u64(struct out *out, uint64_t value)
{
    uint8_t bytes[8];
    store_u64(bytes, value);
    out_bytes(out, bytes, sizeof bytes);
}

static void put_text(struct out *out, const void *data, size_t size)
{
    put_u32(out, size);
    out_bytes(out, data, size);
}

static void put_record(struct out *out, const truc_record *record)
{
    put_u64(out, (uint64_t)record->time_ns);
    put_text(out, record->id.data, record->id.size);
    put_text(out, record->key.data, record->key.size);
    put_text(out, record->type.data, record->type.size);
    put_text(out, record->content_type.data, record->content_type.size);
    put_text(out, record->schema.data, record->schema.size);
    put_text(out, record->data, record->data_size);
    put_u32(out, record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        put_text(out, record->headers[i].name.data, record->headers[i].name.size);
        put_text(out, record->headers[i].value.data, record->headers[i].value.size);
    }
}

void record_fingerprint(struct digest_context *digests, struct out *scratch, const truc_record *record,
                        uint8_t ret_digest[DIGEST_BYTES])
{
    scratch->size = 0;
    put_record(scratch, record);
    struct bytes part = bytes_of(scratch->data, scratch->size);
    digest_parts(digests, &part, 1, ret_digest);
}

void identity_head(struct out *head, const char *source, const char *producer)
{
    static const char version[] = "truc-import-id-v1";
    head->size = 0;
    out_bytes(head, version, sizeof version); /* with their zero bytes */
    out_bytes(head, source, strlen(source) + 1);
    out_bytes(head, producer, strlen(producer) + 1);
}

void identity_make(struct digest_context *digests, struct bytes head, struct bytes topic, uint64_t row,
                   uint8_t ret_id[IMPORT_ID_BYTES])
{
    uint8_t tail[9] = {0}, digest[DIGEST_BYTES];
    store_u64(tail + 1, row);
    const struct bytes parts[] = {head, topic, bytes_of(tail, sizeof tail)};
    digest_parts(digests, parts, 3, digest);
    memcpy(ret_id, digest, IMPORT_ID_BYTES);
    ret_id[6] = (uint8_t)((ret_id[6] & 0x0f) | 0x80);
    ret_id[8] = (uint8_t)((ret_id[8] & 0x3f) | 0x80);
}

void built_write(const struct built *built, struct out *out)
{
    put_u64(out, built->row);
    put_u64(out, built->line);
    put_text(out, built->topic, built->topic_size + 1); /* terminated there too */
    put_record(out, &built->record);
}

static struct bytes get_text(struct reader *reader)
{
    return reader_take(reader, reader_u32(reader));
}

static truc_text get_field(struct reader *reader)
{
    struct bytes text = get_text(reader);
    return (truc_text){(const char *)text.data, text.size};
}

bool built_read(struct bytes bytes, struct built *ret_built)
{
    struct reader reader = reader_over(bytes);
    struct built *built = ret_built;
    built->row = reader_u64(&reader);
    built->line = reader_u64(&reader);
    struct bytes topic = get_text(&reader);
    built->record = (truc_record)TRUC_RECORD_INIT;
    built->record.time_ns = (int64_t)reader_u64(&reader);
    built->record.id = get_field(&reader);
    built->record.key = get_field(&reader);
    built->record.type = get_field(&reader);
    built->record.content_type = get_field(&reader);
    built->record.schema = get_field(&reader);
    struct bytes data = get_text(&reader);
    built->record.data = data.data;
    built->record.data_size = data.size;
    built->record.header_count = reader_u32(&reader);
    built->record.headers = built->headers;
    if (reader.failed || built->record.header_count > RECORD_HEADERS_MAX || topic.size == 0 ||
        built->record.id.size != IMPORT_ID_BYTES) {
        return false;
    }
    for (size_t i = 0; i < built->record.header_count; i++) {
        built->headers[i].name = get_field(&reader);
        built->headers[i].value = get_field(&reader);
    }
    built->topic = (const char *)topic.data;
    built->topic_size = topic.size - 1;
    memcpy(built->id, built->record.id.data, IMPORT_ID_BYTES);
    return !reader.failed && reader_left(&reader) == 0;
}
