/* client.h: the client, which owns everything else: connection, session, producers, readers, workers, requesters, servers, threads.
 *
 * Layer: libtruc. One lock guards the state of a client and of all that was opened under it; it is never held during a callback,
 * a file's I/O, compression or the checking of digests. Lifecycle: client_life.c opens and closes; client.c is the state that
 * others use; session.c says hello and logs in; client_thread.c is the client's own thread: it connects, keeps time, and does
 * what may block (outbox, memory file, compression).
 *
 *   application threads --lock--> queues --link--> NNG's threads --lock--> answers --> courier thread --> callbacks
 *                                   ^                                                   prover thread (digests of read entries)
 *                                   +-- client thread (timers, reconnecting, files) */
#ifndef TRUC_CLIENT_CLIENT_H
#define TRUC_CLIENT_CLIENT_H

#include <pthread.h>

#include "clients/c/clock.h"
#include "clients/c/courier.h"
#include "clients/c/link.h"
#include "clients/c/memory_file.h"
#include "clients/c/options.h"
#include "clients/c/prover.h"
#include "clients/c/request.h"
#include "clients/c/truc.h"

struct lane;
struct together;
struct send_batch;
struct send_buffer;
struct ProtobufCMessage;

enum client_state {
    CLIENT_DOWN,     /* not connected; will be */
    CLIENT_GREETING, /* hello or login under way */
    CLIENT_UP,
    CLIENT_FAILED /* for good: the wrong log, a version, ... */
};

struct client_settings {
    char *url, *domain; /* domain NULL: any */
    char *agency, *system;
    int connect_timeout_ms, request_timeout_ms, reconnect_min_ms, reconnect_max_ms;
};

struct client_limits { /* of the last hello */
    uint32_t frame_bytes_max, batch_bytes_max, record_bytes_max, batch_records_max, batches_in_flight_max;
    uint64_t publish_credit_bytes, read_credit_bytes_max;
};

struct truc_client {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* whoever waits for something of the client: up, opened, flushed, answered, ended */
    struct client_settings settings;

    struct link link;
    enum client_state state;
    truc_status status; /* FAILED: why; DOWN: why not connected, or TRUC_OK */
    char text[256];
    uint64_t session; /* counts logins */
    int64_t last_received_ns, greeting_until_ns;
    bool ping_pending;
    struct request greeting, heartbeat;
    struct request_table requests;

    /* the log, as the hello named it */
    bool known;
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t generation, durable_position;
    char domain[DOMAIN_BYTES_MAX + 1];
    struct client_limits limits;
    struct memory memory; /* the highest place known to be on disk */

    /* the client's thread */
    pthread_t thread;
    pthread_cond_t wake;
    int64_t wake_at_ns, reconnect_at_ns;
    int reconnect_delay_ms, reconnect_floor_ms;
    unsigned jitter;
    bool thread_started, stopping;

    /* publishing */
    struct truc_producer *producers;
    struct lane *ready_head, *ready_tail;     /* lanes with a batch that may be sent */
    struct together *together_head;           /* frames of several batches that may be sent */
    uint64_t credit_used;                     /* bytes of unacknowledged publish frames */
    struct send_batch *pack_head, *pack_tail; /* closed batches to be compressed by the client's thread */
    struct send_batch *packing;               /* the one it is at */
    struct send_buffer *buffers;              /* for reuse, all of one size */
    size_t buffer_count;

    struct truc_reader *readers;
    struct truc_worker *workers;
    struct truc_requester *requesters;
    struct truc_server *servers;
    struct courier courier;
    struct prover prover;
};

/* --- all locked, unless said otherwise --------------------------------------------------------------------------------------- */

/* Unlocks after sending what can be sent: the end of every function that has queued something. */
void client_unlock(truc_client *client);

/* Asks the client's thread to look again at or before a time (0: now). */
void client_wake_at(truc_client *client, int64_t at_ns);

/* For good: tells producers, readers, workers and whoever waits. The first cause stays. */
void client_fail(truc_client *client, truc_status status, const char *text);

/* Queues a frame made of a header alone; the request, when given, gets an id first. TRUC_NO_MEMORY. Needs an open link. */
truc_status client_send(truc_client *client, enum frame_kind kind, struct request *request, uint64_t id,
                        const struct ProtobufCMessage *header);

/* Reads an ERROR frame: its status (never TRUC_OK), message cut to text, and the rest. */
struct client_refusal {
    truc_status status;
    uint32_t retry_after_ms;
    uint64_t actual;
    char text[256];
};
truc_status client_refusal_read(const struct frame *frame, struct client_refusal *ret_refusal, const char **ret_why);

/* A place has been acknowledged or received. */
void client_saw(truc_client *client, uint64_t position, uint32_t index);

/* Whether the caller is in a callback of this client, where blocking functions are refused. Any state of the lock. */
bool client_in_callback(truc_client *client);

/* Copies a text for the application; NULL when out of memory. */
char *client_text_copy(const char *text);

/* session.c: the connection is open; the connection is lost. */
void session_begin(truc_client *client);
void session_lost(truc_client *client);

/* client_thread.c */
void *client_thread_run(void *client);

#endif
