/* verify_pool.h: checks batches before the core sees them. Layer: main.
 *
 * A small batch of a connection that has nothing else on its way is checked in place, on net's callback thread: that saves two
 * wake-ups. Everything else goes to the workers, several batches of one connection in parallel; session.h keeps the order.
 *
 * Memory: a batch of a few KiB may unpack to thousands of records with a directory of megabytes. While directories take more
 * than DIRECTORY_BYTES_MAX, only the oldest batch of all is worked on; it has everything before it in the core's hands already,
 * so memory comes back without it. */
#ifndef TRUC_MAIN_VERIFY_POOL_H
#define TRUC_MAIN_VERIFY_POOL_H

#include "broker/main/publish.h"
#include "broker/main/session.h"

enum { VERIFY_IN_PLACE_BYTES = 16 * 1024, VERIFY_DIRECTORY_BYTES_MAX = 16 * 1024 * 1024, VERIFY_THREADS_MAX = 64 };

struct verify_pool;

/* The rules' memory account is the pool's from here on; the rules must outlive every publish. NULL: no memory or no threads. */
struct verify_pool *verify_pool_create(struct publish_rules *rules, unsigned thread_count);
/* Finishes what was submitted, joins. After net was shut down: nothing is submitted any more. */
void verify_pool_stop(struct verify_pool *pool);
/* After every publish was freed. NULL is allowed. */
void verify_pool_destroy(struct verify_pool *pool);

/* A PUBLISH frame of a session: places a CORE_PUBLISH or CORE_PUBLISH_BAD in its line. By net's callback. False: no memory, the
 * connection cannot go on. */
bool verify_pool_publish(struct verify_pool *pool, struct session *session, const struct frame *frame, struct net_buffer *buffer);

#endif
