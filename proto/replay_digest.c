#include "proto/replay_digest.h"

#include <stdlib.h>

#include "proto/digest.h"

struct replay_digest {
    struct digest_context *context;
    uint64_t record_count;
    uint8_t value[DIGEST_BYTES];
};

struct replay_digest *replay_digest_create(void)
{
    struct replay_digest *digest = calloc(1, sizeof *digest);
    if (digest == NULL)
        return NULL;
    digest->context = digest_context_create();
    if (digest->context == NULL) {
        free(digest);
        return NULL;
    }
    return digest;
}

void replay_digest_destroy(struct replay_digest *digest)
{
    if (digest == NULL)
        return;
    digest_context_destroy(digest->context);
    free(digest);
}

void replay_digest_begin(struct replay_digest *digest, const uint8_t log_id[LOG_ID_BYTES], uint64_t generation)
{
    static const char label[] = "truc-replay-v1"; /* its terminating zero is hashed */
    uint8_t generation_bytes[8];
    struct bytes parts[3] = {bytes_of(label, sizeof label), bytes_of(log_id, LOG_ID_BYTES),
                             bytes_of(generation_bytes, sizeof generation_bytes)};

    store_u64(generation_bytes, generation);
    digest_parts(digest->context, parts, 3, digest->value);
    digest->record_count = 0;
}

void replay_digest_add(struct replay_digest *digest, uint64_t position, uint32_t index, struct bytes record)
{
    uint8_t link[DIGEST_BYTES + 8 + 4 + DIGEST_BYTES] = {0};
    struct bytes whole = bytes_of(link, sizeof link);

    memcpy(link, digest->value, DIGEST_BYTES);
    store_u64(link + DIGEST_BYTES, position);
    store_u32(link + DIGEST_BYTES + 8, index);
    digest_parts(digest->context, &record, 1, link + DIGEST_BYTES + 8 + 4);
    digest_parts(digest->context, &whole, 1, digest->value);
    digest->record_count++;
}

uint64_t replay_digest_record_count(const struct replay_digest *digest)
{
    return digest->record_count;
}

void replay_digest_value(const struct replay_digest *digest, uint8_t ret_value[DIGEST_BYTES])
{
    memcpy(ret_value, digest->value, DIGEST_BYTES);
}
