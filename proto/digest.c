/* digest.c: every hash of the formats. */
#include "proto/digest.h"

#include "proto/record.h"
#include "proto/sha256_lanes.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum { TAG_RECORD = 0, TAG_NODE = 2, TAG_CHUNK = 3 };

_Static_assert((int)SALT_BYTES == (int)SHA256_SALT_BYTES, "the lanes take the salts as they are");

/* When the vector unit pays (measured): fewer messages than this leave too many lanes idle, and one long message among short
 * ones keeps all lanes waiting for a single one. */
enum { LANES_MESSAGES_MIN = 6, LANES_MESSAGE_BYTES_MAX = 4096 };

struct digest_context {
    EVP_MD *sha256;
    EVP_MD_CTX *hash;
    EVP_CIPHER *aes;
    EVP_CIPHER_CTX *keystream;
    bool has_lanes;
    size_t capacity;        /* records that fit the arrays below */
    uint8_t *salts;         /* capacity x SALT_BYTES */
    uint8_t *digests;       /* capacity x DIGEST_BYTES */
    uint8_t *nodes;         /* tree_nodes(capacity) x DIGEST_BYTES: the next level while the tree is folded */
    struct bytes *messages; /* capacity */
};

/* OpenSSL's digests fail only when out of memory or misused; hashing goes on without memory, so a failure is a defect of the
 * process, and a wrong digest must never leave it. */
static void must(int ok)
{
    if (ok != 1)
        abort();
}

struct digest_context *digest_context_create(void)
{
    struct digest_context *context = calloc(1, sizeof *context);
    if (context == NULL)
        return NULL;
    context->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    context->aes = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    context->hash = EVP_MD_CTX_new();
    context->has_lanes = sha256_lanes_available();
    context->keystream = EVP_CIPHER_CTX_new();
    if (context->sha256 == NULL || context->aes == NULL || context->hash == NULL || context->keystream == NULL ||
        EVP_DigestInit_ex2(context->hash, context->sha256, NULL) != 1) {
        digest_context_destroy(context);
        return NULL;
    }
    return context;
}

void digest_context_destroy(struct digest_context *context)
{
    if (context == NULL)
        return;
    EVP_MD_CTX_free(context->hash);
    EVP_CIPHER_CTX_free(context->keystream);
    EVP_MD_free(context->sha256);
    EVP_CIPHER_free(context->aes);
    free(context->salts);
    free(context->digests);
    free(context->nodes);
    free(context->messages);
    free(context);
}

static void hash_begin(struct digest_context *context)
{
    must(EVP_DigestInit_ex2(context->hash, context->sha256, NULL));
}

static void hash_add(struct digest_context *context, const void *data, size_t size)
{
    must(EVP_DigestUpdate(context->hash, data, size));
}

static void hash_add_u64(struct digest_context *context, uint64_t value)
{
    uint8_t bytes[8];
    store_u64(bytes, value);
    hash_add(context, bytes, sizeof bytes);
}

static void hash_end(struct digest_context *context, uint8_t ret_digest[DIGEST_BYTES])
{
    must(EVP_DigestFinal_ex(context->hash, ret_digest, NULL));
}

void digest_parts(struct digest_context *context, const struct bytes *parts, size_t part_count, uint8_t ret_digest[DIGEST_BYTES])
{
    hash_begin(context);
    for (size_t i = 0; i < part_count; i++)
        hash_add(context, parts[i].data, parts[i].size);
    hash_end(context, ret_digest);
}

static void hash_tagged(struct digest_context *context, uint8_t tag, struct bytes first, struct bytes second,
                        uint8_t ret_digest[DIGEST_BYTES])
{
    hash_begin(context);
    hash_add(context, &tag, 1);
    hash_add(context, first.data, first.size);
    hash_add(context, second.data, second.size);
    hash_end(context, ret_digest);
}

static bool grow(void *array, size_t size)
{
    void **at = array;
    void *grown = realloc(*at, size);
    if (grown != NULL)
        *at = grown;
    return grown != NULL;
}

