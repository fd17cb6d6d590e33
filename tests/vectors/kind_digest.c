/* kind_digest.c: digests, each from its inputs. The steps in between (salts, record digests, nodes) are made here by OpenSSL
 * straight from their definitions, so that another implementation can find where it goes astray. */
#include "proto/digest.h"

#include <openssl/evp.h>

#include "proto/directory.h"
#include "proto/replay_digest.h"
#include "tests/vectors/kinds.h"

static struct digest_context *context(void)
{
    static struct digest_context *made;
    if (made == NULL && (made = digest_context_create()) == NULL)
        vectors_fail("out of memory");
    return made;
}

static struct bytes get_exactly(const json_t *meaning, const char *key, size_t size)
{
    struct bytes bytes = get_hex(meaning, key);
    if (bytes.size != size)
        vectors_fail("%s: not %zu bytes", key, size);
    return bytes;
}

static void join(const json_t *array, struct blob *out)
{
    out->size = 0;
    for (size_t i = 0; i < json_array_size(array); i++)
        blob_add(out, hex_of(json_array_get(array, i)));
}

static void salts(const json_t *meaning, struct blob *out)
{
    static const uint8_t zeros[BLOB_BYTES_MAX];
    EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();
    int size = (int)(get_u64(meaning, "record_count") * SALT_BYTES), made = 0;
    if (aes == NULL || size > (int)sizeof out->data ||
        EVP_EncryptInit_ex(aes, EVP_aes_256_ctr(), NULL, get_exactly(meaning, "salt_seed", SALT_SEED_BYTES).data, zeros) != 1 ||
        EVP_EncryptUpdate(aes, out->data, &made, zeros, size) != 1)
        vectors_fail("no keystream");
    out->size = (size_t)made;
    EVP_CIPHER_CTX_free(aes);
}

static void of_parts(uint8_t tag, struct bytes first, struct bytes second, struct blob *out)
{
    struct bytes parts[3] = {bytes_of(&tag, 1), first, second};
    digest_parts(context(), parts, 3, out->data);
    out->size = DIGEST_BYTES;
}

static void record_digest(const json_t *meaning, struct blob *out)
{
    of_parts(0, get_exactly(meaning, "salt", SALT_BYTES), get_hex(meaning, "record"), out);
}

static void node(const json_t *meaning, struct blob *out)
{
    static struct blob children;
    join(json_object_get(meaning, "children"), &children);
    of_parts(2, blob_bytes(&children), bytes_of(NULL, 0), out);
}

static void records_root(const json_t *meaning, struct blob *out)
{
    static struct blob payload;
    const json_t *records = json_object_get(meaning, "records");
    size_t count = json_array_size(records);
    uint8_t prefix[10];

    payload.size = 0;
    for (size_t i = 0; i < count; i++) {
        struct bytes record = hex_of(json_array_get(records, i));
        blob_add(&payload, bytes_of(prefix, (size_t)(varint_put(prefix, record.size) - prefix)));
        blob_add(&payload, record);
    }
    if (digest_records_root(context(), get_exactly(meaning, "salt_seed", SALT_SEED_BYTES).data, blob_bytes(&payload),
                            (uint32_t)count, out->data) != TRUC_OK)
        vectors_fail("no records_root");
    out->size = DIGEST_BYTES;
}

static void batch_root(const json_t *meaning, struct blob *out)
{
    if (digest_batch_root(context(), get_exactly(meaning, "salt_seed", SALT_SEED_BYTES).data, get_hex(meaning, "payload"),
                          out->data) != TRUC_OK)
        vectors_fail("no batch root");
    out->size = DIGEST_BYTES;
}

static void header_digest(const json_t *meaning, struct blob *out)
{
    digest_header(context(), get_hex(meaning, "header"), out->data);
    out->size = DIGEST_BYTES;
}

static void leaf_hash(const json_t *meaning, struct blob *out)
{
    digest_leaf(context(), get_hex(meaning, "leaf"), out->data);
    out->size = DIGEST_BYTES;
}

static void chain(const json_t *meaning, struct blob *out)
{
    static struct blob hashes;
    join(json_object_get(meaning, "leaf_hashes"), &hashes);
    digest_chain(context(), get_exactly(meaning, "previous", DIGEST_BYTES).data, get_u64(meaning, "block"),
                 get_u64(meaning, "first_position"), hashes.data, hashes.size / DIGEST_BYTES, get_hex(meaning, "deltas"),
                 out->data);
    out->size = DIGEST_BYTES;
}

static void directory_key_hash(const json_t *meaning, struct blob *out)
{
    store_u64(out->data, directory_hash(get_exactly(meaning, "hash_secret", HASH_SECRET_BYTES).data, get_text(meaning, "text")));
    out->size = 8;
}

static void replay(const json_t *meaning, struct blob *out)
{
    const json_t *records = json_object_get(meaning, "records");
    struct replay_digest *digest = replay_digest_create();
    if (digest == NULL)
        vectors_fail("out of memory");
    replay_digest_begin(digest, get_exactly(meaning, "log_id", LOG_ID_BYTES).data, get_u64(meaning, "generation"));
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *record = json_array_get(records, i);
        replay_digest_add(digest, get_u64(record, "position"), (uint32_t)get_u64(record, "index"), get_hex(record, "record"));
    }
    replay_digest_value(digest, out->data);
    out->size = DIGEST_BYTES;
    replay_digest_destroy(digest);
}

const struct kind digest_kinds[] = {
    {"salts", salts, NULL},
    {"record_digest", record_digest, NULL},
    {"node", node, NULL},
    {"records_root", records_root, NULL},
    {"batch_root", batch_root, NULL},
    {"header_digest", header_digest, NULL},
    {"leaf_hash", leaf_hash, NULL},
    {"chain", chain, NULL},
    {"directory_hash", directory_key_hash, NULL},
    {"replay_digest", replay, NULL},
};
const size_t digest_kind_count = sizeof digest_kinds / sizeof digest_kinds[0];
