/* fuzz_record.c: any bytes as a record. What our walk accepts protobuf-c accepts; both parsers of ours agree; encoding what was
 * read gives a record that reads the same. */
#include "proto/record.h"
#include "tests/fuzz/fuzz_check.h"
#include "truc/v1/record.pb-c.h"

static void check_encoding(const struct record_view *view)
{
    struct record_header headers[RECORD_HEADERS_MAX];
    struct record_view again;
    for (size_t i = 0; i < view->header_count; i++)
        headers[i] = record_header_at(view, i);
    size_t size = record_encoded_size(view, headers, view->header_count);
    uint8_t *out = malloc(size);
    check(out != NULL && record_encode(view, headers, view->header_count, out) == out + size);
    check(record_parse(bytes_of(out, size), &again, NULL) == TRUC_OK);
    check(bytes_equal(again.id, view->id) && bytes_equal(again.key, view->key) && bytes_equal(again.data, view->data));
    check(again.header_count == view->header_count && again.has_relation == view->has_relation);
    check(again.time_ns == view->time_ns && again.expires_at_ns == view->expires_at_ns);
    check(again.relation.offset == view->relation.offset && bytes_equal(again.relation.topic, view->relation.topic));
    for (size_t i = 0; i < view->header_count; i++)
        check(bytes_equal(record_header_at(&again, i).name, headers[i].name));
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_view view;
    struct record_brief brief;
    const char *why = NULL;
    truc_status status = record_parse(bytes_of(data, size), &view, &why);

    check(record_brief_parse(bytes_of(data, size), &brief, NULL) == status);
    check((status == TRUC_OK) == (why == NULL));
    if (status != TRUC_OK)
        return 0;
    check(bytes_equal(brief.key, view.key) && bytes_equal(brief.type, view.type) && brief.time_ns == view.time_ns);
    Truc__V1__Record *message = truc__v1__record__unpack(NULL, size, data);
    check(message != NULL && message->n_headers == view.header_count);
    truc__v1__record__free_unpacked(message, NULL);
    check_encoding(&view);
    return 0;
}