static truc_status scratch_reserve(struct digest_context *context, size_t record_count)
{
    if (record_count <= context->capacity)
        return TRUC_OK;
    context->capacity = 0;
    if (!grow(&context->salts, record_count * SALT_BYTES) || !grow(&context->digests, record_count * DIGEST_BYTES) ||
        !grow(&context->nodes, tree_nodes(record_count) * DIGEST_BYTES) ||
        !grow(&context->messages, record_count * sizeof *context->messages))
        return TRUC_NO_MEMORY;
    context->capacity = record_count;
    return TRUC_OK;
}

void digest_salts(struct digest_context *context, const uint8_t seed[SALT_SEED_BYTES], size_t count, uint8_t *ret_salts)
{
    static const uint8_t zero_iv[16];
    int size = (int)(count * SALT_BYTES), made = 0;

    memset(ret_salts, 0, (size_t)size);
    must(EVP_EncryptInit_ex2(context->keystream, context->aes, seed, zero_iv, NULL));
    must(EVP_EncryptUpdate(context->keystream, ret_salts, &made, ret_salts, size));
    must(made == size);
}

static void hash_singly(struct digest_context *context, uint8_t tag, const uint8_t *salts, size_t count,
                        const struct bytes *messages, uint8_t *digests)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes salt = salts == NULL ? bytes_of(NULL, 0) : bytes_of(salts + i * SALT_BYTES, SALT_BYTES);
        hash_tagged(context, tag, salt, messages[i], digests + i * DIGEST_BYTES);
    }
}

/* A run of messages that are all short enough for the lanes. */
static void hash_run(struct digest_context *context, uint8_t tag, const uint8_t *salts, size_t count, const struct bytes *messages,
                     uint8_t *digests)
{
    size_t rest = count % SHA256_LANES < LANES_MESSAGES_MIN ? count % SHA256_LANES : 0;
    size_t by_lanes = context->has_lanes ? count - rest : 0;

    if (by_lanes != 0)
        sha256_lanes_hash(tag, salts, messages, by_lanes, digests);
    hash_singly(context, tag, salts == NULL ? NULL : salts + by_lanes * SALT_BYTES, count - by_lanes, messages + by_lanes,
                digests + by_lanes * DIGEST_BYTES);
}

/* digest_i = SHA-256(tag || salt_i, if there are salts || message_i). */
static void hash_all(struct digest_context *context, uint8_t tag, const uint8_t *salts, size_t count, const struct bytes *messages,
                     uint8_t *digests)
{
    size_t begin = 0, end;

    while (begin < count) {
        for (end = begin; end < count && messages[end].size <= LANES_MESSAGE_BYTES_MAX; end++)
            ;
        const uint8_t *run_salts = salts == NULL ? NULL : salts + begin * SALT_BYTES;
        if (end == begin)
            hash_singly(context, tag, run_salts, (end = begin + 1) - begin, messages + begin, digests + begin * DIGEST_BYTES);
        else
            hash_run(context, tag, run_salts, end - begin, messages + begin, digests + begin * DIGEST_BYTES);
        begin = end;
    }
}

void digest_records(struct digest_context *context, const uint8_t *salts, const struct bytes *records, size_t count,
                    uint8_t *ret_digests)
{
    hash_all(context, TAG_RECORD, salts, count, records, ret_digests);
}

void digest_level(struct digest_context *context, const uint8_t *digests, size_t count, uint8_t *ret_nodes)
{
    struct bytes groups[SHA256_LANES]; /* nodes are of one length, so all lanes end together: a lane's worth at a time */
    size_t grouped = 0;

    for (size_t first = 0; first < count; first += TREE_FAN) {
        size_t children = count - first < TREE_FAN ? count - first : TREE_FAN;
        groups[grouped++] = bytes_of(digests + first * DIGEST_BYTES, children * DIGEST_BYTES);
        if (grouped == SHA256_LANES || first + children == count) {
            hash_all(context, TAG_NODE, NULL, grouped, groups, ret_nodes);
            ret_nodes += grouped * DIGEST_BYTES;
            grouped = 0;
        }
    }
}

