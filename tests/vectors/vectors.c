/* vectors.c: holds the golden vectors and the code against each other, or fills the vectors from their meanings.
 *
 *     vectors check FILE...    every meaning encodes to its bytes, every bytes decode to their meaning, what is to be refused is
 *     vectors fill FILE...     writes the bytes of every meaning; for new vectors only: golden bytes never change */
#include <stdlib.h>

#include "tests/vectors/kinds.h"

enum { JSON_STYLE = JSON_INDENT(2) | JSON_ENSURE_ASCII };

static const struct kind *kind_named(const char *name)
{
    const struct kind *const kinds[] = {
        &frame_kind_of_vectors, &record_kind, &batch_kind, &directory_kind, &leaf_kind, &entry_kind, &cut_kind, &block_kind};
    for (size_t i = 0; name != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    }
    for (size_t i = 0; name != NULL && i < digest_kind_count; i++) {
        if (strcmp(digest_kinds[i].name, name) == 0)
            return &digest_kinds[i];
    }
    vectors_fail("no kind of vector is called %s", name == NULL ? "nothing" : name);
}

static bool flag_of(const json_t *vector, const char *key)
{
    return json_is_true(json_object_get(vector, key));
}

/* Bytes from a compressor may differ between its versions: such vectors are only decoded. */
static void check_encoding(const char *name, const struct kind *kind, const json_t *vector, struct bytes expected)
{
    static struct blob made;
    made.size = 0;
    kind->encode(json_object_get(vector, "meaning"), &made);
    if (!flag_of(vector, "decode_only") && !bytes_equal(blob_bytes(&made), expected))
        vectors_fail("%s: encodes to other bytes: %s", name, json_string_value(hex_value(blob_bytes(&made))));
}

static const json_t *decoded_of(const json_t *vector)
{
    const json_t *decoded = json_object_get(vector, "decoded");
    return decoded == NULL ? json_object_get(vector, "meaning") : decoded;
}

static void check(const char *name, const struct kind *kind, const json_t *vector)
{
    const char *refused = json_string_value(json_object_get(vector, "refused"));
    struct bytes bytes = get_hex(vector, "hex");
    json_t *meaning = NULL;

    if (refused == NULL)
        check_encoding(name, kind, vector, bytes);
    if (kind->decode == NULL)
        return;
    truc_status status = kind->decode(bytes, &meaning);
    if (strcmp(truc_status_name(status), refused == NULL ? "OK" : refused) != 0)
        vectors_fail("%s: %s", name, truc_status_name(status));
    if (refused == NULL && !json_equal(meaning, decoded_of(vector)))
        vectors_fail("%s: decodes to something else:\n%s", name, json_dumps(meaning, JSON_STYLE));
    json_decref(meaning);
}

static void fill(const struct kind *kind, json_t *vector)
{
    static struct blob made;
    json_t *decoded = NULL;
    if (json_object_get(vector, "refused") != NULL)
        return;
    made.size = 0;
    kind->encode(json_object_get(vector, "meaning"), &made);
    put(vector, "hex", hex_value(blob_bytes(&made)));
    if (kind->decode == NULL || kind->decode(blob_bytes(&made), &decoded) != TRUC_OK)
        return;
    if (json_equal(decoded, json_object_get(vector, "meaning")))
        json_decref(decoded);
    else
        put(vector, "decoded", decoded);
}

int main(int argc, char **argv)
{
    bool filling = argc > 2 && strcmp(argv[1], "fill") == 0;
    if (argc < 3 || (!filling && strcmp(argv[1], "check") != 0))
        vectors_fail("usage: vectors check|fill FILE...");
    for (int i = 2; i < argc; i++) {
        json_error_t error;
        json_t *file = json_load_file(argv[i], JSON_REJECT_DUPLICATES, &error), *vector;
        size_t index, count = json_array_size(json_object_get(file, "vectors"));
        if (count == 0)
            vectors_fail("%s: no vectors: %s", argv[i], file == NULL ? error.text : "an empty file");
        json_array_foreach(json_object_get(file, "vectors"), index, vector)
        {
            const char *name = json_string_value(json_object_get(vector, "name"));
            const struct kind *kind = kind_named(json_string_value(json_object_get(vector, "kind")));
            if (filling)
                fill(kind, vector);
            else
                check(name == NULL ? "a vector without a name" : name, kind, vector);
        }
        if (filling && json_dump_file(file, argv[i], JSON_STYLE) != 0)
            vectors_fail("%s: cannot be written", argv[i]);
        printf("%s: %zu vectors\n", argv[i], count);
        json_decref(file);
    }
    return 0;
}
