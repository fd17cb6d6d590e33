#include "clients/cli/replay_digest.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bytes.h"
#include "proto/limits.h"

enum { FIXED_BYTES = 36, HEAD_BYTES_MAX = FIXED_BYTES + TOPIC_BYTES_MAX + SOURCE_BYTES_MAX };

struct replay_digest {
    EVP_MD_CTX *context;
    uint8_t log_id[16];
    uint64_t generation;
};

struct replay_digest *replay_digest_create(const uint8_t log_id[16], uint64_t generation)
{
    static const char tag[] = "truc-replay-v1"; /* its terminator is hashed too */
    struct replay_digest *digest = calloc(1, sizeof *digest);
    uint8_t number[8];
    if (digest == NULL) {
        return NULL;
    }
    digest->generation = generation;
    memcpy(digest->log_id, log_id, sizeof digest->log_id);
    store_u64(number, generation);
    digest->context = EVP_MD_CTX_new();
    if (digest->context == NULL || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(digest->context, tag, sizeof tag) != 1 || EVP_DigestUpdate(digest->context, log_id, 16) != 1 ||
        EVP_DigestUpdate(digest->context, number, sizeof number) != 1) {
        replay_digest_destroy(digest);
        return NULL;
    }
    return digest;
}

void replay_digest_destroy(struct replay_digest *digest)
{
    if (digest != NULL) {
        EVP_MD_CTX_free(digest->context);
        free(digest);
    }
}

truc_status replay_digest_add(struct replay_digest *digest, const truc_message *message)
{
    uint8_t head[HEAD_BYTES_MAX];
    size_t topic_size = strlen(message->topic), agency_size = strlen(message->source), system_size = strlen(message->system);
    size_t source_size = agency_size + 1 + system_size, size = FIXED_BYTES;
    if (message->generation != digest->generation || memcmp(message->log_id, digest->log_id, sizeof digest->log_id) != 0) {
        return TRUC_LOG_MISMATCH;
    }
    if (topic_size > TOPIC_BYTES_MAX || source_size > SOURCE_BYTES_MAX) {
        return TRUC_INTERNAL;
    }
    store_u64(head, message->position);
    store_u32(head + 8, message->index);
    store_u64(head + 12, message->offset);
    store_u64(head + 20, (uint64_t)message->append_time_ns);
    store_u16(head + 28, (uint16_t)topic_size);
    store_u16(head + 30, (uint16_t)source_size);
    store_u32(head + 32, (uint32_t)message->encoded.size);
    memcpy(head + size, message->topic, topic_size);
    size += topic_size;
    memcpy(head + size, message->source, agency_size);
    size += agency_size;
    head[size++] = '/';
    memcpy(head + size, message->system, system_size);
    size += system_size;
    bool good = EVP_DigestUpdate(digest->context, head, size) == 1 &&
                EVP_DigestUpdate(digest->context, message->encoded.data, message->encoded.size) == 1;
    return good ? TRUC_OK : TRUC_INTERNAL;
}

truc_status replay_digest_end(struct replay_digest *digest, uint8_t ret_digest[REPLAY_DIGEST_BYTES])
{
    uint8_t ended[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_DigestFinal_ex(digest->context, ended, &size) != 1 || size != REPLAY_DIGEST_BYTES) {
        return TRUC_INTERNAL;
    }
    memcpy(ret_digest, ended, REPLAY_DIGEST_BYTES);
    return TRUC_OK;
}