/* Folds context->digests to one. */
static void fold(struct digest_context *context, size_t count, uint8_t ret_root[DIGEST_BYTES])
{
    for (size_t nodes; count > 1; count = nodes) {
        nodes = tree_nodes(count);
        digest_level(context, context->digests, count, context->nodes);
        memcpy(context->digests, context->nodes, nodes * DIGEST_BYTES);
    }
    memcpy(ret_root, context->digests, DIGEST_BYTES);
}

truc_status digest_records_root(struct digest_context *context, const uint8_t seed[SALT_SEED_BYTES], struct bytes raw_payload,
                                uint32_t record_count, uint8_t ret_root[DIGEST_BYTES])
{
    struct reader payload = reader_over(raw_payload);
    struct bytes record;
    size_t count = 0;
    truc_status status;

    if (record_count == 0 || record_count > BATCH_RECORDS_MAX)
        return TRUC_BAD_BATCH;
    status = scratch_reserve(context, record_count);
    if (status != TRUC_OK)
        return status;
    while (records_next(&payload, &record, &status)) {
        if (count == record_count)
            return TRUC_BAD_BATCH;
        context->messages[count++] = record;
    }
    if (status != TRUC_OK || count != record_count)
        return TRUC_BAD_BATCH;
    digest_salts(context, seed, count, context->salts);
    digest_records(context, context->salts, context->messages, count, context->digests);
    fold(context, count, ret_root);
    return TRUC_OK;
}

truc_status digest_batch_root(struct digest_context *context, const uint8_t seed[SALT_SEED_BYTES], struct bytes raw_payload,
                              uint8_t ret_root[DIGEST_BYTES])
{
    size_t count = (raw_payload.size + CHUNK_BYTES - 1) / CHUNK_BYTES;
    truc_status status;

    if (count == 0 || raw_payload.size > BATCH_RAW_BYTES_MAX)
        return TRUC_BAD_BATCH;
    status = scratch_reserve(context, count);
    if (status != TRUC_OK)
        return status;
    for (size_t i = 0, at = 0; i < count; i++, at += CHUNK_BYTES) {
        size_t left = raw_payload.size - at;
        context->messages[i] = bytes_of(raw_payload.data + at, left < CHUNK_BYTES ? left : CHUNK_BYTES);
    }
    digest_salts(context, seed, count, context->salts);
    hash_all(context, TAG_CHUNK, context->salts, count, context->messages, context->digests);
    fold(context, count, ret_root);
    return TRUC_OK;
}

void digest_header(struct digest_context *context, struct bytes immutable_header, uint8_t ret_digest[DIGEST_BYTES])
{
    static const char label[] = "truc-header-v1"; /* its terminating zero is hashed */
    hash_begin(context);
    hash_add(context, label, sizeof label);
    hash_add(context, immutable_header.data, immutable_header.size);
    hash_end(context, ret_digest);
}

void digest_leaf(struct digest_context *context, struct bytes leaf, uint8_t ret_hash[DIGEST_BYTES])
{
    hash_tagged(context, 0, leaf, bytes_of(NULL, 0), ret_hash);
}

void digest_chain(struct digest_context *context, const uint8_t previous[DIGEST_BYTES], uint64_t block, uint64_t first_position,
                  const uint8_t *leaf_hashes, size_t entry_count, struct bytes deltas, uint8_t ret_chain[DIGEST_BYTES])
{
    static const char label[] = "truc-block-v1"; /* its terminating zero is hashed */
    uint8_t deltas_digest[DIGEST_BYTES];

    digest_parts(context, &deltas, 1, deltas_digest);
    hash_begin(context);
    hash_add(context, label, sizeof label);
    hash_add(context, previous, DIGEST_BYTES);
    hash_add_u64(context, block);
    hash_add_u64(context, first_position);
    hash_add(context, leaf_hashes, entry_count * DIGEST_BYTES);
    hash_add(context, deltas_digest, DIGEST_BYTES);
    hash_end(context, ret_chain);
}
