/* log_thread.h: the one thread that commits. Layer: main.
 *
 * The core thread stages appends and deltas of a step and submits them; whatever waits, up to some LOG_COMMIT_BYTES, becomes one
 * block. When it is on disk, CORE_COMMITTED with the last ticket goes to the core; if that fails, CORE_LOG_FAILED, once, and
 * nothing is committed any more. */
#ifndef TRUC_MAIN_LOG_THREAD_H
#define TRUC_MAIN_LOG_THREAD_H

#include "broker/log/engine.h"
#include "broker/main/mailbox.h"

enum { LOG_COMMIT_BYTES = 8 * 1024 * 1024 };

struct log_thread;

/* NULL: no memory or no thread. log and mailbox are borrowed. */
struct log_thread *log_thread_create(struct log *log, struct mailbox *mailbox);
/* Commits what was submitted (unless failed), joins, frees what was staged. NULL is allowed. */
void log_thread_destroy(struct log_thread *thread);

/* By the core thread: one effect of the step; takes the prepared batch over. False: no memory; the log must be given up with
 * log_thread_fail, since effects after this one may depend on it. */
bool log_thread_append(struct log_thread *thread, const struct core_effect *effect);
bool log_thread_delta(struct log_thread *thread, const struct core_effect *effect);
/* By the core thread, at the end of a step. */
void log_thread_submit(struct log_thread *thread);

/* Commits nothing further and tells the core so. Any thread. */
void log_thread_fail(struct log_thread *thread, truc_status status, const char *why);

/* The log's notify: capacity changed. Any thread; does not block. */
void log_thread_capacity_changed(void *thread);

struct log_thread_counts {
    uint64_t commits, appends, bytes;
};
struct log_thread_counts log_thread_counts(struct log_thread *thread);

#endif
