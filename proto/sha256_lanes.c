/* sha256_lanes.c: which message is in which lane. A lane that has finished takes the next message at once, so messages of
 * different lengths keep all lanes busy until the last ones. */
#include "proto/sha256_lanes.h"

enum { LENGTH_BYTES = 8, DIGEST_SIZE = 32 };

/* A message as blocks: the first, which begins with tag and salt; those in the middle, read where they lie; the padded end.
 *
 *     tag salt message.......................................... 80 00.. length
 *     |--- head ---|--- straight from the message ---|------- tail --------|
 *
 * A short message is all tail. The bytes before the tail are scratch, so that copies have a fixed size. */
struct lane {
    const uint8_t *message;
    size_t prefix_size;
    size_t next, whole, count; /* blocks: the next one, those before the tail, all */
    size_t index;              /* of the message; SIZE_MAX: the lane is idle */
    uint8_t head[SHA256_BLOCK_BYTES], scratch[SHA256_BLOCK_BYTES], tail[2 * SHA256_BLOCK_BYTES];
};
_Static_assert(offsetof(struct lane, tail) == offsetof(struct lane, scratch) + SHA256_BLOCK_BYTES, "scratch lies before tail");

static inline uint8_t *put_prefix(uint8_t *out, uint8_t tag, const uint8_t *salt)
{
    *out++ = tag;
    if (salt == NULL)
        return out;
    memcpy(out, salt, SHA256_SALT_BYTES);
    return out + SHA256_SALT_BYTES;
}

/* Fewer than 64 bytes: two overlapping copies of a fixed size are far cheaper than a call, or than the string instruction
 * that a compiler puts in its place. */
static inline void copy_short(uint8_t *out, const uint8_t *in, size_t size)
{
    if (size >= 32) {
        memcpy(out, in, 32);
        memcpy(out + size - 32, in + size - 32, 32);
    } else if (size >= 16) {
        memcpy(out, in, 16);
        memcpy(out + size - 16, in + size - 16, 16);
    } else if (size >= 8) {
        memcpy(out, in, 8);
        memcpy(out + size - 8, in + size - 8, 8);
    } else {
        for (size_t i = 0; i < size; i++)
            out[i] = in[i];
    }
}

static inline void lane_begin(struct lane *lane, size_t index, uint8_t tag, const uint8_t *salt, struct bytes message)
{
    size_t prefix_size = salt == NULL ? 1 : 1 + SHA256_SALT_BYTES;
    size_t total = prefix_size + message.size, rest;
    uint8_t *tail = lane->scratch + SHA256_BLOCK_BYTES; /* not lane->tail: the copy below begins before it */

    memset(tail, 0, SHA256_BLOCK_BYTES); /* two halves: of one larger memset gcc makes a slow string instruction */
    memset(tail + SHA256_BLOCK_BYTES, 0, SHA256_BLOCK_BYTES);
    if (message.size >= SHA256_BLOCK_BYTES) {
        lane->whole = total / SHA256_BLOCK_BYTES;
        rest = total % SHA256_BLOCK_BYTES;
        uint8_t *head = put_prefix(lane->head, tag, salt);
        memcpy(head, message.data, SHA256_BLOCK_BYTES - 1 - SHA256_SALT_BYTES);
        if (salt == NULL)
            memcpy(head + SHA256_BLOCK_BYTES - 1 - SHA256_SALT_BYTES, message.data + SHA256_BLOCK_BYTES - 1 - SHA256_SALT_BYTES,
                   SHA256_SALT_BYTES);
        memcpy(tail + rest - SHA256_BLOCK_BYTES, message.data + message.size - SHA256_BLOCK_BYTES, SHA256_BLOCK_BYTES);
    } else {
        lane->whole = 0;
        rest = total;
        copy_short(put_prefix(tail, tag, salt), message.data, message.size);
    }
    size_t tail_size = rest + 1 + LENGTH_BYTES <= SHA256_BLOCK_BYTES ? SHA256_BLOCK_BYTES : 2 * SHA256_BLOCK_BYTES;
    tail[rest] = 0x80;
    store_u64(tail + tail_size - LENGTH_BYTES, __builtin_bswap64((uint64_t)total * 8));
    lane->message = message.data;
    lane->prefix_size = prefix_size;
    lane->next = 0;
    lane->count = lane->whole + tail_size / SHA256_BLOCK_BYTES;
    lane->index = index;
}

static inline const uint8_t *lane_block(const struct lane *lane)
{
    if (lane->next >= lane->whole)
        return lane->tail + (lane->next - lane->whole) * SHA256_BLOCK_BYTES;
    return lane->next == 0 ? lane->head : lane->message + lane->next * SHA256_BLOCK_BYTES - lane->prefix_size;
}

static inline void lane_end(const struct lane *lane, uint32_t state[SHA256_STATE_WORDS][SHA256_LANES], size_t at, uint8_t *digests)
{
    uint8_t *out = digests + lane->index * DIGEST_SIZE;
    for (int w = 0; w < SHA256_STATE_WORDS; w++)
        store_u32(out + 4 * w, __builtin_bswap32(state[w][at]));
}

void sha256_lanes_hash(uint8_t tag, const uint8_t *salts, const struct bytes *messages, size_t count, uint8_t *digests)
{
    static const uint8_t idle_block[SHA256_BLOCK_BYTES];
    uint32_t state[SHA256_STATE_WORDS][SHA256_LANES] = {{0}};
    const uint8_t *blocks[SHA256_LANES];
    struct lane lanes[SHA256_LANES];
    size_t begun = 0, ended = 0;

    for (size_t at = 0; at < SHA256_LANES; at++)
        lanes[at].index = SIZE_MAX;
    while (ended < count) {
        uint16_t fresh = 0;
        for (size_t at = 0; at < SHA256_LANES; at++) {
            struct lane *lane = &lanes[at];
            if (lane->index == SIZE_MAX && begun < count) {
                lane_begin(lane, begun, tag, salts == NULL ? NULL : salts + begun * SHA256_SALT_BYTES, messages[begun]);
                fresh |= (uint16_t)(1u << at);
                begun++;
            }
            blocks[at] = lane->index == SIZE_MAX ? idle_block : lane_block(lane);
        }
        sha256_lanes_compress(state, fresh, blocks);
        for (size_t at = 0; at < SHA256_LANES; at++) {
            struct lane *lane = &lanes[at];
            if (lane->index == SIZE_MAX || ++lane->next < lane->count)
                continue;
            lane_end(lane, state, at, digests);
            lane->index = SIZE_MAX;
            ended++;
        }
    }
}
